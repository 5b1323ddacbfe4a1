"""A token: the cells of a row, read when they are asked for, changed, and text again."""

from collections.abc import Iterable, Sequence
from typing import Any

from dlctl.data.conllu_blocks import Block, Origin
from dlctl.data.conllu_cells import (
    COLUMNS,
    CellError,
    Deps,
    Empty,
    Feats,
    Id,
    Misc,
    Span,
)
from dlctl.data.conllu_reading import Reading
from dlctl.data.conllu_written import TYPED

# Attribute -> the column that it is read from when it is asked for.
_LATER = {name.lower(): name for name in ("XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")}
_NOTHING: dict[str, Any] = {"FEATS": {}, "HEAD": None, "DEPS": []}


class Token:
    """A row: a word, a multiword token or an empty node.

    Cells are read when they are asked for, and can be changed in place.

    Args:
        id: 3 for a word, ``Span(3, 4)`` for a multiword token, ``Empty(3, 1)`` for an empty node.
        form: what stands in the text; likewise the others, by the names of their columns.

    Attributes:
        form, lemma, upos, xpos, deprel: texts, "_" where nothing is known.
        feats: the features: ``{"Case": "Nom", "Number": "Sing"}``.
        head: the id of the word that this one depends on, 0 at the root; None if there is none.
        deps: the enhanced dependencies: ``[(2, "nsubj"), (Empty(8, 1), "conj")]``.
        misc: ``{"SpaceAfter": "No"}``; None for a key without "=", a list for a key that is repeated.

    Raises:
        ConlluError: by an attribute whose cell cannot be read, if faults stop the reading.
    """

    __slots__ = ("_block", "_later", "_row", "form", "id", "lemma", "upos")
    id: Id
    form: str
    lemma: str
    upos: str
    xpos: str
    feats: Feats
    head: int | None
    deprel: str
    deps: Deps
    misc: Misc
    # The number of the row that was read.
    _row: int
    # Where it was read: its sentence alone, or cut up with others.
    _block: Block | Origin | None
    # What was asked for or set, by attribute; and by column what stands in for a cell that cannot be read.
    _later: dict[str, Any] | None

    def __init__(self, id: Id, form: str = "_", **cells: Any) -> None:
        self.id, self._row, self._block, self._later = id, 0, None, None
        self.form, self.lemma, self.upos = form, "_", "_"
        for name, value in cells.items():
            self.set(name, value)

    @property
    def more(self) -> dict[str, str] | None:
        """The other columns of CoNLL-U Plus, by name."""
        return self._later.get("more") if self._later else None

    def _ask(self, name: str) -> Any:
        """A cell, read the first time that it is asked for."""
        if self._later is None:
            self._later = {}
        elif name in self._later:
            return self._later[name]
        if self._block is not None:
            self._block.reading.typed = True
        column = _LATER[name]
        try:
            value = self._value(column, self._text(column))
        except CellError as error:
            # A fault is told of once; then reading goes on with nothing in its place.
            assert self._block is not None  # without it there is no cell
            self._block.reading.tell(self._block.line_of(self._row), error.column, error.rule, error.message)
            nothing = _NOTHING[column]
            value = self._later[column] = None if nothing is None else nothing.copy()
        self._later[name] = value
        return value

    def _put(self, name: str, value: Any) -> None:
        if self._later is None:
            self._later = {}
        self._later[name] = value
        self._later.pop(_LATER[name], None)

    def _text(self, column: str) -> str:
        """A cell as it was read."""
        names = self._names()
        if self._block is None or column not in names:
            return "_"
        return self._block.row(self._row)[names.index(column)]

    def _value(self, column: str, text: str) -> Any:
        """What a cell's text is worth."""
        if column not in TYPED:
            return text
        # CoNLL-U Plus has a sign of its own for what is known to be empty.
        return TYPED[column][0]("_" if text == "*" and self._names() is not COLUMNS else text)

    def _names(self) -> tuple[str, ...]:
        if self._block is not None:
            return self._block.reading.names
        return (*COLUMNS, *self.more) if self.more else COLUMNS

    @property
    def is_word(self) -> bool:
        """Whether this is a word, with a whole number as its id."""
        return type(self.id) is int

    @property
    def is_multiword(self) -> bool:
        """Whether this is a token of several words."""
        return isinstance(self.id, Span)

    @property
    def is_empty(self) -> bool:
        """Whether this is an empty node of the enhanced dependencies."""
        return isinstance(self.id, Empty)

    def get(self, name: str) -> Any:
        """The value in a column by its name: ``token.get("upos")``.

        Raises:
            KeyError: there is no such column.
        """
        if name.upper() in COLUMNS:
            return getattr(self, name.lower())
        return (self.more or {})[name]

    def set(self, name: str, value: Any) -> None:
        """Change the value in a column by its name: ``token.set("xpos", "NN")``.

        The text of a cell is taken for every column, and read when it is asked for.

        Raises:
            KeyError: there is no such column.
        """
        column = name.upper()
        if column not in COLUMNS:
            if self._block is not None and name not in (self.more or {}):
                raise KeyError(name)
            self._later = {**(self._later or {}), "more": {**(self.more or {}), name: value}}
            return
        if column not in self._names():
            raise KeyError(name)
        if column in TYPED and isinstance(value, str):
            value = self._read_text(column, value)
        setattr(self, column.lower(), value)

    __getitem__, __setitem__ = get, set

    def _read_text(self, column: str, text: str) -> Any:
        """A text for a cell as a value; as it is, if it cannot be read."""
        try:
            return self._value(column, text)
        except CellError:
            return text

    def cells(self, names: Sequence[str] = COLUMNS) -> list[str]:
        """The row as text, cell by cell; what was not changed is as it was read.

        Raises:
            ValueError: a value that no cell can hold, such as "" or a text with a tab or the end of a line.
        """
        if names is not COLUMNS or self.more:
            self._refuse_others(names)
        texts = []
        for name in names:
            text = self._written(name)
            if not text or "\t" in text or "\n" in text or "\r" in text or "\ufffd" in text:
                raise ValueError(f"{text!r} cannot stand in {name} of token {self.id}")
            texts.append(text)
        if texts[0].startswith("#"):
            raise ValueError(f"{texts[0]!r} would begin a comment, not token {self.id}")
        return texts

    def _refuse_others(self, names: Sequence[str]) -> None:
        """Nothing may be lost with a column that is not written."""
        for name in (*COLUMNS[1:], *(self.more or ())):
            if name not in names and (text := self._written(name)) not in ("_", "*"):
                raise ValueError(f"there is no column {name} for {text!r} of token {self.id}")

    def _written(self, name: str) -> str:
        """A cell as text."""
        if name == "ID":
            return str(self.id)
        if name not in COLUMNS:
            return (self.more or {}).get(name, "_")
        value = self._now(name)
        if value is _UNREAD:
            return self._text(name)
        if isinstance(value, str):
            return value
        try:
            return self._typed_text(name, value)
        except (AttributeError, KeyError, TypeError):
            raise ValueError(f"{value!r} cannot stand in {name} of token {self.id}") from None

    def _now(self, column: str) -> Any:
        """The value in a column, if it was read or set."""
        if column in _LATER.values():
            return (self._later or {}).get(column.lower(), _UNREAD)
        return getattr(self, column.lower())

    def _typed_text(self, name: str, value: Any) -> str:
        unreadable = self._later is not None and name in self._later
        if not value and (unreadable or (self._names() is not COLUMNS and self._text(name) == "*")):
            return self._text(name)
        read, write = TYPED[name]
        text: str | None = getattr(value, "text", None)
        return text if text is not None and _same(read(text), value) else write(value)

    def __str__(self) -> str:
        return "\t".join(self.cells(self._names()))

    def __repr__(self) -> str:
        return f"<Token {self.id} {self.form!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        names = self._names()
        cells = self.cells(names)
        if self._block is None:
            return _again, (self.id, names, cells)
        reading, line = self._block.reading, self._block.line_of(self._row)
        return _read_again, (reading.file, reading.strict, names, line, self.id, cells)


_UNREAD = object()


def _later(name: str) -> property:
    return property(lambda token: token._ask(name), lambda token, value: token._put(name, value))


for _name in _LATER:
    setattr(Token, _name, _later(_name))


def _same(before: Any, value: Any) -> bool:
    """Whether a value is still what stood in the text."""
    return bool(before == value) and (not isinstance(value, dict) or list(before) == list(value))


def _again(id_: Id, names: Sequence[str], cells: Iterable[str]) -> Token:
    """A token that was made, copied or sent to another process."""
    token = Token(id_)
    for name, cell in zip(names, cells, strict=True):
        if name != "ID":
            token.set(name, cell)
    return token


def _read_again(
    file: str, strict: bool, names: tuple[str, ...], line: int, id_: Id, cells: Sequence[str]
) -> Token:
    """A token that was read, copied or sent to another process; faults in it are told as before."""
    from dlctl.data.conllu_rows import lazy_tokens

    reading = Reading(file, strict)
    reading.take_names(names)
    return lazy_tokens(Block.of_lines(reading, line, ["\t".join(cells)], [id_]))[0]
