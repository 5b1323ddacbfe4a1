"""``dlctl runs``: what has been run, and how it went."""

from typing import TYPE_CHECKING, Annotated

import typer

from dlctl.cli import complete, options, render
from dlctl.project import Project, shown
from dlctl.runs import store
from dlctl.runs.record import Run

if TYPE_CHECKING:
    from rich.text import Text

app = typer.Typer(help="List runs, show one.")
_STYLES = {"done": "green", "failed": "red", "lost": "red", "interrupted": "yellow", "pruned": "yellow"}


@app.command("list")
def list_(
    json: options.Json = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="The newest so many only.")] = None,
) -> None:
    """List the runs, newest first."""
    runs, unreadable = store.survey(Project.find())
    found = runs[:limit]
    if json:
        faults = [{"dir": str(each.dir), "message": each.error.message} for each in unreadable]
        render.as_json({"runs": [run.manifest.to_json() for run in found], "unreadable": faults})
        return
    if not (found or unreadable):
        render.note("no runs yet: dlctl train --exp example makes one")
        return
    rows = [_row(run) for run in found]
    rows += [[shown(each.dir), "", render.cell("unreadable", "red"), "", "", ""] for each in unreadable]
    render.table(("run", "task", "status", "metric", "time", "tags"), rows)
    for each in unreadable:
        render.note(each.error.message)


@app.command("show")
def show(
    run: Annotated[
        str, typer.Argument(help="`last`, a run's id, directory or checkpoint.", autocompletion=complete.runs)
    ],
    json: options.Json = False,
) -> None:
    """Show one run: its config, code, metrics and checkpoints."""
    found = store.find(Project.find(), run)
    facts = found.manifest.to_json()
    if json:
        render.as_json(facts)
        return
    lines = {"run": shown(found.dir)}
    for name in ("status", "task", "started", "ended", "device", "experiment", "seed", "evaluated"):
        if facts[name] is not None:
            lines[name] = str(facts[name])
    if weights := found.manifest.weights:
        lines["weights"] = shown(weights)
    lines["time"] = render.duration(found.manifest.duration_s)
    lines["command"] = " ".join(found.manifest.argv)
    lines["tags"] = ", ".join(found.manifest.tags)
    if git := found.manifest.git:
        lines["code"] = git["commit"][:12] + (" and uncommitted changes" if git["dirty"] else "")
    for which in ("best", "last"):
        if path := found.checkpoint(which):
            lines[which] = shown(path)
    if error := found.manifest.error:
        lines["error"] = f"{error['type']}: {error['message']}"
    render.metrics(found.manifest.metrics, {key: value for key, value in lines.items() if value})


def _row(run: Run) -> "list[str | Text]":
    facts = run.manifest
    name = facts.main_metric
    if name not in facts.metrics:
        # An evaluation has test/acc where its training was judged by val/acc_best.
        kind = (name or "").rpartition("/")[2].removesuffix("_best")
        name = next((each for each in facts.metrics if each.rpartition("/")[2] == kind), None)
    metric = f"{name} {render.number(facts.metrics[name])}" if name else "-"
    status = render.cell(facts.status, _STYLES.get(facts.status, ""))
    tags = ", ".join(facts.tags)
    return [run.name, facts.task, status, metric, render.duration(facts.duration_s), tags]
