"""From which code a run was made."""

import subprocess
from pathlib import Path
from typing import Any


def state(root: Path) -> dict[str, Any] | None:
    """``{"commit", "dirty"}`` of the repository around a folder; None where there is none."""
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return None
    dirty = _git(root, "status", "--porcelain")
    return {"commit": commit.decode().strip(), "dirty": bool(dirty)}


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
