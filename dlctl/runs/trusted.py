"""What this user's own runs wrote: such checkpoints may hold pickled objects, such configs name code.

One line each in the user's state directory: its sha256. What lies beside a checkpoint, or
in the project, proves nothing: whoever gives away a checkpoint can give that away with it.
"""

import os
from contextlib import suppress
from pathlib import Path

CHECKPOINTS, CONFIGS = "checkpoints.sha256", "configs.sha256"
# Of this process, in case the state directory cannot be written.
_OWN: set[str] = set()
# Why a list could not be written, by the state directory that was asked for and its name.
_failures: dict[tuple[str | None, str], str] = {}


def folder() -> Path:
    """``$XDG_STATE_HOME/dlctl``, or ``~/.local/state/dlctl``."""
    wanted = Path(os.environ.get("XDG_STATE_HOME") or "")
    return (wanted if wanted.is_absolute() else Path.home() / ".local" / "state") / "dlctl"


def remember(sha256: str, kind: str = CHECKPOINTS) -> None:
    """Trust something from now on; in this process alone where the state cannot be written."""
    _OWN.add(sha256)
    asked = os.environ.get("XDG_STATE_HOME")
    if _is_listed(sha256, kind):
        return
    try:
        folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        # One write of one line: several processes may append at once.
        handle = os.open(folder() / kind, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, f"{sha256}\n".encode())
        finally:
            os.close(handle)
    except (OSError, RuntimeError) as error:
        _failures[asked, kind] = getattr(error, "strerror", None) or str(error)
    else:
        _failures.pop((asked, kind), None)
        if not _is_listed(sha256, kind):
            _failures[asked, kind] = "others can write to it"


def failure() -> str | None:
    """Why something of this process could not be remembered; None if all was."""
    asked = os.environ.get("XDG_STATE_HOME")
    return next((reason for (wanted, _), reason in _failures.items() if wanted == asked), None)


def is_own(sha256: str, kind: str = CHECKPOINTS) -> bool:
    """Whether a run of this user wrote something with this hash."""
    return sha256 in _OWN or _is_listed(sha256, kind)


def _is_listed(sha256: str, kind: str) -> bool:
    with suppress(OSError, RuntimeError):
        file = folder() / kind
        # A list to which somebody else can add is not the user's.
        if all(_is_private(each) for each in (folder(), file)):
            return sha256 in file.read_text(encoding="utf-8").splitlines()
    return False


def _is_private(path: Path) -> bool:
    facts = path.stat()
    return facts.st_uid == os.geteuid() and not facts.st_mode & 0o022
