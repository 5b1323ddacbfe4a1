"""The quick way through a treebank: many sentences cut up at once, if nothing is wrong with any of them."""

import re
from collections.abc import Generator, Iterator
from itertools import compress
from typing import IO

from dlctl.data.conllu_blocks import Block, Faults, Origin, Piece, Reading
from dlctl.data.conllu_cells import COLUMNS
from dlctl.data.conllu_ids import counted, ids_in_order, sound_ids
from dlctl.data.conllu_source import chunks

_COMMENTS = re.compile(r"(?:#.*+\n)*+")
# A row and what is between it and the next: nothing, or a blank line and comments. Cells match ends of lines
# too, which is quicker; then there are fewer rows than lines.
_ANY, _LAST, _GAP = "[^\t]++", "[^\t\n]++", r"\n((?:\n(?:#.*+\n)*+)?+)"
_TEXT = f"({_ANY})\t"
_THREE = f"({_ANY}\t{_ANY}\t{_ANY})\t"
_BRIEF_ROWS = re.compile(_TEXT * 4 + f"{_ANY}\t" * 5 + _LAST + _GAP)
_WHOLE_ROWS = re.compile(f"{_TEXT * 3}{_THREE * 2}({_LAST}){_GAP}")


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

    reading.begin(raw)
    found = cut(reading, line, raw) if reading.names is COLUMNS else None
    if found is not None:
        # Who keeps sentences lets them forget where they came from.
        piece = found[0].piece
        assert piece is not None
        yield from found
        return line + piece.lines
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
    width = 8 if reading.typed else 6
    cells = (_WHOLE_ROWS if reading.typed else _BRIEF_ROWS).split(text[body:])
    gaps = cells[width - 1 :: width]
    lines = text.count("\n", body)
    if any(cells[::width]) or lines != len(gaps) + "".join(gaps).count("\n"):
        return None
    if not text.isascii() and "\ufffd" in text:
        return None
    ends = list(compress(range(1, len(gaps) + 1), gaps))
    lines += text.count("\n", 0, body)
    piece = Piece(Origin(reading, line, text), lines, cells, ends, width, whole=reading.typed)
    return _blocks(reading, piece, cells[1::width])


def _blocks(reading: Reading, piece: Piece, texts: list[str]) -> list[Block] | None:
    """The sentences of a piece by their ids; None if these are not in order."""
    found: list[Block] = []
    start = 0
    for end in piece.ends:
        plain, ids = counted(end - start)
        if texts[start:end] != plain:
            others = ids_in_order(texts[start:end])
            if others is None:
                return None
            ids = others
        block = Block(reading, ids)
        block.piece, block.start, block.end, block.number = piece, start, end, len(found)
        found.append(block)
        piece.ids.append(ids)
        start = end
    return found
