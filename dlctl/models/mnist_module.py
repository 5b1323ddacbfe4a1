"""Classification of MNIST digits: the loss, the metrics and the optimizer around a network."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import MaxMetric, Metric

from dlctl.models.optimized import OptimizedModule

Batch = tuple[Tensor, Tensor]


class LossAndAccuracy(Metric):
    """Mean loss and accuracy over an epoch, summed on the device.

    Three additions a step, and no value fetched from the device before the epoch ends: torchmetrics'
    MeanMetric and Accuracy check and reshape every batch, which costs a small network half its step.
    """

    full_state_update = False
    loss_sum: Tensor
    correct: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("loss_sum", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("correct", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, loss: Tensor, logits: Tensor, targets: Tensor) -> None:
        """Add a batch: its mean loss, its logits [B, C] and its class numbers [B]."""
        size = len(targets)
        self.loss_sum.add_(loss.detach(), alpha=size)
        self.correct.add_((logits.argmax(dim=1) == targets).sum())
        self.count.add_(size)

    def compute(self) -> dict[str, Tensor]:
        """``loss`` and ``acc`` over all batches (of all processes) since the last reset."""
        return {"loss": self.loss_sum / self.count, "acc": self.correct / self.count}


class MNISTLitModule(OptimizedModule):
    """Trains a network to name the digit in an image.

    Args:
        net: maps images [B, 1, 28, 28] to logits [B, classes].
        optimizer: called with the parameters, returns the optimizer (``_partial_: true`` in a config).
        scheduler: called with the optimizer, returns the learning rate scheduler, which is stepped once per
            validation and given ``val/loss`` if it wants a metric; None for a constant learning rate.
        compile: whether to train with the network compiled by ``torch.compile``.
    """

    def __init__(
        self,
        net: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler] | None = None,
        compile: bool = False,
    ) -> None:
        super().__init__(optimizer, scheduler)
        # Plain values only, or the checkpoint cannot be loaded with weights_only=True.
        self.save_hyperparameters("compile", logger=False)
        self.net = net
        self.train_metrics = LossAndAccuracy()
        self.val_metrics = LossAndAccuracy()
        self.test_metrics = LossAndAccuracy()
        self.val_acc_best = MaxMetric()

    def forward(self, x: Tensor) -> Tensor:
        """The logits [B, classes] of images [B, 1, 28, 28]."""
        logits: Tensor = self.net(x)
        return logits

    def setup(self, stage: str) -> None:
        """Compile the network if asked to; in place, so that the names in the checkpoint stay the same."""
        if stage == "fit" and self.hparams["compile"]:
            self.net.compile()

    def model_step(self, batch: Batch, metrics: LossAndAccuracy) -> Tensor:
        """The mean loss of a batch (images, class numbers), which is added to the metrics."""
        images, targets = batch
        logits = self(images)
        loss = functional.cross_entropy(logits, targets)
        metrics.update(loss, logits, targets)
        return loss

    def on_train_start(self) -> None:
        """Forget what the sanity check of the validation left behind."""
        self.val_metrics.reset()
        self.val_acc_best.reset()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss to minimise."""
        return self.model_step(batch, self.train_metrics)

    def on_train_epoch_end(self) -> None:
        """Log ``train/loss`` and ``train/acc``."""
        self._log_epoch("train", self.train_metrics)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measure a validation batch."""
        self.model_step(batch, self.val_metrics)

    def on_validation_epoch_end(self) -> None:
        """Log ``val/loss``, ``val/acc`` and ``val/acc_best``, the highest accuracy so far."""
        values = self._log_epoch("val", self.val_metrics)
        self.val_acc_best.update(values["acc"])
        self.log("val/acc_best", self.val_acc_best.compute(), sync_dist=True)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Measure a test batch."""
        self.model_step(batch, self.test_metrics)

    def on_test_epoch_end(self) -> None:
        """Log ``test/loss`` and ``test/acc``."""
        self._log_epoch("test", self.test_metrics)

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """What is predicted for a batch: ``target``, ``prediction`` and its ``probability``, each [B]."""
        images, targets = batch
        probability, prediction = self(images).softmax(dim=1).max(dim=1)
        return {"target": targets, "prediction": prediction, "probability": probability}

    def _log_epoch(self, split: str, metrics: LossAndAccuracy) -> dict[str, Tensor]:
        """Log the metrics of an epoch under the split's name and start anew."""
        values: dict[str, Tensor] = metrics.compute()
        metrics.reset()
        self.log_dict({f"{split}/loss": values["loss"], f"{split}/acc": values["acc"]}, sync_dist=True)
        return values
