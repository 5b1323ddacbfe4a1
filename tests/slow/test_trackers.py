"""Trackers without their servers: the same run goes on when a training is resumed."""

import json
import sqlite3
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
