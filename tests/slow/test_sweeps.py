"""What befalls searches that run for a week: kills at any moment, no memory, trials of several processes."""

import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.cli.test_sweep import FAST, diary, notes, project, trouble, wait_for  # noqa: F401 - a fixture
from tests.conftest import Dlctl
from tests.slow.test_processes import DDP

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("space", "jobs"), [("seed=interval(1,100000)", "2"), ("seed=range(1,15)", "4")])
def test_search_killed_at_random_moments_ends_with_exactly_its_trials(
    project: Dlctl,  # noqa: F811
    space: str,
    jobs: str,
) -> None:
    file, moments = project.root / "diary", random.Random(7)
    words = ("sweep", space, diary(file, 0.3), "--jobs", jobs, "--trials", "14", "--study", "s", *FAST)
    done: dict[int, object] = {}
    for kill in range(10):
        process = project.start(*words)
        if kill % 3:
            known = len(notes(file))
            wait_for(lambda known=known: len(notes(file)) > known or process.poll() is not None)  # noqa: B023
        time.sleep(moments.uniform(0, 1.5 if kill % 3 else 6))
        process.kill()
        process.wait()
        pids = {int(line[1]) for line in notes(file)}
        wait_for(lambda pids=pids: not any(map(psutil.pid_exists, pids)), 5)
        if not list(project.root.rglob("sweep.json")):
            continue
        now = {row["number"]: row for row in project("study", "trials", "s", "--json").json["trials"]}
        assert {number: now[number] for number in done} == done
        done = now
    report = json.loads(project.process(*words, "--json").out)
    assert [trial["state"] for trial in report["trials"]] == ["complete"] * 14
    seeds = {str(trial["params"]["seed"]) for trial in report["trials"]}
    assert len(seeds) == 14
    # No values that were begun are lost, and what has ended stays as it was told.
    assert {line[3] for line in notes(file)} == seeds
    assert {row["number"]: row for row in report["trials"] if row["number"] in done} == done
    again = json.loads(project.process(*words, "--json").out)
    assert again["trials"] == report["trials"]


@pytest.fixture
def small_cgroup(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A control group of 200 MB for whoever joins it."""
    root = Path("/sys/fs/cgroup")
    old = root / "memory"
    folder = (old if old.is_dir() else root) / f"dlctl-test-{os.getpid()}"
    try:
        folder.mkdir()
        limit = folder / ("memory.limit_in_bytes" if old.is_dir() else "memory.max")
        limit.write_text(str(200 * 2**20))
    except OSError:
        pytest.skip("making a control group needs root")
    monkeypatch.setenv("SMALL_CGROUP", str(folder))
    yield
    wait_for(lambda: not (folder / "cgroup.procs").read_text())
    folder.rmdir()


@pytest.mark.usefixtures("small_cgroup")
def test_trial_that_the_kernel_kills_for_its_memory_says_so(project: Dlctl) -> None:  # noqa: F811
    words = ("sweep", "seed=1,2,3", trouble("exhausts"), "--jobs", "2", *FAST, "--json")
    result = project.process(*words, code=5)
    failed = [trial for trial in result.json["trials"] if trial["state"] == "failed"]
    assert [trial["params"] for trial in failed] == [{"seed": 2}]
    assert failed[0]["error"] == "out of memory: the kernel killed its process"


@pytest.mark.parametrize("trainer", [DDP, ("trainer=ddp_sim",)], ids=["ddp", "ddp_sim"])
def test_trial_of_two_processes_is_pruned(dlctl: Dlctl, trainer: tuple[str, ...]) -> None:
    (dlctl.root / "configs/pruner").mkdir(parents=True)
    (dlctl.root / "configs/pruner/strict.yaml").write_text(
        "# Wants more than there can be.\n_target_: optuna.pruners.ThresholdPruner\nlower: 2.0\n"
        "n_warmup_steps: 2\n"
    )
    words = ("model.optimizer.lr=interval(0.001,0.01)", *trainer, "--pruner", "strict")
    process = dlctl.start("sweep", *words, *FAST, "trainer.max_epochs=5", "--trials", "2", "--json")
    started: set[int] = set()
    parent = psutil.Process(process.pid)
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            started |= {child.pid for child in parent.children(recursive=True)}
        time.sleep(0.2)
    out, err = process.communicate()
    assert process.returncode == 0, err
    report = json.loads(out)
    assert [trial["state"] for trial in report["trials"]] == ["pruned", "pruned"]
    assert "Warning" not in err
    for number in range(2):
        directory = Path(report["dir"]) / str(number)
        assert json.loads((directory / "run.json").read_text())["status"] == "pruned"
        assert len((directory / "csv/metrics.csv").read_text().splitlines()) == 3
    wait_for(lambda: not any(map(psutil.pid_exists, started)), 5)
