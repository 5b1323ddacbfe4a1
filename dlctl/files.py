"""Files that are whole or not there."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def atomic_write(file: Path, content: bytes | memoryview) -> None:
    """Write to a temporary name beside it, flush to the disk, and rename."""
    with atomic_file(file) as stream:
        stream.write(content)


@contextmanager
def atomic_file(file: Path) -> Iterator[IO[bytes]]:
    """A stream to a temporary name beside it, which takes its place when all is written."""
    temporary = None
    try:
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".tmp")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp is for secrets; these files are readable like any other.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(file)
    except BaseException as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            # Not the temporary name; and a write that finds the disk full knows of no file.
            error.filename = str(file)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
