"""Tell the loggers what is being run."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from omegaconf import DictConfig, OmegaConf

_PARTS = (
    "model", "data", "datamodule", "trainer", "callbacks", "extras", "task_name", "tags", "ckpt_path",
    "weights_path", "seed",
)  # fmt: skip


def log_hyperparameters(cfg: DictConfig, model: LightningModule, trainer: Trainer) -> None:
    """Log the config and the number of parameters to every logger.

    Args:
        cfg: resolved, without secrets: trackers store it.
        model: whose parameters are counted.
        trainer: whose loggers are told.
    """
    if not trainer.loggers:
        return
    tree = OmegaConf.to_container(cfg)
    assert isinstance(tree, dict)
    params: dict[str, Any] = {name: tree[name] for name in _PARTS if name in tree}
    sizes = [(each.numel(), each.requires_grad) for each in model.parameters()]
    if sizes:  # a model that is built for its data has none yet
        params["model/params/total"] = sum(size for size, _ in sizes)
        params["model/params/trainable"] = sum(size for size, trained in sizes if trained)
        params["model/params/non_trainable"] = sum(size for size, trained in sizes if not trained)
    for logger in trainer.loggers:
        logger.log_hyperparams(params)
