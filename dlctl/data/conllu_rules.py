"""All faults of a treebank by the rules of Universal Dependencies, levels 1 and 2.

    for fault in validate("en_ewt-ud-dev.conllu"):
        print(fault)        # en_ewt-ud-dev.conllu:17: [unknown-upos] expected one of ADJ, ADP, ..., found 'Noun'

Rules, lines and order are those that udtools prints; what it cannot read at all is a fault here.
"""

from collections.abc import Iterator, Sequence
from typing import IO

from dlctl.data.conllu_blocks import plus_columns
from dlctl.data.conllu_cells import COLUMNS
from dlctl.data.conllu_level1 import (
    BLANKS,
    Found,
    check_columns,
    check_ids,
    check_lines,
    check_overlaps,
    groups,
)
from dlctl.data.conllu_source import Source, chunks, open_all
from dlctl.errors import Diagnostic, NotFoundError

__all__ = ["Treebank", "validate"]


class Treebank:
    """What the sentences of one treebank must have in common, also over several files."""


def validate(source: Source, level: int = 2, *, treebank: Treebank | None = None) -> Iterator[Diagnostic]:
    """All faults and warnings of a treebank, in the order of its sentences; never raises one.

    Args:
        source: a path, "-" for standard input, a file object or bytes; packed or not.
        level: 1 for bytes, lines, columns and ids; 2 for the annotation too.
        treebank: what is known from the files before this one, if they are one treebank.

    Raises:
        NotFoundError: the source is not there or cannot be read.
    """
    treebank = Treebank() if treebank is None else treebank
    try:
        for name, stream in open_all(source):
            yield from _file(name, stream, level, treebank)
    except NotFoundError as error:
        # Bytes are always there: their packing is what is wrong.
        if not isinstance(source, bytes):
            raise
        yield Diagnostic("<bytes>", 1, None, "unreadable", str(error))


def _file(name: str, stream: IO[bytes], level: int, treebank: Treebank) -> Iterator[Diagnostic]:
    line, rest, returns, names = 1, "", False, COLUMNS
    for piece in chunks(name, stream):
        text = piece.decode(errors="replace")
        if "\r" in text:
            returns, text = True, text.replace("\r\n", "\n").replace("\r", "\n")
        *parts, rest = (rest + text).split("\n\n")
        for part in parts:
            names = plus_columns(part) if line == 1 else names
            for found in _faults([*part.split("\n"), ""], line, names, level, treebank):
                yield Diagnostic(name, *found)
            line += part.count("\n") + 2
    if rest:
        names = plus_columns(rest) if line == 1 else names
        lines = rest.removesuffix("\n").split("\n")
        for found in _faults(lines, line, names, level, treebank):
            yield Diagnostic(name, *found)
        line += len(lines)
    if returns:
        message = "expected lines that end with LF only, found carriage returns in the file"
        yield Diagnostic(name, line - 1, None, "non-unix-newline", message)


def _faults(
    lines: Sequence[str], start: int, names: tuple[str, ...], level: int, treebank: Treebank
) -> Iterator[Found]:
    for group in groups(lines):
        found: list[Found] = []
        _check(group, start, names, level, treebank, found)
        yield from found
        start += len(group)


def _check(
    lines: Sequence[str],
    start: int,
    names: tuple[str, ...],
    level: int,
    treebank: Treebank,
    found: list[Found],
) -> None:
    if not check_lines(lines, start, found):
        return
    first = next(at for at, line in enumerate(lines) if not line.startswith("#"))
    end = len(lines) if lines[-1].strip(BLANKS) else len(lines) - 1
    rows = [line.split("\t") for line in lines[first:end]]
    if not check_columns(rows, start + first, found, names) or "ID" not in names:
        return
    ids = [row[names.index("ID")] for row in rows]
    if not check_ids(ids, start + first, found) or not check_overlaps(ids, start + first, found):
        return
