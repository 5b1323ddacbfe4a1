"""Data modules of three splits: what all of them do, whatever they read."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dlctl.data.batched import batched_loader
from dlctl.errors import ConfigError

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
# The same samples are validated and tested in every run, whatever the run's seed.
SPLIT_SEED = 42


class SplitDataModule(LightningDataModule):
    """Training, validation and test data in batches of (inputs, targets).

    A subclass says what they are in ``datasets``. Networks that are built for the data ask for
    ``input_shape`` and ``num_classes``, which are known after ``setup``.

    Args:
        batch_size: samples per step over all devices.
        num_workers: processes that load batches; 0 to load in the main process.
        pin_memory: whether batches are put into page-locked memory, from where they reach a GPU faster.
    """

    # The names of the classes by their numbers; none where the targets are no classes.
    classes: Sequence[str] = ()

    def __init__(self, batch_size: int = 64, num_workers: int = 0, pin_memory: bool = False) -> None:
        super().__init__()
        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, not {batch_size}", key="data.batch_size")
        self.batch_size = batch_size
        self.batch_size_per_device = batch_size
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self._datasets: Mapping[Split, Dataset[Any]] = {}

    def datasets(self) -> Mapping[Split, Dataset[Any]]:
        """Read the data, once: a data set of (input, target) for each split."""
        raise NotImplementedError

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, without the batch."""
        return tuple(self._datasets["train"][0][0].shape)

    @property
    def num_classes(self) -> int:
        """The number of classes; 1 where the targets are no classes."""
        return len(self.classes) or 1

    def setup(self, stage: str | None = None) -> None:
        """Read the data, once, and share the batch size out among the devices."""
        if self.trainer is not None:
            self.batch_size_per_device = shared_out(self.batch_size, self.trainer.world_size)
        if not self._datasets:
            self._datasets = self.datasets()

    def train_dataloader(self) -> DataLoader[Any]:
        """The training data in random order."""
        return self.loader(self._datasets["train"], shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """The validation data."""
        return self.eval_dataloader("val")

    def test_dataloader(self) -> DataLoader[Any]:
        """The test data."""
        return self.eval_dataloader("test")

    def eval_dataloader(self, split: Split) -> DataLoader[Any]:
        """Any split as it is, in a fixed order, for evaluation and prediction."""
        return self.loader(self._datasets[split], shuffle=False)

    def loader(self, dataset: Dataset[Any], *, shuffle: bool) -> DataLoader[Any]:
        """Batches of a data set."""
        return batched_loader(
            dataset,
            batch_size=self.batch_size_per_device,
            shuffle=shuffle,
            num_workers=self.num_workers,
            pin_memory=self.pin_memory,
        )


def split_indices(length: int, shares: Sequence[float]) -> dict[Split, Tensor]:
    """Divide samples among training, validation and test, at random and the same way every time.

    Args:
        length: the number of samples.
        shares: of each split, e.g. 0.8, 0.1, 0.1; every split gets a sample at least.

    Raises:
        ConfigError: the shares are no three that add up to 1, or there are fewer than three samples.
    """
    if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise ConfigError(
            f"the shares of training, validation and test are {list(shares)}",
            hint="three numbers that add up to 1: data.split=[0.8,0.1,0.1]",
            key="data.split",
        )
    if length < 3:
        raise ConfigError(
            f"{length} samples cannot be divided among training, validation and test", key="data"
        )
    order = torch.randperm(length, generator=torch.Generator().manual_seed(SPLIT_SEED))
    val, test = (max(1, round(length * share)) for share in shares[1:])
    train = max(1, length - val - test)
    parts = (order[:train], order[train : train + val], order[train + val :])
    return {name: part.sort().values for name, part in zip(SPLITS, parts, strict=True)}


def shared_out(batch_size: int, devices: int) -> int:
    """How many of a batch's samples each device gets.

    Raises:
        ConfigError: they cannot be divided.
    """
    if batch_size % devices:
        raise ConfigError(
            f"batch_size {batch_size} cannot be divided among {devices} devices",
            key="data.batch_size",
            hint=f"use a multiple of {devices}: data.batch_size={-(-batch_size // devices) * devices}",
        )
    return batch_size // devices
