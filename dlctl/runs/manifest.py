"""``run.json``: what was run, from which code, how it ended and what came out."""

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from dlctl import redact
from dlctl.errors import NotFoundError
from dlctl.files import atomic_write
from dlctl.project import shown
from dlctl.runs import validation

SCHEMA_VERSION = 1
FILE = "run.json"
Status = Literal["running", "done", "failed", "interrupted", "pruned", "lost"]
Kind = Literal["train", "eval", "predict", "debug", "trial"]


class Git(TypedDict):
    """The commit that was checked out, and whether there were uncommitted changes."""

    commit: str
    dirty: bool


class Process(TypedDict, total=False):
    """A process id and when that process started, in seconds since the epoch."""

    pid: int
    started: float


class Checkpoints(TypedDict, total=False):
    """Paths relative to the run directory, and path -> sha256."""

    best: str
    last: str
    sha256: dict[str, str]


class Failure(TypedDict):
    """What ended a run."""

    type: str
    message: str


class Trial(TypedDict):
    """A trial of a search."""

    study: str
    number: int


@dataclass(frozen=True)
class Manifest:
    """The facts of one run; ``lost`` is never written, only shown.

    What is annotated is checked when a manifest is read.

    Attributes:
        id: the name of its directory.
        kind: what command made it; only ``train`` runs are ``last``.
        process: ``{"pid", "started"}`` of the process that runs it, seconds since the epoch.
        started: with time zone, ISO 8601, as ``ended``.
        duration_s: seconds of all its sittings together, a resumed run has several.
        metrics: the last value of every metric; NaN and infinity are null in JSON.
        main_metric: the one that ``runs list`` shows.
        checkpoints: ``best`` and ``last``, relative to the directory, and ``sha256`` of each.
        evaluated: the run that an evaluation is about.
        weights: the file from whose weights the training started.
        trial: ``{"study", "number"}`` of a search's trial.
        loggers: the ids under which trackers know the run, to go on with when it is resumed.
    """

    id: str
    kind: Kind
    task: str
    status: Status
    argv: list[str]
    overrides: list[str]
    started: str
    experiment: str | None = None
    tags: list[str] = field(default_factory=list)
    seed: int | None = None
    git: Annotated[dict[str, Any], Git] | None = None
    versions: dict[str, str] = field(default_factory=dict)
    host: str = ""
    process: Annotated[dict[str, Any], Process] = field(default_factory=dict)
    device: str | None = None
    ended: str | None = None
    duration_s: float | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    main_metric: str | None = None
    checkpoints: Annotated[dict[str, Any], Checkpoints] = field(default_factory=dict)
    error: Annotated[dict[str, str], Failure] | None = None
    evaluated: str | None = None
    weights: str | None = None
    loggers: dict[str, str] = field(default_factory=dict)
    trial: Annotated[dict[str, Any], Trial] | None = None
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values, secrets left out."""
        facts: dict[str, Any] = redact.tree(asdict(self))
        return {"schema_version": facts.pop("schema_version"), **finite(facts)}

    def with_(self, **changes: Any) -> "Manifest":
        """A copy with some facts changed."""
        return replace(self, **changes)


def read(directory: Path) -> Manifest:
    """The manifest of a run directory.

    Raises:
        NotFoundError: it is missing, or is not a valid manifest.
    """
    file = directory / FILE
    try:
        found = validation.read(file, Manifest)
        _check_values(found)
        return found
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"{shown(directory)} is not a run: it has no {FILE}") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise NotFoundError(
            f"{shown(file)} cannot be read: {reason}",
            hint="repair the file, or move the run's directory out of the logs",
        ) from error


def _check_values(found: Manifest) -> None:
    """Raise ValueError for values that have the right type and make no sense."""
    for name in ("started", "ended"):
        if (moment := getattr(found, name)) is not None:
            try:
                datetime.fromisoformat(moment)
            except ValueError:
                raise ValueError(f"'{name}' is {moment[:40]!r}, not a date and time") from None
    if not 0 < found.process.get("pid", 1) < 2**31:
        raise ValueError(f"'process.pid' is {found.process['pid']}, not a process id")


def write(directory: Path, manifest: Manifest) -> None:
    """Write it so that a reader, or a crash, finds the old one or the new one whole."""
    text = json.dumps(manifest.to_json(), indent=2, allow_nan=False) + "\n"
    atomic_write(directory / FILE, text.encode())


def finite(value: Any) -> Any:
    """NaN and infinity as None, in nested dicts and lists: JSON has neither."""
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def now() -> str:
    """This moment with its time zone, to the second."""
    return datetime.now().astimezone().isoformat(timespec="seconds")
