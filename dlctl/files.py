"""Files that are whole or not there."""

import os
import tempfile
from pathlib import Path


def atomic_write(file: Path, content: bytes | memoryview) -> None:
    """Write to a temporary name beside it, flush to the disk, and rename."""
    temporary = None
    try:
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".tmp")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
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
