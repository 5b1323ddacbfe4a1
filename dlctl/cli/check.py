"""``dlctl check``: everything that can be known to be wrong without training."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlctl.cli import options, render
from dlctl.errors import DlctlError, UsageError
from dlctl.migration import steps
from dlctl.project import Project

if TYPE_CHECKING:
    from dlctl.composition.survey import Report


def command(
    overrides: options.Overrides = None,
    experiment: options.Experiment = None,
    debug: options.Debug = None,
    config: options.Config = "train",
    all_: Annotated[
        bool, typer.Option("--all", help="Check every experiment and every option of every group.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Find what is wrong with a config before it costs an hour.

    Targets and their arguments, interpolations, metrics that nothing logs, defaults lists, paths.
    """
    from dlctl.composition import survey

    lines = options.as_overrides(overrides, experiment=experiment, debug=debug)
    project = Project.find()
    if all_ and (lines or config != "train"):
        raise UsageError("--all checks everything and takes no overrides and no --config")
    report = survey.everything(project) if all_ else survey.launched(project, lines, config)
    if not any("pipeline" in line for line in lines):
        report.notes += steps.notes(project)
    _show(report, as_json=json)
    if report.faults:
        raise typer.Exit(3)


def _show(report: "Report", *, as_json: bool) -> None:
    if as_json:
        render.as_json({"faults": [_fact(each) for each in report.faults], "notes": report.notes})
        return
    for fault in report.faults:
        render.error(fault, as_json=False)
    for note in report.notes:
        render.note(note)
    count = len(report.faults)
    configs = f"{report.composed} config{'s' if report.composed != 1 else ''}"
    found = "no fault" if not count else "1 fault" if count == 1 else f"{count} faults"
    render.line(f"{found} in {configs}" if report.composed else found)


def _fact(fault: DlctlError) -> dict[str, Any]:
    return {
        "file": str(fault.place.file) if fault.place else None,
        "line": fault.place.line if fault.place else None,
        "kind": fault.topic,
        "key": fault.key,
        "message": fault.message,
        "suggestions": list(fault.suggestions),
        "hint": fault.hint,
    }
