"""One run: create its directory, write down what it is, and how it ends."""

import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlctl import redact
from dlctl.errors import ConfigError, Interrupted, Pruned, disk_full
from dlctl.project import Project, shown
from dlctl.runs import git, manifest, origin
from dlctl.runs.manifest import Kind, Manifest
from dlctl.runs.process import identity as process_identity
from dlctl.runs.stop import Stop

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from dlctl.composition.compose import Composed

_VERSIONS = ("dlctl", "torch", "lightning", "torchmetrics", "hydra-core", "optuna", "numpy")
# Names, below logs/, the run directories that lie elsewhere.
ELSEWHERE = "elsewhere.txt"


@dataclass
class Run:
    """A run directory, and what is being found out about the run while it goes.

    Attributes:
        dir: absolute path.
        manifest: the facts so far.
        stop: the signals that were caught.
        child: whether this process is one rank of a run that another process records.
    """

    dir: Path
    manifest: Manifest
    stop: Stop = field(default_factory=Stop)
    child: bool = False
    _since: float = field(default_factory=time.monotonic)

    def note(self, **facts: Any) -> None:
        """Add facts to the manifest, on disk at once."""
        self.manifest = self.manifest.with_(**facts)
        if not self.child:
            manifest.write(self.dir, self.manifest)

    @property
    def id(self) -> str:
        """The name of its directory."""
        return self.manifest.id

    @property
    def name(self) -> str:
        """What commands take for it: its id, of a trial ``STUDY/7``."""
        if trial := self.manifest.trial:
            return f"{trial['study']}/{trial['number']}"
        return f"{self.dir.parent.name}/{self.id}" if self.manifest.kind == "trial" else self.id

    def checkpoint(self, which: str) -> Path | None:
        """The ``best`` or ``last`` checkpoint, if there is one."""
        name = self.manifest.checkpoints.get(which)
        if name and (self.dir / name).is_file():
            return self.dir / str(name)
        # A run that was killed may have saved more than it could note.
        last = self.dir / "checkpoints" / "last.ckpt"
        return last if which == "last" and last.is_file() else None


def start(
    project: Project,
    composed: "Composed",
    kind: Kind,
    *,
    wanted: Path | None = None,
    own: bool = True,
    **facts: Any,
) -> Run:
    """Create the run's directory and everything in it that is known before it runs.

    Args:
        project: to which it belongs.
        composed: its config.
        kind: what command it is of.
        wanted: the directory; None for the one that the config asks for.
        own: its config is of the user's own making, and may be used again without asking.
        facts: more for the manifest.
    """
    directory = _create(wanted or composed.run_dir())
    config = composed.public(directory)
    identity = Manifest(
        id=directory.name,
        kind=kind,
        task=str(config.get("task_name") or composed.name),
        status="running",
        argv=[Path(sys.argv[0]).name, *sys.argv[1:]],
        overrides=list(composed.overrides),
        started=manifest.now(),
        experiment=composed.choices.get("experiment"),
        tags=tags_of(config),
        seed=config.get("seed") if isinstance(config.get("seed"), int) else None,
        git=git.state(project.root),
        versions=versions(),
        main_metric=_first(config.get("optimized_metric")),
        **{**process_identity(), **facts},
    )
    run = Run(directory, identity)
    manifest.write(directory, identity)
    _save(composed, directory, config, own)
    if identity.git and identity.git["dirty"] and (patch := git.diff(project.root)):
        text = redact.text(patch.decode("utf-8", "surrogateescape"))
        (directory / "code.patch").write_bytes(text.encode("utf-8", "surrogateescape"))
    register(project, directory)
    return run


def _first(names: Any) -> str | None:
    """Of several metrics that a search optimizes the first."""
    return names if names is None or isinstance(names, str) else next(map(str, names), None)


def tags_of(config: Any) -> list[str]:
    """The tags of a config, one or several."""
    tags = config.get("tags") or []
    return [tags] if isinstance(tags, str) else [str(tag) for tag in tags]


def resume(run: Run, composed: "Composed | None" = None) -> None:
    """Make this process the one that runs it.

    Args:
        run: not running.
        composed: its new config, if that has changed; the one before is kept beside it.
    """
    facts: dict[str, Any] = {"status": "running", "ended": None, "error": None, **process_identity()}
    if composed is not None:
        number = len(list(run.dir.glob(".hydra-*"))) + 1
        own = origin.is_own(run.dir / ".hydra")
        (run.dir / ".hydra").rename(run.dir / f".hydra-{number}")
        _save(composed, run.dir, composed.public(run.dir), own)
        facts["overrides"] = list(composed.overrides)
    run.note(**facts)


def _save(composed: "Composed", directory: Path, public: "DictConfig", own: bool) -> None:
    from dlctl.yaml_text import to_yaml

    composed.save(directory / ".hydra")
    if own:
        origin.remember(directory / ".hydra")
    (directory / "config_resolved.yaml").write_text(to_yaml(public), encoding="utf-8")


@contextmanager
def record(run: Run) -> Iterator[Run]:
    """Write down how the run ends, whatever ends it."""
    before = run.manifest.duration_s or 0.0
    run._since = time.monotonic()
    try:
        with run.stop:
            yield run
    except BaseException as error:
        status = "interrupted" if isinstance(error, Interrupted | KeyboardInterrupt) else "failed"
        status = "pruned" if isinstance(error, Pruned) else status
        cause = disk_full(error) or error
        told = {"type": type(cause).__name__, "message": redact.text(str(cause))}
        # With a full disk even this may not be written; the run is shown as lost then.
        with suppress(OSError):
            _finish(run, before, status=status, error=None if status == "pruned" else told)
        raise
    _finish(run, before, status="done", error=None)


def _finish(run: Run, before: float, **facts: Any) -> None:
    seconds = round(before + time.monotonic() - run._since, 3)
    if not run.child:
        facts["checkpoints"] = _hashed(run)
    run.note(ended=manifest.now(), duration_s=seconds, **facts)


def _hashed(run: Run) -> dict[str, Any]:
    """The checkpoints that are there, each with its sha256."""
    import hashlib

    found = {which: run.checkpoint(which) for which in ("best", "last")}
    names = {which: os.path.relpath(path, run.dir) for which, path in found.items() if path}
    hashes = {}
    for name in set(names.values()):
        with (run.dir / name).open("rb") as stream:
            hashes[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return {**names, **({"sha256": hashes} if hashes else {})}


def _create(wanted: Path) -> Path:
    """Create a directory of that name, or the first free one of name-1, name-2, ..."""
    number = 0
    while True:
        directory = wanted.with_name(f"{wanted.name}-{number}") if number else wanted
        try:
            directory.parent.mkdir(parents=True, exist_ok=True)
            directory.mkdir()
        except FileExistsError:
            number += 1
        except OSError as error:
            raise ConfigError(
                f"cannot make the run's directory {shown(directory)}: {error.strerror}",
                hint="paths.log_dir=FOLDER or hydra.run.dir=FOLDER names another",
            ) from error
        else:
            return directory


def register(project: Project, directory: Path) -> None:
    """Remember a directory that a search below ``logs`` would not find."""
    if directory.is_relative_to(project.logs):
        return
    project.logs.mkdir(parents=True, exist_ok=True)
    with (project.logs / ELSEWHERE).open("a", encoding="utf-8", errors="surrogateescape") as stream:
        stream.write(f"{directory}\n")


@cache
def versions() -> dict[str, str]:
    """The versions of Python and of the packages that decide what comes out."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for name in _VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
