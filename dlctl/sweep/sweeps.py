"""The sweeps on disk: ``sweep.json`` says what was searched, where its study is kept and how it ended."""

import json
import re
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from dlctl import redact
from dlctl.errors import NotFoundError
from dlctl.files import atomic_write
from dlctl.project import Project, shown
from dlctl.runs import manifest, process, record, store

FILE = "sweep.json"
DATABASE = "study.db"
Status = Literal["running", "done", "interrupted", "stopped", "failed", "lost"]


@dataclass(frozen=True)
class Sweep:
    """The facts of a sweep.

    Attributes:
        study: its name.
        dir: where everything of it lies, absolute; not written.
        storage: an Optuna URL without its password, or a file.
        command: what makes another command the same search.
        space: ``{"mode", "parameters": {key: text}}``.
        metrics: what is optimized.
        directions: ``minimize`` or ``maximize``, one a metric.
        trials: how many are to end.
        overrides: what all trials share.
        status: ``running`` until it has ended.
        done: how many trials had ended then.
        process: of the newest worker, ``{"pid", "started"}`` on ``host``.
    """

    study: str
    dir: Path
    storage: str
    command: list[str]
    space: dict[str, Any]
    metrics: list[str]
    directions: list[str]
    trials: int
    overrides: list[str]
    status: Status = "running"
    started: str = ""
    ended: str | None = None
    host: str = ""
    process: dict[str, Any] = field(default_factory=dict)
    done: int = 0
    schema_version: int = manifest.SCHEMA_VERSION

    def save(self, **changes: Any) -> "Sweep":
        """Write it, with some facts changed, so that a reader finds it whole."""
        new = replace(self, **changes)
        facts = redact.tree({name: value for name, value in asdict(new).items() if name != "dir"})
        atomic_write(new.dir / FILE, (json.dumps(facts, indent=2) + "\n").encode())
        return new


def begin(project: Project, sweep: Sweep) -> Sweep:
    """Make the directory of a sweep, or go on in it, as the process that runs it."""
    fresh = not (sweep.dir / FILE).exists()
    sweep.dir.mkdir(parents=True, exist_ok=True)
    if fresh:
        record.register(project, sweep.dir)
    return sweep.save(
        status="running", started=sweep.started or manifest.now(), ended=None, **process.identity()
    )


def free(wanted: Path) -> Path:
    """The directory, or the first of name-1, name-2, ... that is not there yet."""
    number, found = 0, wanted
    while found.exists():
        number += 1
        found = wanted.with_name(f"{wanted.name}-{number}")
    return found


def every(project: Project) -> list[Sweep]:
    """All sweeps of a project, newest first."""
    found = {folder.resolve() for folder in store.directories(project, FILE)}
    sweeps = [sweep for folder in found if (sweep := _read(folder)) is not None]
    return sorted(sweeps, key=lambda sweep: (sweep.started, sweep.study), reverse=True)


def find(project: Project, name: str) -> Sweep:
    """The sweep that a word names: ``last``, a study's name or a directory.

    Raises:
        NotFoundError: there is none.
    """
    path = Path(name)
    if name != "last" and (path / FILE).is_file() and (sweep := _read(path.absolute())):
        return sweep
    sweeps = every(project)
    found = sweeps if name == "last" else [sweep for sweep in sweeps if sweep.study == name]
    if found:
        return found[0]
    if not sweeps:
        raise NotFoundError(
            f"there is no study in {shown(project.logs)} yet",
            hint="dlctl sweep --exp example 'model.optimizer.lr=interval(0.001,0.1)' makes one",
        )
    from difflib import get_close_matches

    close = get_close_matches(name, [sweep.study for sweep in sweeps], n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(close)}?" if close else "dlctl study status shows what there is"
    raise NotFoundError(f"there is no study '{name}'", hint=hint, suggestions=close)


def storage_of(sweep: Sweep, given: str | None = None) -> str:
    """Where a study is kept: as given, or as noted.

    Raises:
        NotFoundError: the file is not there.
    """
    storage = given or sweep.storage
    if match := re.fullmatch(r"\$\{oc\.env:(\w+)\}", storage):
        import os

        storage = os.environ.get(match[1], storage)
    file = storage.removeprefix("sqlite:///")
    if "://" not in file and not Path(file).is_file():
        # The folder may have been moved since.
        beside = sweep.dir / Path(file).name
        if not beside.is_file():
            raise NotFoundError(
                f"the study's storage {shown(file)} is not there", hint="--storage URL names it"
            )
        storage = storage.replace(file, str(beside))
    return storage.replace(":***@", "@")


def refuse_deleted(sweep: Sweep) -> None:
    """Tell that a study's file is gone, which an open one still lets be read and written.

    Raises:
        NotFoundError: it was deleted.
    """
    try:
        storage_of(sweep)
    except NotFoundError as error:
        raise NotFoundError(
            f"{shown(sweep.storage.removeprefix('sqlite:///'))} was deleted while the search ran",
            hint=f"its results are only in {shown(sweep.dir)} and above; no command can go on with the study",
        ) from error


def _read(folder: Path) -> Sweep | None:
    try:
        facts = json.loads((folder / FILE).read_text(encoding="utf-8"))
        known = {each.name for each in fields(Sweep)} - {"dir"}
        sweep = Sweep(dir=folder, **{name: value for name, value in facts.items() if name in known})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    if sweep.status == "running" and process.is_gone(sweep.host, sweep.process):
        return replace(sweep, status="lost")
    return sweep


def where(storage: str) -> str:
    """A storage as it is shown: without a password, a file relative to the current folder."""
    file = storage.removeprefix("sqlite:///")
    return shown(file) if "://" not in file else redact.text(storage)
