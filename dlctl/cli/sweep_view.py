"""A search while it runs: a table that moves on a terminal, a line a trial everywhere else; on stderr."""

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlctl import redact, terminal
from dlctl.cli import render
from dlctl.project import shown

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from dlctl.sweep.plan import Plan
    from dlctl.sweep.study import Study
    from dlctl.sweep.sweeps import Sweep
    from dlctl.sweep.trials import Row
    from dlctl.sweep.worker import Running


class View:
    """Shows what a worker does.

    Args:
        plan: what is searched.
        sweep: where.
        study: what has ended.
    """

    def __init__(self, plan: "Plan", sweep: "Sweep", study: "Study") -> None:
        self._plan = plan
        self._sweep = sweep
        self._rows = study.rows
        self._best = study.best
        self._study = study
        self._started = time.monotonic()
        self._ended = 0
        self._live: Live | None = None

    def __enter__(self) -> "View":
        if sys.stderr.isatty():
            from rich.live import Live

            self._live = Live(console=render.console(stderr=True), auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def ended(self, row: "Row", rows: "Sequence[Row]") -> None:
        """Tell how a trial ended; on a terminal failures only, the others are in the table."""
        self._ended += 1
        self._rows = [*rows]
        self._best = self._study.best_of(rows)
        if self._live is None or row.state == "failed":
            line = terminal.one_line(redact.text(self._line(row)))
            if self._live is None:
                print(line, file=sys.stderr, flush=True)
            else:
                style = "red" if row.state == "failed" else None
                self._live.console.print(line, markup=False, style=style, soft_wrap=True)

    def note(self, text: str) -> None:
        """Show a line above the table."""
        if self._live is None:
            render.note(text)
        else:
            self._live.console.print(redact.text(text), markup=False, style="dim", soft_wrap=True)

    def tick(self, running: "Sequence[Running]") -> None:
        """Draw anew."""
        if self._live is not None:
            self._live.update(self._drawn(running), refresh=True)

    def _line(self, row: "Row") -> str:
        label = f"trial {row.number:>{len(str(self._plan.trials))}}  {row.state:<8}"
        done = f"{len(self._rows)}/{self._plan.trials}"
        params = [f"{name}={render.value(value)}" for name, value in row.params.items()]
        if row.state == "failed":
            where = f" (see {shown(row.dir)})" if row.dir else ""
            return "  ".join([label, done, f"{row.error}{where}", *params])
        values = [f"{m} {render.number(v)}" for m, v in zip(self._plan.metrics, row.values, strict=False)]
        best = ["best so far"] if row.number in [each.number for each in self._best] else []
        return "  ".join([label, done, *values, *params, render.duration(row.seconds), *best])

    def _drawn(self, running: "Sequence[Running]") -> "RenderableType":
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
        for name in ("trial", "epoch", self._plan.metrics[0], "time"):
            table.add_column(name, no_wrap=True)
        # On a narrow terminal it is this column that is cut.
        table.add_column("values", no_wrap=True, overflow="ellipsis", ratio=1)
        for each in sorted(running, key=lambda one: one.trial.number):
            epoch = f"{each.epoch}/{each.epochs}" if each.epochs else "-"
            params = " ".join(f"{k.rpartition('.')[2]}={render.value(v)}" for k, v in each.params.items())
            took = render.duration(time.monotonic() - each.started)
            table.add_row(str(each.trial.number), epoch, render.number(each.value), took, render.cell(params))
        return Group(table, Text(self._summary(running)))

    def _summary(self, running: "Sequence[Any]") -> str:
        counts = [
            f"{number} {state}"
            for state in ("complete", "pruned", "failed")
            if (number := sum(row.state == state for row in self._rows))
        ]
        parts = [f"{len(self._rows)}/{self._plan.trials} trials", *counts]
        for row in self._best[:1]:
            parts.append(f"best {render.number(row.values[0])} (trial {row.number})")
        if self._ended:
            left = (self._plan.trials - len(self._rows)) * (time.monotonic() - self._started) / self._ended
            parts.append(f"{render.duration(max(left, 0))} left")
        return "  ".join(parts)
