"""What is known of the sentences of a treebank whose lines, columns and ids are as they must be."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, compress, repeat
from typing import Any

from dlctl.data.conllu_cells import COLUMNS, Id
from dlctl.data.conllu_ids import counted
from dlctl.data.conllu_reading import Reading

Row = list[str]
# The tabs of a row.
WIDTH = len(COLUMNS) - 1


class Block:
    """A sentence that is as it must be: its lines, its cells, or where they are in a piece of the file.

    Attributes:
        reading: the file it was read from.
        piece: the sentences that were cut up with it, if they were.
        number: how many sentences are before it there.
        original: the text with its end as it stood in the file, if that is not its lines and a blank one.
    """

    __slots__ = ("_ids", "_line", "_lines", "_rows", "_text", "number", "original", "piece", "reading")

    def __init__(self, reading: Reading, piece: "Piece | None" = None, number: int = 0) -> None:
        self.reading, self.piece, self.number = reading, piece, number
        self._ids: Sequence[Id] | None = None
        self._line: int | None = None
        self._lines: list[str] | None = None
        self._rows: list[Row] | None = None
        self._text: str | None = None
        self.original: str | None = None

    @classmethod
    def of_lines(cls, reading: Reading, line: int, lines: list[str], ids: Sequence[Id]) -> "Block":
        """A sentence by itself."""
        block = cls(reading)
        block._line, block._lines, block._ids = line, lines, ids
        return block

    @property
    def line(self) -> int:
        """The number of its first line."""
        if self._line is None:
            assert self.piece is not None
            self._line = self.piece.origin.starts()[self.number]
        return self._line

    @property
    def text(self) -> str:
        """Its lines, without the blank one at the end."""
        if self._text is None:
            if self._lines is not None:
                return "\n".join(self._lines)
            assert self.piece is not None
            self._text = self.piece.origin.sentences()[self.number]
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
            assert self.piece is not None
            start, end = self.piece.extent(self.number)
            ids, plain = self.piece.ids[start:end], counted(end - start)[1]
            self._ids = plain if ids == plain else ids  # most sentences of a length have the same
        return self._ids

    def forget(self) -> None:
        """Keep the text only."""
        self._text, self._line, self._ids = self.text, self.line, self.ids()
        self.piece = self._lines = self._rows = None

    def cut_alone(self) -> "Piece | None":
        """It alone, cut up as pieces are; it keeps nothing of that, for tokens will have it."""
        from dlctl.data.conllu_pieces import cut

        raw = f"{self.text}\n\n".encode()
        return cut(self.reading, self.line, raw, raw.count(b"\n"))

    def row(self, number: int) -> Row:
        """The cells of a row, counted from 0."""
        return self.rows()[number]

    def line_of(self, row: int) -> int:
        """The number of the line of a row, counted from 0."""
        return self.line + len(self.lines()) - len(self.ids()) + row

    def columns(self, places: Sequence[int]) -> tuple[list[str], ...]:
        """Columns of the words as text, counted from 0."""
        piece, ids = self.piece, self.ids()
        if piece is None or 0 in places or WIDTH in places:
            found = [[row[at] for row in self.rows()] for at in places]
        else:
            found = piece.columns(places, *piece.extent(self.number))
        # Only words alone end with their number, for a token of several and an empty node are rows too.
        return tuple(found) if ids[-1] == len(ids) else _of_words(ids, found)


class Origin:
    """The text of sentences that were cut up at once, all that their tokens keep of it.

    Args:
        reading: the file it was read from.
        line: the number of its first line.
        text: the sentences.
    """

    __slots__ = ("_rows", "_sentences", "_starts", "line", "reading", "text")

    def __init__(self, reading: Reading, line: int, text: str) -> None:
        self.reading, self.line, self.text = reading, line, text
        self._sentences: list[str] | None = None
        self._starts: list[int] | None = None
        self._rows: list[tuple[int, Row]] | None = None

    def sentences(self) -> list[str]:
        """Every sentence as text."""
        if self._sentences is None:
            self._sentences = self.text.split("\n\n")
        return self._sentences

    def starts(self) -> list[int]:
        """The number of the first line of every sentence."""
        if self._starts is None:
            heights = (text.count("\n") + 2 for text in self.sentences())
            self._starts = list(accumulate(heights, initial=self.line))
        return self._starts

    def row(self, number: int) -> Row:
        """The cells of a row, counted from 0."""
        return self._numbered()[number][1]

    def line_of(self, row: int) -> int:
        """The number of the line of a row, counted from 0."""
        return self._numbered()[row][0]

    def _numbered(self) -> list[tuple[int, Row]]:
        """Every row with the number of its line."""
        if self._rows is None:
            lines = enumerate(self.text.split("\n"), self.line)
            self._rows = [(number, line.split("\t")) for number, line in lines if line and line[0] != "#"]
        return self._rows


class Piece:
    """Sentences that were cut up at once.

    Args:
        origin: their text.
        cells: what is between the tabs: comments and an id, then FORM to DEPS of a row and its MISC, which
            may be followed by the end of the line and the next id.
        ids: those of all rows, and a 0.
        bounds: the first row of every sentence, and the row after the last.
        odd: the numbers of the sentences that are not of words alone.

    Attributes:
        tokens: those of the rows from first to end, as long as they are waiting to be asked for.
    """

    __slots__ = ("bounds", "cells", "end", "first", "ids", "odd", "origin", "tokens")

    def __init__(
        self, origin: Origin, cells: list[str], ids: list[Id], bounds: list[int], odd: list[int]
    ) -> None:
        self.origin, self.cells, self.ids, self.bounds, self.odd = origin, cells, ids, bounds, odd
        self.first = self.end = 0
        self.tokens: list[Any] = []

    def __iter__(self) -> Iterator[Block]:
        """The sentences."""
        return map(Block, repeat(self.origin.reading), repeat(self), range(len(self.bounds) - 1))

    def extent(self, number: int) -> tuple[int, int]:
        """The first row of a sentence, and the row after the last."""
        return self.bounds[number], self.bounds[number + 1]

    def columns(self, places: Sequence[int], start: int, end: int) -> list[list[str]]:
        """The cells of rows in columns from FORM to DEPS, counted from 0."""
        cells, first, last = self.cells, start * WIDTH, end * WIDTH
        return [cells[first + at : last : WIDTH] for at in places]

    def columns_of_words(self, places: Sequence[int]) -> Iterable[tuple[list[str], ...]]:
        """Columns of the words of every sentence as text, counted from 0."""
        if not places or 0 in places or WIDTH in places:
            return (block.columns(places) for block in self)
        rows = [*map(slice, self.bounds, self.bounds[1:])]
        cells = self.columns(places, 0, self.bounds[-1])
        found = [*zip(*(map(column.__getitem__, rows) for column in cells), strict=True)]
        for number in self.odd:
            found[number] = _of_words(self.ids[rows[number]], found[number])
        return found


def _of_words(ids: Sequence[Id], columns: Iterable[list[str]]) -> tuple[list[str], ...]:
    """Columns without the rows that are no words."""
    words = [type(id_) is int for id_ in ids]
    return tuple([[*compress(cells, words)] for cells in columns])
