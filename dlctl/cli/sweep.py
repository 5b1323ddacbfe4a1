"""``dlctl sweep``: search for the best values, in trials that may fail, be killed and be taken up again."""

import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlctl.cli import complete, options, render, sweep_table
from dlctl.errors import Interrupted, UsageError
from dlctl.project import Project, shown

if TYPE_CHECKING:
    from dlctl.sweep.plan import Asked, Plan
    from dlctl.sweep.study import Study
    from dlctl.sweep.sweeps import Sweep
    from dlctl.sweep.trials import Row


def _named(flag: str, metavar: str, text: str, completion: Any = None) -> Any:
    return typer.Option(flag, metavar=metavar, help=text, autocompletion=completion)


Search = Annotated[str | None, _named("--search", "NAME", "A config of hparams_search.", complete.searches)]
Trials = Annotated[int | None, typer.Option("--trials", min=1, help="How many trials are to end.")]
Jobs = Annotated[int | None, typer.Option("--jobs", min=1, help="How many run at once.")]
StudyName = Annotated[
    str | None, _named("--study", "NAME", "Its name; one of that name goes on.", complete.studies)
]
Sampler = Annotated[str | None, _named("--sampler", "NAME", "Chooses the values.", complete.samplers)]
Pruner = Annotated[
    str | None, _named("--pruner", "NAME", "Stops trials that promise nothing.", complete.pruners)
]
Timeout = Annotated[str | None, _named("--timeout", "TIME", "Start no new trials after 2h, 30m, ...")]
TrialTimeout = Annotated[
    str | None, _named("--trial-timeout", "TIME", "Stop a trial that runs longer than 2h, 30m, ...")
]
KeepGoing = Annotated[
    bool | None,
    typer.Option("--keep-going/--fail-fast", help="Go on after a trial that failed?", show_default=False),
]
Zipped = Annotated[
    bool, typer.Option("--zip", help="Take the first values together, then the second ones, ...")
]
TestBest = Annotated[bool, typer.Option("--test-best", help="Test the best trial at the end.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check and show the search only.")]


def command(
    overrides: options.Searched = None,
    experiment: options.Experiment = None,
    search: Search = None,
    trials: Trials = None,
    jobs: Jobs = None,
    study: StudyName = None,
    storage: options.Storage = None,
    sampler: Sampler = None,
    pruner: Pruner = None,
    timeout: Timeout = None,
    trial_timeout: TrialTimeout = None,
    keep_going: KeepGoing = None,
    zipped: Zipped = False,
    test_best: TestBest = False,
    dry_run: DryRun = False,
    json: options.Json = False,
) -> None:
    """Search for the best values of a config, in several trials at once.

    dlctl sweep 'model.optimizer.lr=tag(log,interval(1e-4,1e-1))' data.batch_size=32,64 --trials 30 --jobs 2
    """
    project = Project.find()
    if sys.stderr.isatty():
        render.note("preparing the search")  # for the seconds in which nothing else is seen
    with _prepared(dry=dry_run):
        from dlctl.sweep import planning
        from dlctl.sweep.plan import Asked

        asked = Asked(
            search=search, experiment=experiment, trials=trials, jobs=jobs, study=study, storage=storage,
            sampler=sampler, pruner=pruner, timeout=timeout, trial_timeout=trial_timeout,
            keep_going=keep_going, zipped=zipped,
        )  # fmt: skip
        _refuse_nonsense(asked)
        plan = planning.make(project, options.as_overrides(overrides), asked)
        sweep, goes_on = _sweep(project, plan)
    if dry_run:
        if plan.storage or goes_on:
            from dlctl.sweep import opening

            opening.look(plan, sweep, goes_on=goes_on)
        _show(plan, sweep, goes_on, as_json=json)
        return
    try:
        _run(project, plan, sweep, goes_on, test_best=test_best, as_json=json)
    except Interrupted:
        from dlctl.sweep import forking

        forking.give_up()  # it may still import, and ignores the signal
        raise


@contextmanager
def _prepared(*, dry: bool) -> Iterator[None]:
    """Let what trials need be imported in another process while the search is being checked."""
    from dlctl.sweep import forking

    if not dry:
        forking.preload()
    try:
        yield
    except BaseException:
        forking.give_up()
        raise


