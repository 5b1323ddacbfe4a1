"""Files that are whole or not there."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from dlctl.errors import ConfigError
from dlctl.project import shown


def check_writable(file: Path) -> None:
    """Find out before the work whether its result can be written; make the folder for it.

    Raises:
        ConfigError: it cannot.
    """
    try:
        with suppress(FileExistsError):
            file.absolute().parent.mkdir(parents=True)
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not file.exists() or file.is_file():
            TemporaryFile(dir=file.absolute().parent).close()
        if file.exists() and not os.access(file, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        message = f"cannot write {shown(file)}: {reason}"
        raise ConfigError(message, hint="name another file: --output FILE") from error


def atomic_write(file: Path, content: bytes | memoryview) -> None:
    """Write to a temporary name beside it, flush to the disk, and rename."""
    with atomic_file(file) as stream:
        stream.write(content)


@contextmanager
def atomic_file(file: Path) -> Iterator[IO[bytes]]:
    """A stream to a temporary name beside it, which takes its place when all is written."""
    # Its name is known before it is there: a signal in between leaves nothing behind.
    temporary = file.parent / f".{file.name}.{os.urandom(4).hex()}.tmp"
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            # Not the temporary name; and a write that finds the disk full knows of no file.
            error.filename = str(file)
        raise
