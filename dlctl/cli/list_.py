"""``dlctl list``: the groups of configs and their options."""

from typing import Annotated, Any

import typer

from dlctl.cli import complete, options, render
from dlctl.errors import DlctlError, NotFoundError
from dlctl.project import Project


def command(
    group: Annotated[
        str | None,
        typer.Argument(
            metavar="[GROUP]", help="One group, e.g. model or experiment.", autocompletion=complete.groups
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """List the groups of configs and their options.

    What `dlctl train` chooses is marked.
    """
    from dlctl.composition import store_calls
    from dlctl.composition.compose import compose
    from dlctl.composition.faults import close, meant

    project = Project.find()
    known = sorted({*project.groups, *store_calls.groups(project)})
    if group is not None and group not in known:
        hint = meant(close(group, known)) or f"there are: {', '.join(known)}"
        raise NotFoundError(f"there is no group '{group}'", hint=hint, suggestions=close(group, known))
    try:
        chosen = compose(project, "train").choices
    except DlctlError as error:
        render.note(f"the train config does not compose, so nothing is marked: {error.message}")
        chosen = {}
    # Hydra's own settings are for those who ask for them; what lies in folders is told with its group.
    shown = [group] if group else sorted({name.partition("/")[0] for name in known} - {"hydra"})
    found = {name: _options(project, name, chosen.get(name)) for name in shown}
    if json:
        render.as_json({"groups": found})
        return
    for name, entries in found.items():
        _print(name, entries)


def _options(project: Project, group: str, chosen: Any) -> list[dict[str, Any]]:
    from dlctl.composition import store_calls

    picked = chosen if isinstance(chosen, list) else [chosen]
    return [
        {
            "name": name,
            "about": complete.about(file),
            "chosen": name in picked,
            "file": str(file),
            "packaged": not project.owns(file),
        }
        for name, file in project.options(group).items()
    ] + [
        {
            "name": name,
            "about": f"registered in {place}",
            "chosen": name in picked,
            "file": str(place.file),
            "packaged": False,
        }
        for name, place in store_calls.options(project, group).items()
        if name not in project.options(group)
    ]


def _print(group: str, entries: list[dict[str, Any]]) -> None:
    from rich.table import Table

    out = render.console()
    out.print(render.cell(group, "bold"))
    grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for entry in entries:
        mark = "*" if entry["chosen"] else " "
        grid.add_row(render.cell(f"{mark} {entry['name']}"), render.cell(entry["about"], "dim"))
    out.print(grid)
