"""``dlctl new``: projects, data sets, models, experiments and searches that work from the start."""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlctl.cli import complete, options, render
from dlctl.errors import ConfigError, UsageError
from dlctl.project import Project, shown
from dlctl.scaffold import names, pieces, writing

if TYPE_CHECKING:
    from dlctl.scaffold.writing import File

app = typer.Typer(help="Make a project, a data set, a model, an experiment or a search that works at once.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name, as in data=NAME or --exp NAME.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take what is usual.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List what would be written; write nothing.")]
Force = Annotated[
    bool, typer.Option("--force", help="Overwrite files that are there, after showing what differs.")
]
DataKind = Annotated[
    str | None,
    typer.Option(
        "--kind", metavar="KIND", help=", ".join(pieces.DATA), autocompletion=lambda: list(pieces.DATA)
    ),
]
ModelKind = Annotated[
    str | None,
    typer.Option(
        "--kind", metavar="KIND", help=", ".join(pieces.MODELS), autocompletion=lambda: list(pieces.MODELS)
    ),
]


@app.command("project")
def project(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Its folder; the last part is its name.")],
    yes: Yes = False,
    dry_run: DryRun = False,
    force: Force = False,
) -> None:
    """Make a project: a package, configs, tests, a Makefile, under version control."""
    from dlctl.scaffold.project import project as files_of
    from dlctl.scaffold.project import start_repository

    root = path.absolute()
    if root.exists() and not root.is_dir():
        raise UsageError(f"{shown(root)} is a file", hint="name a folder, which is made")
    files = files_of(root)
    if _write(files, root, dry_run=dry_run, force=force, yes=yes, then=lambda: start_repository(root)):
        _next(f"cd {shlex.quote(shown(root))}", "make train, make test, dlctl new data mydataset")


@app.command("data")
def data(
    name: Name, kind: DataKind = None, yes: Yes = False, dry_run: DryRun = False, force: Force = False
) -> None:
    """Make a data set: its LightningDataModule, its config and its test."""
    found = _project()
    chosen = _kind(kind, pieces.DATA, "What kind of data is it?", yes)
    files = pieces.data(found, name, chosen)
    if _write(files, found.root, dry_run=dry_run, force=force, yes=yes):
        render.note(f"reads: {pieces.about(files)}")
        _next(
            f"dlctl show-config data={name} --package data",
            f"dlctl new experiment NAME data={name} model=...",
        )


@app.command("model")
def model(
    name: Name, kind: ModelKind = None, yes: Yes = False, dry_run: DryRun = False, force: Force = False
) -> None:
    """Make a model: its LightningModule, its network, its config and its test."""
    found = _project()
    chosen = _kind(kind, pieces.MODELS, "What does it do?", yes)
    files = pieces.model(found, name, chosen)
    if _write(files, found.root, dry_run=dry_run, force=force, yes=yes):
        _next(f"dlctl new experiment NAME model={name}")


