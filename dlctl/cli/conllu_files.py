"""Which treebanks ``parse-conllu`` is to read: files, and what is in folders."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from dlctl.errors import NotFoundError

_SUFFIXES = (".conllu", ".conllup")
_PACKED = (".gz", ".xz", ".bz2", ".zip")


def find(words: Sequence[str]) -> list[str]:
    """The treebanks that are meant: files as they are named, those in folders sorted.

    Raises:
        NotFoundError: one is not there, or a folder holds none.
    """
    files: list[str] = []
    for word in words:
        if word == "-" or not Path(word).is_dir():
            if word != "-" and not os.path.lexists(word):
                close = _alike(word)
                hint = f"did you mean {' or '.join(close)}?" if close else None
                raise NotFoundError(f"no such file: {word}", hint=hint, suggestions=close)
            files.append(word)
            continue
        found = sorted(_within(word), key=lambda file: Path(file).parts)
        if not found:
            raise NotFoundError(
                f"no .conllu file in {word}", hint="packed ones end in .conllu.gz and the like"
            )
        files += found
    return files


def _alike(word: str) -> list[str]:
    """What else is in the folder and has a name like this one."""
    folder, name = os.path.split(word)
    with suppress(OSError):
        # All of them end alike.
        close = get_close_matches(name, os.listdir(folder or "."), cutoff=0.9)  # noqa: PTH208 - names are compared
        return [os.path.join(folder, each) for each in close]  # noqa: PTH118
    return []


def _within(folder: str) -> Iterator[str]:
    def unreadable(error: OSError) -> None:
        raise NotFoundError(f"cannot read {error.filename}: {error.strerror}") from error

    for root, folders, files in os.walk(folder, onerror=unreadable):
        folders[:] = [each for each in folders if not each.startswith(".")]
        for name in files:
            stem, packed = os.path.splitext(name)  # noqa: PTH122 - a name, not a path
            if not name.startswith(".") and (stem if packed in _PACKED else name).endswith(_SUFFIXES):
                # The folder as it was named, but that one needs no name.
                yield os.path.join(root, name).removeprefix("./")  # noqa: PTH118


def treebanks(files: Sequence[str]) -> list[list[str]]:
    """Train, dev and test of a folder, alike before ``-ud-``, are one treebank, where names are unique."""
    found: dict[tuple[str, str], list[str]] = {}
    for file in files:
        folder, name = os.path.split(file)
        found.setdefault((folder, name.partition("-ud-")[0]), []).append(file)
    return [*found.values()]


def bytes_of(file: str) -> int:
    """The size of a file; 0 where there is none."""
    with suppress(OSError):
        return Path(file).stat().st_size
    return 0
