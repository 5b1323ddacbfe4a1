"""The quick way through a treebank: many sentences cut up at once, if nothing is wrong with any of them."""

from collections.abc import Iterable, Iterator
from itertools import chain, compress, count, filterfalse, pairwise
from operator import ne
from typing import IO, Any

from dlctl.data.conllu_blocks import WIDTH, Block, Origin, Piece
from dlctl.data.conllu_cells import COLUMNS, IDS, SHORT, CellError, Id, remember
from dlctl.data.conllu_ids import are_in_order, counted, sound_ids
from dlctl.data.conllu_reading import Reading
from dlctl.data.conllu_source import chunks

# The id of the next row of the sentence by the cell before it and that id, for many rows look alike.
_NEXT: dict[str, Id] = {}


def blocks(reading: Reading, stream: IO[bytes]) -> Iterator[Block]:
    """The sentences of a file; those with faults are told of and left out."""
    return chain.from_iterable(groups(reading, stream))


def groups(reading: Reading, stream: IO[bytes]) -> Iterator[Iterable[Block]]:
    """The sentences of a file, some at once: a ``Piece`` where nothing is wrong with any of them."""
    from dlctl.data.conllu_parts import repaired

    line = 1
    waiting: list[bytes] = []
    pieces = chunks(reading.file, stream)
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
    # Where rows do not begin with an id, a comment among them could be one.
    if reading.names[0] != "ID" and any(row[:1] == "#" for row in lines[first:]):
        return None
    ids = sound_ids([row.split("\t") for row in lines[first:]], reading.names)
    return None if ids is None else Block.of_lines(reading, line, lines, ids)


def cut(reading: Reading, line: int, raw: bytes, lines: int) -> Piece | None:
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
    cells = text.split("\t")
    rows, left = divmod(len(cells), WIDTH)
    if left != 1 or not all(cells) or (not text.isascii() and "\ufffd" in text):
        return None
    found = _ids(cells, rows)
    if found is None:
        return None
    ids, bounds, between = found
    if bounds[-1] != rows or rows + between != lines:
        return None
    odd = _odd(ids, bounds)
    return None if odd is None else Piece(Origin(reading, line, text), cells, ids, bounds, odd)


def _ids(cells: list[str], rows: int) -> tuple[list[Id], list[int], int] | None:
    """The id of every row, and a 0; the bounds of the sentences; the lines that are no rows.

    The MISC of a last row is cut off from the next sentence. None if something else stands there than must.
    """
    ids: list[Any] = [None, *map(_NEXT.get, cells[WIDTH::WIDTH])]
    bounds, gaps = [0], cells[:1]
    try:
        ids[0] = IDS[cells[0].rpartition("\n")[2]]
        for row in [*filterfalse(ids.__getitem__, range(rows + 1))]:
            tail = cells[row * WIDTH]
            if tail[0] == "\n":  # MISC is empty
                return None
            misc, blank, gap = tail.partition("\n\n")
            if blank:
                next_ = gap.rpartition("\n")[2]
                ids[row] = IDS[next_] if next_ or row < rows else 0
                cells[row * WIDTH] = misc
                bounds.append(row)
                gaps.append(gap)
            else:
                ids[row] = IDS[tail.partition("\n")[2]]
                if len(tail) < SHORT:
                    remember(_NEXT, tail, ids[row])
    except CellError:
        return None
    # One line before every sentence but the first is blank; all others are comments.
    between = "\n".join(["", *gaps])
    lines = between.count("\n")
    return (ids, bounds, lines - 1) if lines - between.count("\n#") == len(gaps) else None


def _odd(ids: list[Id], bounds: list[int]) -> list[int] | None:
    """Which sentences are not of words alone; None if the ids of one are not in order."""
    own = [ids[start:end] for start, end in pairwise(bounds)]
    words = [counted(len(each))[1] for each in own]
    odd = [*compress(count(), map(ne, own, words))]
    return odd if all(are_in_order(own[number]) for number in odd) else None
