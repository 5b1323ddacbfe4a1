"""What a sweep leaves beside its trials: trials.csv, best.yaml and report.html."""

import csv
import html
import io
import os
import shlex
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import optuna
import yaml

from dlctl.files import atomic_write
from dlctl.sweep import trials as studies
from dlctl.sweep.sweeps import Sweep
from dlctl.sweep.trials import Row

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #ddd; vertical-align: top; }
.failed { color: #b00020; } .pruned { color: #8a6d00; } .best { font-weight: bold; }
.scroll { overflow-x: auto; }
"""


def write(sweep: Sweep, study: optuna.Study, *, report: bool) -> None:
    """Write the tables of a sweep and, as it takes seconds, perhaps its report."""
    rows, best = studies.rows(study), studies.best(study)
    atomic_write(sweep.dir / "trials.csv", _csv(sweep, rows))
    atomic_write(sweep.dir / "best.yaml", _best(sweep, best))
    if report:
        atomic_write(sweep.dir / "report.html", _report(sweep, study, rows, best).encode())


def get_ready() -> None:
    """Import what draws the report, which takes longer than the drawing."""
    import plotly.graph_objects as plots
    from optuna import importance, visualization  # noqa: F401

    plots.Figure(plots.Scatter()).to_html(full_html=False, include_plotlyjs=False)


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.params))


def _csv(sweep: Sweep, rows: Sequence[Row]) -> bytes:
    names = _names(rows)
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["number", "state", *sweep.metrics, *names, "seconds", "run", "error"])
    for row in rows:
        values = [*row.values, *[""] * len(sweep.metrics)][: len(sweep.metrics)]
        params = [row.params.get(name, "") for name in names]
        writer.writerow([row.number, row.state, *values, *params, row.seconds, _name(sweep, row), row.error])
    return buffer.getvalue().encode()


def _best(sweep: Sweep, best: Sequence[Row]) -> bytes:
    facts = [
        {
            "number": row.number,
            "run": _name(sweep, row),
            "values": dict(zip(sweep.metrics, row.values, strict=True)),
            "params": row.params,
        }
        for row in best
    ]
    command = f"dlctl study best {shlex.quote(sweep.study)} --as-experiment NAME"
    head = f"# The best of the study {sweep.study}; {command}\n"
    return (head + yaml.safe_dump({"best": facts}, sort_keys=False, allow_unicode=True)).encode()


def _name(sweep: Sweep, row: Row) -> str:
    """What every command takes for the trial."""
    return f"{sweep.study}/{row.number}" if row.dir else ""


def _link(sweep: Sweep, row: Row) -> str:
    return os.path.relpath(row.dir, sweep.dir) if row.dir else ""


def _report(sweep: Sweep, study: optuna.Study, rows: Sequence[Row], best: Sequence[Row]) -> str:
    """One page that needs no network: Optuna's plots, and a table with links to the runs."""
    counts = {state: sum(row.state == state for row in rows) for state in ("complete", "pruned", "failed")}
    told = ", ".join(f"{number} {state}" for state, number in counts.items())
    parts = [f"<h1>{html.escape(sweep.study)}</h1><p>{told} of {sweep.trials} trials; {_goals(sweep)}</p>"]
    plots = _plots(sweep, study) if counts["complete"] > 1 else []
    for number, (title, figure) in enumerate(plots):
        figure.update_layout(title=None, template="plotly_white", margin={"t": 20})
        drawn = figure.to_html(full_html=False, include_plotlyjs=number == 0, config={"displaylogo": False})
        parts.append(f"<h2>{html.escape(title)}</h2>{drawn}")
    parts.append(f"<h2>Trials</h2>{_table(sweep, rows, {row.number for row in best})}")
    head = f"<meta charset='utf-8'><title>{html.escape(sweep.study)}</title><style>{_STYLE}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{''.join(parts)}</body></html>\n"


def _goals(sweep: Sweep) -> str:
    pairs = zip(sweep.directions, sweep.metrics, strict=True)
    return html.escape(", ".join(f"{direction} {metric}" for direction, metric in pairs))


def _plots(sweep: Sweep, study: optuna.Study) -> list[tuple[str, Any]]:
    """Optuna's plots; one that it cannot draw of these trials is left out."""
    from optuna import visualization as draw

    found: list[tuple[str, Callable[[optuna.Study], Any]]] = []
    if len(sweep.metrics) > 1:
        found.append(("Pareto front", partial(draw.plot_pareto_front, target_names=sweep.metrics)))
    for position, metric in enumerate(sweep.metrics):
        of: dict[str, Any] = {"target_name": metric}
        if len(sweep.metrics) > 1:
            of["target"] = partial(_value, position)
        suffix = f" of {metric}"
        important = partial(draw.plot_param_importances, **_low(sweep, position, of))
        found += [
            (f"History{suffix}", partial(draw.plot_optimization_history, **of)),
            (f"Importance of the parameters{suffix}", important),
            (f"Slices{suffix}", partial(draw.plot_slice, **of)),
            (f"Parallel coordinates{suffix}", partial(draw.plot_parallel_coordinate, **of)),
        ]
    drawn = []
    for title, make in found:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of experimental plots, and of trials that are all alike
                drawn.append((title, make(study)))
        except (ValueError, RuntimeError, ImportError, ZeroDivisionError):
            # Importance needs values that differ, some plots more than one parameter.
            continue
    return drawn


def _low(sweep: Sweep, position: int, of: dict[str, Any]) -> dict[str, Any]:
    """For the importance of one of several metrics, Optuna takes low values for good ones."""
    maximized = "target" in of and sweep.directions[position] == "maximize"
    return {**of, "target": partial(_negative, position)} if maximized else of


def _negative(position: int, trial: optuna.trial.FrozenTrial) -> float:
    return -_value(position, trial)


def _value(position: int, trial: optuna.trial.FrozenTrial) -> float:
    return float(trial.values[position])


def _table(sweep: Sweep, rows: Sequence[Row], best: set[int]) -> str:
    names = _names(rows)
    titles = ["trial", "state", *sweep.metrics, *names, "seconds", "error"]
    lines = ["<tr>" + "".join(f"<th>{html.escape(title)}</th>" for title in titles) + "</tr>"]
    for row in rows:
        link = html.escape(_link(sweep, row), quote=True)
        number = f'<a href="{link}">{row.number}</a>' if link else str(row.number)
        values = [f"{value:.6g}" for value in row.values] + [""] * (len(sweep.metrics) - len(row.values))
        params = [_short(row.params.get(name, "")) for name in names]
        cells = [row.state, *values, *params, f"{row.seconds or 0:.1f}", row.error or ""]
        style = f"{row.state}{' best' if row.number in best else ''}"
        inner = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        lines.append(f"<tr class='{style}'><td>{number}</td>{inner}</tr>")
    return f"<div class='scroll'><table>{''.join(lines)}</table></div>"


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
