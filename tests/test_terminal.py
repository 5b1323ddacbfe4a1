import io

import pytest
from rich.text import Text

from dlctl import terminal
from dlctl.utils.safe_console import SafeConsole


@pytest.mark.parametrize(
    ("text", "line", "block"),
    [
        ("plain größe 日本 👩\u200d💻", "plain größe 日本 👩\u200d💻", "plain größe 日本 👩\u200d💻"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\nb\tc", "a\\nb\\tc", "a\nb\tc"),
        ("done\rfail\x07\x08\x7f", "done\\rfail\\x07\\x08\\x7f", "done\\rfail\\x07\\x08\\x7f"),
        ("\x9b2J\x85\u2028", "\\x9b2J\\x85\\u2028", "\\x9b2J\\x85\\u2028"),
        ("a\u202etxt.exe\u2066", "a\\u202etxt.exe\\u2066", "a\\u202etxt.exe\\u2066"),
        ("byte \udcff, half \ud83d", "byte \\xff, half \\ud83d", "byte \\xff, half \\ud83d"),
    ],
)
def test_controls_become_visible(text: str, line: str, block: str) -> None:
    assert terminal.one_line(text) == line
    assert terminal.block(text) == block


def test_console_keeps_its_own_colours_and_escapes_those_of_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm")
    stream = io.StringIO()
    console = SafeConsole(file=stream, force_terminal=True, highlight=False, width=80)
    console.print(Text("a\x1b[2J\u202eb[/]", "bold"))
    assert stream.getvalue() == "\x1b[1ma\\x1b[2J\\u202eb[/]\x1b[0m\n"
