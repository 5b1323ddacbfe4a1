"""What lies around a run: the project's .env, the user's state folder."""

import os
from pathlib import Path

import pytest

from tests.conftest import Dlctl

SHORT = ("--exp", "example", "trainer.max_epochs=1", "trainer.limit_train_batches=2",
         "trainer.limit_val_batches=1", "trainer.limit_test_batches=1")  # fmt: skip


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"A=1\nB=gr\xf6\xdfe\n", "error: .env:2: byte 0xf6 is not UTF-8"),
        ("A=1\n".encode("utf-16"), "error: .env:1: byte 0xff is not UTF-8"),
        (b"A=1\0\n", "error: .env holds a null byte"),
    ],
)
def test_env_file_that_is_no_text_is_named(dlctl: Dlctl, data: bytes, said: str) -> None:
    (dlctl.root / ".env").write_bytes(data)
    result = dlctl("train", "--exp", "example", "--dry-run", code=3)
    assert result.err.splitlines() == [said, "  save the file as UTF-8"]
    assert dlctl("runs", "list", "--json", code=3).json["error"]["message"] == said.removeprefix("error: ")


def test_folder_of_that_name_is_named(dlctl: Dlctl) -> None:
    (dlctl.root / ".env").mkdir()
    assert dlctl("runs", "list", code=3).err == "error: cannot read .env: Is a directory\n"


@pytest.mark.parametrize("kind", ["a file", "open to others"])
def test_state_folder_that_cannot_be_used_is_told_once(
    dlctl: Dlctl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    monkeypatch.setattr("dlctl.runs.trusted._OWN", set())
    monkeypatch.setattr("dlctl.runs.trusted._failures", {})
    state = tmp_path / "elsewhere"
    if kind == "a file":
        state.touch()
    else:
        (state / "dlctl").mkdir(parents=True)
        os.chmod(state / "dlctl", 0o777)  # noqa: PTH101 - mkdir's mode is masked
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    result = dlctl.train(*SHORT)
    reason = "Not a directory" if kind == "a file" else "others can write to it"
    assert result.err.count(f"{state}/dlctl cannot be used ({reason})") == 1
    assert "eval, predict and --resume of this run will need --trust-checkpoint" in result.err
    # That is what happens: to another process the run is a stranger's.
    monkeypatch.setattr("dlctl.runs.trusted._OWN", set())
    assert "--trust-checkpoint" in dlctl("eval", "last", code=4).err
    dlctl("eval", "last", "--trust-checkpoint")


def test_usable_state_folder_needs_no_word(dlctl: Dlctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlctl.runs.trusted._failures", {})
    assert "--trust-checkpoint" not in dlctl.train(*SHORT).err
