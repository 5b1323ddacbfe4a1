"""Which file and line set a value."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from hydra.core.default_element import ResultDefault
from hydra.errors import HydraException
from hydra.types import RunMode

from dlctl.composition import search_path
from dlctl.project import Project, shown


@dataclass(frozen=True)
class Origin:
    """A place in a config file."""

    file: Path
    line: int

    def __str__(self) -> str:
        return f"{shown(self.file)}:{self.line}"


def origin(project: Project, name: str, choices: Sequence[str], key: str) -> Origin | None:
    """The place that set a key last, before the command line; None if no file did.

    Args:
        project: whose configs are read.
        name: the primary config.
        choices: the group choices of the command line.
        key: dotted, ``model.optimizer.lr``.
    """
    try:
        defaults = (
            search_path.loader(project).compute_defaults_list(name, list(choices), RunMode.RUN).defaults
        )
    except (HydraException, ValueError):
        return None
    for default in reversed(defaults):
        if place := _place(project, default, key):
            return place
    return None


def _place(project: Project, default: ResultDefault, key: str) -> Origin | None:
    file = search_path.file_of(project, default.config_path or "")
    if file is None:
        return None
    package = [] if default.package in (None, "", "_global_") else str(default.package).split(".")
    path = key.split(".")
    if path[: len(package)] != package:
        return None
    try:
        root = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, yaml.YAMLError):
        return None
    line = _line(root, path[len(package) :])
    return Origin(file, line) if line else None


def _line(node: yaml.Node | None, path: Sequence[str]) -> int | None:
    """The line, from 1, of the key that a path ends in."""
    line = None
    for part in path:
        if not isinstance(node, yaml.MappingNode):
            return None
        for name, value in node.value:
            if str(name.value) == part:
                line, node = name.start_mark.line + 1, value
                break
        else:
            return None
    return line
