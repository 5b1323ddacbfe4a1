"""The text of a treebank, cut into sentences whose lines, columns and ids are as they must be."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import IO

from dlctl.data.conllu_cells import COLUMNS, IDS, CellError, Empty, Id, Span
from dlctl.data.conllu_source import chunks
from dlctl.errors import ConlluError, Diagnostic

Faults = Callable[[Diagnostic], None]
Row = tuple[str, ...]
# A brief row: ID, FORM, LEMMA, UPOS and all the others in one text, for who asks for these only.
BRIEF = 4
_PLUS = re.compile(r"# global\.columns = (\S+(?: \S+)*)")
_COMMENTS = re.compile(r"(?:#[^\n]*(?:\n|\Z))*")
# One expression checks a row and cuts it up: from one end of a line to the next, ten cells, none of them
# empty. Cells but the last match ends of lines too, which is quicker: then there are fewer rows than lines.
_CELL, _OTHER, _LAST, _END = "([^\t]++)\t", "[^\t]++\t", "[^\t\n]++", r"(?:\n|\Z)"
_WHOLE_ROWS = re.compile(f"^{_CELL * 9}({_LAST}){_END}", re.MULTILINE)
_BRIEF_ROWS = re.compile(f"^{_CELL * BRIEF}({_OTHER * (9 - BRIEF)}{_LAST}){_END}", re.MULTILINE)


class Reading:
    """A file that is being read.

    Args:
        file: its name, for messages.
        faults: takes what is found to be wrong.
        whole: rows are cut up whole, and tokens typed; true as soon as somebody asked for more than is in a
            brief row, for who does so once will do it again.

    Attributes:
        names: the columns, in capitals; ``COLUMNS`` itself if it is not CoNLL-U Plus.
    """

    __slots__ = ("faults", "file", "names", "whole")

    def __init__(self, file: str, faults: Faults, whole: bool = False) -> None:
        self.file, self.faults, self.whole = file, faults, whole
        self.names: tuple[str, ...] = COLUMNS

    def name_columns(self, line: str) -> None:
        """Take the names of the columns from the first line of the file, if it is CoNLL-U Plus."""
        names = plus_columns(line)
        if len(set(names)) == len(names):
            self.names = names
            return
        twice = next(name for name in names if names.count(name) > 1)
        message = f"the column {twice} is named twice"
        self.faults(Diagnostic(self.file, 1, twice, "global-columns", message))


class Block:
    """A sentence as text, its rows checked.

    Attributes:
        reading: the file it was read from.
        line: the number of its first line.
        text: its lines, comments first, without the blank line at the end.
        body: where the rows begin in the text.
        original: the text with its end as it stood in the file, if that is not ``text`` and a blank line.
    """

    __slots__ = ("_ids", "_rows", "body", "line", "original", "reading", "text")

    def __init__(self, reading: Reading, line: int, text: str) -> None:
        self.reading, self.line, self.text = reading, line, text
        self.original: str | None = None
        self.body = _COMMENTS.match(text).end() if text[:1] == "#" else 0  # type: ignore[union-attr]
        self._rows: list[Row] | None = None
        self._ids: list[Id] | None = None

    def rows(self) -> list[Row]:
        """The rows, brief ones if that is enough so far."""
        if self._rows is None:
            reading = self.reading
            if reading.names is COLUMNS:
                cut = _WHOLE_ROWS if reading.whole else _BRIEF_ROWS
                self._rows = cut.findall(self.text, self.body)
            else:
                self._rows = [tuple(row.split("\t")) for row in self.text[self.body :].split("\n")]
        return self._rows

    def whole_rows(self) -> list[Row]:
        """The rows with all their cells."""
        rows = self.rows()
        if self.reading.names is COLUMNS and len(rows[0]) < len(COLUMNS):
            self.reading.whole = True
            rows = self._rows = _WHOLE_ROWS.findall(self.text, self.body)
        return rows

    def forget(self) -> None:
        """Keep the text only."""
        self._rows = self._ids = None

    def sound(self) -> bool:
        """Whether every row has its columns, no cell is empty, and the ids are in order."""
        rows, names = self.rows(), self.reading.names
        if len(rows) != self.text.count("\n", self.body) + 1:
            return False
        if names is COLUMNS:
            texts = [row[0] for row in rows]
        else:
            width = len(names)
            if any(len(row) != width or "" in row for row in rows):
                return False
            if "ID" not in names:
                return True
            at = names.index("ID")
            texts = [row[at] for row in rows]
        return texts == plain_ids(len(texts)) or in_order(texts)

    def ids(self) -> list[Id]:
        """The id of every row; rows without are counted from 1."""
        if self._ids is None:
            rows, names = self.rows(), self.reading.names
            texts = [row[names.index("ID")] for row in rows] if "ID" in names else plain_ids(len(rows))
            plain = texts == plain_ids(len(rows))
            self._ids = list(range(1, len(rows) + 1)) if plain else [IDS[text] for text in texts]
        return self._ids

    def fault(self, row: Row, error: CellError) -> None:
        """Tell of a cell of a row that cannot be read."""
        rows = self.rows()
        # The row itself; or the one of its id, if the rows were cut up again.
        same = (number for number, each in enumerate(rows) if each is row)
        number = next(same, None)
        if number is None:
            number = [each[0] for each in rows].index(row[0])
        line = self.line + self.text.count("\n", 0, self.body) + number
        self.reading.faults(Diagnostic(self.reading.file, line, error.column, error.rule, error.message))

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
        cells = [row[at] for row in (self.rows() if at < BRIEF else self.whole_rows())]
        ids = self.ids()
        # Only words alone end with their number, for a token of several and an empty node are rows too.
        if ids[-1] == len(ids):
            return cells
        return [cell for cell, id_ in zip(cells, ids, strict=True) if type(id_) is int]


@lru_cache(1024)
def plain_ids(count: int) -> list[str]:
    """The ids of a sentence that has words only."""
    return [str(number) for number in range(1, count + 1)]


def in_order(texts: list[str]) -> bool:
    """Whether these are words 1 to n, multiword tokens before their first word, and empty nodes in order."""
    try:
        ids = [IDS[each] for each in texts]
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


def blocks(file: str, stream: IO[bytes], faults: Faults, *, whole: bool = False) -> Iterator[Block]:
    """The sentences of a file; those with faults are told of and left out."""
    from dlctl.data.conllu_parts import repaired

    reading = Reading(file, faults, whole)
    line, first = 1, True
    waiting: list[bytes] = []
    pieces = chunks(file, stream)
    for piece in pieces:
        waiting.append(piece)
        if b"\r" in piece:
            yield from repaired(reading, line, b"".join(waiting), pieces, first=first)
            return
        # A sentence of many pieces is put together once, when its end is there.
        if b"\n\n" not in piece and not piece.startswith(b"\n"):
            continue
        *parts, rest = b"".join(waiting).split(b"\n\n")
        waiting = [rest] if rest else []
        for part in parts:
            if first:
                reading.name_columns(part.partition(b"\n")[0].decode(errors="replace"))
                first = False
            block = _block(reading, line, part)
            if block is not None:
                yield block
            else:
                yield from repaired(reading, line, part + b"\n\n")
            line += part.count(b"\n") + 2
    if waiting:
        yield from repaired(reading, line, b"".join(waiting), first=first)


def _block(reading: Reading, line: int, part: bytes) -> Block | None:
    """A sentence, if nothing is wrong with it."""
    try:
        text = part.decode()
    except UnicodeDecodeError:
        return None
    if not text.isascii() and "\ufffd" in text:
        return None
    block = Block(reading, line, text)
    return block if block.sound() else None


def plus_columns(text: str) -> tuple[str, ...]:
    """The columns of CoNLL-U Plus, if the first line of a file names them."""
    found = _PLUS.fullmatch(text.partition("\n")[0])
    names = tuple(found[1].split(" ")) if found else COLUMNS
    return COLUMNS if names == COLUMNS else names
