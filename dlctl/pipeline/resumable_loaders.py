"""Bring the training loaders of a new process to where those of a stopped one were.

Each loader that Lightning trains on is wrapped in a ``TrackedLoader``, which counts its batches and
remembers the random state in which each pass over the data began. To go on in the middle of a pass, the
new process begins the same pass in the same random state and skips the batches that were trained on.
"""

import copy
import logging
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import torch
import wrapt
from torch.utils.data import DataLoader, IterableDataset

from dlctl.pipeline import rng

log = logging.getLogger(__name__)
State = dict[str, Any]


class Position:
    """Where the current pass over a loader is, and how a new process gets there.

    Args:
        loader: what Lightning trains on.
    """

    def __init__(self, loader: Any) -> None:
        self.passes = 0
        # Batches asked for in this pass, and in all of them.
        self.fetched = 0
        self.total = 0
        # The random states before the pass was begun and before its first batch was asked for.
        self.created: rng.State | None = None
        self.started: rng.State | None = None
        self.own = rng.own_generators(loader=loader)
        self.length = _length(loader)
        # What the loader says of itself before each batch that Lightning fetches ahead.
        self.before_last: Any = None
        self._resume: State | None = None
        self._early = False

    def state(self, ahead: int) -> State:
        """What a new process needs to get here.

        Args:
            ahead: how many of the batches asked for have not been trained on yet.
        """
        return {
            "passes": self.passes,
            "seen": max(0, self.fetched - ahead),
            "ahead": min(ahead, self.fetched),
            "total": self.total - ahead,
            "created": self.created,
            "started": self.started,
            "length": self.length,
        }

    def resume(self, state: State, *, epoch: int, middle: bool) -> None:
        """Let the next pass begin where another process stopped.

        Args:
            state: of that process.
            epoch: its number, for samplers that ask for it.
            middle: in the middle of the pass; else the next pass begins anew.
        """
        self.passes, self.total = state["passes"], state["total"]
        self._resume = {**state, "epoch": epoch, "middle": middle}
        self._early = not middle and state["total"] > 0

    def begin_pass(self, loader: Any) -> Iterator[Any]:
        """An iterator over the loader, which counts."""
        if self._early:
            # Lightning makes an iterator when it has the loaders, and another when the epoch begins. An
            # uninterrupted run made only the second, so this one reads nothing.
            self._early = False
            return iter([None])
        resume, self._resume = self._resume, None
        if resume is None:
            return self._begin(loader)
        passes_before = resume["passes"] - resume["middle"]
        if getattr(loader, "persistent_workers", False) and passes_before:
            # The stopped process drew the seed of its workers when it started them, passes ago.
            loader.generator = torch.Generator().manual_seed(torch.initial_seed())
            log.warning(
                "persistent data loader workers start anew: what they draw at random differs from an "
                "uninterrupted run"
            )
        if resume["middle"] and resume["created"] is not None:
            return self._go_on(loader, resume)
        again = _is_one_shot(loader) and not hasattr(loader, "state_dict")
        return self._skipped(self._begin(loader), resume["total"] if again else 0)

    def _begin(self, loader: Any) -> "_Pass":
        self.created, self.started = rng.capture(self.own), None
        self.fetched = 0
        self.passes += 1
        return _Pass(self, loader, iter(loader))

    def _go_on(self, loader: Any, resume: State) -> Iterator[Any]:
        seen = resume["seen"]
        if self.length != resume["length"]:
            log.warning(
                f"the training data has {_batches(self.length)}, and had {_batches(resume['length'])} when "
                "the run stopped: the rest of this epoch may repeat samples or leave some out"
            )
        _tell_epoch(loader, resume["epoch"])
        rng.restore(resume["created"], self.own)
        iterator: Iterator[Any]
        if hasattr(loader, "state_dict"):
            # Lightning has restored it already.
            iterator, skip = iter(loader), 0
            if resume["started"] is not None:
                rng.restore(resume["started"], self.own)
        elif _draws_indices(loader):
            iterator, skip = _skip_indices(loader, seen, resume["started"], self.own), 0
        else:
            iterator, skip = iter(loader), resume["total"] if _is_one_shot(loader) else seen
            if resume["started"] is not None:
                rng.restore(resume["started"], self.own)
        found = _Pass(self, loader, iterator)
        self.created, self.started = resume["created"], resume["started"]
        self._skipped(found, skip)
        self.fetched, self.total = seen, resume["total"]
        return found

    def _skipped(self, batches: "_Pass", number: int) -> "_Pass":
        if number:
            log.info(f"reading {number} batches again to get back to where the run stopped")
        _skip(batches.iterator, number, self.own)
        return batches


class TrackedLoader(wrapt.ObjectProxy[Any]):
    """A loader as it was, whose passes are counted."""

    def __init__(self, loader: Any) -> None:
        super().__init__(loader)
        self._self_position = Position(loader)

    def __iter__(self) -> Iterator[Any]:
        return self._self_position.begin_pass(self.__wrapped__)

    def __copy__(self) -> Any:
        return copy.copy(self.__wrapped__)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copy.deepcopy(self.__wrapped__, memo)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__wrapped__.__reduce_ex__(protocol)

    @property
    def position(self) -> Position:
        """Where the current pass is."""
        return self._self_position


