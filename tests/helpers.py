"""What tests put into a training: a signal at a chosen moment, a module as the template writes it."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers.logger import Logger
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset
from torchmetrics import MaxMetric, MeanMetric
from torchmetrics.classification import MulticlassAccuracy

import dlctl
from dlctl.models.mnist_module import MNISTLitModule

ENGLISH = Path(dlctl.__file__).parent / "data/english_mini"


class SendSignal(Callback):
    """Sends this process a signal before one batch of training or validation."""

    def __init__(self, name: str, stage: str, epoch: int, batch: int) -> None:
        self.name, self.stage, self.epoch, self.batch = name, stage, epoch, batch

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        self._send("train", trainer, batch_idx)

    def on_validation_batch_start(
        self, trainer: Trainer, module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if not trainer.sanity_checking:
            self._send("val", trainer, batch_idx)

    def _send(self, stage: str, trainer: Trainer, batch_idx: int) -> None:
        if (stage, trainer.current_epoch, batch_idx) == (self.stage, self.epoch, self.batch):
            os.kill(os.getpid(), getattr(signal, self.name))


class SignalGroup(SendSignal):
    """Sends the signal to the loaders' workers too, as ^C at a terminal does."""

    def _send(self, stage: str, trainer: Trainer, batch_idx: int) -> None:
        if (stage, trainer.current_epoch, batch_idx) == (self.stage, self.epoch, self.batch):
            for child in psutil.Process().children():
                child.send_signal(getattr(signal, self.name))
            # Time to die of it, for those that would.
            time.sleep(0.3)
        super()._send(stage, trainer, batch_idx)


class KillGroup(Callback):
    """Kills a group of processes before one batch of training."""

    def __init__(self, pid: int, epoch: int, batch: int) -> None:
        self.pid, self.epoch, self.batch = pid, epoch, batch

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        if (trainer.current_epoch, batch_idx) == (self.epoch, self.batch):
            os.killpg(self.pid, signal.SIGKILL)


class DropoutNet(nn.Sequential):
    """A net whose every step draws random numbers."""

    def __init__(self, **_: int) -> None:
        super().__init__(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 10))


class TemplateModule(LightningModule):
    """As lightning-hydra-template writes it: the net in the hyperparameters, metric objects logged."""

    def __init__(self, net: nn.Module, optimizer: Any, scheduler: Any, compile: bool) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        self.net = net
        self.criterion = nn.CrossEntropyLoss()
        self.train_acc, self.val_acc, self.test_acc = (MulticlassAccuracy(10) for _ in range(3))
        self.train_loss, self.val_loss, self.test_loss = (MeanMetric() for _ in range(3))
        self.val_acc_best = MaxMetric()

    def on_train_start(self) -> None:
        for metric in (self.val_loss, self.val_acc, self.val_acc_best):
            metric.reset()

    def _step(self, batch: Any, stage: str) -> Tensor:
        images, targets = batch
        logits = self.net(images)
        loss: Tensor = self.criterion(logits, targets)
        for name, metric, values in (
            ("loss", getattr(self, f"{stage}_loss"), (loss,)),
            ("acc", getattr(self, f"{stage}_acc"), (torch.argmax(logits, dim=1), targets)),
        ):
            metric(*values)
            self.log(f"{stage}/{name}", metric, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self._step(batch, "train")

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._step(batch, "val")

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._step(batch, "test")

    def on_validation_epoch_end(self) -> None:
        self.val_acc_best(self.val_acc.compute())
        self.log("val/acc_best", self.val_acc_best.compute(), sync_dist=True, prog_bar=True)

    def configure_optimizers(self) -> Any:
        optimizer = self.hparams.optimizer(params=self.trainer.model.parameters())
        scheduler = self.hparams.scheduler(optimizer=optimizer)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "monitor": "val/loss", "interval": "epoch"},
        }


class ScalarModule(MNISTLitModule):
    """Logs numbers and lets Lightning sum them up."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = super().training_step(batch, batch_idx)
        self.log("train/mean", loss, on_step=False, on_epoch=True)
        self.log("train/max", loss, on_step=False, on_epoch=True, reduce_fx="max")
        return loss


class Trouble(Callback):
    """Does to a trial what can happen to one: after its first batch, if its seed is the one."""

    def __init__(self, kind: str, seed: int) -> None:
        self.kind, self.seed = kind, seed

    def on_train_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if torch.initial_seed() == self.seed:
            getattr(self, self.kind)()
        elif self.kind == "early":
            time.sleep(1)

    def on_validation_epoch_end(self, trainer: Trainer, module: Any) -> None:
        if trainer.sanity_checking:
            return
        if torch.initial_seed() != self.seed:
            module.log("val/odd", 1.0)
        elif self.kind == "metric":
            module.log("val/odd", float("nan"))
        elif self.kind not in ("absent", "early"):
            module.log("val/odd", 1.0)

    def metric(self) -> None:
        pass

    def absent(self) -> None:
        pass

    def early(self) -> None:
        """Ends without the metric before the others, which are slow, can log it."""

    def raises(self) -> None:
        raise ValueError("a bad day")

    def babbles(self) -> None:
        raise ValueError("\x1b[31mred \udcff é")

    def aborts(self) -> None:
        os.abort()

    def killed(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def leaves(self) -> None:
        os._exit(3)

    def memory(self) -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
        torch.zeros(2**40)

    def exhausts(self) -> None:
        # A control group of little memory, which the test has made.
        Path(os.environ["SMALL_CGROUP"], "cgroup.procs").write_text(str(os.getpid()))
        self.much = bytearray(os.urandom(2**20) * 2**9)

    def waits(self) -> None:
        time.sleep(60)

    def exits(self) -> None:
        sys.exit(0)

    def hangs(self) -> None:
        # As a loader or a tracker may: deaf to SIGTERM, with a process of its own.
        child = subprocess.Popen(["sleep", "600"])
        Path("hanging").write_text(f"{os.getpid()} {child.pid}")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(60)

    def computes(self) -> None:
        # No handler of a signal runs before it returns.
        Path("hanging").write_text(str(os.getpid()))
        sum(range(10**13))


class Diary(Callback):
    """Notes when a trial trains: one line a trial and process, start and end."""

    def __init__(self, file: str, pause: float = 0.0) -> None:
        self.file, self.pause = file, pause

    def _note(self, what: str, module: Any) -> None:
        with open(self.file, "a") as stream:  # noqa: PTH123 - one write, appended whole
            stream.write(
                f"{what} {os.getpid()} {time.time()} {torch.initial_seed()} {torch.get_num_threads()}\n"
            )

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self._note("start", module)
        time.sleep(self.pause)

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        self._note("end", module)


class Meeting(Callback):
    """Lets no trial train before trials of two workers have come; each worker forks from its own process."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / str(os.getppid())).touch()
        end = time.monotonic() + 90
        while len(list(self.folder.iterdir())) < 2 and time.monotonic() < end:
            time.sleep(0.05)


