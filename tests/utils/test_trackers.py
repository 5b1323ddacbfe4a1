"""Trackers that die during a training."""

import csv
import pickle
from pathlib import Path

import pytest

from dlctl.utils.trackers import guard
from tests.conftest import Dlctl
from tests.helpers import DyingLogger

SHORT = (
    "--exp",
    "example",
    "trainer.max_epochs=3",
    "trainer.limit_train_batches=4",
    "trainer.limit_val_batches=2",
)


def dying(calls: int, method: str, file: Path) -> str:
    return f"+logger.dying={{_target_:tests.helpers.DyingLogger,calls:{calls},method:{method},file:'{file}'}}"


@pytest.mark.parametrize("method", ["log_metrics", "save", "after_save_checkpoint", "finalize"])
def test_dying_tracker_costs_one_warning_and_no_training(dlctl: Dlctl, tmp_path: Path, method: str) -> None:
    calls = tmp_path / "calls.txt"
    result = dlctl.train(*SHORT, dying(3, method, calls))
    warning = "DyingLogger failed and is off for the rest of this run, which goes on: ConnectionError: "
    assert result.err.count(warning) == 1
    assert "no answer from the \\x1b[31mserver" in result.err
    assert "Traceback" not in result.err
    log = (dlctl.run_dir() / "train.log").read_text()
    assert log.count("Traceback") == 1
    # It is asked no more.
    lines = calls.read_text().split()
    assert lines[-1] == method
    # The table has all epochs, and the test.
    with (dlctl.run_dir() / "csv/metrics.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["epoch"] for row in rows if row["val/acc"]] == ["0", "1", "2"]
    assert rows[-1]["test/acc"]
    assert dlctl("runs", "show", "last", "--json").json["status"] == "done"


def test_tracker_that_never_worked_is_an_error_before_training(dlctl: Dlctl, tmp_path: Path) -> None:
    calls = tmp_path / "calls.txt"
    result = dlctl.train(*SHORT, dying(0, "log_hyperparams", calls), code=1)
    assert result.err.splitlines()[-2:] == [
        "error: DyingLogger cannot use its tracker: ConnectionError: no answer from the \\x1b[31mserver",
        "  start the tracker's server or correct its address, or train without it: logger=csv",
    ]
    assert "log_metrics" not in calls.read_text()


def test_interruption_passes_through_a_logger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    logger = guard(DyingLogger(3, "save", str(tmp_path / "calls.txt")))
    monkeypatch.setattr(DyingLogger, "log_metrics", interrupted)
    with pytest.raises(KeyboardInterrupt):
        logger.log_metrics({})
    assert type(logger) is DyingLogger


def test_guarded_logger_can_be_pickled(tmp_path: Path) -> None:
    file = tmp_path / "calls.txt"
    logger = pickle.loads(pickle.dumps(guard(DyingLogger(1, "log_metrics", str(file)))))
    logger.log_hyperparams({})
    for _ in range(3):
        logger.log_metrics({"a": 1.0})
    assert file.read_text().split() == ["log_hyperparams", "log_metrics"]
