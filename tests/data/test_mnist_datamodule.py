import gzip
import hashlib
import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.fabric.utilities.data import _update_dataloader
from torch import Tensor
from torch.utils.data import DistributedSampler

from dlctl.data import mnist_datamodule
from dlctl.data.download import Resource
from dlctl.data.mnist_datamodule import FILES, MEAN, MIRRORS, SAMPLE, STD, MNISTDataModule, read_idx
from dlctl.errors import ConfigError, DlctlError, NotFoundError

full_set = pytest.mark.skipif(
    not os.environ.get("DLCTL_TEST_DATA"), reason="DLCTL_TEST_DATA is not set: no full MNIST"
)
sample = partial(MNISTDataModule, data_dir=None, train_val_test_split=(7000, 1000, 2000))


def ready(data: MNISTDataModule) -> MNISTDataModule:
    data.prepare_data()
    data.setup("fit")
    return data


def stored(data: MNISTDataModule, split: str) -> tuple[Tensor, Tensor]:
    images, digits = data.dataset(split).tensors
    return images, digits


def pictures(data: MNISTDataModule, split: str) -> set[bytes]:
    return {image.numpy().tobytes() for image in stored(data, split)[0]}


@pytest.fixture(scope="module")
def data() -> MNISTDataModule:
    return ready(sample())


@pytest.fixture
def pretended_full_set(monkeypatch: pytest.MonkeyPatch) -> Callable[..., MNISTDataModule]:
    """The sample in the place of the full set, so that it need not be downloaded."""
    unpacked = {file.name: gzip.decompress((SAMPLE / f"{file.name}.gz").read_bytes()) for file in FILES}
    files = [
        Resource(name, hashlib.md5(content).hexdigest(), len(content)) for name, content in unpacked.items()
    ]
    monkeypatch.setattr(mnist_datamodule, "FILES", files)
    return partial(sample, mirrors=[SAMPLE.as_uri()])


# The sample


def test_the_splits_of_the_sample_share_no_image(data: MNISTDataModule) -> None:
    found = {split: pictures(data, split) for split in ("train", "val", "test")}
    assert {split: len(images) for split, images in found.items()} == {
        "train": 7000,
        "val": 1000,
        "test": 2000,
    }
    assert len(found["train"] | found["val"] | found["test"]) == 10_000


def test_every_digit_is_in_every_split_about_as_often(data: MNISTDataModule) -> None:
    for split in ("train", "val", "test"):
        digits = stored(data, split)[1]
        shares = digits.bincount(minlength=10) / len(digits)
        assert shares.min() > 0.07
        assert shares.max() < 0.13


def test_the_validation_images_do_not_depend_on_the_seed(data: MNISTDataModule) -> None:
    torch.manual_seed(1)
    assert pictures(ready(sample()), "val") == pictures(data, "val")


def test_the_sample_is_small_and_its_licence_lies_beside_it() -> None:
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) < 2_000_000
    assert "CC BY-SA 3.0" in (SAMPLE / "README.md").read_text(encoding="utf-8")


# Batches


def test_batches_are_what_torchvisions_transforms_make_of_the_images(data: MNISTDataModule) -> None:
    from torchvision.transforms import Compose, Normalize, ToTensor

    transform = Compose([ToTensor(), Normalize((MEAN,), (STD,))])
    images, digits = next(iter(data.test_dataloader()))
    raw = read_idx(SAMPLE / "t10k-images-idx3-ubyte.gz")[:64]
    expected = torch.stack([transform(image.numpy()) for image in raw])
    assert images.shape == (64, 1, 28, 28)
    assert torch.allclose(images, expected, atol=1e-6)
    assert torch.equal(digits, read_idx(SAMPLE / "t10k-labels-idx1-ubyte.gz")[:64].long())
    assert (images.dtype, digits.dtype) == (torch.float32, torch.int64)


def test_reading_batches_changes_nothing_in_memory(data: MNISTDataModule) -> None:
    before = stored(data, "test")[0].clone()
    once = torch.cat([images for images, _ in data.test_dataloader()])
    again = torch.cat([images for images, _ in data.test_dataloader()])
    assert torch.equal(once, again)
    assert torch.equal(stored(data, "test")[0], before)


def test_training_images_are_shuffled_by_the_seed_and_others_never(data: MNISTDataModule) -> None:
    def order(seed: int) -> list[int]:
        torch.manual_seed(seed)
        return torch.cat([digits for _, digits in data.train_dataloader()]).tolist()

    in_order = stored(data, "train")[1].tolist()
    assert order(1) == order(1) != order(2)
    assert sorted(order(1)) == sorted(in_order)
    plain = torch.cat([digits for _, digits in data.eval_dataloader("train")]).tolist()
    assert plain == in_order


