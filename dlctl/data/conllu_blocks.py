"""The text of a treebank, cut into sentences whose lines, columns and ids are as they must be."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import IO

from dlctl.data.conllu_cells import COLUMNS, CellError, Empty, Id, Span, read_id
from dlctl.data.conllu_source import chunks
from dlctl.errors import ConlluError, Diagnostic

Faults = Callable[[Diagnostic], None]
_PLUS = re.compile(r"# global\.columns = (\S+(?: \S+)*)")


class Block:
    """A sentence as text, its rows checked.

    Attributes:
        file: where it was read from.
        line: the number of its first line.
        text: its lines, comments first, without the blank line at the end.
        body: where the rows begin in the text.
        names: the columns, in capitals.
        faults: takes what is found to be wrong in a cell.
        original: the text with its end as it stood in the file, if that is not ``text`` and a blank line.
    """

    __slots__ = ("_ids", "_rows", "body", "faults", "file", "line", "names", "original", "text")

    def __init__(self, file: str, line: int, text: str, names: tuple[str, ...], faults: Faults) -> None:
        self.file, self.line, self.text, self.names, self.faults = file, line, text, names, faults
        self.original: str | None = None
        start = 0
        while text.startswith("#", start):
            start = text.find("\n", start) + 1 or len(text)
        self.body = start
        self._rows: list[str] | None = None
        self._ids: list[Id] | None = None

    def rows(self) -> list[str]:
        """All cells one after the other, and after every row a newline, which no cell can be."""
        if self._rows is None:
            self._rows = self.text[self.body :].replace("\n", "\t\n\t").split("\t")
            self._rows.append("\n")
        return self._rows

    def forget(self) -> None:
        """Keep the text only."""
        self._rows = self._ids = None

    def sound(self) -> bool:
        """Whether every row has its columns, no cell is empty, and the ids are in order."""
        rows, width = self.rows(), len(self.names) + 1
        count = self.text.count("\n", self.body) + 1
        # Every row ends at a multiple of the width, and there are no more ends than rows.
        if len(rows) != count * width or rows[width - 1 :: width].count("\n") != count or "" in rows:
            return False
        if self.names is not COLUMNS and "ID" not in self.names:
            return True
        ids = rows[self.names.index("ID") :: width]
        if ids == plain_ids(count):
            return True
        return in_order(ids)

    def ids(self) -> list[Id]:
        """The id of every row; rows without are counted from 1."""
        if self._ids is None:
            rows, width = self.rows(), len(self.names) + 1
            count = len(rows) // width
            if "ID" not in self.names:
                self._ids = list(range(1, count + 1))
            else:
                texts = rows[self.names.index("ID") :: width]
                plain = texts == plain_ids(count)
                self._ids = list(range(1, count + 1)) if plain else [read_id(each) for each in texts]
        return self._ids

    def fault(self, id_: Id, error: CellError) -> None:
        """Tell of a cell that cannot be read, in the row with an id."""
        line = self.line + self.text.count("\n", 0, self.body) + self.ids().index(id_)
        self.faults(Diagnostic(self.file, line, error.column, error.rule, error.message))

    def column(self, name: str) -> list[str]:
        """A column of the words as text.

        Raises:
            ConlluError: there is no such column.
        """
        try:
            at = self.names.index(name.upper())
        except ValueError:
            message = f"no column {name!r}; there are {', '.join(self.names).lower()}"
            raise ConlluError(Diagnostic(self.file, self.line, None, "no-column", message)) from None
        rows, width = self.rows(), len(self.names) + 1
        cells = rows[at::width]
        if "ID" not in self.names or rows[self.names.index("ID") :: width] == plain_ids(len(cells)):
            return cells
        return [cell for cell, id_ in zip(cells, self.ids(), strict=True) if type(id_) is int]


@lru_cache(1024)
def plain_ids(count: int) -> list[str]:
    """The ids of a sentence that has words only."""
    return [str(number) for number in range(1, count + 1)]


def in_order(texts: list[str]) -> bool:
    """Whether these are words 1 to n, multiword tokens before their first word, and empty nodes in order."""
    last, empties, end, start = 0, 0, 0, 0
    try:
        ids = [read_id(each) for each in texts]
    except CellError:
        return False
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

    names: tuple[str, ...] = COLUMNS
    line, rest, first = 1, "", True
    pieces = chunks(file, stream)
    for piece in pieces:
        try:
            text = rest + piece.decode()
        except UnicodeDecodeError:
            text = ""
        if not text or "\r" in text or "\ufffd" in text:
            yield from repaired(file, line, rest.encode() + piece, pieces, names, faults, first)
            return
        *parts, rest = text.split("\n\n")
        for part in parts:
            if first:
                names, first = plus_columns(part), False
            block = Block(file, line, part, names, faults)
            if block.sound():
                yield block
            else:
                yield from repaired(file, line, f"{part}\n\n".encode(), (), names, faults, False)
            line += part.count("\n") + 2
    if rest:
        yield from repaired(file, line, rest.encode(), (), names, faults, first)


def plus_columns(text: str) -> tuple[str, ...]:
    """The columns of CoNLL-U Plus, if the first line of a file names them."""
    found = _PLUS.fullmatch(text.partition("\n")[0])
    return tuple(found[1].split(" ")) if found else COLUMNS
