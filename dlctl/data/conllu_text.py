"""Sentences for people: their text, tables of equal width, nothing in them that would steer a terminal."""

from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from dlctl.data.conllu_cells import COLUMNS, DEPS, FEATS, HEADS, CellError, Span
from dlctl.data.conllu_sentence import Sentence

# A line of texts, each with the style of a terminal that shows it.
Line = list[tuple[str, str]]
# What moves the cursor, starts a line or turns the direction of writing.
_UNSEEN = (*range(32), *range(127, 160), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_SHOWN = {code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in _UNSEEN}
_LONGEST = 24
_LINES = 20
_TITLES = {name: name.lower() for name in COLUMNS}
# What goes below its word where a terminal is too narrow, one group after the other.
_BELOW = (("FEATS", "DEPS", "MISC"), ("XPOS",), ("LEMMA",))
_STYLES = {"ID": "dim", "FORM": "bold", "UPOS": "green", "DEPREL": "cyan", "FEATS": "", "MISC": "dim"}


def clean(text: str) -> str:
    """Text that a terminal only shows."""
    return text if text.isprintable() else text.translate(_SHOWN)


def size(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii() or len(text) > 1000:
        return len(text)
    from rich.cells import cell_len

    return cell_len(clean(text))


def cell(text: str, width: int, *, cut: bool = False, right: bool = False) -> str:
    """A text of a width; a longer one is cut, or goes beyond it."""
    text = clean(text[: 4 * width + 4] if cut else text)
    room = width - size(text)
    if room < 0 and cut:
        from rich.cells import set_cell_size

        return set_cell_size(text, width - 1) + "…"
    return " " * room + text if right else text + " " * room


def plain(sentence: Sentence) -> str:
    """The text of a sentence: its comment ``text``, or its tokens with the spaces that SpaceAfter leaves."""
    if sentence.text:
        return sentence.text
    parts, last = [], 0
    for token in sentence.tokens:
        if token.is_empty or (isinstance(token.id, int) and token.id <= last):
            continue
        if isinstance(token.id, Span):
            last = token.id.last
        parts.append(token.form if token.misc.get("SpaceAfter") == "No" else f"{token.form} ")
    return "".join(parts).rstrip(" ")


def rows(sentence: Sentence) -> list[list[str]]:
    """The rows of a sentence as text; those cells that are more than text are looked at.

    One that cannot be read is told of, and "_" stands in for it.

    Raises:
        ConlluError: such a cell, if faults stop.
    """
    found, names = sentence.rows, sentence.columns
    tables: list[tuple[str, dict[str, Any]]] = [("FEATS", FEATS), ("HEAD", HEADS), ("DEPS", DEPS)]
    places = [(name, names.index(name), known) for name, known in tables if name in names]
    for number, row in enumerate(found):
        for name, at, known in places:
            try:
                known[row[at]]
            except CellError:
                if row[at] != "*" or names is COLUMNS:
                    sentence.tokens[number].get(name)
                    row[at] = "_"
    return found


def heading(sentence: Sentence, width: int | None = None) -> Iterator[Line]:
    """The name of a sentence, then its text; of that no more than a terminal of a width can show."""
    yield [(clean(sentence.sent_id or f"{sentence.file}:{sentence.line}"), "bold yellow")]
    text = clean(plain(sentence))
    most = len(text) if width is None else _LINES * width
    yield [(text if len(text) <= most else f"{text[: most - 1]}…", "")]


def table(sentence: Sentence, width: int | None = None) -> list[Line]:
    """The rows of a sentence under the names of those columns that hold something.

    Args:
        sentence: any.
        width: columns of the terminal; where they are too few, features and the like go below their word.
    """
    names = sentence.columns
    found = rows(sentence)
    used = [name for at, name in enumerate(names) if any(row[at] != "_" for row in found)]
    held = {name: names.index(name) for name in used}
    widths = {
        name: max(
            len(name), min(max(size(row[at]) for row in found), _LONGEST if name in ("FORM", "LEMMA") else 80)
        )
        for name, at in held.items()
    }
    below: list[str] = []
    for more in _BELOW:
        if width is not None and sum(widths[name] + 2 for name in used) - 2 > width:
            below += [name for name in used if name in more]
            used = [name for name in used if name not in more]
    indent = " " * (widths.get("ID", 0) + 2)
    lines: list[Line] = [_row([_TITLES.get(name, name) for name in used], used, widths, header=True)]
    for row in found:
        lines.append(_row([row[held[name]] for name in used], used, widths, cut=width is not None))
        told = "  ".join(clean(row[held[name]]) for name in names if name in below and row[held[name]] != "_")
        if told and width is not None:
            wrapped = wrap(
                told, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
            )
            lines += [[(line, "dim")] for line in wrapped]
    return lines


def _row(
    texts: list[str], names: list[str], widths: dict[str, int], *, header: bool = False, cut: bool = False
) -> Line:
    line: Line = []
    for text, name in zip(texts, names, strict=True):
        gap = "" if name == names[-1] else "  "
        style = "dim" if header else _STYLES.get(name, "")
        line.append((cell(text, widths[name], cut=cut, right=name == "HEAD") + gap, style))
    return line
