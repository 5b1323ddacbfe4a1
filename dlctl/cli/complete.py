"""What can come next on a command line: experiments, groups, keys, values and runs."""

import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dlctl.project import Project

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from dlctl.composition.compose import Composed
    from dlctl.runs.record import Run

# Set by a shell that asks for completions, to the likes of `complete_bash`.
VARIABLE = "_DLCTL_COMPLETE"
# What a command composes, where that is not of its name.
_COMPOSED = {"predict": "eval", "sweep": "train"}
# What may be written, and a word about it; Typer leaves out what does not go on from what is typed.
Offers = list[tuple[str, str]]
_OVERRIDE = re.compile(r"(~|\+{0,2})([^=]*)(=?)(.*)", re.DOTALL)


def answer(app: typer.Typer) -> int:
    """Print what a shell asks for; whatever goes wrong, nothing else is printed.

    Returns:
        the exit code.
    """
    # Somebody is typing: a warning of some library would land in the middle of their line.
    silent, code = io.StringIO(), 0
    text: str | None = ""
    with redirect_stdout(silent), redirect_stderr(io.StringIO()):
        try:
            text = _completions(app)
            if text is None:
                app(prog_name="dlctl")
        except SystemExit as done:
            text, code = silent.getvalue().rstrip("\n"), int(done.code or 0)
        except BaseException:
            text = ""
    with suppress(Exception):
        print(text or "", end="\n" if text else "", flush=True)
    return code


