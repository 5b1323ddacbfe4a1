"""A token: the cells of a row, read when they are asked for, changed, and text again."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import count, repeat
from typing import Any

from dlctl.data.conllu_blocks import Block, Piece
from dlctl.data.conllu_cells import (
    COLUMNS,
    MISC,
    SYNTAX,
    TAGS,
    TYPED,
    CellError,
    Deps,
    Empty,
    Feats,
    Id,
    Misc,
    Span,
)

# Attribute -> the column that it is read from when it is asked for.
_COLUMN = {name.lower(): name for name in COLUMNS if name != "ID"}
_NOTHING: dict[str, Any] = {"FEATS": {}, "HEAD": None, "DEPS": [], "MISC": {}}


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
        more: the other columns of CoNLL-U Plus, by name.

    Raises:
        ConlluError: by an attribute whose cell cannot be read, if faults stop the reading.
    """

    __slots__ = (
        "_block", "_row", "_told", "deprel", "deps", "feats", "form", "head", "id", "lemma", "misc", "more",
        "upos", "xpos",
    )  # fmt: skip
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
    more: dict[str, str] | None
    # The number of the row that was read; or a row with what was set as text and is not read yet.
    _row: int | tuple[str, ...]
    _block: Block | None
    _told: dict[str, Any] | None

    def __init__(self, id: Id, form: str = "_", **cells: Any) -> None:
        self.id = id
        self.form = form
        self.lemma = self.upos = self.xpos = self.deprel = "_"
        self.feats, self.head, self.deps, self.misc = {}, None, [], {}
        self.more = self._block = None
        self._row = 0
        for name, value in cells.items():
            self.set(name, value)

    def __getattr__(self, name: str) -> Any:
        """What is asked for the first time."""
        if name in ("more", "_told"):
            return None
        column = _COLUMN.get(name)
        if column is None:
            raise AttributeError(f"a token has no {name!r}", name=name, obj=self)
        if self._told is not None and name in self._told:
            return self._told[name]
        if self._block is not None:
            self._block.reading.typed = True
        text = self._text(column)
        try:
            value = self._value(column, text)
        except CellError as error:
            return self._at_fault(name, error)
        setattr(self, name, value)
        return value

    def _at_fault(self, name: str, error: CellError) -> Any:
        """Tell of a cell that cannot be read, once; what to go on with if that does not stop."""
        if self._block is None or not isinstance(self._row, int):
            raise error
        self._block.fault(self._row, error)
        nothing = _NOTHING[_COLUMN[name]]
        instead = None if nothing is None else nothing.copy()
        self._told = {**(self._told or {}), name: instead}
        if instead is not None:
            setattr(self, name, instead)
        return instead

    def _text(self, column: str) -> str:
        """A cell as it was read."""
        cells, names = self._cells(), self._names()
        return cells[names.index(column)] if column in names else "_"

    def _value(self, column: str, text: str) -> Any:
        """What a cell's text is worth."""
        if column not in TYPED:
            return text
        # CoNLL-U Plus has a sign of its own for what is known to be empty.
        return TYPED[column][0]("_" if text == "*" and self._names() is not COLUMNS else text)

    def _cells(self) -> Sequence[str]:
        """The row as it was read."""
        if isinstance(self._row, tuple):
            return self._row
        return ("_",) * len(COLUMNS) if self._block is None else self._block.rows()[self._row]

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
        if column in COLUMNS and column not in self._names():
            raise KeyError(name)
        if column in TYPED and isinstance(value, str):
            self._set_text(column, value)
        elif column in COLUMNS:
            setattr(self, column.lower(), value)
        elif self._block is None or name in (self.more or {}):
            self.more = {**(self.more or {}), name: value}
        else:
            raise KeyError(name)

    __getitem__, __setitem__ = get, set

    def _set_text(self, column: str, text: str) -> None:
        row = list(self._cells())
        row[self._names().index(column)] = text
        self._row = tuple(row)
        with suppress(AttributeError):
            delattr(self, column.lower())

    def cells(self, names: Sequence[str] = COLUMNS) -> list[str]:
        """The row as text, cell by cell; what was not changed is as it was read.

        Raises:
            ValueError: a value that no cell can hold, such as "" or a text with a tab or the end of a line.
        """
        texts = []
        for name in names:
            text = self._written(name)
            if not text or "\t" in text or "\n" in text or "\r" in text or "\ufffd" in text:
                raise ValueError(f"{text!r} cannot stand in {name} of token {self.id}")
            texts.append(text)
        return texts

    def _written(self, name: str) -> str:
        """A cell as text."""
        if name == "ID":
            return str(self.id)
        if name not in COLUMNS:
            return (self.more or {}).get(name, "_")
        try:
            value = _SLOTS[name].__get__(self, Token)
        except AttributeError:
            return self._text(name)
        return value if isinstance(value, str) else self._typed_text(name, value)

    def _typed_text(self, name: str, value: Any) -> str:
        before = self._text(name)
        if self._told and not value and self._told.get(name.lower()) is value:
            return before
        with suppress(CellError):
            if _same(self._value(name, before), value):
                return before
        return TYPED[name][1](value)

    def __str__(self) -> str:
        return "\t".join(self.cells(self._names()))

    def __repr__(self) -> str:
        return f"<Token {self.id} {self.form!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        names = self._names()
        return _again, (self.id, names, self.cells(names), self.more)


