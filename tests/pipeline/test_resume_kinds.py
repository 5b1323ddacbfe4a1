"""Resumed trainings of loaders and modules of every kind end as those that nothing stopped.

The full product of kinds, moments and optimizations is in ``tests/slow/test_resume_grid.py``.
"""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from dlctl.errors import ConfigError
from tests.pipeline.toys import (
    BATCHES,
    KINDS,
    MOMENTS,
    OPTIMIZATIONS,
    config,
    difference,
    fit,
    stop_and_resume,
)


@cache
def uninterrupted(kind: str, optimization: str) -> dict[str, Any]:
    with TemporaryDirectory() as directory:
        changes = {"data": {"kind": kind}, **OPTIMIZATIONS[optimization]}
        return fit(Path(directory), config(Path(directory), **changes))


def same_as_uninterrupted(directory: Path, kind: str, optimization: str, moment: str) -> None:
    changes = {"data": {"kind": kind}, **OPTIMIZATIONS[optimization]}
    resumed = stop_and_resume(directory, MOMENTS[moment], **changes)
    assert difference(uninterrupted(kind, optimization), resumed) == ""


@pytest.mark.parametrize("moment", ["middle", "killed"])
@pytest.mark.parametrize("kind", KINDS)
def test_loaders_of_every_kind(tmp_path: Path, kind: str, moment: str) -> None:
    same_as_uninterrupted(tmp_path, kind, "automatic", moment)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("optimization", OPTIMIZATIONS)
def test_optimization_of_every_kind(tmp_path: Path, optimization: str, moment: str) -> None:
    same_as_uninterrupted(tmp_path, "plain", optimization, moment)


@pytest.mark.parametrize("kind", ["stream", "stateful_map"])
def test_loaders_with_workers(tmp_path: Path, kind: str) -> None:
    changes = {"data": {"kind": kind, "workers": 2}}
    expected = fit(tmp_path, config(tmp_path, **changes))
    assert difference(expected, stop_and_resume(tmp_path, MOMENTS["killed"], **changes)) == ""


CHECKPOINT = "lightning.pytorch.callbacks.ModelCheckpoint"


@pytest.mark.parametrize("kind", ["plain", "stream"])
@pytest.mark.parametrize(
    "when",
    [{"every_n_train_steps": 5}, {"every_n_train_steps": BATCHES}, {"save_on_train_epoch_end": False}],
    ids=["in an epoch", "before a validation", "after a validation"],
)
def test_checkpoint_of_any_moment(tmp_path: Path, kind: str, when: dict[str, Any]) -> None:
    other = {"_target_": CHECKPOINT, "dirpath": str(tmp_path / "other"), **when}
    found = stop_and_resume(
        tmp_path,
        {"stage": "train", "epoch": 1, "batch": 8, "kill": True},
        checkpoint="other/*.ckpt",
        data={"kind": kind},
        callbacks={"other": other},
    )
    assert difference(uninterrupted(kind, "automatic"), found) == ""


@pytest.mark.parametrize("moment", MOMENTS)
def test_loaders_that_are_made_again(tmp_path: Path, moment: str) -> None:
    changes = {"trainer": {"reload_dataloaders_every_n_epochs": 2}}
    expected = fit(tmp_path, config(tmp_path, **changes))
    assert difference(expected, stop_and_resume(tmp_path, MOMENTS[moment], **changes)) == ""


@pytest.mark.parametrize("tuner", ["LearningRateFinder", "BatchSizeFinder"])
@pytest.mark.parametrize("moment", ["middle", "killed"])
def test_what_a_tuner_found(tmp_path: Path, tuner: str, moment: str) -> None:
    found = {
        "LearningRateFinder": {"num_training_steps": 8},
        "BatchSizeFinder": {"init_val": 2, "max_trials": 1, "steps_per_trial": 1},
    }[tuner]
    changes = {"callbacks": {"tuner": {"_target_": f"lightning.pytorch.callbacks.{tuner}", **found}}}
    expected = fit(tmp_path, config(tmp_path, **changes))
    assert difference(expected, stop_and_resume(tmp_path, MOMENTS[moment], **changes)) == ""


@pytest.mark.parametrize("scheduler", ["plateau", None])
def test_changed_learning_rate(tmp_path: Path, scheduler: str | None) -> None:
    changes: dict[str, Any] = {"model": {"scheduler": scheduler}}
    halved = {**changes, "callbacks": {"halve": {"_target_": "tests.pipeline.toys.Halve"}}}
    expected = fit(tmp_path, config(tmp_path, **halved))
    resumed = stop_and_resume(
        tmp_path,
        {"stage": "train", "epoch": 2, "batch": 3, "kill": True},
        resumed_with={"model": {"lr": 0.025}},
        **changes,
    )
    assert difference(expected, resumed) == ""


def test_stopped_between_epochs_of_one_batch(tmp_path: Path) -> None:
    changes = {"trainer": {"limit_train_batches": 1, "limit_val_batches": 0}, "model": {"scheduler": None}}
    expected = fit(tmp_path, config(tmp_path, **changes))
    resumed = stop_and_resume(tmp_path, {"stage": "train", "epoch": 1, "batch": 0}, **changes)
    assert difference(expected, resumed) == ""


def test_changed_attribute_that_training_changes_too(tmp_path: Path) -> None:
    warm_up = {"_target_": "tests.pipeline.toys.WarmUp"}
    resumed = stop_and_resume(
        tmp_path,
        {"stage": "train", "epoch": 1, "batch": 3, "kill": True},
        resumed_with={"callbacks": {"warm_up": {"steps": 1000}}},
        callbacks={"warm_up": warm_up},
    )
    # The warm-up is over at once, as was asked for; else it would have been at step 30 in the third epoch.
    assert resumed["metrics"]["warm"] == 1000 + 2 * BATCHES


def test_changed_patience(tmp_path: Path) -> None:
    stopping = {"_target_": "lightning.pytorch.callbacks.EarlyStopping", "monitor": "val/loss", "mode": "max"}
    changes = {"callbacks": {"early": {**stopping, "patience": 1}}}
    assert fit(tmp_path, config(tmp_path, **changes))["steps"] == 2 * BATCHES
    patient = config(tmp_path, callbacks={"early": {**stopping, "patience": 10}})
    resumed = fit(tmp_path, patient, tmp_path / "checkpoints/last.ckpt")
    assert difference(uninterrupted("plain", "automatic"), resumed) == ""


def test_other_optimizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has SGD and the checkpoint holds the state of Adam"):
        stop_and_resume(tmp_path, MOMENTS["middle"], resumed_with={"model": {"optimizer": "SGD"}})


def test_a_difference_is_seen(tmp_path: Path) -> None:
    other = fit(tmp_path, config(tmp_path, model={"lr": 0.04}))
    assert difference(uninterrupted("plain", "automatic"), other)
