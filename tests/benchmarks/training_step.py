"""The CPU time of a training step of dlctl's, of a plain PyTorch loop's and of the template's.

Run it with ``python tests/benchmarks/training_step.py [--data FOLDER]``. The three take turns in one process on
one thread; what is printed are medians of the rounds' ratios, which a busy machine disturbs little. The folder
holds the four files of MNIST; without it ``DLCTL_TEST_DATA``/mnist is used, without that the sample.
"""

import argparse
import contextlib
import fcntl
import logging
import os
import pty
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Subset
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy
from torchvision import transforms
from torchvision.datasets import MNIST

from dlctl.data.mnist_datamodule import FILES, MEAN, SAMPLE, STD, MNISTDataModule
from dlctl.models.components.simple_dense_net import SimpleDenseNet
from dlctl.models.mnist_module import MNISTLitModule
from dlctl.utils.progress import ProgressBar

BATCH_SIZE = 64
CLIP = 0.5


class Stopwatch(Callback):
    """The CPU time from the first step of a fit to the end of its epoch."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started = time.process_time()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.seconds = time.process_time() - self.started


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
    """Everything on as a user gets it."""
    optimizer = partial(torch.optim.Adam, lr=0.001, weight_decay=0.0, fused=True)
    module = MNISTLitModule(new_net(), optimizer)
    return fitted(module, data.train_dataloader(), ProgressBar(), steps)


def template(data: MNISTDataModule, steps: int) -> float:
    """As the template has it."""
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))])
    dataset = MNIST(data.data_dir, train=True, transform=transform)
    part = Subset(dataset, range(data.lengths[0]))
    loader = DataLoader(part, batch_size=BATCH_SIZE, num_workers=0, shuffle=True)
    return fitted(TemplateModule(), loader, RichProgressBar(), steps)


def fitted(module: LightningModule, loader: DataLoader[Any], bar: Callback, steps: int) -> float:
    """The seconds of CPU time a step of an epoch takes, its share of the epoch's end included."""
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder, terminal():
        trainer = Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=1,
            limit_train_batches=steps,
            gradient_clip_val=CLIP,
            logger=CSVLogger(folder),
            # Last: ends when all others have ended.
            callbacks=[bar, ModelCheckpoint(folder, save_last=True), watch],
            default_root_dir=folder,
            enable_model_summary=False,
        )
        trainer.fit(module, loader)
    return watch.seconds / trainer.global_step


def plain(data: MNISTDataModule, steps: int) -> float:
    """A loop over tensors in memory, without anything that is not needed to train."""
    images, targets = data.dataset("train").__getitems__(range(data.lengths[0]))
    net = new_net()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)
    started = time.process_time()
    order = torch.randperm(len(images))
    for where in order.split(BATCH_SIZE)[:steps]:
        loss = functional.cross_entropy(net(images[where]), targets[where])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), CLIP)
        optimizer.step()
    return (time.process_time() - started) / min(steps, -(-len(images) // BATCH_SIZE))


@contextlib.contextmanager
def terminal(columns: int = 120) -> Iterator[None]:
    """A pseudo-terminal for stdout and stderr; another process reads it, so that this costs nothing here."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    reader = subprocess.Popen(["cat"], stdin=master, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(master)
    try:
        with (
            os.fdopen(slave, "w", encoding="utf-8") as stream,
            contextlib.redirect_stdout(stream),
            contextlib.redirect_stderr(stream),
        ):
            yield
    finally:
        reader.wait()


@contextlib.contextmanager
def full_set(source: Path | None) -> Iterator[MNISTDataModule]:
    """The data module on a folder as torchvision wants it, made for the time of the measurement."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in FILES:
            packed = f"{file.name}.gz"
            (folder / packed).symlink_to((source or SAMPLE).absolute() / packed)
        split = (55_000, 5_000, 10_000) if source else (7_000, 1_000, 2_000)
        data = MNISTDataModule(name, batch_size=BATCH_SIZE, train_val_test_split=split)
        data.prepare_data()
        data.setup()
        yield data


def measure(source: Path | None, rounds: int, steps: int) -> dict[str, list[float]]:
    """Seconds of CPU time per step, by variant and round."""
    variants: tuple[Callable[[MNISTDataModule, int], float], ...] = (ours, plain, template)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    seconds: dict[str, list[float]] = {variant.__name__: [] for variant in variants}
    with full_set(source) as data:
        for round_ in range(rounds + 1):
            for variant in variants:
                # The first round only warms up.
                value = variant(data, steps if round_ else 20)
                seconds[variant.__name__] += [value] if round_ else []
    return seconds


def ratio(seconds: dict[str, list[float]], above: str, below: str) -> float:
    """The median of two variants' ratios, round by round."""
    pairs = zip(seconds[above], seconds[below], strict=True)
    return statistics.median(one / other for one, other in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    test_data = os.environ.get("DLCTL_TEST_DATA")
    parser.add_argument("--data", type=Path, default=Path(test_data, "mnist") if test_data else None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=430)
    options = parser.parse_args()
    seconds = measure(options.data, options.rounds, options.steps)
    print(f"one training step, batch {BATCH_SIZE}, {options.data or 'the sample'}, one thread")
    for name, values in seconds.items():
        print(f"  {name:10} {statistics.median(values) * 1e3:6.2f} ms of CPU time")
    print(f"  ours / plain loop   {ratio(seconds, 'ours', 'plain'):5.2f}  (at most 1.3)")
    print(f"  template / ours     {ratio(seconds, 'template', 'ours'):5.2f}  (at least 3.5)")


if __name__ == "__main__":
    sys.exit(main())
