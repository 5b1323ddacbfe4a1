"""Print results on stdout and everything else on stderr."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlctl import redact, terminal
from dlctl.errors import DlctlError, Faults

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

SCHEMA_VERSION = 1


def console(*, stderr: bool = False) -> "Console":
    """A console for results or for messages; in a pipe nothing is wrapped or cut."""
    from dlctl.utils.safe_console import SafeConsole

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 10_000
    return SafeConsole(stderr=stderr, width=width, highlight=False, soft_wrap=not stream.isatty())


def as_json(facts: Mapping[str, Any]) -> None:
    """Print one JSON object; NaN and infinity as null."""
    from dlctl.runs.manifest import finite

    whole = redact.tree({"schema_version": SCHEMA_VERSION, **facts})
    print(json.dumps(finite(whole), indent=2, allow_nan=False))


def error(fault: DlctlError, *, as_json: bool) -> None:
    """What is wrong and what to do: on stderr, or as JSON on stdout."""
    faults = fault.faults if isinstance(fault, Faults) else (fault,)
    if as_json:
        facts = [_fact(each) for each in faults]
        more = {"errors": facts} if len(facts) > 1 else {}
        globals()["as_json"]({"error": facts[0], **more})
        return
    from rich.text import Text

    from dlctl.cli.parts import Parts

    out = console(stderr=True)
    for each in faults:
        where = f"{each.place}: " if each.place else ""
        # An end of line in a name must not begin what looks like a message of its own.
        first, *others = map(terminal.one_line, redact.text(f"{where}{each.message}").split("\n"))
        out.print(Parts([Text.assemble(("error:", "bold red"), f" {first}")]))
        for line in others:
            out.print(Parts([Text(f"    {line}")]))
        for line in (each.hint or "").rstrip("\n").split("\n") if each.hint else ():
            out.print(Parts([Text(f"  {terminal.one_line(redact.text(line))}")]))


def _fact(fault: DlctlError) -> dict[str, Any]:
    return {
        "kind": fault.kind,
        "message": fault.message,
        "key": fault.key,
        "suggestions": list(fault.suggestions),
        "hint": fault.hint,
        **({"file": str(fault.place.file), "line": fault.place.line} if fault.place else {}),
    }


def note(text: str) -> None:
    """A line for the person at the terminal, on stderr."""
    console(stderr=True).print(terminal.one_line(redact.text(text)), markup=False, style="dim")


def line(text: str, *, stderr: bool = False) -> None:
    """Print one line as it is, whatever its width: a result, or with ``stderr`` a message."""
    print(terminal.one_line(text), file=sys.stderr if stderr else sys.stdout, flush=stderr)


def command(*words: str) -> str:
    """A command of dlctl as a shell takes it, without secrets."""
    import shlex

    return shlex.join(["dlctl", *map(redact.text, words)])


def block(text: str) -> None:
    """Print lines, such as a config, with their ends of line; a pipe gets them unchanged."""
    print(terminal.block(text) if sys.stdout.isatty() else text, end="")


def number(value: float | None) -> str:
    """A metric for people: four significant places."""
    if value is None:
        return "-"
    return f"{value:.4f}" if 0.001 <= abs(value) < 10_000 or value == 0 else f"{value:.4g}"


def metrics(values: Mapping[str, float | None], facts: Mapping[str, str]) -> None:
    """Metrics one a line, then facts about the run."""
    from rich.text import Text

    out = console()
    names = {name: terminal.one_line(name) for name in (*values, *facts)}
    width = max(map(len, names.values()), default=0)
    for name in sorted(values):
        out.print(Text.assemble(f"{names[name]:<{width}}  ", (number(values[name]), "bold")))
    for name, fact in facts.items():
        out.print(f"{names[name]:<{width}}  {terminal.one_line(fact)}", markup=False)


def table(columns: Sequence[str], rows: "Sequence[Sequence[str | Text]]") -> None:
    """Rows under their headings; nothing in a string is markup."""
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, header_style="bold")
    for position, name in enumerate(columns):
        grid.add_column(cell(name), no_wrap=position == 0, overflow="fold")
    for row in rows:
        grid.add_row(*(cell(each) if isinstance(each, str) else each for each in row))
    console().print(grid)


def cell(text: str, style: str = "") -> "Text":
    """Text for a table."""
    from rich.text import Text

    return Text(terminal.one_line(text), style)


STATES = {"complete": "green", "failed": "red", "pruned": "yellow"}


def value(given: Any) -> str:
    """A value of a config for people: numbers to four significant places."""
    if isinstance(given, float):
        return f"{given:.4g}"
    return "-" if given is None else str(given)


def duration(seconds: float | None) -> str:
    """Seconds as ``1 h 02 min``, ``3 min 05 s`` or ``4.2 s``."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