def _refuse_nonsense(asked: "Asked") -> None:
    name = asked.study
    if name is None:
        return
    odd = not name.isprintable() or name != name.strip() or name.startswith("-") or set(name) & set("/\\")
    if not name or odd or name in (".", "..", "last"):
        raise UsageError(
            f"{name!r} cannot name a study", hint="letters, digits, - and _: --study lr-and-size"
        )


def _sweep(project: Project, plan: "Plan") -> tuple["Sweep", bool]:
    """The sweep that the command means: one to go on with, or a new one."""
    from dlctl.sweep import space, sweeps
    from dlctl.sweep.sweeps import Sweep

    for known in sweeps.every(project):
        same = known.study == plan.study if plan.study else known.command == plan.command
        if same and (plan.study or known.status not in ("done", "failed")):
            if known.space != plan.space.facts:
                raise space.another(known.study, known.space, plan.space)
            return known, True
    directory = plan.directory if plan.study else sweeps.free(plan.directory)
    new = Sweep(
        study=plan.study or directory.name,
        dir=directory,
        storage=plan.storage or f"sqlite:///{directory / sweeps.DATABASE}",
        command=plan.command,
        space=plan.space.facts,
        metrics=list(plan.metrics),
        directions=list(plan.directions),
        trials=plan.trials,
        overrides=list(plan.lines),
    )
    return new, False


def _run(
    project: Project, plan: "Plan", sweep: "Sweep", goes_on: bool, *, test_best: bool, as_json: bool
) -> None:
    from dlctl.cli import trial
    from dlctl.cli.sweep_view import View
    from dlctl.runs.stop import Stop
    from dlctl.sweep import opening, results, sweeps
    from dlctl.sweep.ends import MetricMissing
    from dlctl.sweep.patience import LIMIT, Patience, StorageLost
    from dlctl.sweep.study import Study
    from dlctl.sweep.worker import Worker

    patience = Patience(LIMIT, render.note)
    patience.hint = f"to go on: {_again(sweep)}"
    with _whole(sweep), Stop():
        if plan.storage is None:
            sweep.dir.mkdir(parents=True, exist_ok=True)
        found = opening.opened(plan, sweep, goes_on=goes_on, patience=patience)
        study = Study(found, plan.space, plan.trials, patience)
        sweep = _begin(project, plan, sweep, len(study.rows))
        study.stop(False)
    status = "failed"
    with Stop("stopping the running trials, to be tried again", patient=True) as stop:
        patience.stop = stop
        try:
            _introduce(project, plan, sweep, study, goes_on)
            with View(plan, sweep, study) as view:
                patience.say = view.note
                # Not in a thread: of two that import plotly at once each may wait for the other for ever.
                worker = Worker(plan, study, sweep.dir, trial.run, view, stop, results.get_ready)
                worker.run(["dlctl", *sys.argv[1:]])
            status = "done" if len(study.rows) >= plan.trials else "stopped"
        except Interrupted as error:
            status = "interrupted"
            stop.ignore(for_good=True)
            _interrupted(sweep, study, error)
            raise
        except StorageLost:
            status = "interrupted"
            raise
        except MetricMissing as error:
            error.hint = f"{error.hint}\nto try the others anyway: {_again(sweep)}"
            raise
        finally:
            stop.ignore()
            patience.say = render.note
            sweep = _end(sweep, status, len(_ended(study)))
            with suppress(StorageLost):
                results.write(sweep, found, report=status in ("done", "stopped"))
    tested = _test(sweep, study) if test_best and study.best else None
    sweep_table.report(sweep, study.rows, study.best, tested, as_json=as_json)
    sweeps.refuse_deleted(sweep)
    if any(row.state == "failed" for row in study.rows):
        raise typer.Exit(5)


@contextmanager
def _whole(sweep: "Sweep") -> Iterator[None]:
    """Leave no directory of a sweep that has not begun."""
    from dlctl.sweep import sweeps

    there = sweep.dir.exists()
    try:
        yield
    except BaseException:
        if not there and not (sweep.dir / sweeps.FILE).exists():
            shutil.rmtree(sweep.dir, ignore_errors=True)
        raise


