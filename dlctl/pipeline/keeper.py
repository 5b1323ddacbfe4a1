"""The callback that dlctl adds to every training: nothing is lost, whatever stops it."""

import atexit
import logging
import math
import os
import signal
from pathlib import Path
from typing import Any

import rich
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.states import RunningStage, TrainerFn
from torch import distributed

from dlctl.errors import Interrupted, RunFailed
from dlctl.pipeline import checkpoints, resume, rng
from dlctl.runs import workers
from dlctl.runs.record import Run

log = logging.getLogger(__name__)
State = dict[str, Any]
Metrics = dict[str, float | None]
# A look at the loss waits for a GPU; on a CPU it is free.
_GPU_STEPS_BETWEEN_LOOKS = 50


class Keeper(Callback):
    """Keeps what a run needs to be resumed, and stops it when it must stop.

    Args:
        run: where it is recorded.
        carried: the unresolved config as YAML and its overrides, to travel inside the checkpoint.
    """

    def __init__(self, run: Run, carried: dict[str, Any]) -> None:
        self._run = run
        self._carried = carried
        self._resumed: State | None = None
        self._pending: State | None = None
        self._late: rng.State | None = None
        self._logged: State = {}
        self._before_validation: State | None = None

    # -- what a checkpoint holds ------------------------------------------------------------

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: State) -> None:
        """Add what Lightning leaves out, and take out what would have to be unpickled."""
        checkpoints.plain(checkpoint)
        checkpoint["dlctl"] = {**self._carried, "run": self._run.id, "dir": str(self._run.dir)}
        if trainer.state.fn != TrainerFn.FITTING:
            return
        now = self._before_validation or self._now(trainer, pl_module)
        progress = trainer.fit_loop.epoch_loop.batch_progress
        more = resume.mid_epoch(trainer) and not progress.is_last_batch
        checkpoint["dlctl"]["resume"] = {
            **now,
            "validating": self._before_validation is not None,
            "epoch": trainer.current_epoch,
            "seen": progress.current.ready if more else 0,
            "drawn": [each.drawn if each else None for each in resume.watched(trainer)],
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: State) -> None:
        """Take what was kept; it is put in place when its moment comes."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        for logger in trainer.loggers:
            if hasattr(logger, "rewind"):
                logger.rewind(checkpoint["global_step"])
        own = checkpoint.get("dlctl", {})
        if own.get("run") == self._run.id:
            checkpoints.relocate(checkpoint, own["dir"], str(self._run.dir))
        state = own.get("resume")
        self._resumed = self._pending = state
        if state and state["validating"]:
            resume.validate_again(checkpoint)

    @staticmethod
    def _now(trainer: Trainer, pl_module: LightningModule) -> State:
        return {
            "rng": rng.capture(),
            "metrics": resume.metric_states(pl_module, trainer),
            "logged": resume.logged_values(trainer),
        }

    # -- going on -----------------------------------------------------------------------------

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Make the training loaders resumable as soon as Lightning has them."""
        # A process that Lightning spawned has a console of its own, on stdout, and protects nothing yet.
        rich.reconfigure(stderr=True)
        workers.protect()
        if distributed.is_available() and distributed.is_initialized():
            # Lightning leaves it to the end of the process, whose threads may still be talking then.
            atexit.register(_leave_group)
        if stage != "fit":
            return
        process = trainer.strategy.process_dataloader

        def watch(loader: object) -> object:
            loader = process(loader)
            if trainer.state.stage == RunningStage.TRAINING:
                self._watch(loader)
            else:
                resume.leave_random_state_alone(loader)
            return loader

        trainer.strategy.process_dataloader = watch  # type: ignore[method-assign, assignment]

    def _watch(self, loader: Any) -> None:
        batches = resume.watch(loader)
        state = self._resumed
        if state is None:
            return
        now = None if state["validating"] else state["rng"]
        if not state["seen"]:
            if now is not None:
                rng.restore(now)
            self._resumed = None
            return
        drawn = state["drawn"].pop(0) if state["drawn"] else None
        if batches is not None and drawn is not None:
            batches.resume(drawn, now, state["seen"], state["epoch"])
            # Workers ask for their batches long before the first one is trained on.
            self._late = now if loader.num_workers else None
        else:
            log.warning("the training data cannot be resumed within an epoch: samples may repeat")

    def _put_in_place(self, pl_module: LightningModule) -> None:
        """Restore the metrics, after on_train_start of the module had its chance to reset them."""
        if self._pending is not None:
            resume.restore_metrics(pl_module, self._pending["metrics"])
            self._logged = self._pending["logged"]
            self._resumed = self._pending = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note where the run stands."""
        self._put_in_place(pl_module)
        self._note(trainer)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Go on summing up metrics in an epoch that was left in the middle."""
        if self._pending is not None:
            self._put_in_place(pl_module)
        if self._late is not None:
            rng.restore(self._late)
            self._late = None

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remember how things stand: an interrupted validation is done again from here."""
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
            return
        if self._pending is not None and self._pending["validating"]:
            rng.restore(self._pending["rng"])
        self._put_in_place(pl_module)
        self._before_validation = self._now(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From here on a checkpoint is one of after the validation."""
        self._before_validation = None

    # -- stopping -----------------------------------------------------------------------------

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signals from here on: in several processes Lightning's handler waits for the others."""
        self._run.stop.install()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signals: Lightning's handlers end a run without a checkpoint."""
        self._run.stop.install()
        self._run.stop.graceful = True
        if trainer.is_global_zero:
            self._run.note(device=device(trainer), loggers=_logger_ids(trainer))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop for a loss that is no number, or because a signal asked for it."""
        if trainer.strategy.root_device.type == "cpu" or not batch_idx % _GPU_STEPS_BETWEEN_LOOKS:
            _check_loss(trainer, outputs, batch_idx)
        if self._logged:
            resume.add_logged_values(trainer, self._logged)
            self._logged = {}
        if self._asked(trainer) and _between_steps(trainer):
            self._stop(trainer)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Stop during validation too."""
        training = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
        # What Lightning has summed up itself it would have forgotten at the end of this epoch.
        alone = not trainer.fit_loop.epoch_loop._results
        if training and self._asked(trainer) and alone:
            self._stop(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Training is complete: a signal ends what comes after at once."""
        self._run.stop.graceful = False
        self._note(trainer)

    def _asked(self, trainer: Trainer) -> bool:
        asked = self._run.stop.requested is not None
        if trainer.world_size > 1:
            # All ranks save together, so all must stop after the same batch.
            asked = trainer.strategy.reduce_boolean_decision(asked, all=False)
        return asked

    def _stop(self, trainer: Trainer) -> None:
        requested = self._run.stop.requested or 0
        if trainer.world_size > 1:
            # The signal may have reached only one of the ranks.
            highest = trainer.strategy.reduce(
                torch.tensor(requested, device=trainer.strategy.root_device), reduce_op="max"
            )
            requested = int(highest)
        if not getattr(trainer, "fast_dev_run", False):
            path = self._run.dir / "checkpoints" / "last.ckpt"
            for callback in trainer.checkpoint_callbacks:
                if isinstance(callback, ModelCheckpoint):
                    path = Path(callback.dirpath or path.parent) / "last.ckpt"
                    if callback.save_last:
                        # Else the resumed run would call its last checkpoint last-v1.ckpt.
                        callback.last_model_path = str(path)
            trainer.save_checkpoint(path)
            self._note(trainer, last=path)
        raise Interrupted(requested or signal.SIGINT)

    def _note(self, trainer: Trainer, last: Path | None = None) -> None:
        """Write the metrics and the checkpoints so far into the manifest."""
        if trainer.is_global_zero:
            self._run.note(
                metrics={**self._run.manifest.metrics, **metrics(trainer)},
                checkpoints={
                    **saved(trainer, self._run),
                    **({"last": os.path.relpath(last, self._run.dir)} if last else {}),
                },
            )


def metrics(trainer: Trainer) -> Metrics:
    """The last value of every metric that was logged."""
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def saved(trainer: Trainer, run: Run) -> dict[str, str]:
    """The best and the last checkpoint that ModelCheckpoint has saved."""
    callback = trainer.checkpoint_callback
    if not isinstance(callback, ModelCheckpoint):
        return dict(run.manifest.checkpoints)
    last = callback.last_model_path or callback.best_model_path
    for other in trainer.checkpoint_callbacks:
        if isinstance(other, checkpoints.LastCheckpoint):
            last = other.best_model_path
    paths = {"best": callback.best_model_path, "last": last}
    return {which: os.path.relpath(path, run.dir) for which, path in paths.items() if path}


def _between_steps(trainer: Trainer) -> bool:
    """Whether training can stop after this batch and go on with the next.

    Accumulated gradients would be lost; and the last batch before a validation belongs together
    with it, so training stops in the validation or after it.
    """
    loop = trainer.fit_loop.epoch_loop
    fetcher: Any = trainer.fit_loop._data_fetcher
    return not (
        loop.batch_progress.is_last_batch or loop._should_accumulate() or loop._should_check_val_fx(fetcher)
    )


def _check_loss(trainer: Trainer, outputs: Any, batch_idx: int) -> None:
    loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
    if isinstance(loss, torch.Tensor) and not math.isfinite(value := loss.sum().item()):
        raise RunFailed(
            f"the loss became {value} in epoch {trainer.current_epoch}, "
            f"batch {batch_idx} (step {trainer.global_step})",
            hint="try a lower learning rate or gradient clipping; "
            "dlctl debug shows the operation that made it",
        )


def device(trainer: Trainer) -> str:
    """On what a trainer computes, as the manifest tells it."""
    where = trainer.strategy.root_device
    name = f" ({torch.cuda.get_device_name(where)})" if where.type == "cuda" else ""
    return f"{trainer.world_size} x {where.type}{name}" if trainer.world_size > 1 else f"{where}{name}"


def _logger_ids(trainer: Trainer) -> dict[str, str]:
    """Under which ids trackers know the run: what their loggers call its version."""
    return {
        type(logger).__name__: str(logger.version)
        for logger in trainer.loggers
        if isinstance(logger.version, str) and logger.version
    }


def _leave_group() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()
