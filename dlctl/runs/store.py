"""The runs on disk: list them, find the one that is meant."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlctl.errors import DlctlError, NotFoundError
from dlctl.project import Project, shown
from dlctl.runs import manifest
from dlctl.runs.process import is_gone
from dlctl.runs.record import ELSEWHERE, Run

# A word that ends so names a file, even if that is not there.
CHECKPOINT_SUFFIXES = (".ckpt", ".pt", ".pth", ".safetensors")


def open_run(directory: Path) -> Run:
    """The run in a directory; one whose process is gone is ``lost``."""
    facts = manifest.read(directory)
    if facts.status == "running" and is_gone(facts.host, facts.process):
        facts = facts.with_(status="lost")
    return Run(directory, facts)


@dataclass(frozen=True)
class Unreadable:
    """A run directory whose manifest cannot be read, and why."""

    dir: Path
    error: NotFoundError


def every(project: Project) -> list[Run]:
    """All runs of a project whose manifests can be read, newest first."""
    return survey(project)[0]


def survey(project: Project) -> tuple[list[Run], list[Unreadable]]:
    """All runs of a project, newest first, and the directories of those that cannot be read."""
    runs, unreadable = [], []
    for folder in {folder.resolve() for folder in directories(project, manifest.FILE)}:
        try:
            runs.append(open_run(folder))
        except NotFoundError as error:
            unreadable.append(Unreadable(folder, error))
    runs.sort(key=lambda run: (run.manifest.started, run.id), reverse=True)
    return runs, sorted(unreadable, key=lambda each: each.dir)


def directories(project: Project, file: str) -> Iterator[Path]:
    """The directories of a project's logs, and those elsewhere, that hold a file of this name."""
    for folder, inner, files in os.walk(project.logs):
        # A folder of that name is no manifest either, and is reported as one that cannot be read.
        found = file in files or file in inner
        if manifest.FILE in files or manifest.FILE in inner:
            # A run holds no runs: its checkpoints and logs need not be searched.
            inner.clear()
        if found:
            yield Path(folder)
    elsewhere = project.logs / ELSEWHERE
    if elsewhere.is_file():
        # A folder's name may be any bytes.
        for line in elsewhere.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            # Not Path.is_file: it raises for a folder that may not be entered.
            if os.path.isfile(os.path.join(line, file)):  # noqa: PTH113, PTH118
                yield Path(line)


def find(project: Project, name: str, *, with_checkpoint: bool = False) -> Run:
    """The run that a word names: ``last``, an id, ``STUDY/7``, a directory or a checkpoint in it.

    Raises:
        NotFoundError: there is none, or the word fits several.
    """
    path = Path(name)
    if path.is_dir() and name != "last":
        return open_run(path.absolute())
    if path.is_file():
        if run := around(path):
            return run
        raise NotFoundError(f"{shown(path)} lies in no run directory")
    runs, unreadable = survey(project)
    if name == "last":
        return _last(project, runs, with_checkpoint)
    found = [run for run in runs if name in (run.id, run.name)]
    if len(found) > 1:
        trained = [run for run in found if run.manifest.kind == "train"]
        found = trained if len(trained) == 1 else found
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFoundError(
            f"'{name}' names {len(found)} runs",
            hint="name one by its directory: " + ", ".join(shown(run.dir) for run in found),
        )
    for each in unreadable:
        if name in (each.dir.name, f"{each.dir.parent.name}/{each.dir.name}"):
            raise each.error
    raise _unknown(name, runs)


def around(file: Path) -> Run | None:
    """The run in whose directory a file lies."""
    for folder in file.absolute().parents:
        if (folder / manifest.FILE).is_file():
            return open_run(folder)
    return None


def existing_checkpoint(path: str | Path) -> Path:
    """The absolute path of a checkpoint that is there.

    Raises:
        NotFoundError: it is not.
    """
    if not Path(path).is_file():
        hint = "dlctl runs list shows the runs, dlctl runs show RUN a run's checkpoints"
        if Path(path).exists():
            kind = "a folder" if Path(path).is_dir() else "not a regular file"
            raise NotFoundError(f"cannot read the checkpoint {shown(path)}: it is {kind}", hint=hint)
        raise NotFoundError(f"there is no checkpoint {shown(path)}", hint=hint)
    return Path(path).absolute()


def find_checkpoint(project: Project, name: str, which: str = "best") -> tuple[Path, Run | None]:
    """The checkpoint that a word names, and the run to which it belongs if that is known.

    Args:
        project: where runs are looked for.
        name: ``last``, an id, ``STUDY/7``, a directory or a checkpoint file.
        which: ``best``, ``last`` or the path of a checkpoint, for a run.

    Raises:
        NotFoundError: there is no such run or checkpoint.
    """
    path = Path(name)
    if path.suffix in CHECKPOINT_SUFFIXES or (path.exists() and not path.is_dir()):
        return existing_checkpoint(path), around(path)
    run = find(project, name, with_checkpoint=True)
    if which not in ("best", "last"):
        return existing_checkpoint(which), run
    found = run.checkpoint(which) or run.checkpoint("last")
    if found is None:
        about = run.manifest.evaluated
        raise NotFoundError(
            f"{run.id} has no checkpoint",
            hint=f"it is about another run: {about}" if about else "it saved none before it ended",
        )
    return found, run


def _unknown(name: str, runs: Sequence[Run]) -> DlctlError:
    from difflib import get_close_matches

    close = get_close_matches(name, [run.id for run in runs], n=3, cutoff=0.7)
    hint = f"did you mean {' or '.join(close)}?" if close else "dlctl runs list shows what there is"
    return NotFoundError(f"there is no run or checkpoint '{name}'", hint=hint, suggestions=close)


def _last(project: Project, runs: Sequence[Run], with_checkpoint: bool) -> Run:
    for run in runs:
        if run.manifest.kind != "train":
            continue
        if not with_checkpoint or run.checkpoint("best") or run.checkpoint("last"):
            return run
    what = "with a checkpoint " if with_checkpoint else ""
    raise NotFoundError(
        f"there is no training run {what}in {shown(project.logs)} yet",
        hint="dlctl train --exp example makes one",
    )
