"""What stands in the cells of CoNLL-U: from text to values and back.

A treebank has few different cells among many, so every kind of cell remembers what it has read.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

COLUMNS = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
Value = TypeVar("Value")
_REMEMBERED, _LONG = 1 << 16, 1 << 10
# A cell and the id after it that are longer are hardly ever seen twice.
SHORT = 24


class Span(NamedTuple):
    """The id of a multiword token: its first and its last word."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    # 3-4 and 3.4 can stand in one sentence, and pairs of the same numbers are the same.
    def __eq__(self, other: object) -> bool:
        return not isinstance(other, Empty) and tuple.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return tuple.__hash__(self)


class Empty(NamedTuple):
    """The id of an empty node: the word before it (0 before the first) and its number there."""

    after: int
    number: int

    def __str__(self) -> str:
        return f"{self.after}.{self.number}"

    def __eq__(self, other: object) -> bool:
        return not isinstance(other, Span) and tuple.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return tuple.__hash__(self)


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


def remember(known: dict[str, Value], text: str, value: Value) -> None:
    """Keep what a text is worth in a table, which never grows too large."""
    # Long texts are seldom seen twice, and many of them would fill the memory.
    if len(known) >= _REMEMBERED or len(text) > _LONG:
        known.clear()
    known[text] = value


class Remembered(dict[str, Value]):
    """A function of a cell's text as a table, which is filled when it is asked.

    Args:
        ask: the function. What it raises comes out of the table.
    """

    def __init__(self, ask: Callable[[str], Value]) -> None:
        super().__init__()
        self._ask = ask

    def __missing__(self, text: str) -> Value:
        value = self._ask(text)
        remember(self, text, value)
        return value


class OddDict(dict[str, Any]):
    """FEATS or MISC that stood in the file in another way than it would be written: it knows how."""

    __slots__ = ("text",)
    text: str

    def copy(self) -> "OddDict":
        """Another one, lists in it too."""
        items = ((key, each.copy() if isinstance(each, list) else each) for key, each in self.items())
        return _odd(OddDict, items, self.text)


class OddList(list[tuple[Head, str]]):
    """DEPS that stood in the file in another way than it would be written: it knows how."""

    __slots__ = ("text",)
    text: str

    def copy(self) -> "OddList":
        """Another one."""
        return _odd(OddList, self, self.text)


Odd = TypeVar("Odd", OddDict, OddList)


def _odd(kind: Callable[[Any], Odd], value: Any, text: str) -> Odd:
    found = kind(value)
    found.text = text
    return found


def dependency_order(dependency: tuple[Head, str]) -> tuple[tuple[int, int], str]:
    """Where one of DEPS is written: by head, then by relation."""
    head, relation = dependency
    return (head, 0) if isinstance(head, int) else head, relation


# Python converts no number of thousands of digits, and nobody has a sentence that long.
NUMBER = "[1-9][0-9]{0,17}"
_ID = re.compile(rf"({NUMBER})(?:-({NUMBER}))?|(0|{NUMBER})\.({NUMBER})")
_HEAD_TEXT = re.compile(rf"0|{NUMBER}")
FEATURE = re.compile(
    r"([A-Z][A-Za-z0-9]*(?:\[[a-z0-9]+\])?)=([A-Z0-9][A-Za-z0-9]*(?:,[A-Z0-9][A-Za-z0-9]*)*)"
)


def _id(text: str) -> Id:
    found = _ID.fullmatch(text)
    if found is None:
        raise CellError("invalid-word-id", "ID", f"expected an id like 3, 3-4 or 3.1, found {text!r}")
    first, last, after, number = found.groups()
    if after is not None:
        return Empty(int(after), int(number))
    return int(first) if last is None else Span(int(first), int(last))


def _head(text: str) -> int | None:
    if text == "_":
        return None
    if _HEAD_TEXT.fullmatch(text) is None:
        raise CellError("invalid-head", "HEAD", f"expected the id of a word or 0, found {text!r}")
    return int(text)


def _feats(text: str) -> Feats:
    feats: Feats = {}
    for item in [] if text == "_" else text.split("|"):
        found = FEATURE.fullmatch(item)
        if found is None:
            raise CellError("invalid-feature", "FEATS", f"expected Name=Value, found {item!r}")
        if found[1] in feats:
            raise CellError("repeated-feature", "FEATS", f"{found[1]} stands twice in {text!r}")
        feats[found[1]] = found[2]
    return feats if [*feats] == sorted(feats, key=str.lower) else _odd(OddDict, feats, text)


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
        if not relation:
            raise CellError("invalid-edeprel", "DEPS", f"expected HEAD:RELATION, found {item!r}")
        deps.append((found, relation))
    return deps if deps == sorted(deps, key=dependency_order) else _odd(OddList, deps, text)


def _misc(text: str) -> Misc:
    misc: Misc = {}
    for item in [] if text == "_" else text.split("|"):
        key, equals, rest = item.partition("=")
        value = rest if equals else None
        if key not in misc:
            misc[key] = value
            continue
        before = misc[key]
        if isinstance(before, list):
            before.append(value)
        else:
            misc[key] = [before, value]
    return _odd(OddDict, misc, text) if list in map(type, misc.values()) else misc


# What tokens hand out are copies of these, for they can be changed.
IDS, HEADS, FEATS = Remembered(_id), Remembered(_head), Remembered(_feats)
DEPS, MISC = Remembered(_deps), Remembered(_misc)


def read_id(text: str) -> Id:
    """The id of a word, of a multiword token or of an empty node.

    Raises:
        CellError: it is none of these.
    """
    return IDS[text]


def read_head(text: str) -> int | None:
    """The word that a word depends on, 0 for the root; None if it is not annotated.

    Raises:
        CellError: no number.
    """
    return HEADS[text]


def read_feats(text: str) -> Feats:
    """Features by name; several values of one stay one text with commas.

    Raises:
        CellError: an item that is no Name=Value, or a name that stands there twice.
    """
    return FEATS[text].copy()


def read_deps(text: str) -> Deps:
    """Enhanced dependencies: pairs of head and relation in the order of the file.

    Raises:
        CellError: an item without ":", without a relation or with a head that is no id.
    """
    return DEPS[text].copy()


def read_misc(text: str) -> Misc:
    """Items of MISC by key, in the order of the file."""
    return MISC[text].copy()
