"""What is told of searches while they run, before there are any, and where they are kept."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.cli.test_sweep import FAST, diary, notes, project, wait_for  # noqa: F401 - a fixture
from tests.conftest import Dlctl


def test_without_a_study_it_is_told_how_to_make_one(dlctl: Dlctl) -> None:
    for words in (("best", "last"), ("trials", "x"), ("status", "last")):
        err = dlctl("study", *words, code=4).err
        assert err.splitlines()[0] == "error: there is no study in logs yet"
        assert "dlctl sweep" in err.splitlines()[1]


def test_studies_of_a_storage_and_all_trials_beside_the_best(dlctl: Dlctl) -> None:
    storage = "sqlite:///all.db"
    result = dlctl("sweep", "seed=1,1,2", "--study", "s", "--storage", storage, *FAST)
    assert "seed names 1 more than once: tried once" in result.err
    assert dlctl("study", "status", "--storage", storage).out.split() == ["study", "trials", "s", "2"]
    assert dlctl("study", "status").out.splitlines()[1].split()[:3] == ["s", "done", "2/2"]
    best = dlctl("study", "best", "s", "--json").json
    assert len(best["trials"]) == 2
    assert len(best["best"]) == 1
    other = dlctl("sweep", "seed=1,3", "--study", "s", "--storage", storage, "--dry-run", code=3)
    assert "it searches something else" in other.err
    # The study of another folder is known to its storage alone.
    (dlctl.root / "logs").rename(dlctl.root / "moved")
    other = dlctl("sweep", "seed=1,3", "--study", "s", "--storage", storage, "--dry-run", code=3)
    assert "seed is 1,1,2 there and 1,3 here" in other.err


def test_dry_run_and_lists_make_nothing(dlctl: Dlctl) -> None:
    for storage in ("sqlite:///new.db", "new.journal"):
        dlctl("sweep", "seed=1,2", "--storage", storage, "--dry-run")
        assert "holds no studies" in dlctl("study", "status", "--storage", storage).err
    assert [path.name for path in dlctl.root.iterdir()] == [".project-root"]


@pytest.mark.parametrize(
    ("storage", "told"),
    [("sqlite:///other", "no SQLite database"), ("other", "no journal of a study")],
)
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_file_of_another_kind_is_told(dlctl: Dlctl, storage: str, told: str, more: tuple[str, ...]) -> None:
    file = dlctl.root / "other"
    file.write_text("a shopping list: milk, bread, butter, and so on\n" * 30)
    err = dlctl("sweep", "seed=1,2", "--storage", storage, *more, code=3).err
    assert told in err.splitlines()[0]
    assert file.read_text().startswith("a shopping list")


def test_killed_search_has_lost_its_trials_and_none_that_run(project: Dlctl) -> None:  # noqa: F811
    file = project.root / "diary"
    process = project.start("sweep", "seed=1,2,3", diary(file, 20.0), *FAST)
    wait_for(lambda: notes(file))
    process.kill()
    process.wait()
    status = project("study", "status", "last", "--json").json
    assert (status["status"], status["counts"]["running"], status["counts"]["lost"]) == ("lost", 0, 1)
    assert "no trial of" in project("study", "trials", "last").err
    assert project("study", "status").out.splitlines()[1].split()[1:3] == ["lost", "0/3"]


ELSEWHERE = """
import socket, sys
socket.gethostname = lambda: "elsewhere"
from dlctl.cli import main
main()
"""


def test_trials_of_a_host_that_died_are_tried_again(
    project: Dlctl,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = project.root / "diary"
    words = ("sweep", "seed=interval(1,1000)", diary(file, 3.0), "--trials", "2", "--study", "s", *FAST)
    other = subprocess.Popen([sys.executable, "-c", ELSEWHERE, *words], stderr=subprocess.DEVNULL)
    wait_for(lambda: notes(file))
    other.kill()
    other.wait()
    assert project("study", "status", "s", "--json").json["counts"]["running"] == 1
    monkeypatch.setattr("dlctl.sweep.trials.SILENCE", 5.0)  # three minutes to users
    report = project(*words, "--json").json
    assert [trial["state"] for trial in report["trials"]] == ["complete"] * 2
    lost = notes(file)[0][3]
    assert lost in [str(trial["params"]["seed"]) for trial in report["trials"]]
    assert len(project("runs", "list", "--json").json["runs"]) == 3


def test_signal_before_the_search_begins_leaves_nothing(project: Dlctl) -> None:  # noqa: F811
    logs = project.root / "logs"
    process = project.start("sweep", "seed=1,2,3", *FAST)
    wait_for(lambda: list(logs.rglob("multiruns/*")))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=150)
    assert process.returncode == 130, err
    assert not [folder for folder in logs.rglob("multiruns/*") if not (folder / "sweep.json").exists()]


def test_time_of_a_trial_is_that_of_its_run(dlctl: Dlctl) -> None:
    began = time.monotonic()
    report = dlctl("sweep", "seed=1,2", "--study", "s", *FAST, "--json").json
    took = time.monotonic() - began
    lines = (Path(report["dir"]) / "trials.csv").read_text().splitlines()[1:]
    for number, line in enumerate(lines):
        ran = dlctl("runs", "show", f"s/{number}", "--json").json["duration_s"]
        assert ran - 0.1 < float(line.split(",")[4]) < min(ran + 1, took)


@pytest.mark.parametrize(
    ("visible", "devices", "slots"),
    [
        (None, "auto", ["0", "1", "0"]),
        ("3,5", "auto", ["3", "5", "3"]),
        ("3", "auto", ["3", "3", "3"]),
        ("3,5", 2, ["3,5", "3,5", "3,5"]),
    ],
)
def test_each_job_has_a_device_of_its_own(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, devices: object, slots: list[str]
) -> None:
    import torch

    from dlctl.cli import trial

    # There is no such machine here: what is tested is the choice.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    threads = torch.get_num_threads()
    for slot, wanted in enumerate(slots):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        composed = SimpleNamespace(full={"trainer": {"devices": devices}})
        trial._share(SimpleNamespace(composed=composed, slot=slot, jobs=3))  # type: ignore[arg-type]
        assert os.environ["CUDA_VISIBLE_DEVICES"] == wanted
    torch.set_num_threads(threads)


def test_storages_that_are_made_at_once_are_made(tmp_path: Path) -> None:
    code = "import sys; from dlctl.sweep import storage; storage.connect(sys.argv[1])"
    for number in range(2):
        command = [sys.executable, "-c", code, f"sqlite:///{tmp_path}/{number}.db"]
        processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
        assert [process.communicate()[1] for process in processes] == [""] * 4
