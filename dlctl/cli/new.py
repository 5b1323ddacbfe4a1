"""``dlctl new``: projects, data sets, models, experiments and searches that work from the start."""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlctl import terminal
from dlctl.cli import complete, options, render
from dlctl.errors import ConfigError, UsageError
from dlctl.project import Project, shown
from dlctl.scaffold import names, pieces, writing

if TYPE_CHECKING:
    from dlctl.scaffold.writing import File

app = typer.Typer(help="Make a project, a data set, a model, an experiment or a search that works at once.")

Name = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="Its name, as in data=NAME or --exp NAME.", show_default=False),
]
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
    path: Annotated[str, typer.Argument(metavar="PATH", help="Its folder; the last part is its name.")],
    yes: Yes = False,
    dry_run: DryRun = False,
    force: Force = False,
) -> None:
    """Make a project: a package, configs, tests, a Makefile, under version control."""
    from dlctl.scaffold.project import package_name, start_repository
    from dlctl.scaffold.project import project as files_of

    if not path:
        raise UsageError("the path of a project is empty", hint="'.' is this folder")
    root = Path(path).resolve()
    if root.exists() and not root.is_dir():
        raise UsageError(f"{shown(root)} is a file", hint="name a folder, which is made")
    files = files_of(root)
    if _write(files, root, dry_run=dry_run, force=force, yes=yes, then=lambda: start_repository(root)):
        if (package := package_name(root)) != root.name:
            render.note(f"its package is {package}")
        _next(f"cd {shlex.quote(shown(root))}", "make train, make test, dlctl new data mydataset")


@app.command("data")
def data(
    name: Name = None,
    kind: DataKind = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    force: Force = False,
) -> None:
    """Make a data set: its LightningDataModule, its config and its test."""
    found = _project()
    name = _named(name, "data", yes)
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
    name: Name = None,
    kind: ModelKind = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    force: Force = False,
) -> None:
    """Make a model: its LightningModule, its network, its config and its test."""
    found = _project()
    name = _named(name, "model", yes)
    chosen = _kind(kind, pieces.MODELS, "What does it do?", yes)
    files = pieces.model(found, name, chosen)
    if _write(files, found.root, dry_run=dry_run, force=force, yes=yes):
        _next(f"dlctl new experiment NAME model={name}")


@app.command("experiment")
def experiment(
    name: Name = None,
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
    name = _named(name, "experiment", yes)
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
    name: Name = None,
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
    from dlctl.sweep import planning
    from dlctl.sweep.plan import Asked

    found = _project()
    name = _named(name, "search", yes)
    names.refuse_bad_config(name, "a search")
    lines = options.as_overrides(space)
    if lines:
        # Whoever is told of a wrong key now need not find it in a file.
        planning.make(found, lines, Asked(experiment=experiment))
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


def _named(given: str | None, what: str, yes: bool) -> str:
    """The name of what is new: as said, or as asked for."""
    if given is None and not _may_ask(yes):
        raise UsageError("it needs a name", hint=f"dlctl new {what} NAME")
    return _ask("What is its name?") if given is None else given


def _kind(given: str | None, kinds: Mapping[str, str], question: str, yes: bool) -> str:
    """One of several kinds: as said, as asked for, or the first."""
    if given is None:
        told = {f"{kind:<13} {about}": kind for kind, about in kinds.items()}
        return told[_ask(question, list(told))] if _may_ask(yes) else next(iter(kinds))
    if given not in kinds:
        raise UsageError(f"there is no kind '{given}'", hint=f"--kind {', '.join(kinds)}")
    return given


def _choices(found: Project, lines: Sequence[str], yes: bool) -> list[str]:
    """The data and the model of an experiment, asked for where nothing says them."""
    from dlctl.composition.compose import compose

    said = {line.lstrip("+~").partition("=")[0] for line in lines}
    if "experiment" in said or not _may_ask(yes):
        return []
    wanted = [group for group in ("data", "model") if group not in said]
    usual = compose(found, "train", lines).choices if wanted else {}
    return [
        f"{group}={_ask(f'Which {group}?', list(found.options(group)), usual.get(group))}" for group in wanted
    ]


def _may_ask(yes: bool) -> bool:
    return not yes and sys.stdin.isatty() and sys.stderr.isatty()


def _ask(question: str, answers: Sequence[str] = (), usual: str | None = None) -> str:
    """One of several answers, the usual one proposed; or any text."""
    import questionary

    # Answers come on stdout otherwise, which is for results.
    from prompt_toolkit.output import create_output

    output = create_output(sys.stderr)
    if not answers:
        return str(questionary.text(question, output=output).unsafe_ask())
    default = usual if usual in answers else None
    asked = questionary.select(question, list(answers), default=default, output=output)
    return str(asked.unsafe_ask())


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
            render.line(f"{shown(file.path)}{'  (exists)' if file in others else ''}")
        render.note("nothing was written")
        return False
    if others and not force:
        told = ", ".join(shown(file.path) for file in others)
        hint = "choose another name, or overwrite: --force shows the difference first"
        raise ConfigError(f"{told} {'exists' if len(others) == 1 else 'exist'} already", hint=hint)
    for file in others:
        print(terminal.block(writing.difference(file)), end="", file=sys.stderr)
    if others and _may_ask(yes) and not typer.confirm("Overwrite?", err=True):
        raise typer.Abort
    new = [file for file in files if not file.is_there]
    writing.write(new, then)
    for file in new:
        render.line(shown(file.path))
    if not new:
        render.note("all of it is there already")
    return bool(new)


def _next(*commands: str) -> None:
    for number, command in enumerate(commands):
        render.note(f"{'then: ' if number else 'next: '}{command}")
