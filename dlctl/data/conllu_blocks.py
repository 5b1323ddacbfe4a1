"""The text of a treebank, cut into sentences whose lines, columns and ids are as they must be."""

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import lru_cache
from itertools import compress
from operator import itemgetter
from typing import IO

from dlctl.data.conllu_cells import COLUMNS, IDS, CellError, Empty, Id, Span
from dlctl.data.conllu_source import chunks
from dlctl.errors import ConlluError, Diagnostic

Faults = Callable[[Diagnostic], None]
Row = list[str]
_PLUS = re.compile(r"# global\.columns = (\S+(?: \S+)*)")
_FIRST = itemgetter(0)
_COMMENTS = re.compile(r"(?:#[^\n]*+\n)*+")
# A row and what is between it and the next: nothing, or a blank line and comments. Cells match ends of lines
# too, which is quicker; then there are fewer rows than lines.
_ID, _ANY, _GAP = r"([0-9][0-9.\-]*+)\t", "[^\t]++", r"\n((?:\n(?:#[^\n]*+\n)*+)?+)"
_TEXT, _LAST = f"({_ANY})\t", "[^\t\n]++"
_TWO, _THREE = f"({_ANY}\t{_ANY})\t", f"({_ANY}\t{_ANY}\t{_ANY})\t"
_BRIEF_ROWS = re.compile(_ID + _TEXT * 3 + f"{_ANY}\t" * 5 + _LAST + _GAP)
_WHOLE_ROWS = re.compile(f"{_ID}{_TEXT * 2}{_THREE}{_TWO}{_TEXT}({_LAST}){_GAP}")


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
    """A sentence that is as it must be: its lines, its cells, or where they are in a piece of the file.

    Attributes:
        reading: the file it was read from.
        line: the number of its first line.
        piece: the sentences that were cut up with it, if they were.
        start, end: its rows there.
        number: how many sentences are before it there.
        height: how many lines it has.
        original: the text with its end as it stood in the file, if that is not its lines and a blank one.
    """

    __slots__ = (
        "_ids", "_lines", "_rows", "_text", "end", "height", "line", "number", "original", "piece", "reading",
        "start",
    )  # fmt: skip

    start: int
    end: int
    number: int
    height: int

    def __init__(self, reading: Reading, line: int, ids: Sequence[Id]) -> None:
        self.reading, self.line = reading, line
        self._ids: Sequence[Id] | None = ids
        self._lines: list[str] | None = None
        self._rows: list[Row] | None = None
        self._text: str | None = None
        self.original: str | None = None
        self.piece: Piece | None = None

    @classmethod
    def of_lines(cls, reading: Reading, line: int, lines: list[str], ids: Sequence[Id]) -> "Block":
        """A sentence by itself."""
        block = cls(reading, line, ids)
        block._lines = lines
        return block

    @property
    def text(self) -> str:
        """Its lines, without the blank one at the end."""
        if self._text is None:
            if self._lines is not None:
                return "\n".join(self._lines)
            assert self.piece is not None
            self._text = self.piece.sentences()[self.number]
        return self._text

    def lines(self) -> list[str]:
        """Its lines, comments first."""
        if self._lines is None:
            self._lines = self.text.split("\n")
        return self._lines

    def comments(self) -> list[str]:
        """The lines before the rows."""
        lines = self.lines()
        return lines[: len(lines) - len(self.ids())]

    def rows(self) -> list[Row]:
        """The cells of every row."""
        if self._rows is None:
            lines = self.lines()
            self._rows = [line.split("\t") for line in lines if line[:1] != "#"]
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
        self._text = self.text
        self.piece = self._lines = self._rows = self._ids = None

    def cut_alone(self) -> "Piece | None":
        """It alone, cut up as pieces are; it keeps nothing of that, for tokens will have it."""
        found = cut(self.reading, self.line, f"{self.text}\n\n".encode())
        return found[0].piece if found else None

    def fault(self, row: int, error: CellError) -> None:
        """Tell of a cell that cannot be read, in a row counted from 0."""
        line = self.line + len(self.lines()) - len(self.ids()) + row
        self.reading.faults(Diagnostic(self.reading.file, line, error.column, error.rule, error.message))

    def column(self, name: str) -> list[str]:
        """A column of the words as text.

        Raises:
            ConlluError: there is no such column.
        """
        names, ids = self.reading.names, self.ids()
        try:
            at = names.index(name.upper())
        except ValueError:
            message = f"no column {name!r}; there are {', '.join(names).lower()}"
            raise ConlluError(Diagnostic(self.reading.file, self.line, None, "no-column", message)) from None
        if self.piece is not None and at <= self.piece.last:
            cells = self.piece.column(at, self.start, self.end)
        else:
            cells = [row[at] for row in self.rows()]
        # Only words alone end with their number, for a token of several and an empty node are rows too.
        if ids[-1] == len(ids):
            return cells
        return [cell for cell, id_ in zip(cells, ids, strict=True) if type(id_) is int]


