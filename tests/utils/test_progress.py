import contextlib
import fcntl
import os
import pty
import re
import struct
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from dlctl.utils.progress import ProgressBar

SECONDS = re.compile(r"\d+\.\d s$", re.MULTILINE)


class Screen:
    """What a terminal shows: the few control sequences that rich uses, and wrapping."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.rows = [""]
        self.row = self.column = 0
        self.widest = 0
        self.bars: list[str] = []
        self.raw = ""

    def feed(self, text: str) -> None:
        for part in re.findall(r"\x1b\[[?0-9;]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", text):
            if part == "\r":
                self.column = 0
            elif part == "\n":
                self._down()
            elif part.startswith("\x1b["):
                self._control(part[2:-1], part[-1])
            else:
                self._write(part)

    @property
    def text(self) -> str:
        return "\n".join(row.rstrip() for row in self.rows).rstrip()

    def _control(self, number: str, letter: str) -> None:
        if letter == "A":
            self.row = max(self.row - int(number or 1), 0)
        elif letter == "K":
            # Rich takes a bar away before it draws the next.
            if "━" in self.rows[self.row] or "─" in self.rows[self.row]:
                self.bars.append(self.rows[self.row].rstrip())
            self.rows[self.row] = ""
        else:
            assert letter in "mhl", letter

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")

    def _write(self, part: str) -> None:
        for character in part:
            if self.column == self.columns:
                self.column = 0
                self._down()
            row = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = row[: self.column] + character + row[self.column + 1 :]
            self.column += 1
            self.widest = max(self.widest, len(self.rows[self.row].rstrip()))


@contextlib.contextmanager
def terminal(columns: int) -> Iterator[Screen]:
    """A pseudo-terminal in the place of stderr."""
    screen, received = Screen(columns), []
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def read() -> None:
        with contextlib.suppress(OSError):
            while data := os.read(master, 4096):
                received.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    # Rich asks the standard streams for the size, which pytest has redirected.
    size = mock.patch.dict(os.environ, COLUMNS=str(columns))
    with os.fdopen(slave, "w", encoding="utf-8") as stream, contextlib.redirect_stderr(stream), size:
        yield screen
    reader.join()
    os.close(master)
    screen.raw = b"".join(received).decode()
    screen.feed(screen.raw)


class Module(LightningModule):
    """Logs what it is told to at the end of every epoch."""

    def __init__(self, train: dict[str, float], val: dict[str, float], **options: Any) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.train_values, self.val_values, self.options = train, val, options

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        loss: Tensor = self.layer(batch[0]).square().mean() * 0 + 0.25
        return loss

    def on_train_epoch_end(self) -> None:
        self.log_dict(self.train_values, **self.options)

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        pass

    test_step = validation_step

    def predict_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return batch[0]

    def on_validation_epoch_end(self) -> None:
        self.log_dict(self.val_values, **self.options)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


TRAIN = {"train/loss": 0.25, "train/acc": 0.98765}
VAL = {"val/loss": 12345.0, "val/acc": 1e-5}


def trainer(folder: Path, *callbacks: Any, **kwargs: Any) -> Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False}
    bar = ProgressBar(refresh_seconds=0)
    defaults = {"accelerator": "cpu", "devices": 1, "max_epochs": 2, "default_root_dir": folder}
    return Trainer(**{**quiet, **defaults, "callbacks": [bar, *callbacks], **kwargs})


def loader(batches: int) -> DataLoader[Any]:
    return DataLoader(TensorDataset(torch.ones(batches, 2)), batch_size=1)


def fit(folder: Path, module: LightningModule | None = None, *callbacks: Any, **kwargs: Any) -> None:
    module = module or Module(TRAIN, VAL)
    trainer(folder, *callbacks, **kwargs).fit(module, loader(5), loader(2))


def timeless(text: str) -> str:
    return SECONDS.sub("T s", text)


pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
]


@pytest.fixture(autouse=True)
def usual_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


# Where stderr is no terminal


def test_a_file_gets_one_line_per_epoch(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fit(tmp_path)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert timeless(printed.err) == (
        "epoch 1/2  train/loss 0.250  train/acc 0.988  val/loss 1.23e+04  val/acc 1e-05  T s\n"
        "epoch 2/2  train/loss 0.250  train/acc 0.988  val/loss 1.23e+04  val/acc 1e-05  T s\n"
    )


def test_metrics_of_a_validation_are_told_in_its_epoch_only(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fit(tmp_path, max_epochs=10, check_val_every_n_epoch=5)
    lines = capfd.readouterr().err.splitlines()
    assert [line.partition("  train")[0] for line in lines] == [f"epoch {n:2}/10" for n in range(1, 11)]
    assert [n for n, line in enumerate(lines, 1) if "val/loss" in line] == [5, 10]


def test_metrics_meant_for_the_bar_are_preferred(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    class Chosen(Module):
        def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
            loss = super().training_step(batch, batch_idx)
            self.log("train/loss", loss, on_step=True, on_epoch=True, prog_bar=True)
            self.log("train/hidden", loss, on_step=True, on_epoch=True)
            return loss

    fit(tmp_path, Chosen({}, VAL), max_epochs=1)
    assert timeless(capfd.readouterr().err) == "epoch 1/1  train/loss 0.250  T s\n"


def test_a_finished_epoch_is_told_although_the_next_one_fails(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    class Failing(Module):
        def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
            if self.current_epoch == 1:
                raise ValueError
            return super().training_step(batch, batch_idx)

    with pytest.raises(ValueError):  # noqa: PT011
        fit(tmp_path, Failing(TRAIN, VAL))
    assert timeless(capfd.readouterr().err).splitlines() == [
        "epoch 1/2  train/loss 0.250  train/acc 0.988  val/loss 1.23e+04  val/acc 1e-05  T s"
    ]


def test_training_without_an_end_counts_epochs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fit(tmp_path, Module({}, {}), max_epochs=-1, max_steps=10)
    assert timeless(capfd.readouterr().err) == "epoch 1  T s\nepoch 2  T s\n"


def test_nothing_is_printed_for_test_and_prediction(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    module = Module(TRAIN, VAL)
    trainer(tmp_path).test(module, loader(5), verbose=False)
    trainer(tmp_path).validate(module, loader(5), verbose=False)
    trainer(tmp_path).predict(module, loader(5))
    assert capfd.readouterr() == ("", "")


def test_what_a_module_prints_goes_to_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    class Printing(Module):
        def on_train_start(self) -> None:
            self.print("a", 1, sep="-")

    fit(tmp_path, Printing(TRAIN, VAL), max_epochs=1)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("a-1\nepoch 1/1  ")


def test_a_disabled_bar_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bar = ProgressBar(refresh_seconds=0)
    bar.disable()
    with terminal(80) as screen:
        fit(tmp_path, callbacks=[bar])
    assert screen.raw == ""
    assert capfd.readouterr() == ("", "")


# On a terminal


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_keeps_the_epochs_and_takes_the_bar_away(tmp_path: Path, columns: int) -> None:
    with terminal(columns) as screen:
        fit(tmp_path)
    line = "  train/loss 0.250  train/acc 0.988  val/loss 1.23e+04  val/acc 1e-05"
    # 80 columns end before the seconds.
    end = "\n           T s" if columns == 80 else "  T s"
    assert timeless(screen.text) == f"epoch 1/2{line}{end}\nepoch 2/2{line}{end}"


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_the_bar_stays_in_one_line(tmp_path: Path, columns: int) -> None:
    many = {f"train/metric_number_{number}": number for number in range(20)}

    class Chatty(Module):
        def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
            self.log_dict(many, prog_bar=True, on_step=True)
            return super().training_step(batch, batch_idx)

    with terminal(columns) as screen:
        fit(tmp_path, Chatty({}, {}), max_epochs=1)
    assert screen.widest <= columns
    bars = [bar for bar in screen.bars if bar.startswith("epoch 1/1")]
    assert len(bars) >= 5
    assert all(len(bar) <= columns for bar in bars)
    # All that remains is the epoch's line, wrapped between metrics and indented.
    rows = screen.text.splitlines()
    assert all(row.startswith("epoch 1/1  " if n == 0 else " " * 11) for n, row in enumerate(rows))
    words = " ".join(rows).split()
    names = [word for word in words if word.startswith("train/")]
    assert sorted(names) == sorted(many)


def test_the_bar_shows_steps_and_the_last_loss(tmp_path: Path) -> None:
    with terminal(120) as screen:
        fit(tmp_path, max_epochs=1)
    plain = [re.sub(r"\d+(\.\d+)?/s", "N/s", re.sub(r"\d:\d\d|-:--", "T", bar)) for bar in screen.bars]
    training = [bar for bar in plain if bar.startswith("epoch")]
    assert training[0] == f"epoch 1/1 {'─' * 20} 0/5  T<T"
    assert f"epoch 1/1 {'━' * 8}{'─' * 12} 2/5  T<T  N/s  loss 0.250" in training
    validating = [bar for bar in plain if bar.startswith("validating")]
    assert validating[-1] == f"validating {'━' * 20} 2/2  T<T  N/s"
    assert not any("Sanity" in bar for bar in plain)


def test_tests_and_predictions_have_a_bar_that_leaves_nothing(tmp_path: Path) -> None:
    module = Module(TRAIN, VAL)
    with terminal(80) as screen:
        trainer(tmp_path).test(module, loader(4), verbose=False)
        trainer(tmp_path).predict(module, loader(4))
        trainer(tmp_path).validate(module, loader(4), verbose=False)
    ends = {bar.split()[0] for bar in screen.bars if f"{'━' * 20} 4/4" in bar}
    assert ends == {"testing", "predicting", "validating"}
    assert screen.text == ""


def test_what_is_printed_meanwhile_stays_above_the_bar(tmp_path: Path) -> None:
    class Noisy(Module):
        def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
            if batch_idx == 1:
                self.print("from the module")
                print("from elsewhere", file=sys.stderr)
            return super().training_step(batch, batch_idx)

    with terminal(80) as screen:
        fit(tmp_path, Noisy({}, {}), max_epochs=1)
    assert timeless(screen.text) == "from the module\nfrom elsewhere\nepoch 1/1  T s"


def test_the_bar_is_away_before_an_error_is_told(tmp_path: Path) -> None:
    class Failing(Module):
        def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
            if batch_idx == 3:
                raise ValueError
            return super().training_step(batch, batch_idx)

    with terminal(80) as screen:
        with pytest.raises(ValueError):  # noqa: PT011
            fit(tmp_path, Failing(TRAIN, VAL))
        print("error: it failed", file=sys.stderr)
    assert any("3/5" in bar for bar in screen.bars)
    assert screen.text == "error: it failed"


def test_no_color_means_no_color(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    colored = re.compile(r"\x1b\[[0-9;]*3\d")
    with terminal(80) as screen:
        fit(tmp_path)
    assert colored.search(screen.raw)
    monkeypatch.setenv("NO_COLOR", "1")
    with terminal(80) as screen:
        fit(tmp_path)
    assert screen.bars
    assert not colored.search(screen.raw)


def test_the_bar_is_drawn_by_the_clock_and_not_by_steps(tmp_path: Path) -> None:
    with terminal(80) as screen:
        fit(tmp_path, callbacks=[ProgressBar(refresh_seconds=60)], max_epochs=1)
    drawn = [bar.split("  ")[0].split()[-1] for bar in screen.bars]
    # When something begins, and not after each step.
    assert set(drawn) <= {"0/5", "5/5", "0/2"}


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with terminal(80) as screen:
        fit(tmp_path, Module({}, {}))
    assert "\x1b" not in screen.raw
    assert timeless(screen.text) == "epoch 1/2  T s\nepoch 2/2  T s"
