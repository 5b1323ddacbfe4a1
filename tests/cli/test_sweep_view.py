"""What a search looks like while it runs."""

import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from dlctl.cli.sweep_view import View
from dlctl.sweep.trials import Row
from tests.cli.test_sweep import FAST
from tests.conftest import Dlctl

STATES = ("complete", "pruned", "failed")
VALUES = {"model.optimizer.lr": 0.01, "data.batch_size": 64, "model.net.lin1_size": 128, "seed": 3}


def drawn(width: int) -> list[str]:
    """The lines of a view at some width."""
    rows = [Row(n, state, {}, [0.5], None, None, 1.0) for n, state in enumerate(STATES)]
    best = rows[:1]
    plan: Any = SimpleNamespace(metrics=("val/acc_best",), trials=20)
    study: Any = SimpleNamespace(rows=[], best=[], best_of=lambda _: best)
    view = View(plan, SimpleNamespace(), study)  # type: ignore[arg-type]
    view._started = time.monotonic() - 30
    for row in rows:
        view.ended(row, rows)
    one: Any = SimpleNamespace(
        trial=SimpleNamespace(number=7),
        params=VALUES,
        epoch=3,
        epochs=10,
        value=0.945,
        started=time.monotonic(),
    )
    console = Console(file=io.StringIO(), width=width)
    console.print(view._drawn([one]))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_running_trials_and_what_is_left_fit_every_terminal(width: int) -> None:
    lines = drawn(width)
    assert lines[0].split() == ["trial", "epoch", "val/acc_best", "time", "values"]
    assert re.fullmatch(r"7      3/10   0.9450        0.\d s  lr=0.01 batch_size=64.*", lines[1])
    assert lines[1].endswith("…" if width == 60 else "seed=3")
    told = " ".join(lines[2:])
    for part in ("3/20 trials", "1 complete", "1 pruned", "1 failed", "best 0.5000 (trial 0)", " left"):
        assert part in told
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("colours", [True, False])
def test_on_a_terminal_a_search_is_a_table_that_moves(dlctl: Dlctl, colours: bool) -> None:
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    env = {name: text for name, text in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    env |= {"TERM": "xterm-256color"} | ({} if colours else {"NO_COLOR": "1"})
    words = ("sweep", "seed=1,2,3", "--jobs", "2", *FAST, "trainer.max_epochs=3")
    command = [sys.executable, "-m", "dlctl", *words]
    process = subprocess.Popen(command, cwd=dlctl.root, env=env, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    shown = b""
    while process.poll() is None or select.select([master], [], [], 0.2)[0]:
        if select.select([master], [], [], 0.2)[0]:
            try:
                shown += os.read(master, 65536)
            except OSError:
                break
    os.close(master)
    assert process.wait() == 0
    text = shown.decode()
    coloured = re.compile(r"\x1b\[[0-9;]*3[1-7][0-9;]*m")
    assert bool(coloured.search(text)) == colours
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert re.search(r"trial +epoch +val/acc_best +time +values", plain)
    assert re.search(r"[012] +[123]/3 +0\.\d+ +\d\.\d s +seed=[123]", plain)
    assert re.search(r"2/3 trials +2 complete +best 0\.\d+ \(trial \d\) +\d+\.\d s left", plain)
