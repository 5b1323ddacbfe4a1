"""CoNLL-U for tensors and back: columns of words, and treebanks with a column filled in.

https://universaldependencies.org/format.html. What stands beside the words, such as comments, multiword
tokens and empty nodes, is kept as it is.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from dlctl.errors import ConfigError, NotFoundError
from dlctl.files import atomic_write

COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")


class ConlluError(ConfigError):
    """A line that is no CoNLL-U."""


class Word:
    """A word of a sentence, whose cells are text.

    Args:
        cells: ten of them.
    """

    def __init__(self, cells: list[str]) -> None:
        self.cells = cells

    def __getitem__(self, column: str) -> str:
        """The cell of a column, such as ``upos``."""
        return self.cells[COLUMNS.index(column)]

    def __setitem__(self, column: str, text: str) -> None:
        """Fill in a cell.

        Raises:
            ValueError: no cell can hold the text.
        """
        if not text or "\t" in text or "\n" in text:
            raise ValueError(f"no cell can hold {text!r}")
        self.cells[COLUMNS.index(column)] = text


class Sentence:
    """A sentence: its words, and everything around them.

    Args:
        lines: as they stand in the file, without the blank one at the end.
        file: where they were read, for messages.
        first: the number of the first one.

    Raises:
        ConlluError: a line of cells has not ten.
    """

    def __init__(self, lines: list[str], file: str, first: int) -> None:
        self._lines: list[str | Word] = []
        self.words: list[Word] = []
        for number, line in enumerate(lines, first):
            if line.startswith("#"):
                self._lines.append(line)
                continue
            cells = line.split("\t")
            if len(cells) != len(COLUMNS):
                hint = "ten columns with tabs between them: https://universaldependencies.org/format.html"
                raise ConlluError(f"{file}:{number}: {len(cells)} columns instead of ten", hint=hint)
            if cells[0].isdigit():
                self.words.append(Word(cells))
            self._lines.append(self.words[-1] if cells[0].isdigit() else line)

    def __str__(self) -> str:
        """The sentence as it is written, the blank line at its end too."""
        lines = (each if isinstance(each, str) else "\t".join(each.cells) for each in self._lines)
        return "\n".join(lines) + "\n\n"


def read(source: str | Path) -> Iterator[Sentence]:
    """The sentences of a file, gzip'ed or not.

    Raises:
        NotFoundError: it is not there or cannot be read.
        ConlluError: a line is no CoNLL-U.
    """
    lines: list[str] = []
    number = 0
    for number, line in enumerate(_text(Path(source)).split("\n"), 1):
        if line:
            lines.append(line)
        elif lines:
            yield Sentence(lines, str(source), number - len(lines))
            lines = []
    if lines:
        yield Sentence(lines, str(source), number - len(lines) + 1)


def load(source: str | Path) -> list[Sentence]:
    """All sentences of a file.

    Raises:
        NotFoundError: it is not there or cannot be read.
        ConlluError: a line is no CoNLL-U.
    """
    return list(read(source))


def columns(source: str | Path, *names: str) -> Iterator[tuple[list[str], ...]]:
    """Columns of the words of every sentence that has words, such as ``form`` and ``upos``.

    Raises:
        NotFoundError: the file is not there or cannot be read.
        ConlluError: a line is no CoNLL-U.
    """
    where = [COLUMNS.index(name) for name in names]
    for sentence in read(source):
        if sentence.words:
            yield tuple([word.cells[place] for word in sentence.words] for place in where)


def write(sentences: Iterable[Sentence], target: Path) -> None:
    """Write sentences into a file, which is whole or not there."""
    atomic_write(target, "".join(map(str, sentences)).encode())


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8")
    except FileNotFoundError as error:
        raise NotFoundError(f"no such file: {path}") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise NotFoundError(f"cannot read {path}: {error}") from error
