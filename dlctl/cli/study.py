"""``dlctl study``: what searches have come to, and how to stop one."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlctl.cli import complete, options, render, sweep_table
from dlctl.errors import ConfigError, DlctlError, NotFoundError, UsageError
from dlctl.project import Project, shown

if TYPE_CHECKING:
    import optuna

    from dlctl.sweep.sweeps import Sweep

app = typer.Typer(help="Look at searches: their trials and the best of them; stop one.")
Name = Annotated[
    str,
    typer.Argument(
        metavar="STUDY", help="`last`, a study's name or its directory.", autocompletion=complete.studies
    ),
]


def _open(name: str, storage: str | None) -> "tuple[Sweep, optuna.Study]":
    from dlctl.sweep import storage as storages
    from dlctl.sweep import sweeps

    found = sweeps.find(Project.find(), name)
    return found, storages.load(storages.connect(sweeps.storage_of(found, storage)), found.study)


@app.command("status")
def status(
    study: Annotated[
        str | None, typer.Argument(metavar="[STUDY]", help="One of them.", autocompletion=complete.studies)
    ] = None,
    storage: options.Storage = None,
    json: options.Json = False,
) -> None:
    """Tell how far a study has come; without a name, list the studies."""
    from dlctl.sweep import sweeps

    if study is None and storage is not None:
        _list_in(storage, as_json=json)
        return
    if study is None:
        _list(sweeps.every(Project.find()), as_json=json)
        return
    from dlctl.sweep.sweeps import where
    from dlctl.sweep.trials import rows, running

    found, known = _open(study, storage)
    ended, (now, gone) = rows(known), running(known)
    counts = {state: sum(row.state == state for row in ended) for state in ("complete", "pruned", "failed")}
    counts |= {"running": len(now), "lost": len(gone)}
    if json:
        facts = {"study": found.study, "dir": str(found.dir), "status": found.status}
        render.as_json({**facts, "wanted": found.trials, "counts": counts})
        return
    told = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
    lines = {"status": found.status, "trials": f"{told or 'none yet'}, of {found.trials}"}
    lines |= {"searched": " ".join(f"{k}={v}" for k, v in found.space["parameters"].items())}
    lines |= {"storage": where(found.storage), "sweep": shown(found.dir)}
    render.metrics({}, lines)


def _list(found: "list[Sweep]", *, as_json: bool) -> None:
    if as_json:
        facts = [{"study": each.study, "dir": str(each.dir), "status": each.status} for each in found]
        render.as_json({"studies": facts})
    elif not found:
        render.note("no studies yet: dlctl sweep makes one")
    else:
        rows = [[each.study, each.status, f"{_done(each)}/{each.trials}", shown(each.dir)] for each in found]
        render.table(("study", "status", "trials", "directory"), rows)


def _done(sweep: "Sweep") -> int | str:
    """How many trials have ended: noted at the end, before that only the storage knows."""
    if sweep.status not in ("running", "lost"):
        return sweep.done
    from dlctl.sweep import storage as storages
    from dlctl.sweep import sweeps
    from dlctl.sweep.trials import rows

    try:
        return len(rows(storages.load(storages.connect(sweeps.storage_of(sweep)), sweep.study)))
    except DlctlError:
        return "?"


def _list_in(storage: str, *, as_json: bool) -> None:
    """List the studies of a storage, which may be those of other folders and machines."""
    from dlctl.sweep import storage as storages
    from dlctl.sweep.sweeps import where

    found = storages.names(storages.look(storage))
    if as_json:
        render.as_json({"studies": [{"study": name, "done": done} for name, done in found]})
    elif not found:
        render.note(f"{where(storage)} holds no studies")
    else:
        render.table(("study", "trials"), [[name, str(done)] for name, done in found])


@app.command("trials")
def trials(study: Name, storage: options.Storage = None, json: options.Json = False) -> None:
    """List the trials that have ended."""
    from dlctl.sweep.trials import best, rows

    found, known = _open(study, storage)
    if json:
        render.as_json(sweep_table.facts(found, rows(known), best(known)))
    elif not rows(known):
        render.note(f"no trial of {found.study} has ended yet")
    else:
        sweep_table.table(found, rows(known), best(known))


@app.command("best")
def best(
    study: Name,
    as_experiment: Annotated[
        str | None,
        typer.Option("--as-experiment", metavar="NAME", help="Write its values as an experiment config."),
    ] = None,
    storage: options.Storage = None,
    json: options.Json = False,
) -> None:
    """Show the best trial, or make an experiment of it."""
    from dlctl.sweep import trials as studies

    found, known = _open(study, storage)
    first = studies.best(known)
    if not first:
        raise NotFoundError(
            f"no trial of {found.study} is complete", hint=f"dlctl study trials {shlex.quote(found.study)}"
        )
    written = _write(found, first[0], as_experiment) if as_experiment is not None else None
    if json:
        more = {"experiment": str(written)} if written else {}
        render.as_json(sweep_table.facts(found, studies.rows(known), first) | more)
        return
    if written is None:
        sweep_table.table(found, first, first)
        return
    print(shown(written))
    if len(first) > 1:
        render.note(f"of {len(first)} trials that none beats, trial {first[0].number}")
    render.note(f"to train it: dlctl train --exp {as_experiment}")


def _write(found: "Sweep", row: Any, name: str) -> Path:
    """Write an experiment; never over another one."""
    from dlctl.composition.compose import load
    from dlctl.scaffold import experiments, names, pieces, writing

    project = Project.find()
    names.refuse_bad_config(name, "an experiment")
    if not project.found:
        raise UsageError(
            "an experiment is written into a project, and there is none here",
            hint="dlctl new project PATH makes one",
        )
    path = pieces.config_file(project, "experiment", name)
    if path.exists():
        raise ConfigError(f"{shown(path)} exists already", hint="choose another name, or remove it")
    if row.dir is None or not Path(row.dir).is_dir():
        raise NotFoundError(f"the run of trial {row.number} is not there any more")
    values = zip(found.metrics, row.values, strict=False)
    told = ", ".join(f"{metric} {value:.6g}" for metric, value in values)
    about = f"Trial {row.number} of the study {found.study}: {told}."
    said = load(project, Path(row.dir) / ".hydra").overrides
    writing.write([writing.File(path, experiments.of_overrides(project, name, about, said))])
    return path


@app.command("stop")
def stop(study: Name, storage: options.Storage = None) -> None:
    """Let running trials finish and start no new ones."""
    from dlctl.sweep.trials import STOP

    found, known = _open(study, storage)
    if found.status != "running":
        render.note(f"{found.study} is not running: it is {found.status}")
        return
    known.set_user_attr(STOP, True)
    render.note(f"{found.study} starts no more trials; the same dlctl sweep command goes on with it")
