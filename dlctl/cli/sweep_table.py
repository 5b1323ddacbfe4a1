"""What came out of a search, as a table and as JSON."""

import shlex
from typing import TYPE_CHECKING, Any

from dlctl.cli import render
from dlctl.project import shown

if TYPE_CHECKING:
    from dlctl.sweep.sweeps import Sweep
    from dlctl.sweep.trials import Row

# All trials stand in the table at the end, unless there are more; then the best and the failed ones.
_MANY = 30


def report(
    sweep: "Sweep",
    rows: "list[Row]",
    best: "list[Row]",
    tested: dict[str, Any] | None,
    *,
    as_json: bool,
) -> None:
    """What came out of a search."""
    if as_json:
        more = {"test": tested} if tested else {}
        render.as_json(facts(sweep, rows, best) | more)
        return
    shown_rows = rows
    if len(rows) > _MANY:
        worth = {row.number for row in best} | {row.number for row in rows if row.state == "failed"}
        shown_rows = [row for row in rows if row.number in worth]
    table(sweep, shown_rows, best)
    lines = {}
    for row in best[:1]:
        name = f"{sweep.study}/{row.number}"
        lines["best"] = name
        lines["evaluate"] = f"dlctl eval {shlex.quote(name)}"
        lines["experiment"] = f"dlctl study best {shlex.quote(sweep.study)} --as-experiment NAME"
    lines["sweep"] = shown(sweep.dir)
    if (sweep.dir / "report.html").is_file():
        lines["report"] = shown(sweep.dir / "report.html")
    render.metrics(tested["metrics"] if tested else {}, lines)


def facts(sweep: "Sweep", rows: "list[Row]", best: "list[Row]") -> dict[str, Any]:
    """A study as JSON."""

    def fact(row: "Row") -> dict[str, Any]:
        found = {
            "number": row.number,
            "state": row.state,
            "params": row.params,
            "values": row.values,
            "run": f"{sweep.study}/{row.number}" if row.dir else None,
        }
        return found | ({"error": row.error} if row.error else {})

    return {
        "study": sweep.study,
        "dir": str(sweep.dir),
        "trials": [fact(row) for row in rows],
        "best": [fact(row) for row in best],
    }


def table(sweep: "Sweep", rows: "list[Row]", best: "list[Row]") -> None:
    """Trials one a line, the best marked."""
    names = list(dict.fromkeys(name for row in rows for name in row.params))
    first = {row.number for row in best}
    failures = any(row.error for row in rows)
    columns = ["trial", "state", *sweep.metrics, *_shortest(names), "time", *(["error"] if failures else [])]
    lines = []
    for row in rows:
        values = [render.number(value) for value in row.values] + ["-"] * len(sweep.metrics)
        params = [render.value(row.params.get(name)) for name in names]
        star = "*" if row.number in first else ""
        error = [render.escaped(row.error or "")] if failures else []
        state = f"[{render.STATES.get(row.state, 'default')}]{row.state}[/]"
        time = render.duration(row.seconds)
        lines.append([f"{row.number}{star}", state, *values[: len(sweep.metrics)], *params, time, *error])
    render.table(columns, lines)


def _shortest(names: list[str]) -> list[str]:
    """Names without what they have in common with none: the last part, where that is enough."""
    last = [name.rpartition(".")[2] for name in names]
    return [short if last.count(short) == 1 else name for short, name in zip(last, names, strict=True)]
