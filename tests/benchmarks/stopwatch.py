"""A callback that measures the CPU time of training steps, wherever the Trainer is built."""

import time

from lightning import Callback, LightningModule, Trainer


class Stopwatch(Callback):
    """The CPU time of one epoch, split into its steps and its end; validation is not counted.

    It must stand last among the callbacks that are no ModelCheckpoint, so that each step ends here.
    """

    last: "Stopwatch"

    def __init__(self) -> None:
        Stopwatch.last = self
        self.steps = 0
        self.stepping = self.ending = self.validating = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started = time.process_time()

    def on_train_batch_end(self, *args: object) -> None:
        self.steps += 1
        self.stepped = time.process_time()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.validating -= time.process_time()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.validating += time.process_time()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.validating = 0.0  # of the sanity check

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.stepping = self.stepped - self.started
        self.ending = time.process_time() - self.stepped - self.validating

    def per_step(self, steps_per_epoch: int) -> float:
        """Seconds of CPU time a step takes, its share of the end of such an epoch included."""
        return self.stepping / self.steps + self.ending / steps_per_epoch
