"""Tables of numbers and words: CSV and Parquet files, read without torch."""

import csv
from pathlib import Path

from dlctl.errors import ConfigError, NotFoundError

Column = list[str] | list[float]


def read_table(path: Path) -> dict[str, Column]:
    """The columns of a ``.csv``, ``.tsv`` or ``.parquet`` file, by name; numbers where all are numbers.

    Raises:
        NotFoundError: the file is not there or cannot be read.
        ConfigError: a row is shorter or longer than the heading, or there is none.
    """
    if not path.is_file():
        raise NotFoundError(
            f"there is no table {path}", hint="data.path=FILE names a .csv, .tsv or .parquet file"
        )
    if path.suffix == ".parquet":
        return {name: _numbers([str(each) for each in column]) for name, column in _parquet(path).items()}
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            head, *rows = list(csv.reader(stream, delimiter="\t" if path.suffix == ".tsv" else ",")) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise NotFoundError(f"cannot read {path}: {error}") from error
    rows = [row for row in rows if row]
    for number, row in enumerate(rows, 2):
        if len(row) != len(head):
            raise ConfigError(f"{path}:{number}: {len(row)} cells under {len(head)} headings")
    if not rows:
        raise ConfigError(f"{path} has no rows", hint="a line of headings, then a line for each sample")
    return {name: _numbers([row[place] for row in rows]) for place, name in enumerate(head)}


def _numbers(cells: list[str]) -> Column:
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        return cells


def _parquet(path: Path) -> dict[str, list[object]]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError("Parquet files need pyarrow", hint="pip install 'dlctl[parquet]'") from error
    try:
        found: dict[str, list[object]] = parquet.read_table(path).to_pydict()
    except (OSError, ValueError) as error:
        raise NotFoundError(f"cannot read {path}: {error}") from error
    return found
