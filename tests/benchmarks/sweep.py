"""A sweep beside the same trials as commands of their own, and what a trial costs beyond its training.

Run it with ``python tests/benchmarks/sweep.py``. CPU time counts every process that a command leaves behind.
"""

import ctypes
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

SHORT = ("experiment=example", "trainer.max_epochs=1", "trainer.min_epochs=1", "extras.print_config=false")
SEEDS = 8
TRAINING = """
import sys, time
from pathlib import Path
from dlctl.composition.compose import compose
from dlctl.pipeline.train import train
from dlctl.project import Project
from dlctl.runs import record

project = Project.find()
composing, training = [], []
for seed in range(5):
    began = time.process_time()
    composed = compose(project, "train", [*sys.argv[1:], f"seed={seed}", "test=false"])
    composing.append(time.process_time() - began)
    run = record.start(project, composed, "train")
    config = composed.resolve(run.dir)
    began = time.process_time()
    train(config, run, public=config, carried={}, hydra=composed.full.hydra)
    training.append(time.process_time() - began)
print(sorted(composing)[2], sorted(training[1:])[2])
"""


def run(folder: str, *words: str) -> tuple[float, float, str]:
    """Wall and CPU seconds of a command, and what it printed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    wall = time.monotonic() - began
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
    # The process that trials are forked from ends after the command: as subreaper we inherit it.
    with suppress(ChildProcessError):
        while True:
            os.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, done.stdout


def seeds(number: int) -> str:
    return "seed=" + ",".join(map(str, range(1, number + 1)))


def measure(rounds: int, trains: int = SEEDS) -> tuple[float, float, float]:
    """The sweep beside its trials as commands.

    Returns:
        The median ratio of wall times (commands / sweep), the CPU seconds of a trial beyond its training, and
        those of composing a config once more, by which machines can be compared.
    """
    prctl, subreaper = ctypes.CDLL(None).prctl, 36  # PR_SET_CHILD_SUBREAPER
    prctl(subreaper, 1)
    try:
        return _measured(rounds, trains)
    finally:
        # Whoever goes on in this process does not wait for what is left to it.
        prctl(subreaper, 0)


def _measured(rounds: int, trains: int) -> tuple[float, float, float]:
    ratios, beyond, composes = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, ".project-root").touch()
        sweep = ("-m", "dlctl", "sweep", *SHORT, "--jobs", "2")
        run(folder, *sweep, seeds(1))
        for _ in range(rounds):
            few_wall, few_cpu, _ = run(folder, *sweep, seeds(SEEDS))
            one = sum(run(folder, "-m", "dlctl", "train", *SHORT, f"seed={n}")[0] for n in range(trains))
            ratios.append(one * SEEDS / trains / few_wall)
            # Others who use the machine make all CPU times longer: measured before and after alike.
            before = _inside(folder)
            many_cpu = run(folder, *sweep, seeds(3 * SEEDS))[1]
            composing, training = (sum(two) / 2 for two in zip(before, _inside(folder), strict=True))
            beyond.append((many_cpu - few_cpu) / (2 * SEEDS) - training)
            composes.append(composing)
    return statistics.median(ratios), statistics.median(beyond), statistics.median(composes)


def _inside(folder: str) -> list[float]:
    """CPU seconds of composing a config and of training, where everything is imported already."""
    return [float(seconds) for seconds in run(folder, "-c", TRAINING, *SHORT)[2].split()[-2:]]


def main() -> None:
    ratio, beyond, composing = measure(3)
    print(f"  eight trainings one after the other / a sweep of eight  {ratio:5.2f}  (at least 5)")
    print(f"  CPU time of a trial beyond its training  {beyond * 1e3:6.0f} ms  (at most 200)")
    print(f"  CPU time of composing a config once more {composing * 1e3:6.0f} ms  (110 where that was set)")


if __name__ == "__main__":
    main()
