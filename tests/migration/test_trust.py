"""Whose checkpoints may hold pickled objects, and that no stranger's are ever loaded unasked."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import QUIET, Dlctl
from tests.migration.shape import put

# Keeps an object of its own in its checkpoints, which do not load with weights_only=True then.
KEEPS = """\
from src.models.toy import ToyModule


class Notes:
    text = "kept"


class Keeps(ToyModule):
    def on_save_checkpoint(self, checkpoint):
        checkpoint["notes"] = Notes()
"""


class Harmful:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return os.makedirs, (str(self.file), 0o777, True)


@pytest.fixture
def keeps(template: Dlctl) -> Dlctl:
    """A project, trained, whose checkpoints hold an object."""
    put(template.root, "src/models/keeps.py", KEEPS)
    put(
        template.root,
        "configs/model/keeps.yaml",
        "defaults:\n  - toy\n  - _self_\n_target_: src.models.keeps.Keeps\n",
    )
    template("train", "model=keeps", *QUIET)
    return template


def best(dlctl: Dlctl) -> Path:
    return next((dlctl.run_dir() / "checkpoints").glob("epoch_*.ckpt"))


def loads_plainly(file: Path) -> bool:
    try:
        torch.load(file, weights_only=True)
    except Exception:
        return False
    return True


def test_checkpoints_of_ones_own_runs_are_loaded(keeps: Dlctl, tmp_path: Path) -> None:
    assert not loads_plainly(best(keeps))
    known = (tmp_path / "state/dlctl/checkpoints.sha256").read_text().split()
    assert hashlib.sha256(best(keeps).read_bytes()).hexdigest() in known
    assert keeps("eval", "last", "--json").json["metrics"]["test/acc"] > 0.5
    assert keeps("predict", "last", "--json").json["rows"] == 64
    keeps("train", "--resume", "last", "trainer.max_epochs=3", *QUIET)
    # Wherever they lie.
    moved = shutil.copy(best(keeps), tmp_path / "moved.ckpt")
    assert keeps("eval", str(moved), "--json").json["metrics"]["test/acc"] > 0.5


def test_another_users_need_the_flag(keeps: Dlctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    monkeypatch.setattr("dlctl.runs.trusted._OWN", set())
    run = keeps.run_dir().relative_to(keeps.root)
    file = best(keeps).relative_to(keeps.root)
    pickled = (
        f"error: {file} holds pickled objects, which run any code when they are loaded, "
        "and no run of yours on this machine wrote it\n"
        "  only if you trust whoever made it, who can do with it all that you can do here: "
        "--trust-checkpoint\n"
    )
    foreign = f"error: {run} was made by no run of yours on this machine"
    for words, told in (
        (("eval", run.name), foreign),
        (("eval", str(file)), foreign),
        (("predict", run.name), foreign),
        (("train", "model=keeps", "trainer.max_epochs=4", "--ckpt", str(file)), pickled),
    ):
        result = keeps(*words, *QUIET, code=4)
        assert told in result.err
        assert keeps(*words, *QUIET, "--trust-checkpoint")
    # What was best before stays so, and the test is of it.
    words = ("train", "--resume", str(run), "trainer.max_epochs=3", "model.optimizer.lr=0", *QUIET)
    # This user's own run of the same config makes the config known, and not the other's checkpoints.
    keeps("train", "model=keeps", *QUIET)
    (tmp_path / "another/dlctl/checkpoints.sha256").unlink(missing_ok=True)
    monkeypatch.setattr("dlctl.runs.trusted._OWN", set())
    assert "which run any code when they are loaded" in keeps(*words, code=4).err
    keeps(*words, "--trust-checkpoint")


def test_planted_pickles_never_run_without_the_flag(
    keeps: Dlctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harm, run, planted = tmp_path / "harm", keeps.run_dir(), best(keeps)
    state = torch.load(planted, weights_only=False)
    # As good as it gets: a checkpoint that fits, in place of the run's own, with all that proves itself.
    for file in (run / "checkpoints").glob("*.ckpt"):
        torch.save({**state, "notes": Harmful(harm)}, file)
    hashes = {
        f"checkpoints/{file.name}": hashlib.sha256(file.read_bytes()).hexdigest()
        for file in (run / "checkpoints").glob("*.ckpt")
    }
    facts = json.loads((run / "run.json").read_text())
    facts["checkpoints"]["sha256"] = hashes
    (run / "run.json").write_text(json.dumps(facts))
    lines = "".join(f"{each}\n" for each in hashes.values())
    for place in ("checkpoints", "state/dlctl", "dlctl", ".local/state/dlctl"):
        put(run, f"{place}/checkpoints.sha256", lines)
        put(keeps.root, f"{place}/checkpoints.sha256", lines)
    # Nor may a project say where the user's state is.
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    put(keeps.root, ".env", f"TOY_FACTOR=2\nXDG_STATE_HOME={keeps.root}/state\nHOME={keeps.root}\n")
    for words in (
        ("eval", run.name),
        ("eval", str(planted)),
        ("predict", run.name),
        ("train", "--resume", run.name, "trainer.max_epochs=3"),
        ("train", "model=keeps", "--ckpt", str(planted)),
        ("train", "model=keeps", f"ckpt_path='{planted}'", "train=false"),
    ):
        assert "holds pickled objects" in keeps(*words, *QUIET, code=4).err
        assert not harm.exists()
    # A checkpoint without a run does not tell its config either.
    alone = shutil.copy(planted, tmp_path / "alone.ckpt")
    assert "holds pickled objects" in keeps("eval", str(alone), code=4).err
    assert not harm.exists()
    keeps("eval", run.name, "--trust-checkpoint")
    assert harm.exists()


def test_list_that_others_can_write_proves_nothing(keeps: Dlctl, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("dlctl.runs.trusted._OWN", set())
    keeps("eval", "last")
    file = tmp_path / "state/dlctl/checkpoints.sha256"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    file.chmod(0o666)
    assert "holds pickled objects" in keeps("eval", "last", code=4).err


def test_state_that_cannot_be_written_does_not_end_a_run(template: Dlctl, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    put(template.root, "src/models/keeps.py", KEEPS)
    target = "model._target_=src.models.keeps.Keeps"
    assert template("train", target, *QUIET, "--json").json["status"] == "done"


def test_whole_networks_in_hyperparameters(template: Dlctl, tmp_path: Path) -> None:
    """As the template's own training saves them."""
    metrics = template("train", *QUIET, "--json").json["metrics"]
    state = torch.load(best(template), weights_only=True)
    net = torch.nn.Linear(1, 1)
    own = {key: value for key, value in state.items() if key != "dlctl"}
    torch.save({**own, "hyper_parameters": {"net": net}}, tmp_path / "whole.ckpt")
    words = ("eval", str(tmp_path / "whole.ckpt"), "--json")
    assert template(*words, code=4).json["error"]["kind"] == "not_found"
    assert template(*words, "--trust-checkpoint").json["metrics"]["test/acc"] == metrics["test/acc"]
    # Plain ones need neither.
    torch.save(own, tmp_path / "plain.ckpt")
    assert (
        template("eval", str(tmp_path / "plain.ckpt"), "--json").json["metrics"]["test/acc"]
        == metrics["test/acc"]
    )


def test_objects_of_code_that_is_gone(keeps: Dlctl) -> None:
    put(keeps.root, "src/models/keeps.py", KEEPS.replace("Notes", "Remarks"))
    result = keeps.process("eval", "last", code=4)
    assert "it holds objects of code that is not here" in result.err