class StatefulTrackedLoader(TrackedLoader):
    """The same of a loader that keeps its own state and does not know its length.

    Lightning fetches its batches one ahead of training, to know which one is the last: the state to keep is
    that of before the last batch was fetched.
    """

    def state_dict(self) -> Any:
        """The loader's state at the batch that is trained on next."""
        before = self._self_position.before_last
        return self.__wrapped__.state_dict() if before is None else before


class _Pass:
    """The batches of one pass, counted."""

    def __init__(self, position: Position, loader: Any, iterator: Iterator[Any]) -> None:
        self._position = position
        self._loader = loader
        self.iterator = iterator
        self._in_this_process = not getattr(loader, "num_workers", 0)
        self._remembers = position.length is None and hasattr(loader, "state_dict")

    def __iter__(self) -> "_Pass":
        return self

    def __next__(self) -> Any:
        position = self._position
        if position.started is None and self._in_this_process:
            position.started = rng.capture(position.own)
        if self._remembers:
            position.before_last = self._loader.state_dict()
        position.fetched += 1
        position.total += 1
        return next(self.iterator)


class _SkippedOnce:
    """A sampler whose first pass leaves out what it gives first."""

    def __init__(self, sampler: Any, number: int, started: rng.State | None, own: dict[str, Any]) -> None:
        self._sampler = sampler
        self._first: tuple[int, rng.State | None, dict[str, Any]] | None = (number, started, own)

    def __iter__(self) -> Iterator[Any]:
        # Not before it is asked for its first: DataLoader makes an iterator that it does not use.
        first, self._first = self._first, None
        indices = iter(self._sampler)
        if first is not None:
            number, started, own = first
            with rng.preserved(own) if started is not None else nullcontext():
                if started is not None:
                    # Without workers the sampler is asked for its first batch when training is.
                    rng.restore(started, own)
                _skip(indices, number, own)
        yield from indices

    def __len__(self) -> int:
        return len(self._sampler)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sampler, name)


def tracked(loader: Any) -> TrackedLoader:
    """The loader with its passes counted."""
    if _length(loader) is None and hasattr(loader, "state_dict"):
        return StatefulTrackedLoader(loader)
    return TrackedLoader(loader)


def _skip_indices(loader: Any, number: int, started: rng.State | None, own: dict[str, Any]) -> Iterator[Any]:
    """Begin a pass without loading the samples of its first batches."""
    name = "batch_sampler" if loader.batch_sampler is not None else "sampler"
    sampler = getattr(loader, name)
    # DataLoader forbids this assignment because it may change its length; this does not.
    object.__setattr__(loader, name, _SkippedOnce(sampler, number, started, own))
    if number and getattr(loader, "num_workers", 0):
        log.warning(
            "data loader workers start anew: what they draw at random in the rest of this epoch differs "
            "from an uninterrupted run"
        )
    try:
        return iter(loader)
    finally:
        if not getattr(loader, "persistent_workers", False):
            object.__setattr__(loader, name, sampler)


def _draws_indices(loader: Any) -> bool:
    """Whether samples are fetched by index, so that those of a skipped batch need not be loaded."""
    # Subclasses with an __iter__ of their own keep one iterator for all epochs.
    plain = isinstance(loader, DataLoader) and type(loader).__iter__ is DataLoader.__iter__
    return plain and not isinstance(loader.dataset, IterableDataset)


def _is_one_shot(loader: Any) -> bool:
    """Whether a loader is an iterator itself, which goes on in the next epoch where it is in this one."""
    return hasattr(loader, "__next__")


def _tell_epoch(loader: Any, epoch: int) -> None:
    """Tell the samplers the epoch, as Lightning does, but before they are asked."""
    batches = getattr(loader, "batch_sampler", None)
    for sampler in (getattr(loader, "sampler", None), batches, getattr(batches, "sampler", None)):
        if callable(tell := getattr(sampler, "set_epoch", None)):
            tell(epoch)


def _length(loader: Any) -> int | None:
    try:
        return len(loader)
    except (TypeError, NotImplementedError):
        return None


def _batches(length: int | None) -> str:
    return "an unknown number of batches" if length is None else f"{length} batches"


def _skip(batches: Iterator[Any], number: int, own: dict[str, Any]) -> None:
    """Leave out the first of what an iterator gives.

    What is drawn for the first of them is drawn again as it was. What is drawn for a later one depends on
    what the model has drawn in between, which is not drawn again.
    """
    for place in range(number):
        next(batches, None)
        if not place:
            first = rng.capture(own)
    if number > 1 and not rng.same(first, rng.capture(own)):
        log.warning(
            "the training data draws random numbers while it is read: the rest of this epoch may repeat "
            "samples or leave some out"
        )
