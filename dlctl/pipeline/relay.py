"""Tell a search what each epoch of a trial came to, and stop the trial if the search says so."""

from collections.abc import Callable

from lightning.pytorch import Callback, LightningModule, Trainer

from dlctl.errors import Pruned
from dlctl.pipeline import keeper
from dlctl.pipeline.keeper import Metrics
from dlctl.runs.record import Run

# Takes the number of the epoch that has ended, from 1, of how many, and its metrics; whether to stop.
Report = Callable[[int, int, Metrics], bool]


class Relay(Callback):
    """Reports when the next epoch begins: only then all metrics of the one before are logged.

    Args:
        run: of the trial.
        report: is told; None in the ranks that Lightning starts, which stop when the first one does.
    """

    def __init__(self, run: Run, report: Report | None) -> None:
        self._run = run
        self._report = report
        self._ended: int | None = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that there is an epoch to report."""
        self._ended = trainer.current_epoch + 1

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the epoch before.

        Raises:
            Pruned: the search wants no more of this trial.
        """
        if self._tell(trainer):
            if trainer.is_global_zero:
                # An exception does not reach the process that Lightning spawned this one from, and the
                # first rank that ends takes the others with it.
                self._run.note(status="pruned")
            trainer.strategy.barrier()
            raise Pruned(f"after epoch {trainer.current_epoch}")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the last epoch; there is nothing left to be stopped."""
        self._tell(trainer)

    def _tell(self, trainer: Trainer) -> bool:
        if self._ended is None:
            return False
        epoch, self._ended = self._ended, None
        metrics, stop = keeper.metrics(trainer), False
        if self._report is not None and trainer.is_global_zero:
            stop = self._report(epoch, trainer.max_epochs or 0, metrics)
        if trainer.world_size > 1:
            stop = trainer.strategy.reduce_boolean_decision(stop, all=False)
        return stop
