"""Configs that runs have kept."""

from pathlib import Path

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dlctl.errors import NotFoundError, first_line
from dlctl.project import Project, shown
from dlctl.yaml_text import from_yaml


def primary_name(project: Project, folder: Path) -> str:
    """The primary config from which the run of a ``.hydra`` folder was composed.

    ``train`` where the project has none of that name: other programs may not record it, or have their own.

    Raises:
        NotFoundError: the folder's hydra.yaml is not there or is damaged.
    """
    name = OmegaConf.select(read(folder / "hydra.yaml"), "hydra.job.config_name", throw_on_missing=False)
    name = str(name).removesuffix(".yaml")
    return name if name in project.options("") else "train"


def read(file: Path) -> DictConfig:
    """A config that a run has kept.

    Raises:
        NotFoundError: it is not there or is damaged.
    """
    try:
        with file.open(encoding="utf-8") as stream:
            config = OmegaConf.create(from_yaml(stream))
    except (OSError, ValueError, yaml.YAMLError, OmegaConfBaseException) as error:
        raise NotFoundError(
            f"cannot read the run's config {shown(file)}: {first_line(error)}",
            hint="its checkpoints carry the config too: dlctl eval CKPT",
        ) from error
    if not isinstance(config, DictConfig):
        raise NotFoundError(f"{shown(file)} is not a config")
    return config
