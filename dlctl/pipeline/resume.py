"""Go on in the middle of an epoch as if training had never stopped.

Lightning restores weights, optimizers and counters. What it leaves out is kept here: the metrics summed up
so far, what tuners have found, and the steps of schedulers and averages that come after a checkpoint.
"""

import logging
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import BatchSizeFinder, LearningRateFinder, StochasticWeightAveraging
from lightning.pytorch.utilities.parsing import lightning_getattr, lightning_hasattr, lightning_setattr
from torchmetrics import Metric

from dlctl.pipeline.lightning_adapter import callbacks_of, do_nothing

log = logging.getLogger(__name__)
State = dict[str, Any]
_TUNERS = (BatchSizeFinder, LearningRateFinder)
# Where Lightning counts validation batches; started and not processed means: validate again.
_VALIDATION = "epoch_loop.val_loop.batch_progress"


def seed_persistent_workers(loader: Any) -> None:
    """Let a validation loader seed workers that outlive an epoch from a generator of its own.

    It draws from the global one when the workers are started, which the stopped run has done before.
    """
    if getattr(loader, "persistent_workers", False) and getattr(loader, "generator", True) is None:
        loader.generator = torch.Generator().manual_seed(torch.initial_seed())


def tuned_values(trainer: Trainer) -> list[State]:
    """What tuner callbacks have found, by the name of the attribute that takes it."""
    found = []
    for callback in callbacks_of(trainer):
        name = _tuned_attribute(trainer, callback)
        if name is not None:
            value = lightning_getattr(trainer.lightning_module, name)
            found.append({"class": type(callback).__name__, "attribute": name, "value": value})
    return found


def skip_tuners(trainer: Trainer, tuned: list[State]) -> None:
    """Use what tuner callbacks have found, instead of looking for it in the middle of a training."""
    for callback in callbacks_of(trainer):
        for each in tuned:
            if each["class"] == type(callback).__name__ and isinstance(callback, _TUNERS):
                lightning_setattr(trainer.lightning_module, each["attribute"], each["value"])
                callback.on_fit_start = do_nothing  # type: ignore[method-assign]
                log.info(
                    f"{each['class']}: {each['attribute']}={each['value']}, as found when the run started"
                )


def _tuned_attribute(trainer: Trainer, callback: Callback) -> str | None:
    if isinstance(callback, BatchSizeFinder):
        return callback._batch_arg_name
    if isinstance(callback, LearningRateFinder) and callback._update_attr:
        module = trainer.lightning_module
        names = [callback._attr_name] if callback._attr_name else ["lr", "learning_rate"]
        return next((name for name in names if lightning_hasattr(module, name)), None)
    return None


def start_swa(trainer: Trainer) -> None:
    """Let SWA go on in the middle of an epoch: it takes its scheduler up only when an epoch begins."""
    for callback in callbacks_of(trainer):
        if isinstance(callback, StochasticWeightAveraging) and callback._scheduler_state is not None:
            groups = [
                {key: value for key, value in group.items() if key != "params"}
                for group in trainer.optimizers[0].param_groups
            ]
            callback.on_train_epoch_start(trainer, trainer.lightning_module)
            for group, before in zip(trainer.optimizers[0].param_groups, groups, strict=True):
                group.update(before)


def step_plateau_schedulers(trainer: Trainer, epoch: int, metrics: State) -> None:
    """Do what comes after a checkpoint of the end of an epoch: step the schedulers that watch a metric."""
    for config in trainer.lr_scheduler_configs:
        value = metrics.get(str(config.monitor)) if config.reduce_on_plateau else None
        if value is not None and config.interval == "epoch" and (epoch + 1) % config.frequency == 0:
            trainer.lightning_module.lr_scheduler_step(config.scheduler, value)


def epoch_ended(trainer: Trainer) -> bool:
    """Whether the hooks of the end of an epoch are being called."""
    progress: Any = trainer.fit_loop.epoch_progress.current
    return bool(progress.started == progress.processed > progress.completed)


def mid_epoch(trainer: Trainer) -> bool:
    """Whether the epoch that training is in is not over."""
    progress: Any = trainer.fit_loop.epoch_progress.current
    return bool(progress.started != progress.processed)


def metric_states(module: LightningModule, trainer: Trainer) -> State:
    """What the metrics of a module have summed up, by name.

    At the end of an epoch Lightning is about to reset the metrics that were logged as objects, and
    would not do so after resuming: they are left out then.
    """
    over = set() if mid_epoch(trainer) else _logged(trainer)
    return {
        name: (metric._update_count, {key: _copy(v) for key, v in metric.metric_state.items()})
        for name, metric in module.named_modules()
        if isinstance(metric, Metric) and id(metric) not in over
    }


def restore_metrics(module: LightningModule, states: State) -> None:
    """Let the metrics go on summing up from there."""
    for name, metric in module.named_modules():
        if isinstance(metric, Metric) and name in states:
            count, values = states[name]
            metric._update_count, metric._computed = count, None
            for key, value in values.items():
                setattr(metric, key, _copy(value, metric.device))


def logged_values(trainer: Trainer) -> State:
    """What Lightning has summed up of numbers that were logged for the epoch, by name."""
    return {
        name: {key: _copy(getattr(item, key)) for key in item._defaults}
        for name, item in trainer.fit_loop.epoch_loop._results.items()
        if item.is_tensor and item.meta.on_epoch and mid_epoch(trainer)
    }


def add_logged_values(trainer: Trainer, states: State) -> None:
    """Add them to those that have been logged since."""
    for name, item in trainer.fit_loop.epoch_loop._results.items():
        for key, value in states.get(name, {}).items():
            now = getattr(item, key)
            value = value.to(now.device)
            adds = item.meta.is_mean_reduction or item.meta.is_sum_reduction
            setattr(item, key, now + value if adds else item.meta.reduce_fx(now, value))


def _logged(trainer: Trainer) -> set[int]:
    loops = (trainer.fit_loop.epoch_loop, trainer.fit_loop.epoch_loop.val_loop)
    items = (item for loop in loops for item in loop._results.values())
    return {id(item.value) for item in items if not item.is_tensor}


def _copy(value: Any, device: torch.device | None = None) -> Any:
    if isinstance(value, list):
        return [_copy(item, device) for item in value]
    return value.detach().clone().to(device or "cpu")


def validate_again(checkpoint: State) -> None:
    """Let a checkpoint of during a validation resume with that validation, from its first batch."""
    nothing = {"ready": 0, "started": 0, "processed": 0, "completed": 0}
    checkpoint["loops"]["fit_loop"][_VALIDATION] = {
        "total": {**nothing, "ready": 1, "started": 1},
        "current": dict(nothing),
        "is_last_batch": False,
    }
