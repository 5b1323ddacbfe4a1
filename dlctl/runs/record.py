"""One run: create its directory, write down what it is, and how it ends."""

import os
import platform
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

from dlctl import redact
from dlctl.errors import CheckpointMisfit, ConfigError, Interrupted, Pruned, RunFailed, disk_full
from dlctl.project import Project, shown
from dlctl.runs import git, lock, manifest, origin
from dlctl.runs.manifest import Kind, Manifest, Status
from dlctl.runs.process import identity as process_identity
from dlctl.runs.stop import Stop

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from dlctl.composition.compose import Composed

_VERSIONS = ("dlctl", "torch", "lightning", "torchmetrics", "hydra-core", "optuna", "numpy")
# Names, below logs/, the run directories that lie elsewhere.
ELSEWHERE = "elsewhere.txt"
# What a resumed run with a changed config writes anew beside it.
_REWRITTEN = ("config_resolved.yaml", "config_tree.log")


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
        """Add facts to the manifest, on disk at once.

        Raises:
            RunFailed: the run directory has been deleted.
        """
        self.manifest = self.manifest.with_(**facts)
        if not self.child:
            if not (self.dir / manifest.FILE).is_file():
                raise deleted(self)
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
        """The ``best`` or ``last`` checkpoint, if there is one.

        The last one of a run that was killed or failed is the newest whole one: such a run may have saved
        more than it could note.
        """
        name = self.manifest.checkpoints.get(which)
        noted = self.dir / str(name) if name and (self.dir / str(name)).is_file() else None
        if which == "best" or (noted and self.manifest.status in ("done", "interrupted", "pruned")):
            return noted
        return self._newest_checkpoint() or noted

    def _newest_checkpoint(self) -> Path | None:
        """The checkpoint written last from which training can go on."""
        noted = [self.manifest.checkpoints.get(which) for which in ("best", "last")]
        folders = {(self.dir / str(name)).parent for name in noted if name} - {self.dir}
        found = {file for folder in folders for file in folder.glob("*.ckpt")}
        found |= {Path(folder) / name for folder, _, names in os.walk(self.dir) for name in names}
        files = [file for file in found if file.suffix == ".ckpt" and file.name[0] != "." and file.is_file()]
        newest_first = sorted(files, key=lambda file: file.stat().st_mtime_ns, reverse=True)
        return next(filter(self._is_resumable, newest_first), None)

    def _is_resumable(self, file: Path) -> bool:
        """Whether a file is a whole checkpoint of this run, with what is needed to go on."""
        try:
            with ZipFile(file) as archive:
                index = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
                content = archive.read(index)
        except Exception:
            # Whatever is wrong with it.
            return False
        # Runs may share a folder of checkpoints.
        own = file.is_relative_to(self.dir) or self.id.encode() in content
        return own and b"optimizer_states" in content

    def recorded_sha256(self, file: Path) -> str | None:
        """The sha256 that the manifest has of a file; None if it has none."""
        hashes = self.manifest.checkpoints.get("sha256")
        found = hashes.get(os.path.relpath(file, self.dir)) if isinstance(hashes, dict) else None
        return found if isinstance(found, str) else None


