"""Batches of samples of about the same length, in an order that follows from seed and epoch."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch.utils.data import BatchSampler, RandomSampler

# How many batches' worth of samples are sorted by length at once: more would leave less to chance.
_POOL = 50


class Lengths(Protocol):
    """A data set that knows how long its samples are."""

    @property
    def lengths(self) -> Sequence[int]:
        """The length of each."""
        ...

    def __len__(self) -> int:
        """How many there are."""
        ...


class EpochSampler(RandomSampler):
    """All samples in random order, another one every epoch; the same for the same seed and epoch.

    Being a RandomSampler, Lightning knows that it shuffles, and puts another in its place where it must not.
    """

    def __init__(self, dataset: Lengths) -> None:
        super().__init__(dataset)
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning tells the epoch before its first batch."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        # The seed of the run; of a resumed one that has none, the seed that its random state came from.
        generator = torch.Generator().manual_seed((torch.initial_seed() + self._epoch) % 2**63)
        yield from torch.randperm(len(self.data_source), generator=generator).tolist()


class BucketBatchSampler(BatchSampler):
    """Cuts what a sampler draws into batches of about one length, so that little is padded.

    A batch comes when the first of its samples was drawn: the order is as random as the sampler's. With
    several processes Lightning puts its distributed sampler in the place of the one given here.

    Args:
        sampler: draws numbers of samples; its data set has their ``lengths``.
        batch_size: samples in a batch; the last of a pool may have fewer.
        drop_last: whether batches with fewer samples are left out.
    """

    def __init__(self, sampler: Any, batch_size: int, drop_last: bool = False) -> None:
        super().__init__(sampler, batch_size, drop_last)

    def __iter__(self) -> Iterator[list[int]]:
        order = list(self.sampler)
        size = self.batch_size * _POOL
        for start in range(0, len(order), size):
            yield from self._batches(order[start : start + size])

    def _batches(self, pool: list[int]) -> list[list[int]]:
        sampler: Any = self.sampler
        # Torch's own samplers call it one way, the distributed one the other.
        dataset = sampler.dataset if hasattr(sampler, "dataset") else sampler.data_source
        lengths: Sequence[int] = dataset.lengths
        drawn = sorted(range(len(pool)), key=lambda place: lengths[pool[place]])
        cuts = [drawn[start : start + self.batch_size] for start in range(0, len(drawn), self.batch_size)]
        if self.drop_last:
            cuts = [cut for cut in cuts if len(cut) == self.batch_size]
        return [[pool[place] for place in cut] for cut in sorted(cuts, key=min)]
