"""The text of a treebank, cut into sentences whose lines, columns and ids are as they must be."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import IO

from dlctl.data.conllu_cells import COLUMNS, CellError, Empty, Id, Span, read_id
from dlctl.data.conllu_source import chunks
from dlctl.errors import ConlluError, Diagnostic

Faults = Callable[[Diagnostic], None]
Row = list[str]
_PLUS = re.compile(r"# global\.columns = (\S+(?: \S+)*)")
_FIRST = itemgetter(0)


class Reading:
    """A file that is being read.

    Args:
        file: its name, for messages.
        faults: takes what is found to be wrong.

    Attributes:
        names: the columns, in capitals; ``COLUMNS`` itself if it is not CoNLL-U Plus.
        typed: whether all cells are read with their token; true once somebody asked for one that is more than
            text, for who did so will do it again.
    """

    __slots__ = ("_begun", "faults", "file", "names", "typed")

    def __init__(self, file: str, faults: Faults) -> None:
        self.file, self.faults = file, faults
        self.names: tuple[str, ...] = COLUMNS
        self.typed = self._begun = False

    def begin(self, line: str) -> None:
        """Take the names of the columns from a line, if it is the first.

        Raises:
            ConlluError: one stands there twice, if faults stop.
        """
        if not self._begun:
            self._begun = True
            self.take_names(plus_columns(line))

    def take_names(self, names: tuple[str, ...]) -> None:
        """Take the names of the columns.

        Raises:
            ConlluError: one stands there twice, if faults stop.
        """
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is None:
            self.names = COLUMNS if names == COLUMNS else names
            return
        message = f"the column {twice} is named twice"
        self.faults(Diagnostic(self.file, 1, twice, "global-columns", message))


class Block:
    """A sentence that is as it must be: its lines, and its rows cut up.

    Attributes:
        reading: the file it was read from.
        line: the number of its first line.
        head: how many lines are comments.
        original: the text with its end as it stood in the file, if that is not its lines and a blank one.
    """

    __slots__ = ("_ids", "_lines", "_rows", "_text", "head", "line", "original", "reading")

    def __init__(
        self, reading: Reading, line: int, lines: list[str], head: int, rows: list[Row], ids: Sequence[Id]
    ) -> None:
        self.reading, self.line, self.head = reading, line, head
        self._lines: list[str] | None = lines
        self._rows: list[Row] | None = rows
        self._ids: Sequence[Id] | None = ids
        self._text = ""
        self.original: str | None = None

    @property
    def text(self) -> str:
        """Its lines, without the blank one at the end."""
        return self._text if self._lines is None else "\n".join(self._lines)

    def comments(self) -> list[str]:
        """The lines before the rows."""
        return (
            self.text.split("\n", self.head)[: self.head] if self._lines is None else self._lines[: self.head]
        )

    def rows(self) -> list[Row]:
        """The cells of every row."""
        if self._rows is None:
            self._rows = [row.split("\t") for row in self.text.split("\n")[self.head :]]
        return self._rows

    def ids(self) -> Sequence[Id]:
        """The id of every row; rows without are counted from 1."""
        if self._ids is None:
            ids = sound_ids(self.rows(), self.reading.names)
            assert ids is not None  # it was looked at when it was read
            self._ids = ids
        return self._ids

    def forget(self) -> None:
        """Keep the text only."""
        if self._lines is not None:
            self._text = "\n".join(self._lines)
        self._lines = self._rows = self._ids = None

    def fault(self, row: Sequence[str], error: CellError) -> None:
        """Tell of a cell of a row that cannot be read."""
        number = next(number for number, each in enumerate(self.rows()) if each is row)
        place = (self.reading.file, self.line + self.head + number, error.column)
        self.reading.faults(Diagnostic(*place, error.rule, error.message))

    def column(self, name: str) -> list[str]:
        """A column of the words as text.

        Raises:
            ConlluError: there is no such column.
        """
        names = self.reading.names
        try:
            at = names.index(name.upper())
        except ValueError:
            message = f"no column {name!r}; there are {', '.join(names).lower()}"
            raise ConlluError(Diagnostic(self.reading.file, self.line, None, "no-column", message)) from None
        cells, ids = [row[at] for row in self.rows()], self.ids()
        # Only words alone end with their number, for a token of several and an empty node are rows too.
        if ids[-1] == len(ids):
            return cells
        return [cell for cell, id_ in zip(cells, ids, strict=True) if type(id_) is int]


def sound_ids(rows: list[Row], names: tuple[str, ...]) -> Sequence[Id] | None:
    """The ids of rows; None if a row has not its columns, a cell is empty or ids are not in order."""
    if set(map(len, rows)) != {len(names)} or not all(map(all, rows)):
        return None
    plain, numbers = _counted(len(rows))
    if names is COLUMNS:
        texts = list(map(_FIRST, rows))
    elif "ID" in names:
        at = names.index("ID")
        texts = [row[at] for row in rows]
    else:
        return numbers
    if texts == plain:
        return numbers
    return [read_id(text) for text in texts] if in_order(texts) else None


def plain_ids(count: int) -> list[str]:
    """The ids of a sentence that has words only."""
    return _counted(count)[0]


@lru_cache(1024)
def _counted(count: int) -> tuple[list[str], Sequence[int]]:
    return [str(number) for number in range(1, count + 1)], range(1, count + 1)


def in_order(texts: list[str]) -> bool:
    """Whether these are words 1 to n, multiword tokens before their first word, and empty nodes in order."""
    try:
        ids = [read_id(each) for each in texts]
    except CellError:
        return False
    last, empties, end, start = 0, 0, 0, 0
    for id_ in ids:
        if isinstance(id_, Empty):
            empties += 1
            if id_ != (last, empties) or start > last:
                return False
        elif isinstance(id_, Span):
            if id_.first != last + 1 or id_.last < id_.first or id_.first <= end:
                return False
            start, end, empties = id_.first, id_.last, 0
        else:
            if id_ != last + 1:
                return False
            last, empties = id_, 0
    return end <= last > 0


def blocks(file: str, stream: IO[bytes], faults: Faults) -> Iterator[Block]:
    """The sentences of a file; those with faults are told of and left out."""
    from dlctl.data.conllu_parts import repaired

    reading = Reading(file, faults)
    line = 1
    waiting: list[bytes] = []
    pieces = chunks(file, stream)
    for piece in pieces:
        waiting.append(piece)
        if b"\r" in piece:
            yield from repaired(reading, line, b"".join(waiting), pieces)
            return
        # A sentence of many pieces is put together once, when its end is there.
        if b"\n\n" not in piece and not piece.startswith(b"\n"):
            continue
        begun = b"".join(waiting)
        end = begun.rfind(b"\n\n") + 2
        waiting = [begun[end:]] if end < len(begun) else []
        for raw, lines in _decoded(begun[:end]):
            if lines is None:
                yield from repaired(reading, line, raw)
            else:
                yield from _sentences(reading, line, lines)
            line += raw.count(b"\n") if lines is None else len(lines) - 1
    if waiting:
        yield from repaired(reading, line, b"".join(waiting))


def _decoded(raw: bytes) -> Iterator[tuple[bytes, list[str] | None]]:
    """Whole sentences as lines with nothing after the last; None for one with bytes that are no text."""
    if raw.isascii():
        yield raw, raw.decode().split("\n")
        return
    parts = raw[:-2].split(b"\n\n")
    try:
        # One by one, for what is cut out of a text with other letters costs more.
        lines = [line for part in parts for line in f"{part.decode()}\n".split("\n")]
        if b"\xef\xbf\xbd" not in raw:
            yield raw, [*lines, ""]
            return
    except UnicodeDecodeError:
        pass
    for part in parts:
        text = part.decode(errors="replace")
        yield part + b"\n\n", None if "\ufffd" in text else f"{text}\n\n".split("\n")


def _sentences(reading: Reading, line: int, lines: list[str]) -> Iterator[Block]:
    """The sentences in lines, every one with a blank line at its end."""
    from dlctl.data.conllu_parts import repaired

    reading.begin(lines[0])
    start, names = 0, reading.names
    while start < len(lines) - 1:
        end = lines.index("", start)
        first = start
        while lines[first][:1] == "#":
            first += 1
        rows = [row.split("\t") for row in lines[first:end]]
        ids = sound_ids(rows, names)
        if ids is not None:
            yield Block(reading, line + start, lines[start:end], first - start, rows, ids)
        else:
            yield from repaired(reading, line + start, "\n".join([*lines[start : end + 1], ""]).encode())
        start = end + 1


def plus_columns(text: str) -> tuple[str, ...]:
    """The columns of CoNLL-U Plus, if the first line of a file names them."""
    found = _PLUS.fullmatch(text.partition("\n")[0])
    names = tuple(found[1].split(" ")) if found else COLUMNS
    return COLUMNS if names == COLUMNS else names
