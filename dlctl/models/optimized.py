"""What the modules that come with dlctl have in common: an optimizer and a scheduler from the config."""

from collections.abc import Callable
from typing import Any

from lightning import LightningModule
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class OptimizedModule(LightningModule):
    """A module that is optimized as its config says.

    Args:
        optimizer: called with the parameters, returns the optimizer.
        scheduler: called with the optimizer, returns the learning rate scheduler, which is stepped once per
            validation and given ``val/loss`` if it wants a metric; None for a constant learning rate.
    """

    def __init__(
        self, optimizer: Callable[..., Optimizer], scheduler: Callable[..., LRScheduler] | None = None
    ) -> None:
        super().__init__()
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler

    def __setattr__(self, name: str, value: Any) -> None:
        # Lightning notes each hook's name here, 46 times a step, and torch looks for parameters in all
        # that is assigned to a module: a twentieth of a small network's step.
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def configure_optimizers(self) -> Any:
        """The optimizer and, if there is one, the learning rate scheduler."""
        optimizer = self.make_optimizer(params=self.trainer.model.parameters())  # type: ignore[union-attr]
        # A fused optimizer offers to unscale the gradients of mixed precision itself. That would be after
        # they are clipped, so Lightning refuses to clip them; declined, they are unscaled before.
        optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]
        if self.make_scheduler is None:
            return {"optimizer": optimizer}
        return {
            "optimizer": optimizer,
            "lr_scheduler": {
                "scheduler": self.make_scheduler(optimizer=optimizer),
                "monitor": "val/loss",
                # Where there is no validation there is no loss to follow, and that is no reason to stop.
                "strict": False,
                "frequency": self.trainer.check_val_every_n_epoch or 1,
            },
        }
