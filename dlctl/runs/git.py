"""From which code a run was made."""

import re
import subprocess
from pathlib import Path
from typing import Any


def state(root: Path) -> dict[str, Any] | None:
    """``{"commit", "dirty"}`` of the repository around a folder; None where there is none, or no commit."""
    # One process for both: git's start costs more than its answer, and every trial of a search asks.
    told = _git(root, "status", "--porcelain=v2", "--branch")
    commit = re.search(rb"^# branch\.oid ([0-9a-f]+)$", told or b"", re.MULTILINE)
    if told is None or commit is None:
        return None
    dirty = any(not line.startswith(b"#") for line in told.splitlines())
    return {"commit": commit[1].decode(), "dirty": dirty}


def diff(root: Path) -> bytes:
    """The uncommitted changes as a patch, new files apart."""
    return _git(root, "diff", "--no-ext-diff", "--no-color", "--binary", "HEAD") or b""


def _git(root: Path, *words: str) -> bytes | None:
    # A folder's own git settings must not run a program of theirs here.
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(root), *words]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
