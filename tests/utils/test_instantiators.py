"""Callbacks and loggers of config nodes: all that are written are built, or it is said why not."""

from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from omegaconf import OmegaConf

from dlctl.errors import ConfigError
from dlctl.utils.instantiators import instantiate_callbacks, instantiate_loggers

CHECKPOINT = "lightning.pytorch.callbacks.ModelCheckpoint"


def test_group_that_is_itself_a_callback_is_built() -> None:
    (callback,) = instantiate_callbacks(OmegaConf.create({"_target_": CHECKPOINT, "monitor": "val/loss"}))
    assert isinstance(callback, ModelCheckpoint)
    assert callback.monitor == "val/loss"


def test_group_that_is_itself_a_logger_is_built(tmp_path: Path) -> None:
    config = OmegaConf.create({"_target_": "lightning.pytorch.loggers.CSVLogger", "save_dir": str(tmp_path)})
    (logger,) = instantiate_loggers(config)
    assert isinstance(logger, CSVLogger)
    assert logger.save_dir == str(tmp_path)


def test_null_and_nodes_without_target_build_nothing() -> None:
    config = OmegaConf.create(
        {"off": None, "patience": 3, "early": {"patience": 3}, "best": {"_target_": CHECKPOINT}}
    )
    (callback,) = instantiate_callbacks(config)
    assert isinstance(callback, ModelCheckpoint)
    assert instantiate_callbacks(None) == []


@pytest.mark.parametrize(
    ("group", "message", "key"),
    [
        ([{"_target_": CHECKPOINT}], "'callbacks' is a list", "callbacks"),
        ({"a": [{"_target_": CHECKPOINT}]}, "'callbacks.a' is a list", "callbacks.a"),
        ({"a": {"b": {"_target_": CHECKPOINT}}}, "is not built: callbacks.a.b", "callbacks.a"),
        ({"a": {"_target_": CHECKPOINT, "_partial_": True}}, "'callbacks.a' is a partial", "callbacks.a"),
        ({"a": {"_target_": "collections.Counter"}}, "builds a Counter, and a Callback", "callbacks.a"),
        ({"_target_": "collections.Counter"}, "'callbacks' builds a Counter", "callbacks"),
    ],
)
def test_what_is_no_callback_is_reported(group: Any, message: str, key: str) -> None:
    with pytest.raises(ConfigError) as error:
        instantiate_callbacks(OmegaConf.create(group))
    assert message in str(error.value)
    assert error.value.key == key
