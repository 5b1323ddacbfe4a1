"""What ``dlctl doctor`` found: lines to be read, and the same facts for ``--json``."""

import sys
import textwrap
from dataclasses import dataclass, field
from typing import Any

from dlctl import redact, terminal
from dlctl.cli import render


@dataclass
class Report:
    """What was found.

    Attributes:
        lines: name, text and, if that is a problem, what to do about it.
        facts: the same for ``--json``.
    """

    lines: list[tuple[str, str, str | None]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def say(self, name: str, text: str, remedy: str | None = None) -> None:
        """Add a line."""
        text = terminal.one_line(redact.text(text))
        self.lines.append((name, text, remedy and terminal.block(redact.text(remedy))))

    @property
    def problems(self) -> list[dict[str, str]]:
        """The lines that are problems, for ``--json``."""
        found = [line for line in self.lines if line[2] is not None]
        return [{"name": name, "message": text, "hint": str(remedy)} for name, text, remedy in found]

    def print(self) -> None:
        """Names and texts in two columns; at a terminal a long text goes on in its column."""
        out = render.console()
        indent = max(len(name) for name, *_ in self.lines) + 2
        width = max(out.width - indent, 30) if sys.stdout.isatty() else 10_000
        # A path that is broken up could not be copied.
        wrap = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False).wrap
        for name, text, remedy in self.lines:
            rows = wrap(text if remedy is None else f"problem: {text}")
            rows += [row for line in (remedy or "").splitlines() for row in wrap(line)]
            out.print(f"{name:<{indent}}", end="", markup=False)
            if remedy is not None:
                out.print("[bold red]problem[/]", end="")
                rows[0] = rows[0].removeprefix("problem")
            out.print(f"\n{'':<{indent}}".join(rows), markup=False, soft_wrap=True)


def size(number: int) -> str:
    """Bytes, as people read them."""
    return f"{number / 2**30:.1f} GiB" if number >= 2**30 else f"{number / 2**20:.0f} MiB"
