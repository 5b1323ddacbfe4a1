"""A small fully connected network with three hidden layers."""

import torch
from torch import Tensor, nn


class SimpleDenseNet(nn.Module):
    """Linear, batch norm and ReLU three times, then a linear layer.

    Args:
        input_size: the number of values of one sample.
        lin1_size: the number of outputs of the first hidden layer.
        lin2_size: the number of outputs of the second hidden layer.
        lin3_size: the number of outputs of the third hidden layer.
        output_size: the number of classes.
    """

    def __init__(
        self,
        input_size: int = 784,
        lin1_size: int = 256,
        lin2_size: int = 256,
        lin3_size: int = 256,
        output_size: int = 10,
    ) -> None:
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(input_size, lin1_size),
            nn.BatchNorm1d(lin1_size),
            nn.ReLU(),
            nn.Linear(lin1_size, lin2_size),
            nn.BatchNorm1d(lin2_size),
            nn.ReLU(),
            nn.Linear(lin2_size, lin3_size),
            nn.BatchNorm1d(lin3_size),
            nn.ReLU(),
            nn.Linear(lin3_size, output_size),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The logits [B, output_size] of samples [B, ...] with ``input_size`` values each."""
        logits: Tensor = self.model(torch.flatten(x, 1))
        return logits
