"""``run.json``: what was run, from which code, how it ended and what came out."""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from dlctl import redact
from dlctl.errors import NotFoundError
from dlctl.files import atomic_write
from dlctl.project import shown

SCHEMA_VERSION = 1
FILE = "run.json"
Status = Literal["running", "done", "failed", "interrupted", "pruned", "lost"]
Kind = Literal["train", "eval", "predict", "debug", "trial"]


@dataclass(frozen=True)
class Manifest:
    """The facts of one run; ``lost`` is never written, only shown.

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
    git: dict[str, Any] | None = None
    versions: dict[str, str] = field(default_factory=dict)
    host: str = ""
    process: dict[str, Any] = field(default_factory=dict)
    device: str | None = None
    ended: str | None = None
    duration_s: float | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    main_metric: str | None = None
    checkpoints: dict[str, Any] = field(default_factory=dict)
    error: dict[str, str] | None = None
    evaluated: str | None = None
    weights: str | None = None
    loggers: dict[str, str] = field(default_factory=dict)
    trial: dict[str, Any] | None = None
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
        NotFoundError: it is not there or is no manifest.
    """
    file = directory / FILE
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        known = {each.name for each in fields(Manifest)}
        return Manifest(**{name: value for name, value in facts.items() if name in known})
    except FileNotFoundError as error:
        raise NotFoundError(f"{shown(directory)} is not a run: it has no {FILE}") from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise NotFoundError(f"{shown(file)} cannot be read: {error}") from error


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
