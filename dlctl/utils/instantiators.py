"""Config nodes -> callbacks and loggers."""

from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

if TYPE_CHECKING:
    from lightning.pytorch import Callback
    from lightning.pytorch.loggers import Logger


def instantiate_callbacks(callbacks_cfg: DictConfig | None) -> "list[Callback]":
    """Instantiate every callback of a config, in order."""
    return _instantiate_each(callbacks_cfg)


def instantiate_loggers(logger_cfg: DictConfig | None) -> "list[Logger]":
    """Instantiate every logger of a config, in order; a tracker that dies does not end the training."""
    from dlctl.utils.trackers import guard

    return [guard(each) for each in _instantiate_each(logger_cfg)]


def _instantiate_each(config: DictConfig | None) -> list[Any]:
    from hydra.utils import instantiate

    if not config:
        return []
    if not isinstance(config, DictConfig):
        raise TypeError(f"a group of named nodes is needed here, not {type(config).__name__}")
    return [
        instantiate(node) for node in config.values() if isinstance(node, DictConfig) and "_target_" in node
    ]