@app.command("experiment")
def experiment(
    name: Name,
    overrides: options.Overrides = None,
    run: Annotated[
        str | None,
        typer.Option("--from", metavar="RUN", help="Make it out of a run.", autocompletion=complete.runs),
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    force: Force = False,
) -> None:
    """Make an experiment: a config that combines what there is, or what a run was.

    dlctl new experiment wide data=mnist_mini model=mnist model.net.lin1_size=256
    """
    from dlctl.runs import store
    from dlctl.scaffold import experiments

    found = _project()
    names.refuse_bad_config(name, "an experiment")
    lines = options.as_overrides(overrides)
    if run is not None:
        if lines:
            raise UsageError("--from takes what the run was", hint="leave out the overrides, or --from")
        text = experiments.of_run(found, name, store.find(found, run))
    else:
        text = experiments.combining(found, name, [*_choices(found, lines, yes), *lines])
    file = _config(found, "experiment", name, text)
    if _write([file], found.root, dry_run=dry_run, force=force, yes=yes):
        _next(f"dlctl train --exp {name}")


@app.command("search")
def search(
    name: Name,
    space: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUES]...", help="What is searched: seed=1,2 or 'key=interval(0,1)'."),
    ] = None,
    experiment: options.Experiment = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    force: Force = False,
) -> None:
    """Make a search: a config of what is varied, and of what is optimized."""
    from dlctl.scaffold import experiments
    from dlctl.sweep import plan

    found = _project()
    names.refuse_bad_config(name, "a search")
    lines = options.as_overrides(space)
    if lines:
        # Whoever is told of a wrong key now need not find it in a file.
        plan.make(found, lines, plan.Asked(experiment=experiment))
    text = experiments.search(found, name, experiment, lines)
    file = _config(found, "hparams_search", name, text)
    if _write([file], found.root, dry_run=dry_run, force=force, yes=yes):
        chosen = f" --exp {experiment}" if experiment else ""
        _next(f"dlctl sweep --search {name}{chosen} --dry-run", f"dlctl sweep --search {name}{chosen}")


def _project() -> Project:
    found = Project.find()
    if not found.found:
        raise UsageError("there is no project here", hint="dlctl new project PATH makes one")
    return found


def _config(project: Project, group: str, name: str, text: str) -> "File":
    return writing.File(pieces.config_file(project, group, name), text)


def _kind(given: str | None, kinds: Mapping[str, str], question: str, yes: bool) -> str:
    """One of several kinds: as said, as asked for, or the first."""
    if given is None:
        told = {f"{kind:<13} {about}": kind for kind, about in kinds.items()}
        return told[_ask(question, list(told))] if _may_ask(yes) else next(iter(kinds))
    if given not in kinds:
        raise UsageError(f"there is no kind '{given}'", hint=f"--kind {', '.join(kinds)}")
    return given


def _choices(project: Project, lines: Sequence[str], yes: bool) -> list[str]:
    """The data and the model of an experiment, asked for where nothing says them."""
    said = {line.lstrip("+~").partition("=")[0] for line in lines}
    if "experiment" in said or not _may_ask(yes):
        return []
    wanted = [group for group in ("data", "model") if group not in said]
    return [f"{group}={_ask(f'Which {group}?', list(project.options(group)))}" for group in wanted]


def _may_ask(yes: bool) -> bool:
    return not yes and sys.stdin.isatty() and sys.stderr.isatty()


def _ask(question: str, answers: Sequence[str]) -> str:
    import questionary

    # Answers come on stdout otherwise, which is for results.
    from prompt_toolkit.output import create_output

    answer = questionary.select(question, list(answers), output=create_output(sys.stderr)).unsafe_ask()
    return str(answer)


def _write(
    files: "Sequence[File]",
    root: Path,
    *,
    dry_run: bool,
    force: bool,
    yes: bool,
    then: Callable[[], None] | None = None,
) -> bool:
    """Write files and list them; whether they were written."""
    writing.refuse_strays(files, root)
    others = writing.standing(files)
    if dry_run:
        for file in files:
            print(f"{shown(file.path)}{'  (exists)' if file in others else ''}")
        render.note("nothing was written")
        return False
    if others and not force:
        told = ", ".join(shown(file.path) for file in others)
        hint = "choose another name, or overwrite: --force shows the difference first"
        raise ConfigError(f"{told} {'exists' if len(others) == 1 else 'exist'} already", hint=hint)
    for file in others:
        print(writing.difference(file), end="", file=sys.stderr)
    if others and _may_ask(yes) and not typer.confirm("Overwrite?", err=True):
        raise typer.Abort
    writing.write(files, then)
    for file in files:
        print(shown(file.path))
    return True


def _next(*commands: str) -> None:
    for number, command in enumerate(commands):
        render.note(f"{'then: ' if number else 'next: '}{command}")
