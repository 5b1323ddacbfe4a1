"""A Rich console on which text from elsewhere cannot steer the terminal."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.segment import Segment

from dlctl import terminal


class SafeConsole(Console):
    """Escapes control characters in whatever is printed; Rich's own sequences are added after that."""

    def render(self, *args: Any, **kwargs: Any) -> Iterable[Segment]:
        """The segments of a renderable, ends of line apart without control characters."""
        for segment in super().render(*args, **kwargs):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(terminal.block(segment.text), segment.style)
