"""``dlctl show-config``: the composed config, and where everything in it comes from."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dlctl.cli import complete, options, render, views
from dlctl.errors import ConfigError, NotFoundError, UsageError
from dlctl.project import HYDRA, Place, Project

if TYPE_CHECKING:
    from dlctl.composition.compose import Composed
    from dlctl.composition.explain import Fact
    from dlctl.composition.keys import Keys
    from dlctl.composition.provenance import Layer, Step
    from dlctl.runs.record import Run

Format = Literal["tree", "yaml", "json"]

Package = Annotated[
    str | None,
    typer.Option(
        "--package", metavar="KEY", help="Show the part under a key only.", autocompletion=complete.keys
    ),
]
History = Annotated[
    str | None,
    typer.Option(
        "--history", metavar="KEY", help="Show everything that set a value.", autocompletion=complete.keys
    ),
]
Diff = Annotated[
    str | None,
    typer.Option(
        "--diff",
        metavar="RUN|NAME",
        help="Show what differs from a run or experiment.",
        autocompletion=complete.runs_and_experiments,
    ),
]


def command(
    overrides: options.Overrides = None,
    experiment: options.Experiment = None,
    debug: options.Debug = None,
    config: options.Config = "train",
    format: Annotated[
        Format | None, typer.Option("--format", help="A tree is the default on a terminal, YAML in a pipe.")
    ] = None,
    resolve: Annotated[bool, typer.Option("--resolve", help="Replace interpolations by values.")] = False,
    package: Package = None,
    origin: Annotated[
        bool, typer.Option("--origin", help="Show the line or override behind every value.")
    ] = False,
    history: History = None,
    defaults: Annotated[
        bool, typer.Option("--defaults", help="Show the tree of config files and what chose them.")
    ] = False,
    diff: Diff = None,
) -> None:
    """Show the config as a command would compose it, and explain it.

    Where does this value come from? dlctl show-config --history model.optimizer.lr
    """
    from dlctl.composition.compose import compose

    if sum([origin, history is not None, defaults, diff is not None]) > 1:
        raise UsageError("--origin, --history, --defaults and --diff exclude each other")
    project = Project.find()
    composed = compose(project, config, options.as_overrides(overrides, experiment=experiment, debug=debug))
    chosen = format or ("tree" if sys.stdout.isatty() else "yaml")
    if history is not None:
        _history(composed, history, chosen)
    elif defaults:
        _defaults(composed, chosen)
    elif diff is not None:
        _diff(composed, diff, package, resolve=resolve, format=chosen)
    else:
        _config(composed, package, resolve=resolve, origin=origin, format=chosen)


def _config(
    composed: "Composed", package: str | None, *, resolve: bool, origin: bool, format: Format
) -> None:
    part, keys = _part(composed, package, resolve=resolve)
    if not origin and format == "json":
        _print_json(part)
    elif not origin and format == "yaml":
        render.block(views.yaml(part))
    elif not origin:
        render.console().print(views.tree(part, package or composed.name, {}))
    else:
        _origins(composed, part, keys, format)


def _origins(composed: "Composed", part: Any, keys: "Keys", format: Format) -> None:
    from dlctl.composition.explain import facts
    from dlctl.composition.keys import dotted

    found = {fact.keys[len(keys) :]: fact for fact in facts(composed, part, keys)}
    if format == "json":
        entries = {dotted(fact.keys): _fact(composed, fact) for fact in found.values()}
        _print_json(entries)
        return
    told = {keys: views.told(fact) for keys, fact in found.items()}
    if format == "yaml":
        render.block(views.commented(part, told))
    else:
        render.console().print(views.tree(part, dotted(keys) or composed.name, told))
    if any(each[0].startswith("dlctl:") for each in told.values()):
        render.note(f"dlctl: is {composed.project.packaged}")
    if any(each[0].startswith("hydra:") for each in told.values()):
        render.note(f"hydra: is {HYDRA} in the package hydra")


def _print_json(value: Any) -> None:
    from dlctl import redact
    from dlctl.runs.manifest import finite

    print(json.dumps(finite(redact.tree(value)), indent=2, default=str))


def _part(composed: "Composed", package: str | None, *, resolve: bool) -> tuple[Any, "Keys"]:
    """The part of the config that is asked for, and the way down to it."""
    from dlctl.composition import explain
    from dlctl.composition.keys import at, named

    hydra = (package or "").partition(".")[0] == "hydra"
    whole = explain.plain(composed, resolve=resolve, hydra=hydra)
    keys = named(whole, (package or "").replace("/", "."))
    if keys is None:
        from dlctl.composition import faults

        close = faults.close_keys(composed.full, str(package))
        hint = faults.meant(list(close)) or "dlctl show-config shows what there is"
        raise ConfigError(f"unknown key '{package}'", hint=hint, key=package, suggestions=list(close))
    return at(whole, keys), keys


def _history(composed: "Composed", key: str, format: Format) -> None:
    """Everything that set a value, the last of them last."""
    from dlctl import redact
    from dlctl.composition.keys import dotted
    from dlctl.composition.provenance import REMOVED

    value, keys, steps, removed = _steps(composed, key)
    key = dotted(keys)
    if format == "json":
        history = [{"value": step.value, **_by(composed, step.by), "why": step.why} for step in steps]
        render.as_json({"key": key, "value": value, "removed": removed, "history": history})
        return
    from rich.text import Text

    from dlctl.cli.parts import Parts

    out = render.console()
    shown = REMOVED if removed else views.inline(value) if not isinstance(value, dict) else ""
    out.print(Parts([Text.assemble((f"{key}: ", "bold"), shown)], indent=5))
    for number, step in enumerate(steps, 1):
        what = step.value if step.key == key else f"{step.key}: {step.value}"
        what = redact.text(" ".join(f"{number:>3}. {what}".splitlines()))
        by = Text(redact.text(f"  {step.by}"), style="cyan")
        out.print(Parts([Text(what, style="bold" if number == len(steps) else ""), by], indent=5))
        for line in step.why.split(" < "):
            first, *more = redact.text(line).split(" chosen by ")
            parts = [f"     {first}", *(f" chosen by {each}" for each in more)]
            out.print(Parts([Text(part, style="dim") for part in parts], indent=7))
    if not steps:
        out.print("     set by Hydra itself", style="dim")


def _steps(composed: "Composed", key: str) -> tuple[Any, "Keys", "list[Step]", bool]:
    """A value, the way down to it, what set it, and whether it has been removed."""
    try:
        value, keys = _part(composed, key, resolve=False)
    except ConfigError:
        from dlctl.composition import removed

        if (found := removed.history(composed, key)) is None:
            raise
        return None, *found, True
    return value, keys, composed.trail.history(keys, below=True), False


def _defaults(composed: "Composed", format: Format) -> None:
    """The tree of config files as it was resolved."""
    root = composed.trail.root
    if format == "json":
        render.as_json({"defaults": _layer(composed, root)})
        return
    render.console().print(views.defaults(root))


def _diff(composed: "Composed", other: str, package: str | None, *, resolve: bool, format: Format) -> None:
    """What differs from a run's or an experiment's config."""
    from dlctl.composition import explain
    from dlctl.composition.compose import compose, load
    from dlctl.composition.keys import at, differences
    from dlctl.runs import origin

    project = composed.project
    if other in project.options("experiment"):
        old = compose(project, composed.name, [f"experiment={other}"])
    else:
        folder = _run(project, other).dir / ".hydra"
        if resolve and not origin.is_own(folder):
            # The project may have resolvers that run what they are given.
            raise ConfigError(f"'{other}' was made by no run of yours here", hint="leave out --resolve")
        old = load(project, folder)
    ours, keys = _part(composed, package, resolve=resolve)
    theirs = at(explain.plain(old, resolve=resolve), keys, ...)
    found = differences(theirs, ours, keys)
    if format == "json":
        entries = [
            {"key": key, **({"old": a} if a is not ... else {}), **({"new": b} if b is not ... else {})}
            for key, a, b in found
        ]
        render.as_json({"other": other, "differences": entries})
        return
    if not found:
        render.note(f"no difference from {other}")
    out = render.console()
    for difference in found:
        out.print(views.changed(*difference))


def _run(project: Project, name: str) -> "Run":
    """The run that a name means.

    Raises:
        NotFoundError: there is none; experiments that are named like it are told too.
    """
    from dlctl.runs import store

    try:
        return store.find(project, name)
    except NotFoundError as error:
        if name == "last" or "/" in name or name.endswith(".ckpt"):
            raise
        from dlctl.composition.faults import close, meant

        similar = [*close(name, project.options("experiment")), *error.suggestions]
        hint = meant(similar) or "dlctl list experiment and dlctl runs list show what there is"
        raise NotFoundError(
            f"there is no experiment and no run '{name}'", hint=hint, suggestions=similar
        ) from error


def _layer(composed: "Composed", layer: "Layer") -> dict[str, Any]:
    return {
        "name": layer.title,
        "config": layer.config,
        "file": str(layer.file) if layer.file else None,
        "chosen_by": str(layer.chosen) if layer.chosen else None,
        "instead_of": layer.instead,
        "defaults": ["_self_" if part is layer else _layer(composed, part) for part in layer.parts],
    }


def _fact(composed: "Composed", fact: "Fact") -> dict[str, Any]:
    points = [{"key": name, **(_by(composed, by) if by else {})} for name, by in fact.points]
    return {
        "value": fact.value,
        **_by(composed, fact.by),
        **({"points_to": points, "resolved": fact.resolved} if points else {}),
    }


def _by(composed: "Composed", by: Place | str) -> dict[str, Any]:
    if isinstance(by, str):
        return {"override": by}
    return {"file": str(by.file), "line": by.line, "packaged": not composed.project.owns(by.file)}
