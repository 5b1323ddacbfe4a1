"""The slow way through a treebank that is not as it must be: which line is wrong, and what can be read."""

from collections.abc import Iterable, Iterator
from itertools import chain

from dlctl.data.conllu_blocks import Block
from dlctl.data.conllu_cells import COLUMNS, read_id
from dlctl.data.conllu_ids import sound_ids
from dlctl.data.conllu_level1 import (
    Found,
    check_columns,
    check_ids,
    check_lines,
    check_not_empty,
)
from dlctl.data.conllu_reading import Reading
from dlctl.data.conllu_written import is_blank

# What validation tells of and what hinders nobody from reading.
_HARMLESS = frozenset(
    (
        "invalid-whitespace",
        "invalid-whitespace-mwt",
        "leading-whitespace",
        "repeated-whitespace",
        "trailing-whitespace",
        "unicode-normalization",
    )
)
# What must be told of, and still lets the sentence be read.
_READABLE = frozenset(("missing-empty-line", "pseudo-empty-line"))


def repaired(reading: Reading, line: int, begun: bytes, pieces: Iterable[bytes] = ()) -> Iterator[Block]:
    """The sentences that can be read; all faults of the others.

    Args:
        reading: the file.
        line: the number of the first line.
        begun: what has been read already.
        pieces: the rest of the file.
    """
    carriage_return = False
    for raw in _raw_groups(chain((begun,), pieces)):
        lines = [_decoded(each) for each in raw]
        reading.begin(raw[0])
        returns = [number for number, each in enumerate(raw, line) if b"\r" in each[-2:]]
        if returns and not carriage_return:
            carriage_return = True
            message = "expected lines that end with LF, found a carriage return"
            reading.tell(returns[0], None, "non-unix-newline", message)
        found = [each for each in check_reading(lines, line, reading.names) if each[2] not in _HARMLESS]
        for each in found:
            reading.tell(*each)
        if all(each[2] in _READABLE for each in found):
            block = block_of(reading, line, lines[:-1] if not lines[-1].strip() else lines)
            if block is not None:  # comments at the end of a file are no sentence
                original = b"".join(raw).decode()
                block.original = original if original != f"{block.text}\n\n" else None
                yield block
        line += len(raw)


def block_of(reading: Reading, line: int, lines: list[str]) -> Block | None:
    """A sentence of lines, if nothing hinders reading them."""
    ids = sound_ids([each.split("\t") for each in lines if not each.startswith("#")], reading.names)
    return None if ids is None else Block.of_lines(reading, line, lines, ids)


def check_reading(lines: list[str], start: int, names: tuple[str, ...] = COLUMNS) -> list[Found]:
    """All faults of lines; if there are none those of columns, then those of ids."""
    found: list[Found] = []
    if not check_lines(lines, start, found, names):
        return found
    first = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    end = len(lines) if lines[-1].strip() else len(lines) - 1
    rows = [line.split("\t") for line in lines[first:end]]
    if check_columns(rows, start + first, found, names) and "ID" in names:
        at = names.index("ID")
        ids = [row[at] for row in rows]
        if check_ids(ids, start + first, found):
            check_not_empty(map(read_id, ids), start + first, found)
    return found


def _raw_groups(pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Lines with their ends, up to a blank one."""
    group: list[bytes] = []
    for piece in pieces:
        for raw in piece.splitlines(keepends=True):
            group.append(raw)
            if is_blank(raw):
                yield group
                group = []
    if group:
        yield group


def _decoded(raw: bytes) -> str:
    return raw.rstrip(b"\r\n").decode(errors="replace")
