"""The quick way through a treebank: many sentences cut up at once, if nothing is wrong with any of them."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain, filterfalse
from typing import IO, Any

from dlctl.data.conllu_blocks import WIDTH, Block, Faults, Origin, Piece, Reading
from dlctl.data.conllu_cells import COLUMNS, IDS, SHORT, CellError, Id, remember
from dlctl.data.conllu_ids import are_in_order, counted, sound_ids
from dlctl.data.conllu_source import chunks

_COMMENTS = re.compile(r"(?:#.*+\n)*+")
# What is between two tabs where a sentence ends: MISC, a blank line and comments, the next id.
_LAST = re.compile(r"([^\n]++)\n(\n(?:#.*+\n)*+)(.*+)")
# The id of the next row of the sentence by the cell before it and that id, for many rows look alike.
_NEXT: dict[str, Id] = {}


def blocks(file: str, stream: IO[bytes], faults: Faults) -> Iterator[Block]:
    """The sentences of a file; those with faults are told of and left out."""
    return chain.from_iterable(_groups(file, stream, faults))


def _groups(file: str, stream: IO[bytes], faults: Faults) -> Iterator[Iterable[Block]]:
    """The sentences of one piece after the other."""
    from dlctl.data.conllu_parts import repaired

    reading = Reading(file, faults)
    line = 1
    waiting: list[bytes] = []
    pieces = chunks(file, stream)
    for piece in pieces:
        waiting.append(piece)
        if b"\r" in piece:
            yield repaired(reading, line, b"".join(waiting), pieces)
            return
        # A sentence of many pieces is put together once, when its end is there.
        if b"\n\n" not in piece and not piece.startswith(b"\n"):
            continue
        begun = b"".join(waiting)
        end = begun.rfind(b"\n\n") + 2
        if end < 2:  # a blank line too many, which belongs to what comes
            waiting = [begun]
            continue
        waiting = [begun[end:]] if end < len(begun) else []
        whole = begun[:end]
        reading.begin(whole)
        lines = whole.count(b"\n")
        found = cut(reading, line, whole, lines) if reading.names is COLUMNS else None
        yield found or _one_by_one(reading, line, whole)
        line += lines
    if waiting:
        yield repaired(reading, line, b"".join(waiting))


def _one_by_one(reading: Reading, line: int, raw: bytes) -> Iterator[Block]:
    """The sentences of a piece that cannot be cut up at once, for anything is wrong with one."""
    from dlctl.data.conllu_parts import repaired

    for part in raw[:-2].split(b"\n\n"):
        text = part.decode(errors="replace")
        lines = text.split("\n")
        block = None if "\ufffd" in text else _sentence(reading, line, lines)
        if block is not None:
            yield block
        else:
            yield from repaired(reading, line, part + b"\n\n")
        line += len(lines) + 1


def _sentence(reading: Reading, line: int, lines: list[str]) -> Block | None:
    """A sentence of lines, if nothing is wrong with it."""
    first = next((number for number, each in enumerate(lines) if each[:1] != "#"), len(lines))
    ids = sound_ids([row.split("\t") for row in lines[first:]], reading.names)
    return None if ids is None else Block.of_lines(reading, line, lines, ids)


def cut(reading: Reading, line: int, raw: bytes, lines: int) -> list[Block] | None:
    """All sentences of a piece that ends with a blank line; None if anything is wrong with one.

    It is cut at tabs only. If there are ten columns of every row, as many ends of lines as there are rows and
    lines between them, and ids are in order, every line is what it must be.

    Args:
        reading: the file.
        line: the number of the first line.
        raw: the piece.
        lines: how many it has.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    start = _COMMENTS.match(text).end()  # type: ignore[union-attr]
    cells = text[start:].split("\t")
    rows, left = divmod(len(cells), WIDTH)
    if left != 1 or not all(cells) or (not text.isascii() and "\ufffd" in text):
        return None
    found = _ids(cells, rows)
    if found is None:
        return None
    ids, ends, between = found
    if ends[-1:] != [rows] or text.count("\n", 0, start) + rows + between != lines:
        return None
    return _blocks(reading, Piece(Origin(reading, line, text), cells, ids, ends))


def _ids(cells: list[str], rows: int) -> tuple[list[Id], list[int], int] | None:
    """The id of every row, and a 0; the row after the last of every sentence; the lines between sentences.

    The MISC of a last row is cut off from the next sentence. None if something else stands there than must.
    """
    ids: list[Any] = [None, *map(_NEXT.get, cells[WIDTH::WIDTH])]
    ends: list[int] = []
    lines = 0
    try:
        ids[0] = IDS[cells[0]]
        for row in [*filterfalse(ids.__getitem__, range(rows + 1))]:
            tail = cells[row * WIDTH]
            misc, _, next_ = tail.partition("\n")
            if next_[:1] == "\n":
                found = _LAST.fullmatch(tail)
                if found is None:
                    return None
                cells[row * WIDTH], gap, next_ = found.groups()
                ids[row] = IDS[next_] if next_ or row < rows else 0
                lines += gap.count("\n")
                ends.append(row)
            elif misc:
                ids[row] = IDS[next_]
                if len(tail) < SHORT:
                    remember(_NEXT, tail, ids[row])
            else:
                return None
    except CellError:
        return None
    return ids, ends, lines


def _blocks(reading: Reading, piece: Piece) -> list[Block] | None:
    """The sentences of a piece by their ids; None if these are not in order."""
    found: list[Block] = []
    ids = piece.ids
    start = 0
    for end in piece.ends:
        own = counted(end - start)[1]
        if ids[start:end] != own:
            own = ids[start:end]
            if not are_in_order(own):
                return None
        block = Block(reading, own)
        block.piece, block.start, block.end, block.number = piece, start, end, len(found)
        found.append(block)
        start = end
    return found
