"""How far a run has come, on stderr: a bar on a terminal, a line per epoch everywhere else."""

import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar as LightningProgressBar
from rich.console import Console
from rich.live import Live
from rich.text import Text

from dlctl import terminal
from dlctl.utils.safe_console import SafeConsole

_BAR_WIDTH = 20
_SPLITS = ("train", "val", "test")


@dataclass
class _Task:
    """What is being done; ``total`` is infinite for data of unknown length."""

    label: str
    total: float
    done: int = 0
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.before = self.done  # of a resumed epoch; says nothing about the speed of this one


class ProgressBar(LightningProgressBar):
    """A bar drawn a few times a second, and a line with the metrics after every epoch.

    A step that is not drawn costs one look at the clock, and no value is fetched from the device for
    it. Metrics logged with ``prog_bar=True`` are shown; all metrics, if none was.

    Args:
        refresh_seconds: how often the bar is drawn.
    """

    def __init__(self, refresh_seconds: float = 0.25) -> None:
        super().__init__()
        self.refresh_seconds = refresh_seconds
        self._enabled = True
        self._live: Live | None = None
        self._task = _Task("", math.inf)
        self._epoch_task = self._task
        # Never, where there is no bar: one comparison is all that a step costs then.
        self._next_draw = math.inf
        self._finished_epoch: int | None = None
        self._validated = False

    @property
    def is_enabled(self) -> bool:
        """Whether anything is shown; a module's ``print`` asks."""
        return self._enabled

    @property
    def is_disabled(self) -> bool:
        """The opposite, for those who know Lightning's bars."""
        return not self._enabled

    def disable(self) -> None:
        """Show nothing; Lightning asks for it in all processes but the first."""
        self._stop()
        self._enabled = False

    def enable(self) -> None:
        """Show progress again."""
        self._enabled = True

    def print(self, *args: Any, sep: str = " ", **kwargs: Any) -> None:
        """Print a line above the bar."""
        self._write(sep.join(map(str, args)))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the epoch; one that is resumed in the middle has no other start."""
        self._begin_epoch(trainer, trainer.fit_loop.epoch_loop.batch_progress.current.completed)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the epoch before, whose metrics are all known by now, and show the next."""
        self._report_epoch(trainer)
        self._begin_epoch(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Draw the bar if it is time to."""
        self._task.done += 1
        if time.monotonic() >= self._next_draw:
            self._draw(_running_metrics(trainer, outputs))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that there is an epoch to report; the module logs its metrics after this."""
        self._finished_epoch = trainer.current_epoch

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the last epoch."""
        self._report_epoch(trainer)
        self._stop()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the validation in place of the epoch; the sanity check is not shown."""
        if not trainer.sanity_checking:
            self._validated = True
            self._begin(_Task("validating", sum(trainer.num_val_batches)))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the epoch again."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._begin(self._epoch_task)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the test."""
        self._begin(_Task("testing", sum(trainer.num_test_batches)))

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the prediction."""
        self._begin(_Task("predicting", sum(trainer.num_predict_batches)))

    def on_validation_batch_end(self, *args: Any, **kwargs: Any) -> None:
        """Draw the bar if it is time to."""
        self._task.done += 1
        if time.monotonic() >= self._next_draw:
            self._draw({})

    on_test_batch_end = on_validation_batch_end
    on_predict_batch_end = on_validation_batch_end

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Report an epoch that was finished and take the bar away, before anything is printed."""
        self._report_epoch(trainer)
        self._stop()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the bar away."""
        self._stop()

    def _begin_epoch(self, trainer: Trainer, done: int = 0) -> None:
        """Show an epoch, of which some steps may be done already."""
        self._validated = False
        label = _epoch_label(trainer, trainer.current_epoch)
        self._epoch_task = _Task(label, self.total_train_batches, done)
        self._begin(self._epoch_task)

    def _begin(self, task: _Task) -> None:
        self._task = task
        if self._live is None and self._enabled and sys.stderr.isatty():
            self._live = _new_live()
        if self._live is not None:
            self._draw({})

    def _draw(self, metrics: Mapping[str, Any]) -> None:
        assert self._live is not None
        self._live.update(_bar(self._task, metrics, self._live.console), refresh=True)
        self._next_draw = time.monotonic() + self.refresh_seconds

    def _stop(self) -> None:
        self._next_draw = math.inf
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _report_epoch(self, trainer: Trainer) -> None:
        """Print the metrics of an epoch that has ended and was not reported yet."""
        if self._finished_epoch is None:
            return
        label = _epoch_label(trainer, self._finished_epoch)
        self._finished_epoch = None
        items = [
            terminal.one_line(f"{name} {_number(value)}")
            for name, value in _epoch_metrics(trainer).items()
            # Without a validation these are an earlier epoch's.
            if self._validated or not name.startswith("val")
        ]
        items.append(f"{time.monotonic() - self._epoch_task.started:.1f} s")
        width = self._live.console.width if self._live is not None else None
        self._write("\n".join(_rows(label, items, width)))

    def _write(self, text: str) -> None:
        if self._live is not None:
            self._live.console.print(Text(terminal.block(text)), soft_wrap=True)
        elif self._enabled:
            print(terminal.block(text), file=sys.stderr, flush=True)


def _new_live() -> Live:
    """A line at the bottom of the terminal that can be redrawn; what is printed stays above it."""
    live = Live(
        console=SafeConsole(stderr=True, force_terminal=True),
        auto_refresh=False,
        transient=True,
        # A result for a pipe must stay on stdout; at the same terminal it would run into the bar.
        redirect_stdout=sys.stdout.isatty(),
    )
    live.start()
    return live


def _epoch_label(trainer: Trainer, epoch: int) -> str:
    if trainer.max_epochs is None or trainer.max_epochs < 0:
        return f"epoch {epoch + 1}"
    total = str(trainer.max_epochs)
    return f"epoch {epoch + 1:>{len(total)}}/{total}"


def _bar(task: _Task, metrics: Mapping[str, Any], console: Console) -> Text:
    """One line, cut where the terminal ends."""
    line = Text(task.label, no_wrap=True, overflow="ellipsis", end="")
    line.append(" ")
    if math.isfinite(task.total):
        full, empty = ("=", "-") if console.options.ascii_only else ("━", "─")
        filled = round(_BAR_WIDTH * min(task.done / max(task.total, 1), 1))
        line.append(full * filled, "cyan").append(empty * (_BAR_WIDTH - filled), "dim")
        line.append(f" {task.done}/{task.total:.0f}")
    else:
        line.append(str(task.done))
    elapsed = time.monotonic() - task.started
    speed = (task.done - task.before) / elapsed if elapsed > 0 else 0
    left = (task.total - task.done) / speed if speed > 0 else math.inf
    line.append(f"  {_clock(elapsed)}<{_clock(left)}", "dim")
    if speed > 0:
        line.append(f"  {speed:.{0 if speed >= 10 else 2}f}/s", "dim")
    for name, value in metrics.items():
        line.append(terminal.one_line(f"  {name} {_number(value)}"))
    return line


def _running_metrics(trainer: Trainer, outputs: Any) -> Mapping[str, Any]:
    """What is known in the middle of an epoch: metrics meant for the bar, or the batch's loss."""
    loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
    return trainer.progress_bar_metrics or ({} if loss is None else {"loss": loss})


def _epoch_metrics(trainer: Trainer) -> dict[str, Any]:
    """What was logged in an epoch, training first."""
    metrics = trainer.callback_metrics
    # Logged per step and per epoch, a metric has two more names.
    names = [name for name in metrics if name == _plain(name) or _plain(name) not in metrics]
    on_bar = {_plain(name) for name in trainer.progress_bar_metrics}
    names = [name for name in names if _plain(name) in on_bar] or names
    ranks = {split: rank for rank, split in enumerate(_SPLITS)}
    names.sort(key=lambda name: ranks.get(name.partition("/")[0], len(ranks)))
    return {name: metrics[name] for name in names}


def _plain(name: str) -> str:
    return name.removesuffix("_step").removesuffix("_epoch")


def _rows(label: str, items: Sequence[str], width: int | None) -> list[str]:
    """The label and the items in as many rows as the width asks for; one, if there is no width."""
    rows = [label]
    for item in items:
        if width is not None and rows[-1] != label and len(rows[-1]) + 2 + len(item) > width:
            rows.append(" " * len(label))
        rows[-1] += f"  {item}"
    return rows


def _number(value: Any) -> str:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    return f"{number:.3f}" if number == 0 or 1e-3 <= abs(number) < 1e4 else f"{number:.3g}"


def _clock(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "-:--"
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
