"""A sentence: text until it is asked, comments and tokens that can be changed, text again."""

from dlctl.data.conllu_blocks import Block
from dlctl.data.conllu_cells import COLUMNS
from dlctl.data.conllu_token import Token


class Sentence:
    """A sentence of a treebank.

    ``bytes(sentence)`` and ``str(sentence)`` are its text with the blank line at the end; as it was read, if
    nothing in it was changed.

    Args:
        block: its text.
    """

    __slots__ = ("_block", "_comments", "_tokens")

    def __init__(self, block: Block) -> None:
        self._block = block
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
            token._block = block
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
            token._row, token._block = row, self._block
            tokens.append(token)
        return tokens

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
