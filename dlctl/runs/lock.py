"""One process at a time runs a run: a lock that ends with the process that holds it."""

import fcntl
import os
from pathlib import Path

from dlctl.errors import UsageError
from dlctl.project import shown
from dlctl.runs.process import host

FILE = ".lock"
_held: dict[Path, int] = {}


def acquire(directory: Path) -> None:
    """Take the lock of a run directory until `release` or the end of the process.

    A file system that knows no locks, or a directory that cannot be written, has none to take.

    Raises:
        UsageError: another process holds it.
    """
    try:
        file = os.open(directory / FILE, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(file, 200).decode(errors="replace").strip()
        os.close(file)
        where = f" ({holder})" if holder else ""
        hint = "stop it first"
        if not holder.endswith(f" on {host()}"):
            # A file server may keep the lock of a host that died.
            hint += f"; if its host is gone, delete {shown(directory / FILE)}"
        raise UsageError(f"{directory.name} is still running{where}", hint=hint) from None
    except OSError:
        os.close(file)
        return
    os.ftruncate(file, 0)
    os.write(file, f"process {os.getpid()} on {host()}\n".encode())
    _held[directory] = file


def release(directory: Path) -> None:
    """Give the lock back, if this process holds it."""
    file = _held.pop(directory, None)
    if file is not None:
        # Closing is not enough: a child that was forked this moment still has the file open.
        fcntl.flock(file, fcntl.LOCK_UN)
        os.close(file)


def _leave_to_parent() -> None:
    """A loader worker that outlives the run's process by seconds must not keep its lock."""
    for file in _held.values():
        os.close(file)
    _held.clear()


os.register_at_fork(after_in_child=_leave_to_parent)
