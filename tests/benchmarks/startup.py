"""The CPU time of what answers at once, beside the least that it could be.

Run it with ``python tests/benchmarks/startup.py``. All take turns as whole processes into a pipe; a ratio is
the median over the rounds.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
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


IMPORTS = "import hydra, omegaconf, typer, rich"
HELP, SMALLEST = "dlctl --help", "three commands"
SHOW, LIBRARIES, LIGHTNING = "dlctl show-config --exp example", IMPORTS, "import lightning"
OTHERS = ("dlctl train --dry-run", "dlctl runs list", "dlctl list", "dlctl check --all")


def measure(rounds: int, names: Sequence[str]) -> dict[str, list[float]]:
    """Seconds of CPU time by command and round."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, ".project-root").touch()
        small = Path(folder, "small.py")
        small.write_text(THREE_COMMANDS)
        seconds: dict[str, list[float]] = {name: [] for name in names}
        for number in range(rounds + 1):
            for name in names:
                if name.startswith("dlctl "):
                    command = ["-m", *name.split()]
                else:
                    command = [str(small), "--help"] if name == SMALLEST else ["-c", name]
                used = cpu([sys.executable, *command], folder)
                if number:  # the first round compiles and reads from the disk
                    seconds[name].append(used)
    return seconds


def ratio(seconds: dict[str, list[float]], one: str, other: str) -> float:
    """What one takes in units of another, the median of the rounds."""
    pairs = zip(seconds[one], seconds[other], strict=True)
    return statistics.median(mine / theirs for mine, theirs in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    seconds = measure(rounds, (HELP, SMALLEST, SHOW, LIBRARIES, *OTHERS[:-1]))
    seconds |= measure(max(rounds // 5, 1), (OTHERS[-1], LIGHTNING))
    for name, values in seconds.items():
        print(f"  {name:<40}{statistics.median(values) * 1e3:6.0f} ms of CPU time")
    print(f"  --help / three commands        {ratio(seconds, HELP, SMALLEST):5.2f}  (at most 1.5)")
    print(f"  show-config / its imports      {ratio(seconds, SHOW, LIBRARIES):5.2f}  (at most 2)")
    lightning = statistics.median(seconds[LIGHTNING]) / statistics.median(seconds[SHOW])
    print(f"  import lightning / show-config {lightning:5.1f}  (at least 10)")


if __name__ == "__main__":
    main()
