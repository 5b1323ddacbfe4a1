"""Trackers without their servers: the same run goes on when a training is resumed."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.conftest import QUIET, Dlctl

pytestmark = pytest.mark.slow
STOP = "+callbacks.stop={_target_:tests.helpers.SendSignal,name:SIGINT,stage:train,epoch:1,batch:5}"
SHORT = ("trainer.max_epochs=3", "trainer.limit_train_batches=10", *QUIET)


def interrupted_and_resumed(dlctl: Dlctl, *words: str) -> dict[str, str]:
    """The ids under which trackers know the run, the same before and after."""
    dlctl("train", *SHORT, STOP, *words, code=130)
    before = json.loads((dlctl.run_dir() / "run.json").read_text())["loggers"]
    dlctl("train", "--resume", "last", "~callbacks.stop", *QUIET)
    after = json.loads((dlctl.run_dir() / "run.json").read_text())["loggers"]
    assert before == after
    return {str(name): str(value) for name, value in after.items()}


def test_mlflow_has_one_run_with_all_epochs(dlctl: Dlctl) -> None:
    pytest.importorskip("mlflow")
    known = interrupted_and_resumed(dlctl, "logger=mlflow")
    with sqlite3.connect(dlctl.root / "logs/mlflow/mlflow.db") as database:
        assert database.execute("select run_uuid from runs").fetchall() == [(known["MLFlowLogger"],)]
        steps = database.execute("select step from metrics where key = 'train/loss' order by step").fetchall()
    assert steps == [(9,), (19,), (29,)]


def test_mlflow_takes_what_a_resumed_run_changes(dlctl: Dlctl) -> None:
    pytest.importorskip("mlflow")
    dlctl("train", *SHORT, STOP, "logger=mlflow", code=130)
    words = ("trainer.max_epochs=4", "~callbacks.stop", *QUIET)
    result = dlctl("train", "--resume", "last", *words)
    assert "these are now tags of it: resumed/trainer/max_epochs" in result.err
    with sqlite3.connect(dlctl.root / "logs/mlflow/mlflow.db") as database:
        assert database.execute("select count(*) from runs").fetchall() == [(1,)]
        params = dict(database.execute("select key, value from params"))
        tags = dict(database.execute("select key, value from tags"))
        steps = database.execute("select step from metrics where key = 'train/loss' order by step").fetchall()
    assert params["trainer/max_epochs"] == "3"
    assert tags["resumed/trainer/max_epochs"] == "4"
    assert steps == [(9,), (19,), (29,), (39,)]


@contextmanager
def mlflow_server(folder: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A tracking server on this machine, and its process."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
               "--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/server.db",
               "--artifacts-destination", str(folder / "artifacts")]  # fmt: skip
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        end = time.monotonic() + 120
        while True:
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
                break
            assert time.monotonic() < end, (folder / "server.log").read_text()
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}", server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def test_mlflow_server_that_dies_costs_a_warning(dlctl: Dlctl, tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    with mlflow_server(tmp_path) as (uri, server):
        words = ("logger=mlflow", f"logger.mlflow.tracking_uri={uri}")
        kill = f"+callbacks.kill={{_target_:tests.helpers.KillGroup,pid:{server.pid},epoch:1,batch:5}}"
        began = time.monotonic()
        result = dlctl("train", *SHORT, *words, kill, "--json")
        took = time.monotonic() - began
        assert server.wait(10) == -signal.SIGKILL
    assert result.json["status"] == "done"
    assert result.err.count("MLFlowLogger failed and is off for the rest of this run") == 1
    assert result.err.count("Connection refused") == 1
    # The client alone would try again for four minutes at every step.
    assert took < 60
    rows = (dlctl.run_dir() / "csv/metrics.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows[1:4]] == [["0", "9"], ["1", "19"], ["2", "29"]]


def test_mlflow_server_that_is_not_there_is_an_error_before_training(dlctl: Dlctl) -> None:
    pytest.importorskip("mlflow")
    began = time.monotonic()
    result = dlctl("train", *SHORT, "logger=mlflow", "logger.mlflow.tracking_uri=http://127.0.0.1:9", code=1)
    assert "error: MLFlowLogger cannot use its tracker: " in result.err
    assert "train without it: logger=csv" in result.err
    assert "epoch" not in result.err
    assert time.monotonic() - began < 60


def test_wandb_offline_goes_on_under_the_same_id(dlctl: Dlctl, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    known = interrupted_and_resumed(dlctl, "logger=wandb", "logger.wandb.offline=true")
    found = {path.name.rpartition("-")[2] for path in Path(dlctl.run_dir()).glob("wandb/offline-run-*")}
    assert found == {known["WandbLogger"]}


def test_tensorboard_forgets_what_is_done_again(dlctl: Dlctl) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    interrupted_and_resumed(dlctl, "logger=tensorboard")
    events = EventAccumulator(str(dlctl.run_dir() / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [9, 19, 29]
