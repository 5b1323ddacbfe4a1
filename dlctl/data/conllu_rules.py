"""All faults of a treebank by the rules of Universal Dependencies, levels 1 and 2.

    for fault in validate("en_ewt-ud-dev.conllu"):
        print(fault)  # en_ewt-ud-dev.conllu:17: [head-self-loop] word 3 is its own head

Rules, lines and order are those that udtools prints; what it cannot read at all is a fault here.
"""

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import IO

from dlctl.data.conllu_cells import COLUMNS, read_id
from dlctl.data.conllu_checks import SPACES, WARNINGS
from dlctl.data.conllu_clean import quick, sound
from dlctl.data.conllu_level1 import (
    Found,
    check_columns,
    check_ids,
    check_lines,
    check_not_empty,
    groups,
)
from dlctl.data.conllu_metadata import (
    Treebank,
    check_all_or_none,
    check_comments,
    compare_text,
    read_comments,
)
from dlctl.data.conllu_plus import check_names, ten_cells
from dlctl.data.conllu_reading import plus_columns
from dlctl.data.conllu_source import Source, chunks, open_all
from dlctl.data.conllu_tree import Rows, check_cells, check_graph, check_references, check_tree, is_enhanced
from dlctl.errors import Diagnostic, NotFoundError

__all__ = ["Treebank", "validate"]


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
    line, returns = 1, False
    rest: list[str] = []
    names: tuple[str, ...] = COLUMNS
    for piece in chunks(name, stream):
        text = piece.decode(errors="replace")
        if "\r" in text:
            returns, text = True, text.replace("\r\n", "\n").replace("\r", "\n")
        rest.append(text)
        # A sentence of many pieces is put together once, when its end is there.
        if "\n\n" not in text and not text.startswith("\n"):
            continue
        *parts, last = "".join(rest).split("\n\n")
        rest = [last]
        for part in parts:
            names = plus_columns(part) if line == 1 else names
            for each in _sentence(part, line, names, level, treebank):
                yield Diagnostic(name, *each, warning=each[2] in WARNINGS)
            line += part.count("\n") + 2
    if any(rest):
        lines = "".join(rest).removesuffix("\n").split("\n")
        names = plus_columns(lines[0]) if line == 1 else names
        for each in _slow(lines, line, names, level, treebank):
            yield Diagnostic(name, *each, warning=each[2] in WARNINGS)
        line += len(lines)
    if returns:
        message = "expected lines that end with LF only, found carriage returns in the file"
        yield Diagnostic(name, line - 1, None, "non-unix-newline", message)


def _sentence(text: str, line: int, names: tuple[str, ...], level: int, treebank: Treebank) -> list[Found]:
    """What is wrong with lines that end with a blank one; columns as a whole first, as most are clean."""
    sentence = sound(text) if names is COLUMNS else None
    if sentence is None:
        return _slow([*text.split("\n"), ""], line, names, level, treebank)
    if level < 2:
        return []
    line += len(sentence.comments)
    found = quick(sentence, line, treebank)
    if found is None:
        found = []
        _level2(sentence.rows(line), treebank, found)
    return found


def _slow(
    lines: Sequence[str], start: int, names: tuple[str, ...], level: int, treebank: Treebank
) -> list[Found]:
    """What is wrong, row by row, with lines that are one sentence or, with odd blank lines, several."""
    found = check_names(names) if start == 1 and names is not COLUMNS else []
    names = names or COLUMNS
    for group in groups(lines):
        rows = _level1(group, start, names, found)
        if rows is not None and level >= 2:
            _level2(rows, treebank, found)
        if rows is not None:
            check_not_empty(rows.ids, rows.first, found)
        start += len(group)
    return found


def _level1(lines: Sequence[str], start: int, names: tuple[str, ...], found: list[Found]) -> Rows | None:
    """What level 1 finds; the rows, if level 2 can look at them."""
    if not check_lines(lines, start, found, names):
        return None
    comments = list(takewhile(lambda line: line.startswith("#"), lines))
    first = start + len(comments)
    end = len(lines) if lines[-1].strip(SPACES) else len(lines) - 1
    rows = [line.split("\t") for line in lines[len(comments) : end]]
    if not check_columns(rows, first, found, names) or "ID" not in names:
        return None
    texts = [row[names.index("ID")] for row in rows]
    if not check_ids(texts, first, found):
        return None
    ids = [read_id(text) for text in texts]
    if names is COLUMNS:
        return Rows(comments, ids, rows, first)
    return Rows(comments, ids, ten_cells(rows, names, ids), first, {"FORM", "MISC"} <= set(names))


def _level2(rows: Rows, treebank: Treebank, found: list[Found]) -> None:
    """What level 2 finds; it stops where the rest would be nonsense."""

    def compare(text: str) -> None:
        if rows.spaced:
            compare_text(text, rows, treebank, found)

    if check_references(rows, found) and check_tree(rows, found) and check_cells(rows, found):
        check_all_or_none(is_enhanced(rows), rows.first, treebank, found)
        check_comments(read_comments(rows.comments), rows.first, treebank, found, compare)
        check_graph(rows, found)
