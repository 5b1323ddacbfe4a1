"""The MNIST digits, in full or as the sample that comes with dlctl, in batches from memory."""

import gzip
import math
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from dlctl.data.batched import Batch, BatchedDataset, batched_loader
from dlctl.data.download import Resource, fetch
from dlctl.errors import ConfigError, NotFoundError

SAMPLE = Path(__file__).parent / "mnist_mini"
FILES = (
    Resource("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb", 47_040_016),
    Resource("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624", 60_008),
    Resource("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea", 7_840_016),
    Resource("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637", 10_008),
)
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
# Of the training images' grey values between 0 and 1.
MEAN, STD = 0.1307, 0.3081
# The validation images are the same in every run, whatever the run's seed.
SPLIT_SEED = 42

Split = Literal["train", "val", "test"]


class MNISTDataModule(LightningDataModule):
    """Images [B, 1, 28, 28], float32 and normalised, with their digits [B], int64.

    The validation images are drawn from the official training set, always the same ones; the test images are
    the official test set. The set lies in memory as bytes and is normalised batch by batch.

    Args:
        data_dir: the folder that has, or will have, ``MNIST/raw/`` with the four IDX files; None for the
            sample of 8,000 and 2,000 images that comes with dlctl.
        batch_size: samples per step over all devices.
        num_workers: processes that load batches; 0 to load in the main process, the fastest unless
            ``augment`` takes long.
        pin_memory: whether batches are put into page-locked memory, from where they reach a GPU faster.
        train_val_test_split: how many images each split has; train and val together are the official
            training set, test is the official test set.
        augment: takes a training image, uint8 [1, 28, 28], and returns it changed (transforms of torchvision
            do); as uint8 0 to 255 or as float 0 to 1.
        mirrors: URLs of folders that hold the four files as ``.gz``, tried in order where they are missing.
        timeout: seconds without an answer after which the next mirror is tried.
    """

    def __init__(
        self,
        data_dir: str | None = "data/",
        batch_size: int = 64,
        num_workers: int = 0,
        pin_memory: bool = False,
        train_val_test_split: Sequence[int] = (55_000, 5_000, 10_000),
        augment: Callable[[Tensor], Tensor] | None = None,
        mirrors: Sequence[str] = MIRRORS,
        timeout: float = 10.0,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, not {batch_size}", key="data.batch_size")
        self.data_dir = None if data_dir is None else Path(data_dir)
        self.batch_size = batch_size
        self.batch_size_per_device = batch_size
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.lengths = _checked_lengths(train_val_test_split)
        self.augment = augment
        self.mirrors = tuple(mirrors)
        self.timeout = timeout
        self._tensors: dict[Split, Batch] = {}

    @property
    def num_classes(self) -> int:
        """The ten digits."""
        return 10

    def prepare_data(self) -> None:
        """Fetch what is missing; files that are there are used without asking the network."""
        if self.data_dir is not None:
            raw = self.data_dir / "MNIST" / "raw"
            nearby = (raw, self.data_dir)
            fetch(FILES, raw, self.mirrors, nearby=nearby, timeout=self.timeout)

    def setup(self, stage: str | None = None) -> None:
        """Read the set into memory, once, and share the batch size out among the devices."""
        if self.trainer is not None:
            self.batch_size_per_device = _shared_out(self.batch_size, self.trainer.world_size)
        if not self._tensors:
            official, test = (_read(self.data_dir, part) for part in ("train", "test"))
            self._tensors = {**_divided(official, test, self.lengths), "test": test}

    def train_dataloader(self) -> DataLoader[Batch]:
        """The training images, augmented and in random order."""
        dataset = self.dataset("train", augment=self.augment)
        return self._loader(dataset, shuffle=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        """The validation images."""
        return self.eval_dataloader("val")

    def test_dataloader(self) -> DataLoader[Batch]:
        """The test images."""
        return self.eval_dataloader("test")

    def eval_dataloader(self, split: Split) -> DataLoader[Batch]:
        """The images of any split as they are, in a fixed order, for evaluation and prediction."""
        return self._loader(self.dataset(split), shuffle=False)

    def dataset(self, split: Split, augment: Callable[[Tensor], Tensor] | None = None) -> BatchedDataset:
        """The images of a split."""
        return BatchedDataset(*self._tensors[split], augment=augment, transform=_normalised)

    def _loader(self, dataset: BatchedDataset, *, shuffle: bool) -> DataLoader[Batch]:
        return batched_loader(
            dataset,
            batch_size=self.batch_size_per_device,
            shuffle=shuffle,
            num_workers=self.num_workers,
            pin_memory=self.pin_memory,
        )


def _checked_lengths(split: Sequence[int]) -> tuple[int, int, int]:
    if len(split) != 3 or any(not isinstance(length, int) or length < 0 for length in split):
        raise ConfigError(
            f"train_val_test_split must be three numbers of images, not {list(split)}",
            key="data.train_val_test_split",
        )
    train, val, test = split
    return train, val, test


def _shared_out(batch_size: int, devices: int) -> int:
    if batch_size % devices:
        raise ConfigError(
            f"batch_size {batch_size} cannot be divided among {devices} devices",
            key="data.batch_size",
            hint=f"use a multiple of {devices}: data.batch_size={-(-batch_size // devices) * devices}",
        )
    return batch_size // devices


def _divided(official: Batch, test: Batch, lengths: tuple[int, int, int]) -> dict[Split, Batch]:
    """Draw the validation images from the official training set."""
    train_length, val_length, test_length = lengths
    train_there, test_there = len(official[0]), len(test[0])
    if train_length + val_length != train_there or test_length != test_there:
        raise ConfigError(
            f"train_val_test_split {list(lengths)} does not add up: "
            f"train + val must be {train_there}, test must be {test_there}",
            key="data.train_val_test_split",
            hint=f"e.g. data.train_val_test_split=[{train_there - val_length},{val_length},{test_there}]"
            if val_length < train_there
            else None,
        )
    order = torch.randperm(train_there, generator=torch.Generator().manual_seed(SPLIT_SEED))
    train, val = order[:train_length].sort().values, order[train_length:].sort().values
    return {
        "train": tuple(tensor[train] for tensor in official),
        "val": tuple(tensor[val] for tensor in official),
    }


def _normalised(batch: Batch) -> Batch:
    """Images as float, with a mean of about zero and a variance of about one."""
    images, digits = batch
    # (grey - MEAN) / STD; a division by 255 more would be one more pass over the batch.
    white = 1 if images.is_floating_point() else 255
    return images.float().sub_(MEAN * white).div_(STD * white), digits


def _read(data_dir: Path | None, part: Literal["train", "test"]) -> Batch:
    """An official part of the set as uint8 [N, 1, 28, 28] and int64 [N]."""
    prefix = "train" if part == "train" else "t10k"
    names = [f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"]
    if data_dir is None:
        images, digits = (read_idx(SAMPLE / f"{name}.gz") for name in names)
    else:
        images, digits = _read_full(data_dir, part == "train", names)
    if images.shape != (len(digits), 28, 28) or digits.max() > 9:
        raise _damaged(
            (data_dir / "MNIST" / "raw" if data_dir else SAMPLE) / names[0],
            f"{list(images.shape)} grey values beside {len(digits)} labels up to {digits.max()}",
        )
    return images.unsqueeze(1), digits.long()


def _read_full(data_dir: Path, train: bool, names: Sequence[str]) -> tuple[Tensor, Tensor]:
    """What torchvision finds in a folder."""
    # Takes a second to import, and the sample does without.
    from torchvision.datasets import MNIST

    try:
        found = MNIST(data_dir, train=train)
    except Exception:
        # Torchvision's asserts do not tell which file they are about.
        for name in names:
            read_idx(data_dir / "MNIST" / "raw" / name)
        raise
    return found.data, found.targets


def read_idx(path: Path) -> Tensor:
    """The bytes in an IDX file, gzip'ed or not, in the shape that its header says."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, str(error)) from error
    # Two zeros, the type (8: bytes), the number of dimensions, then each dimension in four bytes.
    dimensions = data[3] if data[:3] == b"\0\0\x08" and len(data) > 3 else 0
    start = 4 + 4 * dimensions
    shape = struct.unpack(f">{dimensions}I", data[4:start]) if len(data) >= start else ()
    if not shape or len(data) != start + math.prod(shape):
        raise _damaged(path, f"{len(data)} bytes do not make the shape {list(shape)} of its header")
    return torch.frombuffer(bytearray(data), dtype=torch.uint8, offset=start).view(shape)


def _damaged(path: Path, why: str) -> NotFoundError:
    return NotFoundError(
        f"{path} is damaged: {why}", hint="delete it, then it is fetched again on the next run"
    )
