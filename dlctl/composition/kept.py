"""Configs that runs have kept."""

from pathlib import Path

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dlctl.errors import NotFoundError
from dlctl.project import shown
from dlctl.yaml_text import from_yaml


def primary_name(folder: Path) -> str:
    """The primary config that the run of a ``.hydra`` folder was composed from: ``train`` if it does not say.

    Raises:
        NotFoundError: the folder's hydra.yaml is not there or is damaged.
    """
    name = OmegaConf.select(read(folder / "hydra.yaml"), "hydra.job.config_name", throw_on_missing=False)
    return str(name or "train").removesuffix(".yaml")


def read(file: Path) -> DictConfig:
    """A config that a run has kept.

    Raises:
        NotFoundError: it is not there or is damaged.
    """
    try:
        with file.open(encoding="utf-8") as stream:
            config = OmegaConf.create(from_yaml(stream))
    except (OSError, ValueError, yaml.YAMLError, OmegaConfBaseException) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise NotFoundError(
            f"cannot read the run's config {shown(file)}: {reason}",
            hint="its checkpoints carry the config too: dlctl eval CKPT",
        ) from error
    if not isinstance(config, DictConfig):
        raise NotFoundError(f"{shown(file)} is not a config")
    return config