def _begin(project: Project, plan: "Plan", sweep: "Sweep", done: int) -> "Sweep":
    from dataclasses import replace

    from dlctl.sweep import sweeps

    # Fewer than are done already cannot be wanted any more.
    return sweeps.begin(project, replace(sweep, trials=max(plan.trials, done), command=plan.command))


def _ended(study: "Study") -> "list[Row]":
    """The trials that have ended, as far as the storage still answers."""
    from dlctl.sweep.patience import StorageLost

    with suppress(StorageLost):
        return study.rows
    return study.seen


def _end(sweep: "Sweep", status: Any, done: int) -> "Sweep":
    from dlctl.runs import manifest

    return sweep.save(status=status, ended=manifest.now(), done=done)


def _introduce(project: Project, plan: "Plan", sweep: "Sweep", study: "Study", goes_on: bool) -> None:
    if not project.found:
        render.note(f"no project here: the packaged configs, logs in {shown(project.logs)}")
    done = len(study.rows)
    going = f"going on with {sweep.study}: {done} of {plan.trials} trials are done" if goes_on else None
    if done >= plan.trials:
        more = f"--study {shlex.quote(sweep.study)} --trials N"
        going = f"{sweep.study} has {done} trials already: {more} for more"
    render.note(going or f"study {sweep.study}: {plan.trials} trials, {_goals(sweep)}, in {shown(sweep.dir)}")
    for each in plan.space.parameters:
        if each.doubles:
            render.note(f"{each.key} names {', '.join(each.doubles)} more than once: tried once")
    if lost := study.recover():
        numbers = ", ".join(map(str, lost))
        render.note(f"trials whose worker is gone are tried again: {numbers}")


def _goals(sweep: "Sweep") -> str:
    return ", ".join(f"{d} {m}" for d, m in zip(sweep.directions, sweep.metrics, strict=True))


def _again(sweep: "Sweep") -> str:
    """The command that goes on with a search."""
    words = [word for word in sys.argv[1:] if word != "--json"]
    if "--study" not in words and not any(word.startswith("--study=") for word in words):
        words += ["--study", sweep.study]
    return render.command(*words)


def _interrupted(sweep: "Sweep", study: "Study", error: Interrupted) -> None:
    done = f"{len(_ended(study))} of {sweep.trials} trials are done"
    render.note(f"{error} stopped the search in {shown(sweep.dir)}: {done}")
    render.line(f"to go on: {_again(sweep)}", stderr=True)


def _test(sweep: "Sweep", study: "Study") -> dict[str, Any]:
    """Test the best trial; of several the first."""
    from dlctl.cli import eval as evaluation

    name = f"{sweep.study}/{study.best[0].number}"
    run, _ = evaluation.evaluated(name)
    return {"run": run.id, "evaluated": name, "metrics": run.manifest.metrics}


def _show(plan: "Plan", sweep: "Sweep", goes_on: bool, *, as_json: bool) -> None:
    """What a search would do."""
    from dlctl.sweep.sweeps import where

    storage = where(sweep.storage)
    if as_json:
        render.as_json(
            {
                "study": sweep.study,
                "dir": str(sweep.dir),
                "status": "dry-run",
                **plan.space.facts,
                "trials": plan.trials,
                "metrics": dict(zip(plan.metrics, plan.directions, strict=True)),
            }
        )
        return
    lines = {each.key: each.text for each in plan.space.parameters}
    lines |= {"mode": {"grid": "all combinations", "zip": "pairwise", "search": "search"}[plan.space.mode]}
    lines |= {"trials": f"{plan.trials}, {plan.jobs} at once", "metric": _goals(sweep)}
    if plan.space.mode == "search":
        lines |= {"sampler": str(plan.sampler["_target_"]), "pruner": str(plan.pruner["_target_"])}
    lines |= {"overrides": " ".join(plan.lines) or "-", "storage": storage}
    render.metrics({}, lines)
    render.note(f"would {'go on' if goes_on else 'search'} in {shown(sweep.dir)}")
