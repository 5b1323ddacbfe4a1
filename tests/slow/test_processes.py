"""Training in several processes, and on a disk that is really full."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import QUIET, Dlctl

pytestmark = pytest.mark.slow
DDP = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.sync_batchnorm=false")
SHORT = ("--seed", "1", "trainer.max_epochs=3", "trainer.limit_train_batches=30", *QUIET)


def rows(directory: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((directory / "csv/metrics.csv").open()))


def test_ddp_children_take_part_in_one_run(dlctl: Dlctl) -> None:
    report = dlctl.process("train", *DDP, *SHORT, "--json").json
    assert report["metrics"]["val/acc"] > 0.7
    directory = Path(report["dir"])
    assert [path.name for path in directory.parent.iterdir()] == [directory.name]
    facts = json.loads((directory / "run.json").read_text())
    assert (facts["status"], facts["device"]) == ("done", "2 x cpu")
    assert [row["epoch"] for row in rows(directory)] == ["0", "1", "2", ""]
    evaluated = dlctl.process("eval", "last", *QUIET, "--json").json
    assert evaluated["metrics"]["test/acc"] == pytest.approx(report["metrics"]["test/acc"], abs=0.01)


def test_ranks_of_torchrun_take_part_in_one_run(dlctl: Dlctl) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    command = [*torchrun, "-m", "dlctl", "train", *DDP, *SHORT, "--json"]
    done = subprocess.run(command, cwd=dlctl.root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    directory = Path(report["dir"])
    assert [path.name for path in directory.parent.iterdir()] == [directory.name]
    assert [row["epoch"] for row in rows(directory)] == ["0", "1", "2", ""]


def test_ddp_is_interrupted_on_all_ranks_and_resumed(dlctl: Dlctl) -> None:
    process = dlctl.start("train", *DDP, *SHORT, "trainer.max_epochs=40")
    assert process.stderr is not None
    next(line for line in process.stderr if line.startswith("epoch  2/40"))
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    epoch = int(rows(dlctl.run_dir())[-1]["epoch"])
    words = (f"trainer.max_epochs={epoch + 3}", *QUIET, "--json")
    report = dlctl.process("train", "--resume", "last", *words).json
    assert [row["epoch"] for row in rows(Path(report["dir"]))] == [*map(str, range(epoch + 3)), ""]


def test_ddp_simulated_on_the_cpu(dlctl: Dlctl) -> None:
    (dlctl.root / "tests").symlink_to(Path(__file__).parents[1])
    report = dlctl.process("train", "trainer=ddp_sim", *SHORT, "--json").json
    assert report["status"] == "done"
    assert report["metrics"]["val/acc"] > 0.7
    state = torch.load(Path(report["dir"]) / "checkpoints/last.ckpt", weights_only=True)
    assert state["epoch"] == 2


@pytest.mark.parametrize("trainer", [DDP, ("trainer=ddp_sim",)], ids=["ddp", "ddp_sim"])
def test_trials_of_several_processes_each(dlctl: Dlctl, trainer: tuple[str, ...]) -> None:
    report = dlctl.process("sweep", "seed=1,2", *trainer, *SHORT[2:], "--json").json
    assert [trial["state"] for trial in report["trials"]] == ["complete", "complete"]
    assert len(list(dlctl.root.rglob("run.json"))) == 2
    for number in range(2):
        directory = Path(report["dir"]) / str(number)
        assert [row["epoch"] for row in rows(directory)] == ["0", "1", "2"]
        assert json.loads((directory / "run.json").read_text())["status"] == "done"


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A disk of five megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_ends_in_one_line_and_keeps_the_last_checkpoint(dlctl: Dlctl, small_disk: Path) -> None:
    words = ("--exp", "example", *QUIET, f"hydra.run.dir={small_disk}/run")
    result = dlctl.process("train", *words, code=1)
    errors = [line for line in result.err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert errors[0].endswith("No space left on device")
    assert "Traceback" not in result.err
    files = sorted(path.name for path in (small_disk / "run/checkpoints").iterdir())
    assert "last.ckpt" in files
    assert not [name for name in files if not name.endswith(".ckpt")]
    for name in files:
        torch.load(small_disk / "run/checkpoints" / name, weights_only=True)
    assert json.loads((small_disk / "run/run.json").read_text())["status"] == "failed"
    assert dlctl.process("eval", str(small_disk / "run"), *QUIET, "--json").json["status"] == "done"


def test_what_several_processes_learnt_one_predicts_whole(dlctl: Dlctl) -> None:
    report = dlctl.process("train", "--exp", "tagger", *DDP, "trainer.max_epochs=2", *QUIET, "--json").json
    assert report["metrics"]["test/acc"] > 0.8
    files = ["alone.conllu", "as_trained.conllu"]
    for file, words in zip(files, (("trainer=cpu", "trainer.devices=1"), ()), strict=True):
        dlctl.process("predict", report["run"], "--output", file, *words, *QUIET)
    alone, as_trained = ((dlctl.root / file).read_text(encoding="utf-8") for file in files)
    assert alone.count("\n\n") > 50
    assert as_trained == alone
