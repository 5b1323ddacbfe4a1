"""Go on in the middle of an epoch as if training had never stopped.

Lightning restores weights, optimizers and counters. What it leaves out is kept here: which samples
of the epoch have been seen, the random generators, and the metrics summed up so far.
"""

from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader, IterableDataset
from torchmetrics import Metric

from dlctl.pipeline import rng

State = dict[str, Any]
# Where Lightning counts validation batches; started and not processed means: validate again.
_VALIDATION = "epoch_loop.val_loop.batch_progress"


class ResumableBatches:
    """A loader's batch sampler that can begin an epoch again where it was left.

    It remembers the random state in which the epoch's order was drawn. To go on, it draws the
    same order again and passes over the batches already seen: nothing is loaded for that, and any
    sampler will do, shuffled, bucketed or distributed.
    """

    def __init__(self, batches: Any) -> None:
        self._batches = batches
        self._resume: tuple[State, State | None, int, int] | None = None
        self.drawn: State | None = None

    def resume(self, drawn: State, now: State | None, seen: int, epoch: int) -> None:
        """Let the next epoch be the one that drew its order in random state ``drawn``.

        Args:
            drawn: the random state of its beginning.
            now: the one to go on with; None for the one of that moment.
            seen: how many batches to pass over.
            epoch: its number, for samplers that ask for it.
        """
        self._resume = (drawn, now, seen, epoch)

    def __iter__(self) -> Iterator[Any]:
        resume, self._resume = self._resume, None
        if resume is None:
            self.drawn = rng.capture()
            yield from self._batches
            return
        self.drawn, now, seen, epoch = resume
        # With worker processes Lightning tells samplers the epoch only after they were asked.
        samplers: tuple[Any, Any] = (self._batches, getattr(self._batches, "sampler", None))
        for sampler in samplers:
            if hasattr(sampler, "set_epoch"):
                sampler.set_epoch(epoch)
        now = now or rng.capture()
        rng.restore(self.drawn)
        batches = iter(self._batches)
        for _ in range(seen):
            next(batches, None)
        rng.restore(now)
        yield from batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batches, name)


def watch(loader: Any) -> ResumableBatches | None:
    """Make a loader resumable, in place; None for one that draws no indices."""
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        return None
    name = "batch_sampler" if loader.batch_sampler is not None else "sampler"
    batches = getattr(loader, name)
    if not isinstance(batches, ResumableBatches):
        batches = ResumableBatches(batches)
        # DataLoader forbids this assignment because it may change its length; this does not.
        object.__setattr__(loader, name, batches)
    return batches


def leave_random_state_alone(loader: Any) -> None:
    """Let a validation loader seed its workers from a generator of its own.

    With persistent workers it would draw from the global one when they are started, which a
    resumed run does at another time than one that went through.
    """
    if isinstance(loader, DataLoader) and loader.generator is None:
        loader.generator = torch.Generator().manual_seed(torch.initial_seed())


def watched(trainer: Trainer) -> list[ResumableBatches | None]:
    """The batch samplers of the training loaders, in order."""
    combined = trainer.fit_loop._combined_loader
    found = []
    for loader in combined.flattened if combined else []:
        candidates = (getattr(loader, name, None) for name in ("batch_sampler", "sampler"))
        found.append(next((c for c in candidates if isinstance(c, ResumableBatches)), None))
    return found


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