def deleted(run: Run) -> RunFailed:
    """The error of a run whose directory has been deleted meanwhile."""
    return RunFailed(
        f"the run directory {shown(run.dir)} was deleted while the run was going on",
        hint="nothing of the run is kept: start it again",
    )


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

    Signals are held from here on until `record` handles them.

    Args:
        project: to which it belongs.
        composed: its config.
        kind: what command it is of.
        wanted: the directory; None for the one that the config asks for.
        own: its config is of the user's own making, and may be used again without asking.
        facts: more for the manifest.
    """
    stop = Stop()
    stop.hold()
    directory = None
    try:
        directory = _create(wanted or composed.run_dir())
        lock.acquire(directory)
        return _written(project, composed, kind, directory, stop, own, facts)
    except BaseException:
        stop.restore()
        if directory is not None:
            lock.release(directory)
            shutil.rmtree(directory, ignore_errors=True)
        raise


def _written(
    project: Project,
    composed: "Composed",
    kind: Kind,
    directory: Path,
    stop: Stop,
    own: bool,
    facts: dict[str, Any],
) -> Run:
    """Write what is known of a run into its directory."""
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
    run = Run(directory, identity, stop)
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


@contextmanager
def resuming(run: Run, composed: "Composed | None" = None) -> Iterator[None]:
    """Make this process the one that runs it; undone if its checkpoint turns out not to fit the config.

    Args:
        run: not running; signals are held from here on until `record` handles them.
        composed: its new config, if that has changed; the one before is kept beside it.
    """
    run.stop.hold()
    before = run.manifest
    texts = {file: file.read_bytes() for name in _REWRITTEN if (file := run.dir / name).is_file()}
    facts: dict[str, Any] = {"status": "running", "ended": None, "error": None, **process_identity()}
    # The checkpoints are going to be written again, and the run may be killed before it notes their hashes.
    names = {which: name for which, name in before.checkpoints.items() if which != "sha256"}
    facts["checkpoints"] = names
    config, earlier = run.dir / ".hydra", None
    if composed is not None:
        earlier = run.dir / f".hydra-{len(list(run.dir.glob('.hydra-*'))) + 1}"
        own = origin.is_own(config)
        config.rename(earlier)
        _save(composed, run.dir, composed.public(run.dir), own)
        facts["overrides"] = list(composed.overrides)
    run.note(**facts)
    try:
        yield
    except CheckpointMisfit:
        if earlier is not None:
            shutil.rmtree(config)
            earlier.rename(config)
        for file, text in texts.items():
            file.write_bytes(text)
        manifest.write(run.dir, before)
        raise


def _save(composed: "Composed", directory: Path, public: "DictConfig", own: bool) -> None:
    from dlctl.yaml_text import to_yaml

    composed.save(directory / ".hydra")
    if own:
        origin.remember(directory / ".hydra")
    (directory / "config_resolved.yaml").write_text(to_yaml(public), encoding="utf-8")


@contextmanager
def record(run: Run) -> Iterator[Run]:
    """Record how the run ends, whatever ends it.

    Raises:
        Interrupted: a signal ended it, or came before it failed.
    """
    from dlctl.runs import workers

    before = run.manifest.duration_s or 0.0
    run._since = time.monotonic()
    with run.stop, workers.protected():
        try:
            # A signal may have come while the run was created.
            run.stop.release()
            yield run
        except BaseException as error:
            # A second ^C must not leave the manifest at `running`.
            run.stop.hold()
            status, reason = _outcome(run, error)
            # With a full disk or without its directory even this may not be written.
            with suppress(OSError, RunFailed):
                _finish(run, before, status=status, error=reason)
            if status == "interrupted" and not isinstance(error, Interrupted):
                raise Interrupted(run.stop.requested or signal.SIGINT) from error
            raise
        else:
            run.stop.hold()
            _finish(run, before, status="done", error=None)
        finally:
            lock.release(run.dir)


def _outcome(run: Run, error: BaseException) -> tuple[Status, dict[str, str] | None]:
    """The status of a run that an exception ends, and the reason for the manifest."""
    if isinstance(error, Pruned):
        return "pruned", None
    cause = disk_full(error) or error
    reason = {"type": type(cause).__name__, "message": redact.text(str(cause))}
    # A signal that reaches other processes too, ranks or those of a pool, ends this one by their failure.
    stopped = isinstance(error, Interrupted | KeyboardInterrupt) or run.stop.requested is not None
    return "interrupted" if stopped else "failed", reason


def _finish(run: Run, before: float, **facts: Any) -> None:
    seconds = round(before + time.monotonic() - run._since, 3)
    if not run.child:
        run.manifest = run.manifest.with_(**facts)
    run.note(ended=manifest.now(), duration_s=seconds, **facts)
    if not run.child:
        # Last: hashing takes seconds, in which the process may be killed.
        run.note(checkpoints=_hashed(run))


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
