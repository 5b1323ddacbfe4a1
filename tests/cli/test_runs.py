import json
import os
from pathlib import Path
from typing import Any

from dlctl.runs import manifest
from dlctl.runs.manifest import Manifest
from tests.conftest import Dlctl, without_times


def write(root: Path, name: str, **facts: Any) -> Path:
    """A run directory with nothing but its manifest."""
    directory = root / name
    directory.mkdir(parents=True)
    known: dict[str, Any] = {
        "id": directory.name,
        "kind": "train",
        "task": "train",
        "status": "done",
        "argv": ["dlctl", "train"],
        "overrides": [],
        "started": "2026-01-01T00:00:00+00:00",
    }
    manifest.write(directory, Manifest(**{**known, **facts}))
    return directory


def test_list_is_newest_first_with_status_metric_time_and_tags(dlctl: Dlctl) -> None:
    runs = dlctl.root / "logs/train/runs"
    write(
        runs,
        "a",
        started="2026-01-01T00:00:00+00:00",
        metrics={"val/acc": 0.5, "val/acc_best": 0.75},
        main_metric="val/acc_best",
        duration_s=83.0,
        tags=["first", "try"],
    )
    write(runs, "b", started="2026-01-02T00:00:00+00:00", status="failed", duration_s=4.2)
    write(dlctl.root / "logs/eval/runs", "c", task="eval", kind="eval", metrics={"test/acc": 0.7},
          main_metric="val/acc_best", started="2026-01-03T00:00:00+00:00")  # fmt: skip
    lines = [" ".join(line.split()) for line in dlctl("runs", "list").out.splitlines()]
    assert lines == [
        "run task status metric time tags",
        "c eval done test/acc 0.7000 -",
        "b train failed - 4.2 s",
        "a train done val/acc_best 0.7500 1 min 23 s first, try",
    ]
    found = dlctl("runs", "list", "--json", "--limit", "2").json
    assert found["schema_version"] == 1
    assert [run["id"] for run in found["runs"]] == ["c", "b"]


def test_no_runs_yet_is_said_on_stderr(dlctl: Dlctl) -> None:
    result = dlctl("runs", "list")
    assert result.out == ""
    assert result.err == "no runs yet: dlctl train --exp example makes one\n"


def test_run_of_a_process_that_is_gone_is_lost(dlctl: Dlctl) -> None:
    import socket

    import psutil

    here = {"host": socket.gethostname(), "status": "running"}
    me = {"pid": os.getpid(), "started": psutil.Process().create_time()}
    runs = dlctl.root / "logs/train/runs"
    write(runs, "alive", process=me, **here)
    write(runs, "reused", process={**me, "started": me["started"] - 1000}, **here)
    write(runs, "gone", process={**me, "pid": 2**22 - 1}, **here)
    write(runs, "elsewhere", process=me, host="another", status="running")
    found = {run["id"]: run["status"] for run in dlctl("runs", "list", "--json").json["runs"]}
    assert found == {"alive": "running", "reused": "lost", "gone": "lost", "elsewhere": "running"}


def test_show_tells_the_facts_of_one_run(dlctl: Dlctl) -> None:
    directory = write(
        dlctl.root / "logs/train/runs",
        "2026-01-01_00-00-00",
        status="failed",
        error={"type": "RunFailed", "message": "the loss became nan"},
        git={"commit": "0123456789abcdef", "dirty": True},
        metrics={"val/acc": 0.5, "val/loss": None},
        seed=3,
    )
    assert without_times(dlctl("runs", "show", directory.name).out).splitlines() == [
        "val/acc   0.5000",
        "val/loss  -",
        "run       logs/train/runs/RUN",
        "status    failed",
        "task      train",
        "started   2026-01-01T00:00:00+00:00",
        "seed      3",
        "time      -",
        "command   dlctl train",
        "code      0123456789ab and uncommitted changes",
        "error     RunFailed: the loss became nan",
    ]
    facts = dlctl("runs", "show", str(directory), "--json").json
    assert facts == json.loads((directory / "run.json").read_text())


def test_name_of_two_runs_asks_for_the_directory(dlctl: Dlctl) -> None:
    for task in ("one", "two"):
        write(dlctl.root / "logs" / task / "runs", "same")
    result = dlctl("runs", "show", "same", code=4)
    assert "error: 'same' names 2 runs\n  name one by its directory: " in result.err
    assert dlctl("runs", "show", "logs/two/runs/same", "--json").json["id"] == "same"


