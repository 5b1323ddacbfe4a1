"""What stands in the cells of CoNLL-U: from text to values and back.

A treebank has few different cells among many, so every kind of cell remembers what it has read.
"""

import re
from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

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


class Known(Generic[Value]):
    """What the texts of cells are worth, read once for every text.

    Args:
        read: from text to value; raises CellError if it cannot.

    Attributes:
        values: by text, those that are known.
    """

    def __init__(self, read: Callable[[str], Value]) -> None:
        self._read = read
        self.values: dict[str, Value] = {}

    def __call__(self, text: str) -> Value:
        """What a text is worth.

        Raises:
            CellError: it cannot be read.
        """
        try:
            return self.values[text]
        except KeyError:
            self.learn((text,))
            return self.values[text]

    def learn(self, texts: Iterable[str]) -> None:
        """Read texts, all of which are known then.

        Raises:
            CellError: one cannot be read.
        """
        if len(self.values) >= _REMEMBERED:
            self.values.clear()
        for text in texts:
            if text not in self.values:
                self.values[text] = self._read(text)


class _Repeated(Misc):
    """MISC with lists, which copies must not share."""

    def copy(self) -> Misc:
        return {key: value.copy() if isinstance(value, list) else value for key, value in self.items()}


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
    return feats


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
    return deps


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
    return _Repeated(misc) if list in map(type, misc.values()) else misc


# What tokens hand out are copies of these, for they can be changed.
IDS, HEADS, FEATS, DEPS, MISC = Known(_id), Known(_head), Known(_feats), Known(_deps), Known(_misc)


def _tags(text: str) -> tuple[str, str, Feats]:
    upos, xpos, feats = text.split("\t")
    return upos, xpos, FEATS(feats)


def _relation(text: str) -> tuple[int | None, str, str, tuple[Head, str]]:
    head, deprel = text.split("\t")
    number = HEADS(head)
    # A relation with a bar would be two in DEPS.
    same = f"{head}:{deprel}" if number is not None and "|" not in deprel else ""
    return number, deprel, same, (number or 0, deprel)


# Columns that go together, read at once: from UPOS to FEATS; HEAD and DEPREL, with the DEPS that say the same
# and what these are worth.
TAGS, RELATIONS = Known(_tags), Known(_relation)


def read_id(text: str) -> Id:
    """The id of a word, of a multiword token or of an empty node.

    Raises:
        CellError: it is none of these.
    """
    return IDS(text)


def read_head(text: str) -> int | None:
    """The word that a word depends on, 0 for the root; None if it is not annotated.

    Raises:
        CellError: no number.
    """
    return HEADS(text)


def read_feats(text: str) -> Feats:
    """Features by name; several values of one stay one text with commas.

    Raises:
        CellError: an item that is no Name=Value, or a name that stands there twice.
    """
    return FEATS(text).copy()


def read_deps(text: str) -> Deps:
    """Enhanced dependencies: pairs of head and relation in the order of the file.

    Raises:
        CellError: an item without ":", without a relation or with a head that is no id.
    """
    return DEPS(text).copy()


def read_misc(text: str) -> Misc:
    """Items of MISC by key, in the order of the file."""
    return MISC(text).copy()
