"""The CPU time of a training step: of dlctl's, of a plain PyTorch loop's and of the template's.

Run it with ``python tests/benchmarks/training_step.py [--data FOLDER]``. The three take turns in one process,
on one thread; the ratios are medians over the rounds, which a busy machine disturbs little. The folder holds
the four ``.gz`` files of MNIST; without it ``$DLCTL_TEST_DATA/mnist`` is used, and without that the sample.
"""

import argparse
import contextlib
import fcntl
import gzip
import logging
import os
import pty
import statistics
import struct
import subprocess
import tempfile
import termios
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger
from stopwatch import Stopwatch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Subset
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy
from torchvision import transforms
from torchvision.datasets import MNIST

from dlctl.cli import run
from dlctl.data.mnist_datamodule import FILES, MEAN, SAMPLE, STD, MNISTDataModule
from dlctl.models.components.simple_dense_net import SimpleDenseNet

BATCH_SIZE = 64
CLIP = 0.5
# Lightning sets it to 1, and Adam asks the driver of GPUs at every step then. Each variant begins as it would
# in a process of its own.
NVML = "PYTORCH_NVML_BASED_CUDA_CHECK"

Seconds = dict[str, list[float]]


class TemplateModule(LightningModule):
    """What lightning-hydra-template's MNISTLitModule does in a training step."""

    def __init__(self) -> None:
        super().__init__()
        self.net = new_net()
        self.criterion = nn.CrossEntropyLoss()
        self.train_loss = MeanMetric()
        self.train_acc = MulticlassAccuracy(10)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        logits = self.net(x)
        loss: Tensor = self.criterion(logits, y)
        preds = torch.argmax(logits, dim=1)
        self.train_loss(loss)
        self.train_acc(preds, y)
        self.log("train/loss", self.train_loss, on_step=False, on_epoch=True, prog_bar=True)
        self.log("train/acc", self.train_acc, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.001)


def new_net() -> SimpleDenseNet:
    return SimpleDenseNet(784, 64, 128, 64, 10)


def ours(data: MNISTDataModule, steps: int) -> float:
    """The command with everything on as a user gets it: all callbacks, the csv logger, the run's records."""
    overrides = (
        "data=mnist",
        f"data.data_dir={data.data_dir}",
        f"data.train_val_test_split={list(data.lengths)}",
        f"data.batch_size={BATCH_SIZE}",
        "trainer.accelerator=cpu",
        "trainer.max_epochs=1",
        f"trainer.limit_train_batches={steps}",
        "+callbacks.stopwatch._target_=stopwatch.Stopwatch",
        "test=false",
    )
    with project() as folder:
        with terminal(folder / "shown"), mock.patch.dict(os.environ, {NVML: "1"}):
            code = run(["train", *overrides])
        assert code == 0, (folder / "shown").read_text()
    return Stopwatch.last.per_step(epoch(data))


def template(data: MNISTDataModule, steps: int) -> float:
    """As the template has it."""
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))])
    part = Subset(MNIST(data.data_dir, train=True, transform=transform), range(data.lengths[0]))
    loader = DataLoader(part, batch_size=BATCH_SIZE, num_workers=0, shuffle=True)
    with project() as folder, terminal(folder / "shown"), mock.patch.dict(os.environ, {NVML: "1"}):
        trainer = Trainer(
            accelerator="cpu",
            max_epochs=1,
            limit_train_batches=steps,
            gradient_clip_val=CLIP,
            logger=CSVLogger(folder),
            callbacks=[RichProgressBar(), ModelCheckpoint(folder, save_last=True), Stopwatch()],
        )
        trainer.fit(TemplateModule(), loader)
    return Stopwatch.last.per_step(epoch(data))


def plain(data: MNISTDataModule, steps: int) -> float:
    """A loop over tensors in memory, without anything that is not needed to train."""
    images, targets = data.dataset("train").__getitems__(range(data.lengths[0]))
    net = new_net()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)
    order = torch.randperm(len(images)).split(BATCH_SIZE)[:steps]
    with mock.patch.dict(os.environ, {NVML: "0"}):
        started = time.process_time()
        for where in order:
            loss = functional.cross_entropy(net(images[where]), targets[where])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), CLIP)
            optimizer.step()
        return (time.process_time() - started) / len(order)


def epoch(data: MNISTDataModule) -> int:
    """The steps of a whole epoch."""
    return -(-data.lengths[0] // BATCH_SIZE)


@contextlib.contextmanager
def project() -> Iterator[Path]:
    """An empty project to run in."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path(".project-root").touch()
        yield Path(folder)


@contextlib.contextmanager
def terminal(shown: Path, columns: int = 120) -> Iterator[None]:
    """A pseudo-terminal for stdout and stderr; another process reads it, so that it costs nothing here."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with shown.open("wb") as file:
        reader = subprocess.Popen(["cat"], stdin=master, stdout=file, stderr=subprocess.DEVNULL)
    os.close(master)
    size = mock.patch.dict(os.environ, {"COLUMNS": str(columns), "TERM": "xterm-256color"})
    try:
        with (
            os.fdopen(slave, "w", encoding="utf-8") as stream,
            contextlib.redirect_stdout(stream),
            contextlib.redirect_stderr(stream),
            size,
        ):
            yield
    finally:
        reader.wait()


@contextlib.contextmanager
def unpacked(source: Path | None) -> Iterator[MNISTDataModule]:
    """The data module on a folder as torchvision wants it, made for the time of the measurement."""
    split = (55_000, 5_000, 10_000) if source else (7_000, 1_000, 2_000)
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "MNIST", "raw")
        raw.mkdir(parents=True)
        for file in FILES:
            packed = (source or SAMPLE) / f"{file.name}.gz"
            (raw / file.name).write_bytes(gzip.decompress(packed.read_bytes()))
        data = MNISTDataModule(folder, batch_size=BATCH_SIZE, train_val_test_split=split)
        data.setup()
        yield data


def measure(source: Path | None, rounds: int, steps: int) -> Seconds:
    """Seconds of CPU time per step, by variant and round."""
    variants: tuple[Callable[[MNISTDataModule, int], float], ...] = (ours, plain, template)
    seconds: Seconds = {variant.__name__: [] for variant in variants}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings(action="ignore"), unpacked(source) as data:
            for variant in variants:
                variant(data, 20)  # imports, and all that is done once
            for _ in range(rounds):
                for variant in variants:
                    seconds[variant.__name__].append(variant(data, steps))
    finally:
        torch.set_num_threads(threads)
    return seconds


def ratio(seconds: Seconds, above: str, below: str) -> float:
    """The median of two variants' ratios, round by round."""
    pairs = zip(seconds[above], seconds[below], strict=True)
    return statistics.median(one / other for one, other in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    test_data = os.environ.get("DLCTL_TEST_DATA")
    parser.add_argument("--data", type=Path, default=Path(test_data, "mnist") if test_data else None)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    seconds = measure(options.data, options.rounds, options.steps)
    print(f"one training step, batch {BATCH_SIZE}, {options.data or 'the sample'}, one thread")
    for name, values in seconds.items():
        print(f"  {name:<12}{statistics.median(values) * 1e3:6.2f} ms of CPU time")
    print(f"  ours / plain      {ratio(seconds, 'ours', 'plain'):5.2f}  (at most 1.3)")
    print(f"  template / ours   {ratio(seconds, 'template', 'ours'):5.2f}  (at least 3.5)")


if __name__ == "__main__":
    main()