class Odd(MNISTLitModule):
    """Names a metric that it logs only when it is tested, in a way that source does not tell."""

    def on_test_epoch_end(self) -> None:
        name = "/".join(["val", "later"])
        self.log(name, 1.0)


class Stream(IterableDataset[tuple[Tensor, int]]):
    """Images without a length; their brightness is their class."""

    def __iter__(self) -> Any:
        for number in range(64):
            yield torch.full((1, 28, 28), number % 10 / 10), number % 10


class OwnLoaders(MNISTLitModule):
    """Brings its own loaders, whose data have no length."""

    def train_dataloader(self) -> Any:
        return DataLoader(Stream(), batch_size=8)

    def val_dataloader(self) -> Any:
        return DataLoader(Stream(), batch_size=8)

    def test_dataloader(self) -> Any:
        return DataLoader(Stream(), batch_size=8)


def write_data(folder: Path, names: dict[str, str]) -> None:
    """Small files of every kind of data that ``dlctl new data`` makes code for.

    Args:
        folder: gets them.
        names: kind -> name of the data set.
    """
    for kind, grey in (("dark", 40), ("bright", 200)):
        images = folder / names["image-folder"] / kind
        images.mkdir(parents=True)
        for number in range(10):
            Image.new("RGB", (20, 24), (grey + number, grey, grey)).save(images / f"{number}.png")
    rows = [f"{number},{number % 7},{'rose' if number % 2 else 'tulip'}" for number in range(40)]
    (folder / f"{names['csv']}.csv").write_text("\n".join(["length,width,kind", *rows]) + "\n")
    lines = [f"{'good' if number % 2 else 'bad'}\tthe day number {number}" for number in range(40)]
    (folder / f"{names['text']}.tsv").write_text("\n".join(lines) + "\n")
    tensors = {"inputs": torch.randn(40, 3), "targets": torch.arange(40) % 2}
    torch.save(tensors, folder / f"{names['tensors']}.pt")
    shutil.copytree(ENGLISH, folder / names["conllu"])


class DyingLogger(Logger):
    """A tracker that works for some calls of ``log_metrics`` and then fails in one way for good.

    Args:
        calls: how many of them work.
        method: which call fails after that.
        file: gets a line for every call.
    """

    name, version = "dying", "1"

    def __init__(self, calls: int, method: str, file: str) -> None:
        super().__init__()
        self.calls, self.method, self.file = calls, method, file

    def _note(self, method: str) -> None:
        with open(self.file, "a") as stream:  # noqa: PTH123 - one write, appended whole
            stream.write(f"{method}\n")
        if method == self.method and self.calls <= 0:
            raise ConnectionError(f"no answer from the \x1b[31mserver\nin {method}")

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        self.calls -= 1
        self._note("log_metrics")

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        self._note("log_hyperparams")

    def save(self) -> None:
        self._note("save")

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        self._note("after_save_checkpoint")

    def finalize(self, status: str) -> None:
        self._note("finalize")


class Confiding(MNISTLitModule):
    """Takes a secret as a hyperparameter and talks about it in every way that dlctl hears."""

    def __init__(self, *, password: str, fails: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        self.save_hyperparameters("password")
        self.password, self.fails = password, fails

    def on_train_start(self) -> None:
        super().on_train_start()
        logging.getLogger("zoo").warning("the password is %s", self.password)
        logging.getLogger("zoo").info({"password": self.password})
        warnings.warn(f"http://me:{quote(self.password, safe='')}@host is old", stacklevel=1)
        if self.fails:
            raise ValueError(f"wrong password {self.password!r}")


class ProcessTitles(Callback):
    """Writes the command lines of this process and of those that it has started into a file."""

    def __init__(self, file: str) -> None:
        self.file = Path(file)

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        for each in (Path("/proc/self"), *Path("/proc").glob("[0-9]*")):
            with suppress(OSError):
                # Not those of tests that run beside this one.
                parent = (each / "stat").read_text().rpartition(")")[2].split()[1]
                if each.name == "self" or int(parent) == os.getpid():
                    with self.file.open("ab") as stream:
                        stream.write((each / "cmdline").read_bytes() + b"\n")