def test_workers_load_the_same_batches_as_the_main_process(data: MNISTDataModule) -> None:
    loaders = [ready(sample(num_workers=workers, batch_size=500)) for workers in (0, 2)]
    batches = []
    for each in loaders:
        torch.manual_seed(1)
        batches.append([*each.train_dataloader(), *each.val_dataloader()])
    assert len(batches[0]) == len(batches[1]) == 16
    for (images, digits), (other_images, other_digits) in zip(*batches, strict=True):
        assert torch.equal(images, other_images)
        assert torch.equal(digits, other_digits)


def blank(image: Tensor) -> Tensor:
    assert image.shape == (1, 28, 28)
    assert image.dtype == torch.uint8
    return torch.zeros_like(image)


@pytest.mark.parametrize("workers", [0, 1])
def test_only_training_images_are_augmented(data: MNISTDataModule, workers: int) -> None:
    augmented = ready(sample(augment=blank, num_workers=workers, batch_size=1000))
    black = -MEAN / STD
    for images, _ in augmented.train_dataloader():
        assert images.min().item() == images.max().item() == pytest.approx(black)
    for loader in (
        augmented.val_dataloader(),
        augmented.test_dataloader(),
        augmented.eval_dataloader("train"),
    ):
        assert next(iter(loader))[0].max().item() == pytest.approx((1 - MEAN) / STD)


def test_an_augmentation_may_return_greys_between_0_and_1(data: MNISTDataModule) -> None:
    as_bytes = data.dataset("train", augment=lambda image: image)
    as_floats = data.dataset("train", augment=lambda image: image / 255)
    where = range(100)
    assert torch.allclose(as_bytes.__getitems__(where)[0], as_floats.__getitems__(where)[0], atol=1e-6)


def test_transforms_of_torchvision_augment(data: MNISTDataModule) -> None:
    from torchvision.transforms import RandomAffine

    shifted = data.dataset("train", augment=RandomAffine(0, translate=(0.2, 0.2)))
    torch.manual_seed(1)
    images, _ = shifted.__getitems__(range(100))
    originals, _ = data.dataset("train").__getitems__(range(100))
    assert images.shape == originals.shape
    # What moves in from outside is background: an image is augmented before it is normalised.
    assert images.min().item() == originals.min().item()
    assert not torch.equal(images, originals)


# Devices


def test_the_batch_size_is_shared_out_among_the_devices() -> None:
    shared = sample(batch_size=64)
    shared.trainer = SimpleNamespace(world_size=4)  # type: ignore[assignment]
    ready(shared)
    assert next(iter(shared.train_dataloader()))[0].shape[0] == 16


def test_a_batch_size_that_cannot_be_shared_out_is_refused() -> None:
    shared = sample(batch_size=64)
    shared.trainer = SimpleNamespace(world_size=3)  # type: ignore[assignment]
    with pytest.raises(ConfigError) as error:
        shared.setup("fit")
    assert error.value.message == "batch_size 64 cannot be divided among 3 devices"
    assert error.value.hint == "use a multiple of 3: data.batch_size=66"


def test_lightnings_distributed_sampler_gives_each_process_its_own_samples(data: MNISTDataModule) -> None:
    seen = []
    for rank in (0, 1):
        loader = data.train_dataloader()
        sampler = DistributedSampler(loader.dataset, num_replicas=2, rank=rank, shuffle=True)
        loader = _update_dataloader(loader, sampler)
        seen.append({image.numpy().tobytes() for images, _ in loader for image in images})
    assert len(seen[0]) == len(seen[1]) == 3500
    assert not seen[0] & seen[1]


# Files


def test_missing_files_are_fetched_and_read_with_torchvision(
    tmp_path: Path, pretended_full_set: Callable[..., MNISTDataModule], data: MNISTDataModule
) -> None:
    fetched = ready(pretended_full_set(data_dir=str(tmp_path)))
    raw = tmp_path / "MNIST" / "raw"
    assert sorted(path.name for path in raw.iterdir()) == sorted(file.name for file in FILES)
    for split in ("train", "val", "test"):
        for tensor, expected in zip(stored(fetched, split), stored(data, split), strict=True):
            assert torch.equal(tensor, expected)


@pytest.mark.parametrize("folder", [".", "MNIST/raw"])
def test_packed_files_in_the_data_folder_are_used_without_a_mirror(
    tmp_path: Path, pretended_full_set: Callable[..., MNISTDataModule], folder: str
) -> None:
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for file in FILES:
        (tmp_path / folder / f"{file.name}.gz").symlink_to(SAMPLE / f"{file.name}.gz")
    data = ready(pretended_full_set(data_dir=str(tmp_path), mirrors=[]))
    assert len(data.dataset("train")) == 7000


def test_files_that_are_there_are_used_as_they_are(
    tmp_path: Path, pretended_full_set: Callable[..., MNISTDataModule]
) -> None:
    ready(pretended_full_set(data_dir=str(tmp_path)))
    labels = tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:8] + bytes(2000))
    data = ready(pretended_full_set(data_dir=str(tmp_path), mirrors=[]))
    assert stored(data, "test")[1].unique().tolist() == [0]


