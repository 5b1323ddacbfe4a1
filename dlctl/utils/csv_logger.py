"""Metrics as a table that survives a restart: one row for all that is logged at one step."""

import csv
import io
import os
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers.logger import Logger
from lightning_utilities.core.rank_zero import rank_zero_only
from torch import Tensor

from dlctl.files import atomic_write

Row = dict[str, Any]


class CSVLogger(Logger):
    """Writes ``<save_dir>/<name>/metrics.csv``; unlike Lightning's, it goes on with an existing file.

    What is logged at one step of one epoch stands in one row, so training and validation metrics of
    an epoch stand side by side. Test metrics have a row of their own without an epoch: they belong
    to the best checkpoint, not to the last epoch.

    Args:
        save_dir: the run's directory.
        name: the folder in it.
        prefix: put before the name of every metric.
    """

    def __init__(self, save_dir: str, name: str = "csv", prefix: str = "") -> None:
        super().__init__()
        self._dir = Path(save_dir) / name
        self._name = name
        self._prefix = prefix
        self._columns = ["epoch", "step"]
        self._row: Row | None = None
        # Where the row that is still being filled begins in the file.
        self._offset: int | None = None

    @property
    def name(self) -> str:
        """The folder's name."""
        return self._name

    @property
    def version(self) -> str:
        """A run has one table."""
        return ""

    @property
    def log_dir(self) -> str:
        """Where the table lies."""
        return str(self._dir)

    save_dir = log_dir

    @property
    def file(self) -> Path:
        """The table."""
        return self._dir / "metrics.csv"

    @property
    @rank_zero_experiment
    def experiment(self) -> "CSVLogger":
        """Itself: there is nothing behind it."""
        return self

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run's directory holds the config."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        """Add to the row of this step, or begin a new one."""
        row: Row = {"step": step}
        for key, value in metrics.items():
            name = key if key == "epoch" else f"{self._prefix}{key}"
            row[name] = value.item() if isinstance(value, Tensor) else value
        if all(name == "step" or name == "epoch" or name.startswith("test/") for name in row):
            row["epoch"] = None
        if self._row is not None and all(self._row.get(k) == row.get(k) for k in ("epoch", "step")):
            self._row.update(row)
        else:
            self.save()
            self._row, self._offset = row, None

    @rank_zero_only
    def save(self) -> None:
        """Write the row that is being filled; it is written over when it grows."""
        if self._row is None:
            return
        rows = None
        if self._offset is None and self.file.is_file():
            self._columns = self._read_columns()
        if new := [name for name in self._row if name not in self._columns]:
            rows = self._read() if self.file.is_file() else []
            if self._offset is not None:
                rows = rows[:-1]
            self._columns += new
        if rows is not None or not self.file.is_file():
            self._dir.mkdir(parents=True, exist_ok=True)
            atomic_write(self.file, self._text(rows or [], header=True))
            self._offset = None
        with self.file.open("r+b") as stream:
            if self._offset is None:
                self._offset = stream.seek(0, os.SEEK_END)
            stream.seek(self._offset)
            stream.write(self._text([self._row]))
            stream.truncate()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write what is left."""
        self.save()

    @rank_zero_only
    def rewind(self, step: int) -> None:
        """Drop the rows of training steps from ``step`` on, which are going to be done again."""
        self._row = self._offset = None
        if self.file.is_file():
            self._columns = self._read_columns()
            kept = [row for row in self._read() if not row["epoch"] or int(row["step"]) < step]
            atomic_write(self.file, self._text(kept, header=True))

    def _read_columns(self) -> list[str]:
        with self.file.open(newline="", encoding="utf-8") as stream:
            return next(csv.reader(stream), self._columns)

    def _read(self) -> list[Row]:
        with self.file.open(newline="", encoding="utf-8") as stream:
            # A crash may have cut the last line short.
            return [row for row in csv.DictReader(stream) if None not in row.values()]

    def _text(self, rows: list[Row], *, header: bool = False) -> bytes:
        buffer = io.StringIO(newline="")
        writer = csv.DictWriter(buffer, self._columns, lineterminator="\n")
        if header:
            writer.writeheader()
        writer.writerows(rows)
        return buffer.getvalue().encode()