def named(commands: Iterable[str]) -> list[str]:
    """The commands that stand on the line a shell asks about; no others need be imported to answer."""
    words = " ".join(os.environ.get(name, "") for name in ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")).split()
    return [command for command in commands if command in words]


def prepare_scripts(argv: Sequence[str]) -> None:
    """Let --show-completion and --install-completion give dlctl's scripts, and take a shell's name."""
    if len(argv) > 1 or "=" in argv[0]:
        # Typer looks which shell it was started from, and takes no name, unless this is set.
        os.environ["_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"] = "1"
    with suppress(Exception):
        from dlctl.cli import shells

        shells.use_own_scripts()


def _completions(app: typer.Typer) -> str | None:
    """What to print; None where Typer has to see to it itself."""
    task, _, shell = os.environ[VARIABLE].partition("_")
    try:
        from dlctl.cli import shells

        asked = shells.CLASSES[shell] if task == "complete" else None
    except Exception:
        return None
    return asked(typer.main.get_command(app), {}, "dlctl", VARIABLE).complete() if asked else None


def experiments() -> Offers:
    """The experiments there are."""
    return _options(Project.find(), "experiment")


def debugs() -> Offers:
    """The debug configs there are."""
    return _options(Project.find(), "debug")


def searches() -> Offers:
    """The searches there are."""
    return _options(Project.find(), "hparams_search")


def samplers() -> Offers:
    """The samplers there are."""
    return _options(Project.find(), "sampler")


def pruners() -> Offers:
    """The pruners there are."""
    return _options(Project.find(), "pruner")


def studies() -> Offers:
    """The studies there are, newest first."""
    from dlctl.sweep import sweeps

    found = sweeps.every(Project.find())
    last = [("last", found[0].study)] if found else []
    return [*last, *((sweep.study, sweep.status) for sweep in found)]


def groups() -> Offers:
    """The groups of configs."""
    project = Project.find()
    from dlctl.composition import store_calls

    names = sorted({*project.groups, *store_calls.groups(project)})
    return [(name, ", ".join(dict(_options(project, name)))) for name in names]


def configs() -> Offers:
    """The primary configs."""
    return _options(Project.find(), "")


def runs_and_experiments(ctx: typer.Context) -> Offers:
    """What a config can be compared with."""
    return [*experiments(), *runs(ctx)]


def keys(ctx: typer.Context, incomplete: str) -> Offers:
    """The sections and keys of the config."""
    offers = overrides(ctx, incomplete)
    return [(word.rstrip("="), text) for word, text in offers if not word.endswith("=") or "." in word]


def splits() -> Offers:
    """The splits of a data set."""
    return [("train", ""), ("val", ""), ("test", "")]


def checkpoints() -> Offers:
    """Which checkpoint of a run; for the path of one, shells offer files."""
    return [("best", "by the monitored metric"), ("last", "the newest")]


def runs(ctx: typer.Context) -> Offers:
    """The runs that a command can be about, newest first."""
    from dlctl.runs import store

    found = [run for run in store.every(Project.find()) if _fits(run, str(ctx.info_name))]
    newest = next((run for run in found if run.manifest.kind == "train"), None)
    last = [("last", newest.id)] if newest else []
    return [*last, *((run.name, _about_run(run)) for run in found)]


def run_and_overrides(ctx: typer.Context, incomplete: str) -> Offers:
    """First a run, then overrides."""
    return overrides(ctx, incomplete) if ctx.params.get("words") else runs(ctx)


def debug_and_overrides(ctx: typer.Context, incomplete: str) -> Offers:
    """Perhaps a debug config, then overrides."""
    first = not ctx.params.get("overrides")
    names = [(name, text) for name, text in debugs() if name.startswith(incomplete)] if first else []
    return names or overrides(ctx, incomplete)


def overrides(ctx: typer.Context, incomplete: str) -> Offers:
    """Groups and keys, and behind ``=`` the options of the group or the values that are known."""
    match = _OVERRIDE.fullmatch(incomplete)
    assert match
    sign, key, equals, value = match.groups()
    project = Project.find()
    group = key.partition("@")[0]
    if equals and group and (options := _options(project, group)):
        # One of several: model=[a,b], and a,b in a search.
        start = value[: max(value.rfind("["), value.rfind(",")) + 1]
        return [(f"{sign}{key}={start}{name}", text) for name, text in options]
    config = _composed(ctx, project)
    offers: Offers = [] if equals else _groups(project, config, sign, key)
    # A broken file somewhere is no reason to hide the groups.
    with suppress(Exception):
        if config is not None:
            from dlctl.composition import vocabulary

            known = vocabulary.values(config, key) if equals else vocabulary.keys(config, sign, key)
            offers += [(f"{key}={word}" if equals else word, text) for word, text in known]
    return [(f"{sign}{word}", text) for word, text in offers]


def _options(project: Project, group: str) -> Offers:
    """The options of a group, each with the first line of its file."""
    from dlctl.composition import store_calls

    files = project.options(group)
    registered = [(name, f"in {place}") for name, place in store_calls.options(project, group).items()]
    return [(name, about(file)) for name, file in files.items()] + [
        offer for offer in registered if offer[0] not in files
    ]


def about(file: Path) -> str:
    """What the first comment of a config says it is for."""
    with suppress(OSError), file.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("#") and "@package" not in line:
                return line.lstrip("# ").rstrip()
            if line.strip() and not line.startswith("#"):
                break
    return ""


def _fits(run: "Run", command: str) -> bool:
    if command not in ("train", "eval", "predict"):
        return True
    if not (run.checkpoint("best") or run.checkpoint("last")):
        return False
    return command != "train" or (
        run.manifest.kind in ("train", "debug") and run.manifest.status != "running"
    )


def _about_run(run: "Run") -> str:
    facts = run.manifest
    metric = facts.metrics.get(facts.main_metric or "")
    score = f"{facts.main_metric} {metric:.4g}" if metric is not None else ""
    return ", ".join(filter(None, (facts.task, facts.status, facts.experiment, score)))


def _groups(project: Project, config: "DictConfig | None", sign: str, typed: str) -> Offers:
    """The groups of which an option can be chosen; behind ``+`` those that are not chosen from yet."""
    from dlctl.composition import store_calls

    known = {*project.groups, *store_calls.groups(project)}
    chosen = dict(config.hydra.runtime.choices) if config else dict.fromkeys(known)
    if sign.startswith("+"):
        groups = sorted(known - chosen.keys()) if sign == "+" else []
    else:
        groups = sorted(group for group in chosen if group.partition("@")[0] in known)
    return [
        (group if sign == "~" else f"{group}=", str(chosen.get(group) or ""))
        for group in groups
        # Groups within groups, such as hydra/sweeper, are for those who ask for them.
        if typed or "/" not in group
    ]


def _composed(ctx: typer.Context, project: Project) -> "DictConfig | None":
    """The config as the choices typed so far make it; without them where one of them is wrong."""
    typed = tuple(_choices(ctx, project))
    for source in (_of_the_run, _of_the_project):
        for lines in dict.fromkeys((typed, ())):
            with suppress(Exception):
                if composed := source(ctx, project, lines):
                    return composed.full
    return None


def _of_the_run(ctx: typer.Context, project: Project, lines: Sequence[str]) -> "Composed | None":
    """The config of the run that the command is about, if it is about one."""
    words = ctx.params.get("words")
    name = ctx.params.get("resume") or (words[0] if words else None)
    if not name:
        return None
    from dlctl.composition.compose import load
    from dlctl.composition.kept import primary_name, read
    from dlctl.composition.reuse import evaluation, over
    from dlctl.runs import store

    run = store.find(project, name)
    if not words:
        return over(load(project, run.dir / ".hydra"), lines)
    own = read(run.dir / ".hydra" / "config.yaml")
    primary = primary_name(project, run.dir / ".hydra")
    return evaluation(project, own, run.manifest.overrides, lines, "eval", primary)


def _of_the_project(ctx: typer.Context, project: Project, lines: Sequence[str]) -> "Composed":
    from dlctl.composition.compose import compose

    asked = ctx.params.get("config") or _COMPOSED.get(str(ctx.info_name), ctx.info_name)
    name = asked if any((folder / f"{asked}.yaml").is_file() for folder in project.folders) else "train"
    return compose(project, str(name), lines)


def _choices(ctx: typer.Context, project: Project) -> Iterator[str]:
    """What the line chooses so far. Single values do not matter to the keys that there are."""
    for option in ("experiment", "debug"):
        if name := ctx.params.get(option):
            yield f"{option}={name}"
    for word in [*(ctx.params.get("overrides") or []), *(ctx.params.get("words") or [])]:
        if ctx.info_name == "debug" and "=" not in word and word in project.options("debug"):
            yield f"debug={word}"
        elif ("=" in word or word[0] == "~") and _options(
            project, re.split("[=@]", word.lstrip("+~"))[0] or "?"
        ):
            yield word
