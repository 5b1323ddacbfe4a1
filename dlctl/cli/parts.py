"""Lines for a terminal that break between their parts, and within one only where it is longer than a line."""

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions
from rich.text import Text


class Parts:
    """Parts of a line, one behind the other; what does not fit goes on below, indented.

    Args:
        parts: each with the space before it, which goes where a line begins with it.
        indent: of the lines that follow.
    """

    def __init__(self, parts: Sequence[Text], indent: int = 4) -> None:
        self.parts = list(parts)
        self.indent = indent

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """One line where nothing is folded, as in a pipe."""
        yield from (
            [Text.assemble(*self.parts)] if options.no_wrap else self._lines(console, options.max_width)
        )

    def _lines(self, console: Console, width: int) -> list[Text]:
        lines = [Text()]
        for part in self.parts:
            if lines[-1].cell_len + part.cell_len > width:
                part = part[len(part.plain) - len(part.plain.lstrip()) :] if lines[-1] else part
                lines += [Text(" " * self.indent)] if lines[-1] else []
            if lines[-1].cell_len + part.cell_len <= width:
                lines[-1].append_text(part)
                continue
            first, *more = part.wrap(console, width - self.indent)
            lines[-1].append_text(first)
            lines += [Text.assemble(" " * self.indent, each) for each in more]
        for line in lines:
            line.rstrip()
        return lines
