"""A sentence: text until it is asked, comments and tokens that can be changed, text again."""

import io
from typing import Any

from dlctl.data.conllu_blocks import Block
from dlctl.data.conllu_cells import COLUMNS, Id
from dlctl.data.conllu_ids import in_order
from dlctl.data.conllu_parts import block_of
from dlctl.data.conllu_reading import Reading, plus_columns
from dlctl.data.conllu_rows import tokens_of
from dlctl.data.conllu_token import Token
from dlctl.errors import ConlluError, Diagnostic


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

        found = load(io.StringIO(text.rstrip("\n") + "\n\n", newline=""))
        if len(found) != 1:
            message = f"expected one sentence, found {len(found)}"
            raise ConlluError(Diagnostic("<text>", 1, None, "empty-sentence", message))
        return found[0]

    @property
    def file(self) -> str:
        """Where it was read from."""
        return self._block.reading.file

    @property
    def line(self) -> int:
        """The number of its first line there."""
        return self._block.line

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in capitals."""
        return self._block.reading.names

    @property
    def tokens(self) -> list[Token]:
        """All rows: words, multiword tokens and empty nodes. Rows can be added and removed."""
        if self._tokens is None:
            self._tokens = tokens_of(self._block)
        return self._tokens

    @property
    def words(self) -> list[Token]:
        """The rows with whole numbers as ids, which make up the tree."""
        return [token for token in self.tokens if type(token.id) is int]

    @property
    def ids(self) -> list[Id]:
        """The ids of all rows; asking for them alone is quick."""
        return [*self._block.ids()] if self._tokens is None else [token.id for token in self._tokens]

    @property
    def rows(self) -> list[list[str]]:
        """The cells of all rows, as text.

        Raises:
            ValueError: a value that no cell can hold.
        """
        if self._tokens is None:
            return [row.copy() for row in self._block.rows()]
        return [token.cells(self.columns) for token in self._tokens]

    def column(self, name: str) -> list[str]:
        """A column of the words, as text."""
        if self._tokens is None:
            return self._block.columns(self._block.reading.places([name]))[0]
        at = self.columns.index(name.upper())
        return [token.cells(self.columns)[at] for token in self.words]

    @property
    def comments(self) -> list[str]:
        """The lines before the rows, as they stand there. They can be changed."""
        if self._comments is None:
            self._comments = self._block.comments()
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
        """Change the first comment with a key, or add one; without a value, remove it.

        Raises:
            ValueError: no reader would find this key again.
        """
        if not key or key != key.strip() or "=" in key:
            raise ValueError(f"{key!r} cannot be the key of a comment")
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

    def __str__(self) -> str:
        block = self._block
        if self._tokens is None and self._comments is None:
            return block.original if block.original is not None else f"{block.text}\n\n"
        text = self._lines()
        original = block.original or ""
        if original and text == block.text:
            return original
        return f"{text}\n\n".replace("\n", "\r\n" if "\r\n" in original else "\n")

    def _lines(self) -> str:
        """Its lines as they are now, without the blank one at the end."""
        before = self._block.comments()
        comments = before if self._comments is None else self._comments
        # What stood there was told of when it was read.
        first = next(iter(comments), "")
        if first not in before[:1] and plus_columns(first) not in (COLUMNS, self.columns):
            raise ValueError(f"{first!r} names other columns than there are")
        return "\n".join([*map(_comment, comments), *self._rows()])

    def _rows(self) -> list[str]:
        if self._tokens is not None and "ID" in self.columns:
            ids = [str(token.id) for token in self._tokens]
            if not in_order(ids):
                raise ValueError(f"these ids are no sentence: {' '.join(ids) or 'there are none'}")
        return ["\t".join(row) for row in self.rows]

    def __bytes__(self) -> bytes:
        return str(self).encode()

    def __len__(self) -> int:
        return len(self.words)

    def __repr__(self) -> str:
        return f"<Sentence {self.sent_id or f'{self.file}:{self.line}'}>"

    def __reduce__(self) -> tuple[Any, ...]:
        text = self._lines()
        original = None if self._block.original is None else str(self)
        return _again, (self.file, self._block.reading.strict, self.line, self.columns, text, original)


def _comment(line: str) -> str:
    if not line.startswith("#") or "\n" in line or "\r" in line or "\ufffd" in line:
        raise ValueError(f"{line!r} is no comment")
    return line


def _again(
    file: str, strict: bool, line: int, names: tuple[str, ...], text: str, original: str | None
) -> Sentence:
    """A sentence that was copied or sent to another process; faults in it are told as before."""
    reading = Reading(file, strict)
    reading.take_names(names)
    block = block_of(reading, line, text.split("\n"))
    assert block is not None  # it was one
    block.original = original
    return Sentence(block)
