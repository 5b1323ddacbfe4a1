import csv
import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from dlctl.errors import UsageError
from dlctl.runs import lock
from tests.conftest import QUIET, Dlctl

# Ten batches an epoch, five of validation, three epochs; every step draws random numbers.
SMALL = (
    "--seed=3",
    "model.net._target_=tests.helpers.DropoutNet",
    "trainer.max_epochs=3",
    "trainer.limit_train_batches=10",
    "trainer.limit_val_batches=5",
)
SCALARS = ("model._target_=tests.helpers.ScalarModule",)
TEMPLATE = ("model._target_=tests.helpers.TemplateModule",)


def stop(name: str, stage: str, epoch: int, batch: int) -> str:
    return (
        "+callbacks.stop={_target_:tests.helpers.SendSignal,"
        f"name:{name},stage:{stage},epoch:{epoch},batch:{batch}}}"
    )


def rows(directory: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((directory / "csv/metrics.csv").open()))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], Any]:
    """Reports of runs that nothing stopped, by what was added to their command."""
    return {}


def reference(known: dict[tuple[str, ...], Any], dlctl: Dlctl, words: tuple[str, ...]) -> Any:
    if words not in known:
        report = dlctl.train(*SMALL, *words, "--json").json
        known[words] = (report["metrics"], rows(Path(report["dir"])))
        shutil.rmtree(dlctl.root / "logs")
    return known[words]


@pytest.mark.parametrize(
    ("words", "moment"),
    [
        ((), ("train", 0, 0)),
        ((), ("train", 1, 4)),
        ((), ("train", 1, 9)),
        ((), ("train", 2, 9)),
        ((), ("val", 0, 0)),
        ((), ("val", 1, 2)),
        ((), ("val", 1, 4)),
        ((), ("val", 2, 4)),
        (("data.num_workers=1",), ("train", 1, 4)),
        (("trainer.accumulate_grad_batches=3",), ("train", 1, 4)),
        (("trainer.val_check_interval=0.5",), ("train", 1, 4)),
        (("trainer.val_check_interval=0.5",), ("train", 1, 6)),
        (("trainer.val_check_interval=0.5",), ("val", 1, 1)),
        (("trainer.check_val_every_n_epoch=2",), ("train", 0, 9)),
        (TEMPLATE, ("train", 1, 4)),
        (TEMPLATE, ("val", 1, 2)),
        (SCALARS, ("train", 1, 4)),
        (SCALARS, ("val", 1, 2)),
    ],
    ids=str,
)
def test_interrupted_and_resumed_run_ends_as_if_nothing_had_happened(
    dlctl: Dlctl,
    uninterrupted: dict[tuple[str, ...], Any],
    words: tuple[str, ...],
    moment: tuple[str, int, int],
) -> None:
    metrics, table = reference(uninterrupted, dlctl, words)
    result = dlctl.train(*SMALL, *words, stop("SIGINT", *moment), code=130)
    directory = dlctl.run_dir()
    facts = json.loads((directory / "run.json").read_text())
    assert facts["status"] == "interrupted"
    assert result.err.endswith(f"to go on: dlctl train --resume {directory.name}\n")
    kept = rows(directory) if (directory / "csv/metrics.csv").exists() else []

    report = dlctl.train("--resume", directory.name, "~callbacks.stop", "--json").json

    assert report["run"] == directory.name
    assert report["metrics"] == pytest.approx(metrics, abs=1e-6)
    assert rows(directory) == table
    for before, after in zip(kept, rows(directory), strict=False):
        assert {**after, **before} == after
    assert dlctl("runs", "show", "last", "--json").json["status"] == "done"


