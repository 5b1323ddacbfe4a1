"""A token: the cells of a row, read when they are asked for, changed, and text again."""

from collections.abc import Sequence
from typing import Any

from dlctl.data.conllu_blocks import Block
from dlctl.data.conllu_cells import (
    COLUMNS,
    TYPED,
    CellError,
    Deps,
    Empty,
    Feats,
    Id,
    Misc,
    Span,
    read_deps,
    read_feats,
    read_head,
    read_misc,
)

_TEXT = {name: name.lower() for name in COLUMNS if name != "ID"}


class Token:
    """A row: a word, a multiword token or an empty node.

    FORM, LEMMA, UPOS, XPOS and DEPREL are texts, "_" where nothing is known. What the other columns hold
    is read when it is asked for, and can be changed in place.

    Args:
        id: 3 for a word, ``Span(3, 4)`` for a multiword token, ``Empty(3, 1)`` for an empty node.
        form: what stands in the text; likewise the others, by the names of their columns.
    """

    __slots__ = (
        "_block", "_deps", "_feats", "_head", "_misc", "_row", "deprel", "form", "id", "lemma", "more",
        "upos", "xpos",
    )  # fmt: skip

    def __init__(self, id: Id, form: str = "_", **cells: Any) -> None:
        self.id = id
        self.form = form
        self.lemma = self.upos = self.xpos = self.deprel = "_"
        self._feats: Feats | str = "_"
        self._head: int | str | None = None
        self._deps: Deps | str = "_"
        self._misc: Misc | str = "_"
        self._row: Sequence[str] | None = None
        self._block: Block | None = None
        self.more: dict[str, str] | None = None
        for name, value in cells.items():
            self.set(name, value)

    @property
    def feats(self) -> Feats:
        """The features: ``{"Case": "Nom", "Number": "Sing"}``."""
        if type(self._feats) is str:
            try:
                self._feats = read_feats(self._feats)
            except CellError as error:
                self._feats = self._at_fault(error, {})
        return self._feats  # type: ignore[return-value]

    @feats.setter
    def feats(self, value: Feats | str) -> None:
        self._feats = value

    @property
    def head(self) -> int | None:
        """The id of the word that this one depends on, 0 at the root; None if there is none."""
        if type(self._head) is str:
            try:
                self._head = read_head(self._head)
            except CellError as error:
                self._head = self._at_fault(error, None)
        return self._head  # type: ignore[return-value]

    @head.setter
    def head(self, value: int | str | None) -> None:
        self._head = value

    @property
    def deps(self) -> Deps:
        """The enhanced dependencies: ``[(2, "nsubj"), (Empty(8, 1), "conj")]``."""
        if type(self._deps) is str:
            try:
                self._deps = read_deps(self._deps)
            except CellError as error:
                self._deps = self._at_fault(error, [])
        return self._deps  # type: ignore[return-value]

    @deps.setter
    def deps(self, value: Deps | str) -> None:
        self._deps = value

    @property
    def misc(self) -> Misc:
        """Whatever else: ``{"SpaceAfter": "No"}``; None without "=", a list for a key that is repeated."""
        if type(self._misc) is str:
            self._misc = read_misc(self._misc)
        return self._misc  # type: ignore[return-value]

    @misc.setter
    def misc(self, value: Misc | str) -> None:
        self._misc = value

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

        Raises:
            KeyError: there is no such column.
        """
        if name.upper() in COLUMNS:
            setattr(self, name.lower(), value)
        elif self.more is not None and name in self.more:
            self.more[name] = value
        else:
            raise KeyError(name)

    __getitem__, __setitem__ = get, set

    def _at_fault(self, error: CellError, instead: Any) -> Any:
        """Tell of a cell that cannot be read; what to go on with if that does not stop."""
        if self._block is None:
            raise error
        self._block.fault(self.id, error)
        return instead

    def cells(self, names: Sequence[str] = COLUMNS) -> list[str]:
        """The row as text, cell by cell; what was not changed is as it was read.

        Raises:
            ValueError: a text that no cell can hold: empty, or with a tab or the end of a line.
        """
        texts = []
        for position, name in enumerate(names):
            if name == "ID":
                text = str(self.id)
            elif name in TYPED:
                value = getattr(self, f"_{name.lower()}")
                read, written = TYPED[name]
                was = self._row[position] if self._row is not None else "_"
                text = value if isinstance(value, str) else was if _same(read, was, value) else written(value)
            elif name in _TEXT:
                text = getattr(self, _TEXT[name])
            else:
                text = (self.more or {})[name]
            if not text or "\t" in text or "\n" in text or "\r" in text:
                raise ValueError(f"{text!r} cannot stand in {name} of token {self.id}")
            texts.append(text)
        return texts

    def __str__(self) -> str:
        return "\t".join(self.cells(self._block.names if self._block else COLUMNS))

    def __repr__(self) -> str:
        return f"<Token {self.id} {self.form!r}>"


def _same(read: Any, text: str, value: Any) -> bool:
    """Whether a value is still what stands in the text."""
    try:
        before = read(text)
    except CellError:
        # It was told of, and what was put in its place was not touched.
        return not value
    return bool(before == value) and (not isinstance(value, dict) or list(before) == list(value))
