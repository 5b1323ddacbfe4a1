"""A sentence and its tokens: text until they are asked, values that can be changed, text again."""

from collections.abc import Sequence
from typing import Any

from dlctl.data.conllu_blocks import Block, Faults
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
from dlctl.errors import Diagnostic

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
        "_deps", "_feats", "_head", "_misc", "_row", "_sentence", "deprel", "form", "id", "lemma", "more",
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
        self._sentence: Sentence | None = None
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
        if self._sentence is None:
            raise error
        self._sentence.fault(self, error)
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
        return "\t".join(self.cells(self._sentence.columns if self._sentence else COLUMNS))

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


class Sentence:
    """A sentence of a treebank.

    ``bytes(sentence)`` and ``str(sentence)`` are its text with the blank line at the end; as it was read, if
    nothing in it was changed.

    Args:
        block: its text.
        faults: takes what is found to be wrong in a cell.
    """

    __slots__ = ("_block", "_comments", "_faults", "_tokens")

    def __init__(self, block: Block, faults: Faults) -> None:
        self._block, self._faults = block, faults
        self._tokens: list[Token] | None = None
        self._comments: list[str] | None = None

    @classmethod
    def parse(cls, text: str) -> "Sentence":
        """A sentence from its text.

        Raises:
            ConlluError: a fault in it.
        """
        from dlctl.data.conllu_parser import load

        (sentence,) = load((text.rstrip("\n") + "\n\n").encode())
        return sentence

    @property
    def file(self) -> str:
        """Where it was read from."""
        return self._block.file

    @property
    def line(self) -> int:
        """The number of its first line there."""
        return self._block.line

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in capitals."""
        return self._block.names

    @property
    def tokens(self) -> list[Token]:
        """All rows: words, multiword tokens and empty nodes. Rows can be added and removed."""
        if self._tokens is None:
            self._tokens = self._read_tokens()
        return self._tokens

    @property
    def words(self) -> list[Token]:
        """The rows with whole numbers as ids, which make up the tree."""
        return [token for token in self.tokens if type(token.id) is int]

    def column(self, name: str) -> list[str]:
        """A column of the words, as text."""
        if self._tokens is None:
            return self._block.column(name)
        at = self.columns.index(name.upper())
        return [token.cells(self.columns)[at] for token in self.words]

    @property
    def comments(self) -> list[str]:
        """The lines before the rows, as they stand there. They can be changed."""
        if self._comments is None:
            head = self._block.text[: self._block.body]
            self._comments = head.split("\n")[:-1]
        return self._comments

    @property
    def meta(self) -> list[tuple[str, str | None]]:
        """The comments as keys and values, in order; the value is None where there is no "="."""
        pairs: list[tuple[str, str | None]] = []
        for line in self.comments:
            key, equals, value = line[1:].partition("=")
            pairs.append((key.strip(), value.strip() if equals else None))
        return pairs

    def comment(self, key: str) -> str | None:
        """The value of the first comment with a key: "" if it has none, None without such a comment."""
        for name, value in self.meta:
            if name == key:
                return value or ""
        return None

    def set_comment(self, key: str, value: str | None) -> None:
        """Change the first comment with a key, or add one; without a value, remove it."""
        lines = [] if value is None else [f"# {key} = {value}" if value else f"# {key}"]
        for position, (name, _) in enumerate(self.meta):
            if name == key:
                self.comments[position : position + 1] = lines
                return
        self.comments.extend(lines)

    @property
    def sent_id(self) -> str | None:
        """The sentence's name in its treebank."""
        return self.comment("sent_id")

    @sent_id.setter
    def sent_id(self, value: str | None) -> None:
        self.set_comment("sent_id", value)

    @property
    def text(self) -> str | None:
        """The sentence as it was written."""
        return self.comment("text")

    @text.setter
    def text(self, value: str | None) -> None:
        self.set_comment("text", value)

    @property
    def newdoc(self) -> str | None:
        """The id of the document that starts here, "" if it has none; None if none starts."""
        return self._begins("newdoc")

    @property
    def newpar(self) -> str | None:
        """The id of the paragraph that starts here, "" if it has none; None if none starts."""
        return self._begins("newpar")

    def _begins(self, what: str) -> str | None:
        return next((value or "" for key, value in self.meta if key in (what, f"{what} id")), None)

    def _read_tokens(self) -> list[Token]:
        block, names = self._block, self._block.names
        if names is not COLUMNS:
            return self._plus_tokens()
        new, tokens = Token.__new__, []
        for id_, row in zip(block.ids(), zip(*[iter(block.rows())] * 11, strict=True), strict=True):
            token = new(Token)
            token.id = id_
            (
                _, token.form, token.lemma, token.upos, token.xpos, token._feats, token._head, token.deprel,
                token._deps, token._misc, _,
            ) = token._row = row  # fmt: skip
            token._sentence = self
            token.more = None
            tokens.append(token)
        return tokens

    def _plus_tokens(self) -> list[Token]:
        names, tokens = self._block.names, []
        width = len(names) + 1
        rows = zip(*[iter(self._block.rows())] * width, strict=True)
        for id_, row in zip(self._block.ids(), rows, strict=True):
            token = Token(id_)
            token.more = {}
            for name, cell in zip(names, row[:-1], strict=True):
                if name not in COLUMNS:
                    token.more[name] = cell
                elif name != "ID":
                    setattr(token, name.lower(), cell)
            token._row, token._sentence = row, self
            tokens.append(token)
        return tokens

    def fault(self, token: Token, error: CellError) -> None:
        """Tell of a cell of a token that cannot be read."""
        line = self.line + self._block.text.count("\n", 0, self._block.body)
        for offset, each in enumerate(self.tokens):
            if each is token:
                line += offset
        self._faults(Diagnostic(self.file, line, error.column, error.rule, error.message))

    def __str__(self) -> str:
        block = self._block
        if self._tokens is None and self._comments is None:
            return block.original if block.original is not None else f"{block.text}\n\n"
        lines = [*self._comments] if self._comments is not None else block.text[: block.body].split("\n")[:-1]
        if self._tokens is None:
            lines.append(block.text[block.body :])
        else:
            lines += map(str, self._tokens)
        text = "\n".join(lines)
        if text == block.text and block.original is not None:
            return block.original
        return f"{text}\n\n"

    def __bytes__(self) -> bytes:
        return str(self).encode()

    def __len__(self) -> int:
        return len(self.words)

    def __repr__(self) -> str:
        return f"<Sentence {self.sent_id or f'{self.file}:{self.line}'}>"
