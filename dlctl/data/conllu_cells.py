"""What stands in the cells of CoNLL-U: from text to values and back.

A treebank has few different cells among many, so every kind of cell remembers what it has read.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

COLUMNS = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
Value = TypeVar("Value")
# Cells that can be any text, like forms, would fill the memory of a long process.
_REMEMBERED = 1 << 16


class Span(NamedTuple):
    """The id of a multiword token: its first and its last word."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


class Empty(NamedTuple):
    """The id of an empty node: the word before it (0 before the first) and its number there."""

    after: int
    number: int

    def __str__(self) -> str:
        return f"{self.after}.{self.number}"


Id = int | Span | Empty
Head = int | Empty
Feats = dict[str, str]
Deps = list[tuple[Head, str]]
# A key without "=" has no value; one that stands there several times has a list of them.
Misc = dict[str, str | list[str | None] | None]


class CellError(ValueError):
    """A cell that cannot be read.

    Args:
        rule: the rule it breaks.
        column: the name of its column.
        message: what was expected, and what was found.
    """

    def __init__(self, rule: str, column: str, message: str) -> None:
        super().__init__(message)
        self.rule, self.column, self.message = rule, column, message


def remembered(read: Callable[[str], Value]) -> Callable[[str], Value]:
    """A function of a cell's text that works once for every text."""
    known: dict[str, Value] = {}

    def again(text: str) -> Value:
        try:
            return known[text]
        except KeyError:
            if len(known) >= _REMEMBERED:
                known.clear()
            value = known[text] = read(text)
            return value

    return again


# Python converts no number of thousands of digits, and nobody has a sentence that long.
_NUMBER = "[1-9][0-9]{0,17}"
_ID = re.compile(rf"({_NUMBER})(?:-({_NUMBER}))?|(0|{_NUMBER})\.({_NUMBER})")
_HEAD = re.compile(rf"0|{_NUMBER}")
_FEATURE = re.compile(
    r"([A-Z][A-Za-z0-9]*(?:\[[a-z0-9]+\])?)=([A-Z0-9][A-Za-z0-9]*(?:,[A-Z0-9][A-Za-z0-9]*)*)"
)


@remembered
def read_id(text: str) -> Id:
    """The id of a word, of a multiword token or of an empty node.

    Raises:
        CellError: it is none of these.
    """
    found = _ID.fullmatch(text)
    if found is None:
        raise CellError("invalid-word-id", "ID", f"expected an id like 3, 3-4 or 3.1, found {text!r}")
    first, last, after, number = found.groups()
    if after is not None:
        return Empty(int(after), int(number))
    return int(first) if last is None else Span(int(first), int(last))


@remembered
def read_head(text: str) -> int | None:
    """The word that a word depends on, 0 for the root; None if it is not annotated.

    Raises:
        CellError: no number.
    """
    if text == "_":
        return None
    if _HEAD.fullmatch(text) is None:
        raise CellError("invalid-head", "HEAD", f"expected the id of a word or 0, found {text!r}")
    return int(text)


@remembered
def _feats(text: str) -> Feats:
    feats: Feats = {}
    for item in [] if text == "_" else text.split("|"):
        found = _FEATURE.fullmatch(item)
        if found is None:
            raise CellError("invalid-feature", "FEATS", f"expected Name=Value, found {item!r}")
        if found[1] in feats:
            raise CellError("repeated-feature", "FEATS", f"{found[1]} stands twice in {text!r}")
        feats[found[1]] = found[2]
    return feats


def read_feats(text: str) -> Feats:
    """Features by name; several values of one stay one text with commas.

    Raises:
        CellError: an item that is no Name=Value, or a name that stands there twice.
    """
    return _feats(text).copy()


@remembered
def _deps(text: str) -> Deps:
    deps: Deps = []
    for item in [] if text == "_" else text.split("|"):
        head, colon, relation = item.partition(":")
        if not colon:
            raise CellError("invalid-deps", "DEPS", f"expected HEAD:RELATION, found {item!r}")
        try:
            found = 0 if head == "0" else read_id(head)
        except CellError:
            found = Span(0, 0)
        if isinstance(found, Span):
            raise CellError(
                "invalid-ehead", "DEPS", f"expected the id of a word or empty node, found {head!r}"
            )
        deps.append((found, relation))
    return deps


def read_deps(text: str) -> Deps:
    """Enhanced dependencies: pairs of head and relation in the order of the file.

    Raises:
        CellError: an item without ":" or with a head that is no id.
    """
    return _deps(text).copy()


@remembered
def _misc(text: str) -> Misc:
    misc: Misc = {}
    for item in [] if text == "_" else text.split("|"):
        key, equals, rest = item.partition("=")
        value = rest if equals else None
        if key not in misc:
            misc[key] = value
            continue
        before = misc[key]
        misc[key] = [*before, value] if isinstance(before, list) else [before, value]
    return misc


def read_misc(text: str) -> Misc:
    """Items of MISC by key, in the order of the file."""
    misc = _misc(text).copy()
    for key, value in misc.items():
        if isinstance(value, list):
            misc[key] = value.copy()
    return misc


def feats_text(feats: Feats) -> str:
    """Features as they are written: sorted by name whatever its case."""
    return "|".join(f"{name}={feats[name]}" for name in sorted(feats, key=str.lower)) or "_"


def deps_text(deps: Deps) -> str:
    """Enhanced dependencies as they are written: sorted by head, then by relation."""
    in_order = sorted(
        (head if isinstance(head, tuple) else (head, 0), head, relation) for head, relation in deps
    )
    return "|".join(f"{head}:{relation}" for _, head, relation in in_order) or "_"


def misc_text(misc: Misc) -> str:
    """Items of MISC as they are written, in the order they have."""
    items = [
        key if each is None else f"{key}={each}"
        for key, value in misc.items()
        for each in (value if isinstance(value, list) else [value])
    ]
    return "|".join(items) or "_"


def head_text(head: int | None) -> str:
    """A head as it is written."""
    return "_" if head is None else str(head)


# Column -> how its cells are read and written; those of the other columns stay text.
TYPED: dict[str, tuple[Callable[[str], Any], Callable[[Any], str]]] = {
    "FEATS": (read_feats, feats_text),
    "HEAD": (read_head, head_text),
    "DEPS": (read_deps, deps_text),
    "MISC": (read_misc, misc_text),
}
