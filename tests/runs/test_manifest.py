"""Manifests that somebody has edited, or that are none."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_complete import Ask, offers
from tests.cli.test_runs import write
from tests.conftest import Dlctl

__all__ = ["offers"]
FACTS: dict[str, Any] = {
    "started": "2026-01-02T00:00:00+00:00",
    "ended": "2026-01-02T00:01:00+00:00",
    "duration_s": 60.0,
    "metrics": {"val/acc": 0.5, "val/loss": None},
    "main_metric": "val/acc",
    "tags": ["one"],
    "seed": 1,
    "git": {"commit": "0123456789abcdef", "dirty": True},
    "process": {"pid": 1, "started": 1.0},
    "checkpoints": {"best": "checkpoints/a.ckpt", "sha256": {"checkpoints/a.ckpt": "0" * 64}},
    "error": {"type": "RunFailed", "message": "no"},
    "trial": None,
}
DEEP: list[Any] = []
for _ in range(500):
    DEEP = [DEEP]
# Key, another value, and what is reported.
EDITS: list[tuple[str, Any, str]] = [
    ("metrics", [1, 2], "'metrics' is a list, not an object"),
    ("metrics", {"val/acc": "0.5"}, "'metrics.val/acc' is '0.5', not a number"),
    ("metrics", {"val/acc": {}}, "'metrics.val/acc' is an object, not a number"),
    ("metrics", {"val/acc": True}, "'metrics.val/acc' is true or false, not a number"),
    ("metrics", {"val/acc": 10**400}, "'metrics.val/acc' is a huge number, not a number"),
    ("metrics", None, "'metrics' is null, not an object"),
    ("main_metric", ["val/acc"], "'main_metric' is a list, not a string"),
    ("duration_s", "60", "'duration_s' is '60', not a number"),
    ("started", None, "'started' is null, not a string"),
    ("started", "yesterday", "'started' is 'yesterday', not a date and time"),
    ("started", 1767312000, "'started' is 1767312000, not a string"),
    ("ended", "", "'ended' is '', not a date and time"),
    ("tags", "one", "'tags' is 'one', not a list"),
    ("tags", [1], "'tags[0]' is 1, not a string"),
    ("argv", None, "'argv' is null, not a list"),
    ("overrides", {"a": 1}, "'overrides' is an object, not a list"),
    ("seed", "1", "'seed' is '1', not a number"),
    ("status", "paused", "'status' is 'paused', not one of running, done"),
    ("status", ["done"], "'status' is a list, not one of running, done"),
    ("kind", 3, "'kind' is 3, not one of train"),
    ("id", None, "'id' is null, not a string"),
    ("process", {"pid": -1, "started": 1.0}, "'process.pid' is -1, not a process id"),
    ("process", {"pid": 10**30, "started": 1.0}, "not a process id"),
    ("process", {"pid": "1"}, "'process.pid' is '1', not a number"),
    ("process", [1, 2], "'process' is a list, not an object"),
    ("git", {"commit": 12}, "'git.commit' is 12, not a string"),
    ("git", {"dirty": True}, "'git' lacks 'commit'"),
    ("git", "main", "'git' is 'main', not an object"),
    ("checkpoints", ["a.ckpt"], "'checkpoints' is a list, not an object"),
    ("checkpoints", {"best": 1}, "'checkpoints.best' is 1, not a string"),
    ("checkpoints", {"sha256": "0"}, "'checkpoints.sha256' is '0', not an object"),
    ("error", "failed", "'error' is 'failed', not an object"),
    ("error", {"message": "no"}, "'error' lacks 'type'"),
    ("trial", {"study": "s"}, "'trial' lacks 'number'"),
    ("versions", {"torch": 2.6}, "'versions.torch' is 2.6, not a string"),
    ("loggers", [], "'loggers' is a list, not an object"),
    ("host", 5, "'host' is 5, not a string"),
    ("metrics", DEEP, "it is nested too deeply"),
]


def broken_and_whole(dlctl: Dlctl) -> Path:
    """A run whose manifest is going to be broken, newer than one that is not."""
    runs = dlctl.root / "logs/train/runs"
    whole = write(runs, "whole")
    (whole / "checkpoints").mkdir()
    (whole / "checkpoints/last.ckpt").write_bytes(b"")
    return write(runs, "broken", **FACTS)


def listed_as_unreadable(dlctl: Dlctl, broken: Path, reason: str) -> None:
    """Every command that lists or names runs copes with the broken one, and reports it where it is meant."""
    found = dlctl("runs", "list", "--json").json
    assert [run["id"] for run in found["runs"]] == ["whole"]
    (fault,) = found["unreadable"]
    assert fault["dir"] == str(broken)
    assert reason in fault["message"]
    table = dlctl("runs", "list")
    assert "logs/train/runs/broken" in table.out
    assert "unreadable" in table.out
    assert reason in " ".join(table.err.split())
    assert dlctl("runs", "show", "last", "--json").json["id"] == "whole"
    for name in ("broken", str(broken)):
        error = dlctl("runs", "show", name, code=4).err
        assert error.startswith("error: logs/train/runs/broken/run.json cannot be read: ")
        assert "fault of dlctl" not in error


@pytest.mark.parametrize(("key", "value", "reason"), EDITS, ids=lambda each: str(each)[:40])
def test_one_edited_value_makes_one_run_unreadable(dlctl: Dlctl, key: str, value: Any, reason: str) -> None:
    broken = broken_and_whole(dlctl)
    facts = json.loads((broken / "run.json").read_text())
    (broken / "run.json").write_text(json.dumps({**facts, key: value}))
    listed_as_unreadable(dlctl, broken, reason)


def test_values_that_json_has_no_place_for_are_null(dlctl: Dlctl) -> None:
    run = write(dlctl.root / "logs/train/runs", "a", **FACTS)
    text = (run / "run.json").read_text().replace('"val/acc": 0.5', '"val/acc": NaN, "x": 1e999')
    (run / "run.json").write_text(text.replace('"duration_s": 60.0', '"duration_s": Infinity'))
    (found,) = dlctl("runs", "list", "--json").json["runs"]
    assert found["metrics"] == {"val/acc": None, "x": None, "val/loss": None}
    assert found["duration_s"] is None


def replace_by_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def replace_by_loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


def replace_by_fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def make_huge(file: Path) -> None:
    os.truncate(file, 2**34)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda file: file.write_bytes(b""), "Expecting value"),
        (lambda file: file.write_text("[]"), "it holds a list, not an object"),
        (lambda file: file.write_text("null"), "it holds null, not an object"),
        (lambda file: file.write_text("{}"), "it lacks 'id'"),
        (lambda file: file.write_text(file.read_text()[:-40]), "Expecting"),
        (lambda file: file.write_bytes(b'{"id": "\xff\xfe"}'), "it is not UTF-8 (byte 8)"),
        (lambda file: file.write_bytes(bytes(range(256))), "it is not UTF-8"),
        (lambda file: file.write_text("[" * 10**6), "it is nested too deeply"),
        (lambda file: file.write_text('{"seed": ' + "1" * 5000 + "}"), "Exceeds the limit"),
        (replace_by_folder, "it is not a regular file"),
        (replace_by_loop, "symbolic links"),
        (replace_by_fifo, "it is not a regular file"),
        (make_huge, "it is larger than 32 MiB"),
    ],
)
def test_file_that_is_no_manifest(dlctl: Dlctl, edit: Callable[[Path], Any], reason: str) -> None:
    broken = broken_and_whole(dlctl)
    edit(broken / "run.json")
    listed_as_unreadable(dlctl, broken, reason)


def test_file_that_may_not_be_read(dlctl: Dlctl, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = broken_and_whole(dlctl)
    read = Path.read_text

    def refused(self: Path, *args: Any, **options: Any) -> str:
        if self.parent == broken:
            raise PermissionError(13, "Permission denied", str(self))
        return read(self, *args, **options)

    # Root may read everything, so that chmod would not do.
    monkeypatch.setattr(Path, "read_text", refused)
    listed_as_unreadable(dlctl, broken, "Permission denied")


def test_unreadable_run_is_neither_evaluated_nor_resumed(dlctl: Dlctl) -> None:
    broken = broken_and_whole(dlctl)
    (broken / "run.json").write_text('{"status": []}')
    (broken / "checkpoints").mkdir()
    (broken / "checkpoints/last.ckpt").write_bytes(b"")
    for words in (
        ("eval", "broken"),
        ("eval", str(broken)),
        ("eval", str(broken / "checkpoints/last.ckpt")),
        ("predict", "broken"),
        ("train", "--resume", "broken"),
    ):
        error = dlctl(*words, code=4).err
        assert "run.json cannot be read: it lacks 'id'" in error


def test_completion_works_beside_an_unreadable_run(dlctl: Dlctl, offers: Ask) -> None:
    (broken_and_whole(dlctl) / "run.json").write_text('{"tags": 3}')
    assert list(offers("dlctl runs show ")) == ["last", "whole"]


def test_running_manifest_with_an_odd_process_is_shown(dlctl: Dlctl) -> None:
    runs = dlctl.root / "logs/train/runs"
    here = {"host": socket.gethostname(), "status": "running"}
    write(runs, "a", process={}, **here)
    write(runs, "b", process={"pid": 2**31 - 1, "started": 1}, **here)
    found = {run["id"]: run["status"] for run in dlctl("runs", "list", "--json").json["runs"]}
    assert found == {"a": "lost", "b": "lost"}
