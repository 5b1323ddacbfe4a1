"""Files that are whole or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


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
