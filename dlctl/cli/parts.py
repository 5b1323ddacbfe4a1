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
        lines, margin = [Text()], Text(" " * self.indent)
        for part in self.parts:
            if lines[-1] and lines[-1].cell_len + part.cell_len > width:
                lines.append(margin.copy())
                part = _stripped(part)
            first, *more = part.wrap(console, width - lines[-1].cell_len) or [part]
            lines[-1].append_text(part if not more else first)
            rest = _stripped(part[len(first.plain) :])
            lines += [margin + each for each in rest.wrap(console, width - self.indent)] if more else []
        for line in lines:
            line.rstrip()
        return lines


def _stripped(text: Text) -> Text:
    return text[len(text.plain) - len(text.plain.lstrip()) :]