def test_without_files_and_mirrors_it_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as error:
        MNISTDataModule(str(tmp_path), mirrors=["http://127.0.0.1:1/"]).prepare_data()
    assert error.value.message == (
        f"train-images-idx3-ubyte is not in {tmp_path}/MNIST/raw and cannot be fetched "
        "(127.0.0.1:1: connection refused)"
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-images-idx3-ubyte", b"", "0 bytes do not make the shape [] of its header"),
        ("t10k-images-idx3-ubyte", b"<html>", "6 bytes do not make the shape [] of its header"),
        (
            "t10k-labels-idx1-ubyte",
            bytes([0, 0, 8, 1, 0, 0, 7, 208, 5]),
            "9 bytes do not make the shape [2000] of its header",
        ),
        (
            "train-images-idx3-ubyte",
            bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes(784),
            "[1, 28, 28] grey values beside 8000 labels up to 9",
        ),
        (
            "t10k-labels-idx1-ubyte",
            bytes([0, 0, 8, 1, 0, 0, 7, 208]) + bytes([10]) * 2000,
            "[2000, 28, 28] grey values beside 2000 labels up to 10",
        ),
    ],
    ids=["empty", "other", "truncated", "fewer images than labels", "more than ten digits"],
)
def test_a_damaged_file_is_named(
    tmp_path: Path,
    pretended_full_set: Callable[..., MNISTDataModule],
    name: str,
    content: bytes,
    message: str,
) -> None:
    data = pretended_full_set(data_dir=str(tmp_path))
    data.prepare_data()
    raw = tmp_path / "MNIST" / "raw"
    (raw / name).write_bytes(content)
    with pytest.raises(NotFoundError) as error:
        data.setup()
    part = name.split("-")[0]
    names = {name, f"{part}-images-idx3-ubyte"} if "grey" in message else {name}
    assert error.value.message in {f"{raw / each} is damaged: {message}" for each in names}
    assert error.value.hint == "delete it, then it is fetched again on the next run"


# Parameters


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (
            (55000, 5000, 10000),
            "train_val_test_split [55000, 5000, 10000] does not add up: "
            "train + val must be 8000, test must be 2000",
        ),
        (
            (7000, 500, 2000),
            "train_val_test_split [7000, 500, 2000] does not add up: "
            "train + val must be 8000, test must be 2000",
        ),
        ((8000, 2000), "train_val_test_split must be three numbers of images, not [8000, 2000]"),
        (
            (9000, -1000, 2000),
            "train_val_test_split must be three numbers of images, not [9000, -1000, 2000]",
        ),
        ((0.7, 0.1, 0.2), "train_val_test_split must be three numbers of images, not [0.7, 0.1, 0.2]"),
    ],
    ids=["larger than the set", "smaller", "two", "negative", "shares"],
)
def test_a_split_that_does_not_fit_the_set_is_refused(split: tuple[int, ...], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        sample(train_val_test_split=split).setup()
    assert error.value.message == message
    assert error.value.key == "data.train_val_test_split"


def test_a_batch_size_below_one_is_refused() -> None:
    with pytest.raises(DlctlError, match="batch_size") as error:
        sample(batch_size=0)
    assert (error.value.exit_code, error.value.key) == (3, "data.batch_size")


# The full set


@pytest.fixture(scope="module")
def source() -> Path:
    return Path(os.environ["DLCTL_TEST_DATA"], "mnist")


@full_set
def test_the_full_set_is_read_without_asking_a_mirror(tmp_path: Path, source: Path) -> None:
    for file in FILES:
        (tmp_path / f"{file.name}.gz").symlink_to((source / f"{file.name}.gz").absolute())
    data = ready(MNISTDataModule(str(tmp_path), mirrors=[]))
    assert [len(data.dataset(split)) for split in ("train", "val", "test")] == [55_000, 5_000, 10_000]
    assert stored(data, "test")[1][:5].tolist() == [7, 2, 1, 0, 4]
    official = read_idx(source / "train-images-idx3-ubyte.gz")
    assert sum(int(stored(data, split)[0].sum()) for split in ("train", "val")) == int(official.sum())
    assert official.float().mean().item() / 255 == pytest.approx(MEAN, abs=1e-4)


@full_set
def test_the_sample_was_drawn_from_the_official_sets_as_its_readme_says(source: Path) -> None:
    draw = random.Random(12345)
    for part, there, drawn in (("train", 60_000, 8_000), ("t10k", 10_000, 2_000)):
        where = torch.tensor(sorted(draw.sample(range(there), drawn)))
        for kind in ("images-idx3", "labels-idx1"):
            name = f"{part}-{kind}-ubyte.gz"
            assert torch.equal(read_idx(SAMPLE / name), read_idx(source / name)[where])


def test_the_default_mirrors_are_those_of_the_config() -> None:
    config = Path(__file__).parents[2] / "configs" / "data" / "mnist.yaml"
    from omegaconf import OmegaConf

    assert tuple(OmegaConf.load(config).mirrors) == MIRRORS