_SLOTS: dict[str, Any] = {column: Token.__dict__[name] for name, column in _COLUMN.items()}


def _same(before: Any, value: Any) -> bool:
    """Whether a value is still what stood in the text."""
    return bool(before == value) and (not isinstance(value, dict) or list(before) == list(value))


def _again(id_: Id, names: Sequence[str], cells: Iterable[str], more: dict[str, str] | None) -> Token:
    """A token that was copied or sent to another process."""
    token = Token(id_)
    token.more = more
    for name, cell in zip(names, cells, strict=True):
        if name in _COLUMN:
            token.set(name, cell)
    return token


def tokens_of(block: Block) -> list[Token]:
    """The tokens of a sentence."""
    piece = block.piece
    if piece is None and block.reading.names is COLUMNS:
        piece = block.cut_alone()
    if piece is None:
        return _lazy_tokens(block)
    if not piece.whole:
        return _brief_tokens(block, piece)
    try:
        return _typed_tokens(block, piece)
    except CellError:
        # Its token tells of it, when it is asked for the cell.
        return _lazy_tokens(block)


def _new_tokens(block: Block) -> list[Token]:
    return list(map(Token.__new__, repeat(Token, len(block.ids()))))


def _lazy_tokens(block: Block) -> list[Token]:
    tokens, names = _new_tokens(block), block.reading.names
    more = [(at, name) for at, name in enumerate(names) if name not in COLUMNS]
    token: Token
    for token, token.id, token._row, row in zip(tokens, block.ids(), count(), block.rows(), strict=False):
        token._block = block
        token.more = {name: row[at] for at, name in more} if more else None
    return tokens


def _brief_tokens(block: Block, piece: Piece) -> list[Token]:
    """Form, lemma and UPOS; the others when they are asked for."""
    tokens = _new_tokens(block)
    columns = [piece.column(at, block.start, block.end) for at in (1, 2, 3)]
    # Where a loop's targets are attributes nothing is named twice: here is where the time goes.
    token: Token
    for token, token.id, token._row, token.form, token.lemma, token.upos in zip(
        tokens, block.ids(), count(), *columns, strict=False
    ):
        token._block = block
    return tokens


def _typed_tokens(block: Block, piece: Piece) -> list[Token]:
    """Everything.

    Raises:
        CellError: a cell cannot be read.
    """
    tokens = _new_tokens(block)
    columns = [piece.column(at, block.start, block.end) for at in range(1, 6)]
    try:
        _fill(tokens, block, columns)
    except KeyError:
        for known, texts in ((TAGS, columns[2]), (SYNTAX, columns[3]), (MISC, columns[4])):
            known.learn(texts)
        _fill(tokens, block, columns)
    return tokens


def _fill(tokens: list[Token], block: Block, columns: list[list[str]]) -> None:
    tags_of, syntax_of, misc_of = TAGS.values, SYNTAX.values, MISC.values
    token: Token
    for token, token.id, token._row, token.form, token.lemma, tags, syntax, misc in zip(
        tokens, block.ids(), count(), *columns, strict=False
    ):
        token._block = block
        token.upos, token.xpos, feats = tags_of[tags]
        token.feats = feats.copy() if feats else {}
        token.head, token.deprel, deps = syntax_of[syntax]
        token.deps = [deps[0]] if len(deps) == 1 else [*deps]
        token.misc = {} if misc == "_" else misc_of[misc].copy()
