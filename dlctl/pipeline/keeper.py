"""The callback that dlctl adds to every training: nothing is lost, whatever stops it."""

import atexit
import logging
import math
import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import Any

import rich
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, WeightAveraging
from lightning.pytorch.trainer.states import RunningStage, TrainerFn
from torch import distributed

from dlctl.errors import Interrupted, RunFailed
from dlctl.pipeline import (
    changed_settings,
    checkpoints,
    lightning_adapter,
    module_state,
    resumable_loaders,
    resume,
    rng,
)
from dlctl.pipeline.lightning_adapter import callbacks_of
from dlctl.pipeline.module_state import ChangedAttributes
from dlctl.pipeline.resumable_loaders import TrackedLoader
from dlctl.runs import streams, workers
from dlctl.runs.record import Run

log = logging.getLogger(__name__)
State = dict[str, Any]
Metrics = dict[str, float | None]
# Without these a checkpoint is one of an earlier version.
_KEPT = {"tuned", "flags", "gradients", "attributes", "optimizer_settings", "groups", "trainer"}
# A look at the loss waits for a GPU; on a CPU it is free.
_GPU_STEPS_BETWEEN_LOOKS = 50


class Keeper(Callback):
    """Keeps what a run needs to be resumed, and stops it when it must stop.

    Args:
        run: where it is recorded.
        carried: the unresolved config as YAML and its overrides, to travel inside the checkpoint.
        resumes: the training starts from a checkpoint.
    """

    def __init__(self, run: Run, carried: dict[str, Any], *, resumes: bool = False) -> None:
        self._run = run
        self._carried = carried
        # Only the checkpoint that the training starts from is one to go on from: tuners save and load others.
        self._awaits_checkpoint = resumes
        self._resumed: State | None = None
        self._logged: State = {}
        self._before_validation: State | None = None
        self._validation_due = False
        self._validated = False
        # What the config says, before a checkpoint restores something else.
        self._callbacks: list[Callback] = []
        self._callback_settings: list[State] = []
        self._trainer_settings: State = {}
        self._optimizer_settings: State = {}
        self._schedulers: list[Any] = []
        self._starts: dict[str, State] = {}
        self._changed: ChangedAttributes | None = None
        # The random state with which a resumed training begins its first epoch.
        self._begin: rng.State | None = None
        # With what the hooks of the end of a batch are called.
        self._batch_end: tuple[Any, ...] | None = None

    # -- what a checkpoint holds ------------------------------------------------------------

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: State) -> None:
        """Add what Lightning leaves out, and take out what would have to be unpickled."""
        checkpoints.plain(checkpoint)
        checkpoint["dlctl"] = {**self._carried, "run": self._run.id, "dir": str(self._run.dir)}
        if trainer.state.fn != TrainerFn.FITTING:
            return
        now = self._before_validation or self._now(trainer, pl_module)
        progress = trainer.fit_loop.epoch_loop.batch_progress
        ahead = lightning_adapter.fetched_ahead(trainer)
        loaders = lightning_adapter.training_loaders(trainer)
        checkpoint["dlctl"]["resume"] = {
            **now,
            "validating": self._before_validation is not None,
            "validation_due": self._validation_due,
            "validated": self._validated,
            "epoch": trainer.current_epoch,
            "epoch_ended": resume.epoch_ended(trainer),
            "middle": resume.mid_epoch(trainer) and not progress.is_last_batch,
            "loaders": [each.position.state(ahead) for each in loaders if isinstance(each, TrackedLoader)],
            "exhausted": lightning_adapter.exhausted_loaders(trainer),
            "loading_epoch": lightning_adapter.loading_epoch(trainer),
            "callback_settings": self._callback_settings,
            "optimizer_settings": self._optimizer_settings,
            "groups": changed_settings.group_names(trainer),
            "tuned": resume.tuned_values(trainer),
            # Schedules of accumulation and clipping are set when an epoch begins.
            "trainer": {
                name: value
                for name, value in lightning_adapter.trainer_settings(trainer).items()
                if value != self._trainer_settings.get(name)
            },
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: State) -> None:
        """Take what was kept; it is put in place when its moment comes."""
        if trainer.state.fn != TrainerFn.FITTING or not self._awaits_checkpoint:
            return
        self._awaits_checkpoint = False
        for logger in trainer.loggers:
            if hasattr(logger, "rewind"):
                logger.rewind(checkpoint["global_step"])
        own = checkpoint.get("dlctl", {})
        if own.get("run") == self._run.id:
            checkpoints.relocate(checkpoint, own["dir"], str(self._run.dir))
        state = own.get("resume")
        if state is None or not state.keys() >= _KEPT:
            if state is not None:
                log.warning("another version of dlctl wrote the checkpoint: the run does not go on exactly")
            return
        self._resumed = state
        resume.skip_tuners(trainer, state["tuned"])
        if state["validating"] or state["validation_due"]:
            resume.validate_again(checkpoint)

    def _now(self, trainer: Trainer, pl_module: LightningModule) -> State:
        modes = lightning_adapter.evaluated_modes(trainer) if trainer.validating else None
        accumulated = not pl_module.automatic_optimization or lightning_adapter.accumulates(trainer)
        return {
            "rng": rng.capture(self._generators(trainer, pl_module)),
            "metrics": resume.metric_states(pl_module, trainer),
            "logged": resume.logged_values(trainer),
            "callback_metrics": {
                name: value.detach().cpu() for name, value in trainer.callback_metrics.items()
            },
            "flags": module_state.flags(pl_module, modes),
            "gradients": module_state.gradients(pl_module) if accumulated else {},
            "attributes": self._changed.state(self._owners(trainer))
            if self._changed
            else {"kept": {}, "starts": {}, "lost": []},
        }

    @staticmethod
    def _owners(trainer: Trainer) -> dict[str, Any]:
        """The objects whose attributes training may change."""
        return module_state.owners_of(
            trainer.lightning_module, lightning_adapter.datamodule_of(trainer), callbacks_of(trainer)
        )

    @staticmethod
    def _generators(trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """The generators that the module and its training loaders keep for themselves."""
        loaders = {f"loader{i}": each for i, each in enumerate(lightning_adapter.training_loaders(trainer))}
        return rng.own_generators(module=pl_module, **loaders)

    # -- going on -----------------------------------------------------------------------------

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Make the training loaders resumable as soon as Lightning has them."""
        if _is_spawned():
            streams.keep()
        # A process that Lightning spawned has a console of its own, on stdout, and protects nothing yet.
        rich.reconfigure(stderr=True)
        workers.protect()
        if distributed.is_available() and distributed.is_initialized():
            # Lightning leaves it to the end of the process, whose threads may still be talking then.
            atexit.register(_leave_group)
        if stage != "fit":
            return
        self._callbacks = list(callbacks_of(trainer))
        self._callback_settings = changed_settings.callback_settings(self._callbacks)
        self._trainer_settings = lightning_adapter.trainer_settings(trainer)
        self._starts = module_state.scalars(self._owners(trainer))
        process = trainer.strategy.process_dataloader

        def watch(loader: object) -> object:
            loader = process(loader)
            if trainer.state.stage == RunningStage.TRAINING:
                return self._tracked(trainer, loader)
            if self._resumed is not None and self._resumed["validated"]:
                resume.seed_persistent_workers(loader)
            return loader

        trainer.strategy.process_dataloader = watch  # type: ignore[method-assign, assignment]
        lightning_adapter.call_after(trainer.fit_loop, "on_run_start", lambda: self._go_on(trainer))
        lightning_adapter.call_after(
            trainer.fit_loop, "on_advance_end", lambda: self._stop_between_epochs(trainer)
        )
        self._save_after_batches(trainer)
        lightning_adapter.call_after(
            trainer.fit_loop.epoch_loop, "on_advance_end", lambda: self._stop_if_asked(trainer)
        )

    def _save_after_batches(self, trainer: Trainer) -> None:
        """Let checkpoints of every few steps be saved when all hooks of the batch have been called.

        ModelCheckpoint saves them before the module's ``on_train_batch_end``, which would be left out after
        resuming.
        """
        hooks = []
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint):
                hooks.append(callback.on_train_batch_end)
                callback.on_train_batch_end = lightning_adapter.do_nothing  # type: ignore[method-assign]

        def save() -> None:
            ended, self._batch_end = self._batch_end, None
            if ended is not None:
                self._validation_due = lightning_adapter.validates_now(trainer)
                for hook in hooks:
                    hook(*ended)
                self._validation_due = False

        lightning_adapter.call_before(trainer.fit_loop.epoch_loop, "on_advance_end", save)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note what the optimizers are configured with, before a checkpoint restores what they had.

        Raises:
            ConfigError: the checkpoint holds the state of other optimizers.
        """
        self._optimizer_settings = changed_settings.optimizer_settings(trainer)
        self._schedulers = changed_settings.configured_schedulers(trainer)
        if self._resumed is not None:
            changed_settings.refuse_other_optimizers(
                self._resumed["optimizer_settings"], self._optimizer_settings
            )
            changed_settings.add_missing_groups(trainer, self._resumed["groups"])

    def _tracked(self, trainer: Trainer, loader: Any) -> TrackedLoader:
        found = resumable_loaders.tracked(loader)
        state = self._resumed
        if state is not None and state["loaders"]:
            position = state["loaders"].pop(0)
            lightning_adapter.begin_new_epoch(trainer)
            found.position.resume(position, epoch=state["epoch"], middle=state["middle"])
        return found

    def _go_on(self, trainer: Trainer) -> None:
        """Put in place what was kept, after all hooks of the start have done their part."""
        module = trainer.lightning_module
        if self not in callbacks_of(trainer):
            return  # a tuner's own short training
        owners = self._owners(trainer)
        self._changed = ChangedAttributes(owners, self._starts)
        if self._resumed is None:
            return
        state = self._resumed
        self._resumed = None
        resume.start_swa(trainer)
        changes = changed_settings.apply_optimizer_changes(
            trainer, self._schedulers, state["optimizer_settings"], self._optimizer_settings
        )
        changes += changed_settings.apply_callback_changes(
            self._callbacks, state["callback_settings"], self._callback_settings
        )
        for change in changes:
            log.info(f"changed: {change}")
        lightning_adapter.set_exhausted_loaders(trainer, state["exhausted"])
        lightning_adapter.set_loading_epoch(trainer, state["loading_epoch"])
        lightning_adapter.end_restart(trainer)
        if state["middle"]:
            lightning_adapter.set_trainer_settings(trainer, state["trainer"])
        trainer.callback_metrics.update(state["callback_metrics"])
        if state["epoch_ended"]:
            resume.step_plateau_schedulers(trainer, state["epoch"], state["callback_metrics"])
        resume.restore_metrics(module, state["metrics"])
        self._logged = state["logged"]
        module_state.restore_flags(module, state["flags"])
        module_state.restore_gradients(module, state["gradients"])
        module_state.restore_attributes(owners, state["attributes"], self._starts, module.device)
        if lost := state["attributes"]["lost"]:
            log.warning(
                f"training had changed attributes that a checkpoint cannot hold, and which start anew: "
                f"{', '.join(lost)}"
            )
        if trainer.world_size > 1:
            log.warning("the random states of the other processes are not restored")
        generators = self._generators(trainer, module)
        if state["validating"]:
            self._begin = state["rng"]
        else:
            rng.restore(state["rng"], generators)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note where the run is."""
        self._note(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remember how things are: an interrupted validation is done again from here."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        self._validated = True
        if trainer.sanity_checking:
            return
        if self._begin is not None:
            rng.restore(self._begin, self._generators(trainer, pl_module))
            self._begin = None
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
        """Stop for a loss that is not finite."""
        if trainer.strategy.root_device.type == "cpu" or not batch_idx % _GPU_STEPS_BETWEEN_LOOKS:
            _check_loss(trainer, outputs, batch_idx)
        self._batch_end = (trainer, pl_module, outputs, batch, batch_idx)
        if self._logged:
            resume.add_logged_values(trainer, self._logged)
            self._logged = {}

    def _stop_if_asked(self, trainer: Trainer) -> None:
        """Stop after a batch, when all hooks of its end have been called."""
        if self in callbacks_of(trainer) and self._asked(trainer) and _between_steps(trainer):
            self._stop(trainer)

    def _stop_between_epochs(self, trainer: Trainer) -> None:
        """Stop when an epoch is over and all that belongs to it is done."""
        if self in callbacks_of(trainer) and self._asked(trainer):
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
        if not training or not self._asked(trainer):
            return
        # Lightning would forget at the end of this epoch what it has summed up itself.
        summed = lightning_adapter.has_summed_values(trainer)
        # During a validation their averages stand in for the weights.
        averaged = any(isinstance(each, WeightAveraging) for each in callbacks_of(trainer))
        if not summed and not averaged:
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
        if _is_spawned():
            # Its process would print the traceback of any other exception.
            sys.exit(128 + (requested or signal.SIGINT))
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

    The last batch before a validation belongs together with it, so training stops in the validation or
    after it. Of several processes each has accumulated gradients of its own, and one saves the checkpoint.
    """
    return not (
        trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        or lightning_adapter.validates_now(trainer)
        or (trainer.world_size > 1 and lightning_adapter.accumulates(trainer))
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


def _is_spawned() -> bool:
    """Whether Lightning started this process with multiprocessing, as one rank."""
    return multiprocessing.parent_process() is not None


def _leave_group() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()