class Piece:
    """Sentences that were cut up at once.

    Args:
        text: their text.
        cells: the cells of all rows one after the other, with what stood between two rows before each.
        width: how many of them there are for a row.
        whole: whether they are all cells, with UPOS to FEATS in one text, and HEAD and DEPREL; or those up to
            UPOS.
    """

    __slots__ = ("_sentences", "cells", "last", "text", "whole", "width")

    def __init__(self, text: str, cells: list[str], width: int, *, whole: bool) -> None:
        self.text, self.cells, self.width, self.whole = text, cells, width, whole
        self.last = 2 if whole else 3
        self._sentences: list[str] | None = None

    def column(self, at: int, start: int, end: int) -> list[str]:
        """The cells of rows in a column, counted from 0."""
        width = self.width
        return self.cells[start * width + at + 1 : end * width : width]

    def sentences(self) -> list[str]:
        """Every sentence as text."""
        if self._sentences is None:
            self._sentences = self.text.split("\n\n")
        return self._sentences


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
    return _ids_in_order(texts)


def plain_ids(count: int) -> list[str]:
    """The ids of a sentence that has words only."""
    return _counted(count)[0]


@lru_cache(1024)
def _counted(count: int) -> tuple[list[str], Sequence[Id]]:
    return [str(number) for number in range(1, count + 1)], range(1, count + 1)


def in_order(texts: list[str]) -> bool:
    """Whether these are words 1 to n, multiword tokens before their first word, and empty nodes in order."""
    return _ids_in_order(texts) is not None


def _ids_in_order(texts: list[str]) -> list[Id] | None:
    try:
        IDS.learn(texts)
    except CellError:
        return None
    ids = list(map(IDS.values.__getitem__, texts))
    others = [(at, id_) for at, id_ in enumerate(ids) if type(id_) is not int]
    count = len(ids) - len(others)
    words = ids.copy()
    for at, _ in reversed(others):
        del words[at]
    if count == 0 or words != list(_counted(count)[1]):
        return None
    before, start, end = Empty(0, 0), 0, 0
    for passed, (at, id_) in enumerate(others):
        last = at - passed  # the word before
        if isinstance(id_, Empty):
            number = before.number + 1 if before.after == last else 1
            if id_ != (last, number) or start > last:
                return None
            before = id_
        elif isinstance(id_, Span):
            if id_.first != last + 1 or id_.last < id_.first or id_.first <= end:
                return None
            start, end = id_
    return ids if end <= count else None


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
        line = yield from _whole_sentences(reading, line, begun[:end])
    if waiting:
        yield from repaired(reading, line, b"".join(waiting))


def _whole_sentences(reading: Reading, line: int, raw: bytes) -> Generator[Block, None, int]:
    """The sentences of a piece: all at once, or one by one if anything is wrong with one.

    Returns:
        The number of the line after them.
    """
    from dlctl.data.conllu_parts import repaired

    reading.begin(raw.partition(b"\n")[0].decode(errors="replace"))
    found = cut(reading, line, raw) if reading.names is COLUMNS else None
    if found is not None:
        yield from found
        last = found[-1]
        return last.line + last.height + 1
    for part in raw[:-2].split(b"\n\n"):
        text = part.decode(errors="replace")
        lines = text.split("\n")
        block = None if "\ufffd" in text else _sentence(reading, line, lines)
        if block is not None:
            yield block
        else:
            yield from repaired(reading, line, part + b"\n\n")
        line += len(lines) + 1
    return line


def _sentence(reading: Reading, line: int, lines: list[str]) -> Block | None:
    """A sentence of lines, if nothing is wrong with it."""
    first = next((number for number, each in enumerate(lines) if each[:1] != "#"), len(lines))
    ids = sound_ids([row.split("\t") for row in lines[first:]], reading.names)
    return None if ids is None else Block.of_lines(reading, line, lines, ids)


def cut(reading: Reading, line: int, raw: bytes) -> list[Block] | None:
    """All sentences of a piece that ends with a blank line; None if anything is wrong with one.

    Rows are cut out with what is between them and the next. If nothing is left over, there are as many ends
    of lines as rows and lines between them, and ids are in order, every line is what it must be.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    body = _COMMENTS.match(text).end()  # type: ignore[union-attr]
    width = 9 if reading.typed else 6
    cells = (_WHOLE_ROWS if reading.typed else _BRIEF_ROWS).split(text[body:])
    gaps = cells[width - 1 :: width]
    if any(cells[::width]) or text.count("\n", body) != len(gaps) + "".join(gaps).count("\n"):
        return None
    if not text.isascii() and "\ufffd" in text:
        return None
    piece = Piece(text, cells, width, whole=reading.typed)
    found: list[Block] = []
    texts, start, comments = cells[1::width], 0, text.count("\n", 0, body)
    for end in compress(range(1, len(gaps) + 1), gaps):
        plain, ids = _counted(end - start)
        if texts[start:end] != plain:
            others = _ids_in_order(texts[start:end])
            if others is None:
                return None
            ids = others
        block = Block(reading, line, ids)
        block.piece, block.start, block.end = piece, start, end
        block.number, block.height = len(found), comments + end - start
        found.append(block)
        line += block.height + 1
        comments, start = gaps[end - 1].count("\n") - 1, end
    return found


def plus_columns(text: str) -> tuple[str, ...]:
    """The columns of CoNLL-U Plus, if the first line of a file names them."""
    found = _PLUS.fullmatch(text.partition("\n")[0])
    names = tuple(found[1].split(" ")) if found else COLUMNS
    return COLUMNS if names == COLUMNS else names