@pytest.mark.parametrize(
    ("name", "moment", "code"),
    [
        ("SIGINT", ("train", 1, 4), 130),
        ("SIGTERM", ("val", 1, 2), 143),
        ("SIGHUP", ("train", 0, 0), 129),
        ("SIGUSR1", ("train", 2, 9), 138),
        ("SIGQUIT", ("train", 1, 9), 131),
    ],
    ids=str,
)
def test_signal_to_a_process_and_its_loader_workers_loses_nothing(
    dlctl: Dlctl,
    uninterrupted: dict[tuple[str, ...], Any],
    name: str,
    moment: tuple[str, int, int],
    code: int,
) -> None:
    words = ("data.num_workers=2",)
    metrics, table = reference(uninterrupted, dlctl, words)
    group = stop(name, *moment).replace("SendSignal", "SignalGroup")
    dlctl.train(*SMALL, *words, group, code=code)
    directory = dlctl.run_dir()
    facts = json.loads((directory / "run.json").read_text())
    assert (facts["status"], facts["error"]["message"]) == ("interrupted", name)
    assert not list(directory.rglob("*.tmp"))
    assert not multiprocessing.active_children()
    report = dlctl.train("--resume", directory.name, "~callbacks.stop", "--json").json
    assert report["metrics"] == pytest.approx(metrics, abs=1e-6)
    assert rows(directory) == table


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGKILL", -9)])
def test_signal_to_the_process_loses_nothing(
    dlctl: Dlctl, example: dict[str, Any], name: str, code: int
) -> None:
    process = dlctl.start("train", "--exp", "example", *QUIET)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch  3/10"):
            break
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    listed = dlctl("runs", "list", "--json").json["runs"]
    assert [run["status"] for run in listed] == ["lost" if name == "SIGKILL" else "interrupted"]
    directory = dlctl.run_dir()
    if name != "SIGKILL":
        assert f"{name} stopped the run in logs/train/runs/{directory.name}\n" in err
        assert f"to go on: dlctl train --resume {directory.name}\n" in err
    before = rows(directory)
    assert [row["epoch"] for row in before][:3] == ["0", "1", "2"]

    report = dlctl.train("--resume", "last", "--json").json

    assert report["metrics"] == pytest.approx(example["metrics"], abs=1e-6)
    after = rows(directory)
    assert [{**new, **old} for old, new in zip(before[:3], after, strict=False)] == after[:3]
    assert [row["epoch"] for row in after] == [*map(str, range(10)), ""]