def test_trial_is_named_by_study_and_number(dlctl: Dlctl) -> None:
    write(dlctl.root / "logs/train/multiruns/mystudy", "7", kind="trial")
    assert dlctl("runs", "show", "mystudy/7", "--json").json["kind"] == "trial"
    assert "there is no training run in logs yet" in dlctl("runs", "show", "last", code=4).err


def test_close_name_is_suggested_and_broken_manifests_do_not_hide_the_rest(dlctl: Dlctl) -> None:
    runs = dlctl.root / "logs/train/runs"
    write(runs, "2026-01-01_00-00-00")
    broken = write(runs, "2026-01-01_00-00-01")
    (broken / "run.json").write_text("{")
    assert "did you mean 2026-01-01_00-00-00?" in dlctl("runs", "show", "2026-01-01_00-00-09", code=4).err
    assert "run.json cannot be read" in dlctl("runs", "show", str(broken), code=4).err
    assert len(dlctl("runs", "list", "--json").json["runs"]) == 1


def test_help_is_shown_where_nothing_is_asked(dlctl: Dlctl) -> None:
    assert "predict" in dlctl().out
    assert "list" in dlctl("runs").out


def test_damaged_config_of_a_run_is_told(trained: Dlctl) -> None:
    folder = trained.run_dir() / ".hydra"
    (folder / "config.yaml").write_text("a: [1")
    for words in (("eval", "last"), ("train", "--resume", "last")):
        told = trained(*words, code=4).err
        assert "cannot read the run's config logs/train/runs/" in told
        assert "dlctl eval CKPT" in told


def test_run_outside_of_logs_is_listed_too(dlctl: Dlctl, tmp_path: Path) -> None:
    words = ("extras.print_config=false", "trainer.fast_dev_run=true")
    dlctl("train", *words, f"hydra.run.dir={tmp_path}/elsewhere")
    assert dlctl("runs", "show", "last", "--json").json["id"] == "elsewhere"
    assert dlctl("runs", "show", "last").out.splitlines()[-1].split()[0] == "tags"


HOSTILE = "\x1b]0;owned\x07[red]x[/]\r\nok\x9b2J\u202e"


def test_nothing_of_a_manifest_steers_the_terminal(dlctl: Dlctl, tmp_path: Path) -> None:
    runs = dlctl.root / "logs/train/runs"
    name = HOSTILE.replace("/", "")
    facts = dict.fromkeys(("task", "main_metric", "experiment", "device", "host", "evaluated"), HOSTILE)
    write(runs, name, metrics={HOSTILE: 0.5}, tags=[HOSTILE], argv=["dlctl", HOSTILE],
          error={"type": HOSTILE, "message": HOSTILE}, **facts)  # fmt: skip
    write(runs, "broken")
    (runs / "broken/run.json").write_text(json.dumps({HOSTILE: 1, "tags": HOSTILE}))
    (dlctl.root / "configs/model").mkdir(parents=True)
    (dlctl.root / f"configs/model/{name}.yaml").write_text(f"# {HOSTILE}\na: 1\n")
    for words, code in (
        (("runs", "list"), 0),
        (("runs", "show", "last"), 0),
        (("runs", "show", HOSTILE), 4),
        (("runs", "show", "broken"), 4),
        (("train", HOSTILE), 2),
        (("train", f"model.{HOSTILE}=1"), 3),
        (("train", "--exp", HOSTILE), 3),
        (("eval", HOSTILE), 4),
        (("list",), 0),
        (("list", HOSTILE), 4),
        (("study", "status", HOSTILE), 4),
        (("parse-conllu", HOSTILE), 4),
        (("new", "experiment", HOSTILE), 2),
    ):
        result = dlctl(*words, code=code)
        printed = result.out + result.err
        assert not set("\x1b\x07\r\x9b\u202e") & set(printed), words
        # A line that was not dlctl's own would begin like this.
        assert not any(line.startswith("ok") for line in printed.split("\n")), words
    assert "[red]x[/]" in dlctl("runs", "show", "last").out
    assert json.loads(json.dumps(dlctl("runs", "list", "--json").json))["runs"][0]["tags"] == [HOSTILE]


def test_file_name_that_is_not_unicode_is_printed(dlctl: Dlctl) -> None:
    name = os.fsdecode(b"caf\xe9")
    write(dlctl.root / "logs/train/runs", name)
    assert "caf\\xe9" in dlctl("runs", "list").out
    assert dlctl("runs", "show", name).code == 0
