"""Tables of numbers and words: CSV and Parquet files, read without torch."""

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from dlctl.errors import ConfigError, NotFoundError

Column = list[str] | list[float]


@dataclass(frozen=True)
class Table(Mapping[str, Column]):
    """The columns of a table by name: numbers where all cells are numbers, else words.

    Attributes:
        path: the file.
        columns: all of one length.
    """

    path: Path
    columns: dict[str, Column]

    def __getitem__(self, name: str) -> Column:
        if name not in self.columns:
            raise ConfigError(f"{self.path} has no column '{name}'", hint=f"it has {', '.join(self)}")
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def numbers(self, name: str) -> list[float]:
        """A column of finite numbers.

        Raises:
            ConfigError: there is no such column, or a cell in it is something else.
        """
        found: list[float] = []
        cells: Sequence[str | float] = self[name]
        for row, cell in enumerate(cells, 1):
            try:
                found.append(float(cell))
            except ValueError:
                self._refuse(row, name, f"'{cell}' is no number" if cell else "there is no value")
            if not math.isfinite(found[-1]):
                self._refuse(row, name, f"{cell} is no finite number")
        return found

    def classes(self, name: str) -> tuple[list[str], list[int]]:
        """The classes in a column, in order, and for each row the number of its class.

        Raises:
            ConfigError: there is no such column, or a cell in it is empty.
        """
        column = self[name]
        for row, cell in enumerate(column, 1):
            if cell == "" or (isinstance(cell, float) and math.isnan(cell)):
                self._refuse(row, name, "there is no value")
        kinds = sorted(set(column))  # type: ignore[type-var]
        numbers = {kind: number for number, kind in enumerate(kinds)}
        names = [kind if isinstance(kind, str) else f"{kind:g}" for kind in kinds]
        return names, [numbers[cell] for cell in column]

    def _refuse(self, row: int, name: str, what: str) -> NoReturn:
        raise ConfigError(f"{self.path}: in row {row} of column '{name}' {what}")


def read_table(path: Path) -> Table:
    """A ``.csv``, ``.tsv`` or ``.parquet`` file; a CSV file's cells may be separated by ``,``, ``;`` or tabs.

    Raises:
        NotFoundError: the file is not there or cannot be read.
        ConfigError: it has no headings or no rows, or a row is shorter or longer than the headings.
    """
    if not path.is_file():
        raise NotFoundError(
            f"there is no table {path}", hint="data.path=FILE names a .csv, .tsv or .parquet file"
        )
    if path.suffix == ".parquet":
        columns = _parquet(path)
    else:
        head, rows = _csv(path)
        columns = {name: [row[place] for row in rows] for place, name in enumerate(head)}
    if not any(columns.values()):
        raise ConfigError(f"{path} has no rows", hint="a line of headings, then a line for each sample")
    return Table(path, {name: _as_numbers(cells) for name, cells in columns.items()})


def _csv(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            stream.seek(0)
            delimiter = "\t" if path.suffix == ".tsv" else max(",;\t", key=first.count)
            head, *rows = list(csv.reader(stream, delimiter=delimiter)) or [[]]
    except UnicodeDecodeError as error:
        raise NotFoundError(f"cannot read {path}: it is not in UTF-8", hint="save it as UTF-8") from error
    except csv.Error as error:
        raise NotFoundError(f"cannot read {path}: {error}") from error
    hint = "its first line names the columns"
    twice = {name for name in head if head.count(name) > 1}
    if twice:
        raise ConfigError(f"{path} has several columns '{min(twice)}'", hint=hint)
    # Whole numbers may be names of columns.
    if any(re.fullmatch(r"[-+]?[0-9]+[.][0-9]+", name) for name in head):
        raise ConfigError(f"{path} has numbers in its first line", hint=hint)
    rows = [row for row in rows if row]
    for number, row in enumerate(rows, 1):
        if len(row) != len(head):
            raise ConfigError(f"{path}: row {number} has {len(row)} cells under {len(head)} headings")
    return head, rows


def _as_numbers(cells: list[str]) -> Column:
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        return cells


def _parquet(path: Path) -> dict[str, list[str]]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError("Parquet files need pyarrow", hint="pip install 'dlctl[parquet]'") from error
    try:
        found: dict[str, list[object]] = parquet.read_table(path).to_pydict()
    except (OSError, ValueError) as error:
        raise NotFoundError(f"cannot read {path}: {error}") from error
    return {name: ["" if cell is None else str(cell) for cell in cells] for name, cells in found.items()}
