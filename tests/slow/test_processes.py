"""Training in several processes, and on a disk that is really full."""

import csv
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
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


RANKS = pytest.mark.parametrize("trainer", [DDP, ("trainer=ddp_sim",)], ids=["ddp", "ddp_sim"])


def start_group(dlctl: Dlctl, *words: str) -> "subprocess.Popen[str]":
    """Start a training in a process group of its own, and wait for the end of its second epoch."""
    process = dlctl.start("train", *SHORT, "trainer.max_epochs=100", *words, start_new_session=True)
    wait_for_epoch(process)
    return process


def wait_for_epoch(process: "subprocess.Popen[str]") -> None:
    assert process.stderr is not None
    next(line for line in process.stderr if line.startswith("epoch   2/"))


def left_of(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """What is left of its group after some seconds, in which other ranks and trackers of resources end."""
    deadline = time.monotonic() + 20
    while (found := group_of(process)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def group_of(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    found = []
    for each in psutil.process_iter(["status"]):
        # It may end meanwhile.
        with suppress(ProcessLookupError):
            if each.info["status"] != psutil.STATUS_ZOMBIE and os.getsid(each.pid) == process.pid:
                found.append(each)
    return found


def manifest(dlctl: Dlctl) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((dlctl.run_dir() / "run.json").read_text())
    return found


@RANKS
def test_signal_to_a_group_of_ranks_is_recorded(dlctl: Dlctl, trainer: tuple[str, ...]) -> None:
    process = start_group(dlctl, *trainer)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=90)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    facts = manifest(dlctl)
    assert (facts["status"], facts["error"]["message"]) == ("interrupted", "SIGINT")
    assert (dlctl.run_dir() / facts["checkpoints"]["last"]).is_file()
    assert 0 < facts["metrics"]["val/acc"] < 1
    assert not left_of(process)


@RANKS
def test_killed_rank_fails_the_run_and_keeps_what_was_noted(dlctl: Dlctl, trainer: tuple[str, ...]) -> None:
    process = start_group(dlctl, *trainer)
    ranks = psutil.Process(process.pid).children()
    ranks = [each for each in ranks if "resource_tracker" not in " ".join(each.cmdline())]
    ranks[-1].kill()
    _, err = process.communicate(timeout=90)
    assert process.returncode == 1, err
    facts = manifest(dlctl)
    assert facts["status"] == "failed"
    assert 0 < facts["metrics"]["val/acc"] < 1
    for which in ("best", "last"):
        assert (dlctl.run_dir() / facts["checkpoints"][which]).is_file()
    assert not left_of(process)


def test_signal_to_torchrun_is_recorded_as_what_it_is(dlctl: Dlctl) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    process = subprocess.Popen(
        [*torchrun, "-m", "dlctl", "train", *DDP, *SHORT, "trainer.max_epochs=100"],
        cwd=dlctl.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_epoch(process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=90)
    facts = manifest(dlctl)
    assert (facts["status"], facts["error"]["message"]) == ("interrupted", "SIGINT")


@RANKS
def test_batch_norm_that_needs_gpus_names_the_setting(dlctl: Dlctl, trainer: tuple[str, ...]) -> None:
    result = dlctl.process("train", *trainer, "++trainer.sync_batchnorm=true", *SHORT, code=3)
    assert "error: SyncBatchNorm layers need GPUs\n  on a CPU: trainer.sync_batchnorm=false\n" in result.err


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signal_at_any_moment_of_the_start_is_recorded(dlctl: Dlctl, name: str) -> None:
    expected = 128 + getattr(signal, name)
    for delay in (0.1, 0.3, 0.6, 1, 1.5, 2, 2.5, 3, 4, 5, 6):
        words = ("--exp", "example", "data.num_workers=2", "trainer.max_epochs=100", *QUIET)
        process = dlctl.start("train", *words, start_new_session=True)
        time.sleep(delay)
        os.killpg(process.pid, getattr(signal, name))
        _, err = process.communicate(timeout=90)
        if "Could not import runpy" in err:
            continue  # the interpreter itself was starting
        # Before the interpreter has run a line, the signal ends it by default.
        assert process.returncode in (expected, -getattr(signal, name)), (delay, err)
        assert "Traceback" not in err
        assert not [line for line in err.splitlines() if line.startswith("error:")]
        for file in list(dlctl.root.rglob("run.json")):
            assert json.loads(file.read_text())["status"] == "interrupted", delay
            assert not list(file.parent.rglob("*.tmp"))
            shutil.rmtree(file.parent)
        assert not left_of(process)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signal_to_a_group_with_loader_workers_loses_nothing(dlctl: Dlctl, name: str) -> None:
    words = ("data.num_workers=2", "--json")
    expected = dlctl.process("train", *SHORT, "trainer.max_epochs=6", *words).json["metrics"]
    process = start_group(dlctl, *words)
    os.killpg(process.pid, getattr(signal, name))
    _, err = process.communicate(timeout=90)
    assert process.returncode == 128 + getattr(signal, name), err
    assert "Traceback" not in err
    assert not list(dlctl.run_dir().rglob("*.tmp"))
    assert not left_of(process)
    resumed = dlctl.process("train", "--resume", "last", "trainer.max_epochs=6", *QUIET, "--json").json
    assert resumed["metrics"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP"])
def test_signal_during_the_test_is_recorded(dlctl: Dlctl, name: str) -> None:
    # The test has a thousand batches, the training two.
    short = ("trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1")
    words = (*short, "data.batch_size=2", "data.num_workers=2", *QUIET)
    process = dlctl.start("train", *words, start_new_session=True)
    assert process.stderr is not None
    next(line for line in process.stderr if line.startswith("epoch 1/1"))
    time.sleep(0.4)
    os.killpg(process.pid, getattr(signal, name))
    _, err = process.communicate(timeout=90)
    assert process.returncode == 128 + getattr(signal, name), err
    assert "Traceback" not in err
    assert manifest(dlctl)["status"] == "interrupted"
    assert not left_of(process)
    assert dlctl.process("train", "--resume", "last", *QUIET, "--json").json["metrics"]["test/acc"] >= 0


@pytest.mark.parametrize("end", ["2>&1 | head -1", "2>&-"])
@pytest.mark.parametrize("trainer", [(), ("trainer=ddp_sim",)], ids=["one", "ddp_sim"])
def test_closed_stderr_does_not_end_the_training(dlctl: Dlctl, end: str, trainer: tuple[str, ...]) -> None:
    command = shlex.join([sys.executable, "-m", "dlctl", "train", *SHORT, *trainer])
    done = subprocess.run(["bash", "-o", "pipefail", "-c", f"{command} {end}"], cwd=dlctl.root)
    assert done.returncode == 0
    assert manifest(dlctl)["status"] == "done"
    assert [row["epoch"] for row in rows(dlctl.run_dir())] == ["0", "1", "2", ""]


def test_deleted_run_directory_ends_the_training_in_one_line(dlctl: Dlctl) -> None:
    process = start_group(dlctl)
    shutil.rmtree(dlctl.root / "logs", ignore_errors=True)
    _, err = process.communicate(timeout=90)
    assert process.returncode == 1
    assert "Traceback" not in err
    errors = [line for line in err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert "was deleted while the run was going on" in errors[0]


@pytest.mark.parametrize("size", ["1m", "4k"])
def test_full_shared_memory_ends_in_one_line(dlctl: Dlctl, size: str) -> None:
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"]).returncode != 0:
        pytest.skip("mounting a small /dev/shm needs root")
    words = ("--seed", "1", "data.num_workers=2", "data.batch_size=256", *QUIET)
    command = shlex.join([sys.executable, "-m", "dlctl", "train", *words])
    small = f"mount -t tmpfs -o size={size} tmpfs /dev/shm && {command}"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", small], cwd=dlctl.root, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert "no room in shared memory (/dev/shm, " in errors[0]
    assert "data.num_workers=0" in done.stderr


@RANKS
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