def test_second_signal_stops_at_once(dlctl: Dlctl) -> None:
    process = dlctl.start(
        "train", *QUIET, "+callbacks.slow={_target_:tests.cli.test_resume.Slow}", cwd_on_path(dlctl)
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "slow" in line:
            break
    process.send_signal(signal.SIGINT)
    for line in process.stderr:
        if "again to stop at once" in line:
            break
    # Signals within a second are one request: launchers and `timeout` send them to a process and its group.
    process.send_signal(signal.SIGINT)
    time.sleep(1.2)
    assert process.poll() is None
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert time.monotonic() - started < 20


def cwd_on_path(dlctl: Dlctl) -> str:
    """Make the tests importable from the project; an override that changes nothing."""
    (dlctl.root / "tests").symlink_to(Path(__file__).parents[1])
    return "tags=[dev]"


class Slow:
    """Stands in for a step that takes minutes."""

    def __new__(cls) -> Any:
        from lightning.pytorch import Callback

        class Sleep(Callback):
            def on_train_batch_start(self, *_: Any) -> None:
                import sys

                print("slow", file=sys.stderr, flush=True)
                time.sleep(120)

        return Sleep()


def test_resume_honours_overrides_and_shows_what_changed(trained: Dlctl, example: dict[str, Any]) -> None:
    result = trained.train("--resume", "last", "trainer.max_epochs=12", "--json")
    assert "changed: trainer.max_epochs: 10 -> 12\n" in result.err
    assert result.json["run"] == example["run"]
    directory = trained.run_dir()
    assert [row["epoch"] for row in rows(directory)] == [*map(str, range(10)), "", "10", "11", ""]
    assert "max_epochs: 12" in (directory / ".hydra/config.yaml").read_text()
    assert "max_epochs: 10" in (directory / ".hydra-1/config.yaml").read_text()
    assert trained("runs", "list", "--json").json["runs"][0]["overrides"] == [
        "experiment=example",
        "extras.print_config=false",
        "trainer.max_epochs=12",
    ]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.optimizer._target_=torch.optim.Adagrad", "has Adagrad and the checkpoint holds"),
        ("model.net.lin1_size=8", "does not fit the model"),
    ],
)
def test_what_a_resumed_training_cannot_take_up_leaves_the_run_as_it_was(
    dlctl: Dlctl, override: str, message: str
) -> None:
    dlctl.train("trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1")
    directory = dlctl.run_dir()

    def files() -> dict[Path, bytes]:
        # All but the log, which tells of the attempt.
        kept = [each for each in directory.rglob("*") if each.is_file() and each.suffix != ".log"]
        return {each: each.read_bytes() for each in kept}

    before = files()
    refused = dlctl.train("--resume", "last", "trainer.max_epochs=2", override, code=3)
    assert message in refused.err
    assert files() == before
    dlctl.train("--resume", "last", "trainer.max_epochs=2")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("trainer.max_epochs=1",), 3, "has been trained for 2 epochs, and trainer.max_epochs is 1"),
        (("++weights_path=w.pt",), 2, "weights_path has no effect on a run that is resumed"),
    ],
)
def test_what_resuming_cannot_do_is_refused_before_anything_is_written(
    dlctl: Dlctl, words: tuple[str, ...], code: int, message: str
) -> None:
    dlctl.train("trainer.max_epochs=2", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1")
    before = (dlctl.run_dir() / "run.json").read_text()
    assert message in dlctl.train("--resume", "last", *words, code=code).err
    assert (dlctl.run_dir() / "run.json").read_text() == before


def test_checkpoint_of_another_run_in_a_shared_folder_is_not_resumed_from(
    dlctl: Dlctl, tmp_path: Path
) -> None:
    shared = ("trainer.max_epochs=2", f"callbacks.model_checkpoint.dirpath={tmp_path}/shared")
    short = ("trainer.limit_train_batches=2", "trainer.limit_val_batches=1", *shared)
    dlctl.train(*short)
    first = dlctl.run_dir()
    time.sleep(1.1)  # ids are seconds
    dlctl.train(*short, "seed=99")
    edit(first, status="failed")
    result = dlctl.train("--resume", first.name, "trainer.max_epochs=4", code=4)
    assert "shared/" in result.err


def test_project_that_was_moved_still_resumes(
    dlctl: Dlctl, uninterrupted: dict[tuple[str, ...], Any]
) -> None:
    metrics, table = reference(uninterrupted, dlctl, ())
    dlctl.train(*SMALL, stop("SIGINT", "train", 2, 4), code=130)
    (dlctl.root / "logs").rename(dlctl.root / "old")
    (dlctl.root / "old/train").rename(dlctl.root / "archive")
    runs = dlctl.root / "archive/runs"
    (directory,) = runs.iterdir()
    report = dlctl.train("--resume", str(directory), "~callbacks.stop", "--json").json
    assert report["metrics"] == pytest.approx(metrics, abs=1e-6)
    assert rows(directory) == table
    assert not (dlctl.root / "logs").exists()


def test_run_that_is_going_on_cannot_be_resumed(dlctl: Dlctl) -> None:
    (dlctl.root / "tests").symlink_to(Path(__file__).parents[1])
    process = dlctl.start("train", *QUIET, "+callbacks.slow={_target_:tests.cli.test_resume.Slow}")
    try:
        assert process.stderr is not None
        next(line for line in process.stderr if "slow" in line)
        assert dlctl("runs", "list", "--json").json["runs"][0]["status"] == "running"
        assert f"is still running (process {process.pid}" in dlctl.train("--resume", "last", code=2).err
    finally:
        process.kill()
        process.wait()
    assert dlctl("runs", "list", "--json").json["runs"][0]["status"] == "lost"
    result = dlctl.train("--resume", "last", code=4)
    assert "has no checkpoint to go on from\n  start it again: dlctl train" in result.err


def edit(directory: Path, **facts: Any) -> None:
    file = directory / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))


