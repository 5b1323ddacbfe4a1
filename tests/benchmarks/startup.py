"""The CPU time of ``dlctl --help``, and of the smallest Typer app with three commands.

Run it with ``python tests/benchmarks/startup.py``. The two take turns as whole processes; the ratio is the
median over the rounds.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

THREE_COMMANDS = '''
"""Three commands."""
import typer

app = typer.Typer(help="Three commands.", context_settings={"help_option_names": ["-h", "--help"]})


@app.command()
def one(name: str, count: int = 1) -> None:
    """Do the first thing."""


@app.command()
def two(name: str, count: int = 1) -> None:
    """Do the second thing."""


@app.command()
def three(name: str, count: int = 1) -> None:
    """Do the third thing."""


app()
'''


def cpu(command: list[str], folder: str) -> float:
    """Seconds of CPU time of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds of CPU time by command and round."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, ".project-root").touch()
        small = Path(folder, "small.py")
        small.write_text(THREE_COMMANDS)
        dlctl = [sys.executable, "-m", "dlctl"]
        commands = {
            "dlctl --help": [*dlctl, "--help"],
            "three commands": [sys.executable, str(small), "--help"],
            "train --dry-run": [*dlctl, "train", "--dry-run"],
            "runs list": [*dlctl, "runs", "list"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(rounds + 1):
            for name, command in commands.items():
                used = cpu(command, folder)
                if number:  # the first round compiles and reads from the disk
                    seconds[name].append(used)
    return seconds


def ratio(seconds: dict[str, list[float]]) -> float:
    """``dlctl --help`` over the three commands', the median of the rounds."""
    pairs = zip(seconds["dlctl --help"], seconds["three commands"], strict=True)
    return statistics.median(one / other for one, other in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    seconds = measure(parser.parse_args().rounds)
    for name, values in seconds.items():
        print(f"  {name:<18}{statistics.median(values) * 1e3:6.0f} ms of CPU time")
    print(f"  dlctl --help / three commands  {ratio(seconds):5.2f}  (at most 1.5)")


if __name__ == "__main__":
    main()
