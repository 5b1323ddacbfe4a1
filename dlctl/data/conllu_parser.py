"""CoNLL-U: read, change and write treebanks, sentence by sentence.

    for sentence in read("en_ewt-ud-dev.conllu.gz"):
        for word in sentence.words:
            word.upos = "NOUN" if word.feats.get("Number") else word.upos
        out.write(bytes(sentence))

A sentence keeps its text. Its ids, columns and blank lines are checked when it is read, a cell when it
is asked for; what was not changed is written as it was.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from dlctl.data.conllu_blocks import Piece
from dlctl.data.conllu_cells import COLUMNS, Empty, Id, Span
from dlctl.data.conllu_pieces import blocks, groups
from dlctl.data.conllu_reading import ConlluWarning, Reading
from dlctl.data.conllu_sentence import Sentence
from dlctl.data.conllu_source import Source, open_all
from dlctl.data.conllu_token import Token
from dlctl.data.conllu_written import blank_line
from dlctl.errors import ConlluError, Diagnostic
from dlctl.files import atomic_file

__all__ = [
    "COLUMNS",
    "ConlluError",
    "ConlluWarning",
    "Diagnostic",
    "Empty",
    "Id",
    "Sentence",
    "Source",
    "Span",
    "Token",
    "columns",
    "load",
    "read",
    "write",
]


def read(
    source: Source, *, strict: bool = True, diagnostics: list[Diagnostic] | None = None
) -> Iterator[Sentence]:
    """The sentences of a treebank, one after the other.

    Args:
        source: a path, "-" for standard input, a file object or bytes; packed or not.
        strict: stop at the first fault. Otherwise a sentence with a fault is left out, and so is a cell.
        diagnostics: takes the faults if they do not stop; without it they are warned of.

    Raises:
        ConlluError: a fault, in strict mode; it has ``diagnostic``.
        NotFoundError: the source is not there or cannot be read.
    """
    for name, stream in open_all(source):
        yield from map(Sentence, blocks(Reading(name, strict, diagnostics), stream))


def load(
    source: Source, *, strict: bool = True, diagnostics: list[Diagnostic] | None = None
) -> list[Sentence]:
    """All sentences of a treebank, which take little more memory than their text until they are used.

    Raises:
        ConlluError: a fault, in strict mode.
        NotFoundError: the source is not there or cannot be read.
    """
    found = []
    for name, stream in open_all(source):
        for block in blocks(Reading(name, strict, diagnostics), stream):
            block.forget()
            found.append(Sentence(block))
    return found


def columns(source: Source, *names: str) -> Iterator[tuple[list[str], ...]]:
    """Columns of the words of every sentence as text, the quickest way to tensors.

    Args:
        source: as for ``read``.
        names: of the columns, such as "form" and "upos".

    Raises:
        ConlluError: a fault, or no such column.
        NotFoundError: the source is not there or cannot be read.
    """
    for name, stream in open_all(source):
        reading = Reading(name)
        for group in groups(reading, stream):
            if isinstance(group, Piece):
                yield from group.columns_of_words(reading.places(names))
            else:
                for block in group:
                    yield block.columns(reading.places(names))


def write(sentences: Iterable[Sentence], target: str | Path | IO[bytes]) -> None:
    """Write sentences; those that were not changed as they were read, byte for byte.

    A blank line is put behind one that had none, where another follows.

    Args:
        sentences: what to write.
        target: a path, whose file is replaced when all is written, or a binary file object.

    Raises:
        OSError: it cannot be written.
        ValueError: what was changed cannot be written, or columns differ.
    """
    if isinstance(target, str | Path):
        with atomic_file(Path(target)) as stream:
            write(sentences, stream)
        return
    names: tuple[str, ...] | None = None
    before = b"\n\n"
    for sentence in sentences:
        text = bytes(sentence)
        if names is None:
            names = sentence.columns
            # The first line names the columns, whichever sentence is first now.
            if names != COLUMNS and not text.startswith(b"# global.columns = "):
                target.write(f"# global.columns = {' '.join(names)}\n".encode())
        if sentence.columns != names:
            raise ValueError(f"{sentence!r} has other columns than the sentences before it")
        target.write(blank_line(before) + text)
        before = text