def test_run_of_a_host_that_is_gone_is_taken_over_when_asked(
    dlctl: Dlctl, uninterrupted: dict[tuple[str, ...], Any]
) -> None:
    metrics, table = reference(uninterrupted, dlctl, ())
    dlctl.train(*SMALL, stop("SIGINT", "train", 1, 4), code=130)
    directory = dlctl.run_dir()
    words = ("--resume", directory.name, "~callbacks.stop")
    edit(directory, status="running", host="box-1", process={"pid": 7, "started": 1.0})
    assert dlctl.train(*words, code=2).err == (
        f"error: {directory.name} is still running (process 7 on box-1)\n"
        f"  if that host or container is gone: dlctl train --resume {directory.name} --take-over\n"
    )
    # Whoever holds the lock runs on this machine, whatever its host is called.
    code = f"from pathlib import Path; from dlctl.runs import lock; lock.acquire(Path({str(directory)!r}))"
    holder = subprocess.Popen(
        [sys.executable, "-c", f"{code}; print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        refused = dlctl.train(*words, "--take-over", code=2).err
        assert f"is still running (process {holder.pid} on {socket.gethostname()})\n" in refused
    finally:
        holder.kill()
        holder.wait()
    alive = {"pid": os.getpid(), "started": psutil.Process().create_time()}
    edit(directory, host=socket.gethostname(), process=alive)
    assert "is still running" in dlctl.train(*words, "--take-over", code=2).err
    edit(directory, host="box-1")
    report = dlctl.train(*words, "--take-over", "--json").json
    assert report["metrics"] == pytest.approx(metrics, abs=1e-6)
    assert rows(directory) == table
    assert "goes with --resume" in dlctl.train("--take-over", code=2).err


def test_run_is_lost_when_another_process_has_its_id(dlctl: Dlctl) -> None:
    dlctl.train(*SMALL, stop("SIGINT", "train", 1, 4), code=130)
    reused = {"pid": os.getpid(), "started": psutil.Process().create_time() - 60}
    edit(dlctl.run_dir(), status="running", process=reused)
    assert dlctl("runs", "show", "last", "--json").json["status"] == "lost"
    assert dlctl.train("--resume", "last", "~callbacks.stop", "--json").json["status"] == "done"


def test_of_two_that_resume_a_run_at_once_one_is_refused(
    dlctl: Dlctl, uninterrupted: dict[tuple[str, ...], Any]
) -> None:
    metrics, table = reference(uninterrupted, dlctl, ())
    dlctl.train(*SMALL, stop("SIGINT", "train", 1, 4), code=130)
    directory = dlctl.run_dir()
    words = ("train", "--resume", directory.name, "~callbacks.stop", "--json", *QUIET)
    cwd_on_path(dlctl)
    both = [dlctl.start(*words) for _ in range(2)]
    ends = {each.returncode: (each, *out) for each in both for out in [each.communicate(timeout=240)]}
    assert set(ends) == {0, 2}
    refused = json.loads(ends[2][1])["error"]["message"]
    assert refused == (
        f"{directory.name} is still running (process {ends[0][0].pid} on {socket.gethostname()})"
    )
    assert json.loads(ends[0][1])["metrics"] == pytest.approx(metrics, abs=1e-6)
    assert rows(directory) == table


def test_lock_ends_with_its_process_and_not_with_its_loader_workers(tmp_path: Path) -> None:
    lock.acquire(tmp_path)
    worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,), daemon=True)
    worker.start()
    lock.release(tmp_path)
    try:
        # Another open file: of one process too, only one holds the lock.
        lock.acquire(tmp_path)
        with pytest.raises(UsageError, match=f"process {os.getpid()} on"):
            lock.acquire(tmp_path)
    finally:
        lock.release(tmp_path)
        worker.kill()
        worker.join()
