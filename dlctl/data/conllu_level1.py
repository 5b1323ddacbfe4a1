"""Level 1 of the rules of CoNLL-U: bytes, lines, columns and ids.

Each function looks at one sentence and appends to a list what it finds: the line, the column, the rule and
what is wrong. It returns whether more can be asked of the sentence; the order is udtools's.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from dlctl.data.conllu_cells import COLUMNS, CellError, Empty, Id, Span, read_id

Found = tuple[int, str | None, str, str]
# White space as Unicode defines it: Python's \s has four separators more.
BLANKS = "\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_BLANK = re.compile(f"[{BLANKS}]+")
_TWO_BLANKS = re.compile(f"[{BLANKS}]{{2}}")
_NO_BLANKS = frozenset(("ID", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS"))


def groups(lines: Iterable[str]) -> Iterator[list[str]]:
    """Lines up to a blank one, which is the last of its group."""
    group = []
    for line in lines:
        group.append(line)
        if not line or _BLANK.fullmatch(line):
            yield group
            group = []
    if group:
        yield group


def check_lines(lines: Sequence[str], start: int, found: list[Found], names: Sequence[str] = COLUMNS) -> bool:
    """Encoding, comments first, rows, and one blank line."""
    numbered = names[0] == "ID"
    in_rows, rows, ok = False, False, True
    for number, line in enumerate(lines, start):
        if not line.isascii():
            _check_characters(line, number, found)
        if line.startswith("#"):
            if in_rows:
                message = "a comment after the first row; comments stand before the rows"
                found.append((number, None, "misplaced-comment", message))
                ok = False
            continue
        in_rows = True
        if line[:1].isdigit():
            rows = True
        elif _is_blank(line):
            if line:
                found.append(
                    (number, None, "pseudo-empty-line", "a line of blanks only; expected an empty line")
                )
            if not rows:
                message = "a sentence without words; expected exactly one empty line after every sentence"
                found.append((number, None, "empty-sentence", message))
                ok = False
        elif not numbered:
            rows = True
        else:
            message = f"expected a line that starts with a digit or #, found {_short(line)!r}"
            if line.startswith("\ufeff"):
                message = "a byte order mark (U+FEFF); expected UTF-8 without one"
            found.append((number, None, "invalid-line", message))
            ok = False
    if not _is_blank(lines[-1]):
        message = "expected an empty line after the sentence, also after the last"
        found.append((start + len(lines) - 1, None, "missing-empty-line", message))
        ok = rows
    return ok


def _is_blank(line: str) -> bool:
    return not line or _BLANK.fullmatch(line) is not None


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


def _check_characters(line: str, number: int, found: list[Found]) -> None:
    if "\ufffd" in line:
        column = _column_at(line, line.index("\ufffd"))
        found.append(
            (number, column, "invalid-utf", "a byte that is no UTF-8, or U+FFFD in the place of one")
        )
    if not unicodedata.is_normalized("NFC", line):
        other = unicodedata.normalize("NFC", line)
        at = next((i for i, (a, b) in enumerate(zip(line, other, strict=False)) if a != b), len(other))
        message = f"not in Unicode's form NFC from U+{ord(line[at]):04X} on"
        found.append((number, _column_at(line, at), "unicode-normalization", message))


def _column_at(line: str, at: int) -> str | None:
    column = line.count("\t", 0, at)
    return COLUMNS[column] if not line.startswith("#") and column < len(COLUMNS) else None


def check_columns(
    rows: Sequence[list[str]], start: int, found: list[Found], names: Sequence[str] = COLUMNS
) -> bool:
    """The number of columns, and blanks in cells."""
    ok = True
    for number, row in enumerate(rows, start):
        if len(row) != len(names):
            message = f"expected {len(names)} columns with tabs between them, found {len(row)}"
            found.append((number, None, "number-of-columns", message))
            ok = False
        elif names is COLUMNS:
            _check_blanks(row, number, found)
        else:
            found += [
                (number, name, "empty-column", f"{name} is empty; an unknown value is _")
                for name, cell in zip(names, row, strict=True)
                if not cell
            ]
    return ok


def _check_blanks(row: list[str], number: int, found: list[Found]) -> None:
    multiword = isinstance(_id_or_none(row[0]), Span)
    for name, cell in zip(COLUMNS, row, strict=True):
        if multiword and name in ("FORM", "LEMMA") and _BLANK.search(cell):
            message = f"white space in a multiword token: {_short(cell)!r}"
            found.append((number, name, "invalid-whitespace-mwt", message))
        elif name in _NO_BLANKS and _BLANK.search(cell):
            found.append((number, name, "invalid-whitespace", f"white space in {name}: {_short(cell)!r}"))
        elif not cell:
            found.append((number, name, "empty-column", f"{name} is empty; an unknown value is _"))
        else:
            if cell[0].isspace():
                found.append((number, name, "leading-whitespace", f"{name} starts with white space"))
            if cell[-1].isspace():
                found.append((number, name, "trailing-whitespace", f"{name} ends with white space"))
            if _TWO_BLANKS.search(cell):
                message = f"several white spaces in a row in {name}: {_short(cell)!r}"
                found.append((number, name, "repeated-whitespace", message))


def _id_or_none(text: str) -> Id | None:
    try:
        return read_id(text)
    except CellError:
        return None


def check_ids(texts: Sequence[str], start: int, found: list[Found]) -> bool:
    """Ids one by one, then their sequence, then, of those that passed, how multiword tokens lie."""
    before = len(found)
    words: list[int] = []
    tokens: list[tuple[int, int, int]] = []
    current, empty = 0, 1
    for number, text in enumerate(texts, start):
        id_ = _id_or_none(text)
        if id_ is None:
            found.append(
                (
                    number,
                    "ID",
                    "invalid-word-id",
                    f"expected an id like 3, 3-4 or 3.1, found {_short(text)!r}",
                )
            )
        elif isinstance(id_, Empty):
            if id_ != (current, empty):
                message = f"empty node {id_} stands where {current}.{empty} is expected"
                found.append((number, "ID", "misplaced-empty-node", message))
            empty += 1
            if id_.after == current and tokens and id_.after < tokens[-1][0]:
                message = (
                    f"empty node {id_} must stand before the multiword token {tokens[-1][0]}-{tokens[-1][1]}"
                )
                found.append((number, "ID", "misplaced-empty-node", message))
        elif isinstance(id_, Span):
            empty = 1
            if words and id_.first <= words[-1]:
                message = f"{id_} must stand before its first word"
                found.append((number, "ID", "misplaced-word-interval", message))
            else:
                tokens.append((id_.first, id_.last, number))
        else:
            empty, current = 1, id_
            words.append(id_)
            if not (tokens and tokens[-1][0] <= id_ <= tokens[-1][1]):
                tokens.append((id_, id_, number))
    _check_sequence(words, tokens, start, found)
    if len(found) == before:
        _check_multiword(texts, start, found)
    return len(found) == before


def _check_sequence(
    words: list[int], tokens: list[tuple[int, int, int]], start: int, found: list[Found]
) -> None:
    wrong = next((i for i, word in enumerate(words, 1) if word != i), None)
    if wrong is not None:
        message = f"expected words 1, 2, 3 and so on, found {words[wrong - 1]} in the place of {wrong}"
        found.append((start, "ID", "word-id-sequence", message))
    for first, last, number in tokens:
        if last < first:
            message = f"{first}-{last} ends before it begins"
            found.append((number, "ID", "reversed-word-interval", message))
        elif last > len(words):
            what = f"{first}-{last}" if first != last else str(first)
            message = f"{what} goes beyond the last word, {len(words)}"
            found.append((number, "ID", "word-interval-out", message))


def _check_multiword(texts: Sequence[str], start: int, found: list[Found]) -> None:
    """That multiword tokens stand just before their first word and share none.

    Of a token that stands too early udtools says nothing.
    """
    covered = bytearray(len(texts) + 1)
    words = 0
    for number, text in enumerate(texts, start):
        id_ = read_id(text)
        words += isinstance(id_, int)
        if not isinstance(id_, Span):
            continue
        if id_.first != words + 1:
            message = f"{id_} must stand just before its first word"
            found.append((number, "ID", "misplaced-word-interval", message))
        if covered.find(1, id_.first, id_.last + 1) >= 0:
            message = f"{id_} has words that are part of another multiword token"
            found.append((number, "ID", "overlapping-word-intervals", message))
        covered[id_.first : id_.last + 1] = b"\1" * (id_.last - id_.first + 1)


def check_not_empty(ids: Iterable[Id], start: int, found: list[Found]) -> None:
    """That there is a word."""
    if not any(isinstance(id_, int) for id_ in ids):
        found.append((start, "ID", "empty-sentence", "a sentence of empty nodes without words"))
