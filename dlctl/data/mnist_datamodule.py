"""The MNIST digits, in full or as the sample that comes with dlctl, in batches from memory."""

import gzip
import math
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from dlctl.data.batched import Batch, BatchedDataset
from dlctl.data.download import Resource, fetch
from dlctl.data.splits import SPLIT_SEED, Split, SplitDataModule
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


class MNISTDataModule(SplitDataModule):
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

    classes = tuple("0123456789")

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
        super().__init__(batch_size, num_workers, pin_memory)
        self.data_dir = None if data_dir is None else Path(data_dir)
        self.lengths = _checked_lengths(train_val_test_split)
        self.augment = augment
        self.mirrors = tuple(mirrors)
        self.timeout = timeout

    def prepare_data(self) -> None:
        """Fetch what is missing; files that are there are used without asking the network."""
        if self.data_dir is not None:
            raw = self.data_dir / "MNIST" / "raw"
            nearby = (raw, self.data_dir)
            fetch(FILES, raw, self.mirrors, nearby=nearby, timeout=self.timeout)

    def datasets(self) -> Mapping[Split, BatchedDataset]:
        """Read the set into memory."""
        official, test = (_read(self.data_dir, part) for part in ("train", "test"))
        parts = {**_divided(official, test, self.lengths), "test": test}
        return {split: BatchedDataset(*tensors, transform=_normalised) for split, tensors in parts.items()}

    def train_dataloader(self) -> DataLoader[Batch]:
        """The training images, augmented and in random order."""
        return self.loader(self.dataset("train", augment=self.augment), shuffle=True)

    def dataset(self, split: Split, augment: Callable[[Tensor], Tensor] | None = None) -> BatchedDataset:
        """The images of a split."""
        tensors = self._datasets[split].tensors  # type: ignore[attr-defined]
        return BatchedDataset(*tensors, augment=augment, transform=_normalised)


def _checked_lengths(split: Sequence[int]) -> tuple[int, int, int]:
    if len(split) != 3 or any(not isinstance(length, int) or length < 0 for length in split):
        raise ConfigError(
            f"train_val_test_split must be three numbers of images, not {list(split)}",
            key="data.train_val_test_split",
        )
    train, val, test = split
    return train, val, test


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
