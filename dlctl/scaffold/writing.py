"""Files that are written all or not at all, and never over others unasked."""

import difflib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlctl.errors import ConfigError
from dlctl.files import atomic_write
from dlctl.project import shown


@dataclass(frozen=True)
class File:
    """A file to be written.

    Attributes:
        path: absolute.
        text: its whole content.
    """

    path: Path
    text: str

    @property
    def stands(self) -> str | None:
        """What is there already, if that is something else."""
        if not self.path.exists() and not self.path.is_symlink():
            return None
        try:
            there = self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return "(no text)\n"
        return there if there != self.text else None

    @property
    def is_there(self) -> bool:
        """Whether just this is there already."""
        return self.path.is_file() and self.stands is None


def refuse_strays(files: Sequence[File], root: Path) -> None:
    """Insist that every file lies in the project, links followed.

    Raises:
        ConfigError: one does not.
    """
    for file in files:
        if not file.path.resolve().is_relative_to(root.resolve()):
            raise ConfigError(f"{shown(file.path)} leads out of the project {shown(root)}")


def standing(files: Sequence[File]) -> list[File]:
    """Those files in whose place something else stands."""
    return [file for file in files if file.stands is not None]


def difference(file: File) -> str:
    """What writing a file would change, as a unified diff."""
    name = shown(file.path)
    before, after = (file.stands or "").splitlines(True), file.text.splitlines(True)
    return "".join(difflib.unified_diff(before, after, name, f"{name} (new)"))


def write(files: Sequence[File], then: Callable[[], None] | None = None) -> None:
    """Write all files; if one cannot be written, or what comes then fails, take everything back."""
    before: list[tuple[Path, bytes | None]] = []
    made: list[Path] = []
    try:
        for file in files:
            made += _make_folders(file.path.parent)
            before.append((file.path, file.path.read_bytes() if file.path.exists() else None))
            atomic_write(file.path, file.text.encode())
        if then is not None:
            then()
    except BaseException:
        for path, content in reversed(before):
            if content is None:
                path.unlink(missing_ok=True)
            else:
                atomic_write(path, content)
        for folder in reversed(made):
            if folder.is_dir() and not os.listdir(folder):  # noqa: PTH208
                folder.rmdir()
        raise


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it; which ones were not there."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir()
    return missing[::-1]
