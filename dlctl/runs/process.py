"""Processes that can be recognised: ids are reused, the time of the start tells them apart."""

import os
import socket
from collections.abc import Mapping
from typing import Any


def host() -> str:
    """The name of this host; a container has one of its own."""
    return socket.gethostname()


def identity() -> dict[str, Any]:
    """``{"host", "process": {"pid", "started"}}`` of this process, seconds since the epoch."""
    import psutil

    started = psutil.Process().create_time()
    return {"host": host(), "process": {"pid": os.getpid(), "started": started}}


def is_gone(where: str, process: Mapping[str, Any]) -> bool:
    """Whether a process of this host has ended; of other hosts nothing is known."""
    if where != host():
        return False
    import psutil

    try:
        found = psutil.Process(process["pid"])
        return bool(abs(found.create_time() - process["started"]) > 2 or found.status() == "zombie")
    except (psutil.NoSuchProcess, KeyError):
        return True
    except psutil.AccessDenied:
        return False
