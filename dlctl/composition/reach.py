"""Which configs a composition asks for: Hydra's own way through the defaults lists, past what is missing.

Hydra stops at the first mistake. Here what is missing or broken counts as empty, so that the others
show too, and nobody is blamed whose file is not in play.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from hydra._internal.config_repository import IConfigRepository
from hydra._internal.defaults_list import Overrides, _create_defaults_list
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dlctl.composition.defaults import Entry, entries
from dlctl.composition.search_path import file_of, loader
from dlctl.project import Project


class Unused(NamedTuple):
    """An override that finds nothing to override.

    Attributes:
        key: the group, perhaps with ``@package``.
        inside: the config in which it stands; None if the command line has it.
        known: what there is to override in this group.
    """

    key: str
    inside: str | None
    known: list[str]

    @property
    def group(self) -> str:
        """Without the package."""
        return self.key.partition("@")[0]


@dataclass
class Reach:
    """What a composition asks for.

    Attributes:
        files: the configs that are there and their files, in the order in which they are asked for.
        missing: those that are not there, as ``group/option``.
        unused: the overrides that find nothing to override.
    """

    files: dict[str, Path] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unused: list[Unused] = field(default_factory=list)

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """The entries of all defaults lists with the config they stand in; overrides first, for they win."""
        found = [(config, entry) for config, file in self.files.items() for entry in entries(file)]
        yield from sorted(found, key=lambda pair: not pair[1].override)

    def asked(self, config: str) -> tuple[Entry, str] | None:
        """The entry that asks for a config, and the group of which it is an option."""
        for inside, entry in self.entries():
            if any(config in names for names in entry.asks(inside)):
                groups = [path for path in entry.paths(inside) if config.startswith(f"{path}/")]
                return entry, groups[0] if groups else config.rpartition("/")[0]
        return None


def reach(project: Project, name: str, choices: Sequence[Override]) -> Reach:
    """Follow the defaults lists from a primary config.

    Args:
        project: whose configs.
        name: the primary config.
        choices: the group choices of the command line.
    """
    found = Reach()
    below = repository_of(project, name, choices)
    repository = _Forgiving(below, found)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        overrides = Overrides(repo=repository, overrides_list=[])
        # What is no choice at all is told by whoever tries to compose it.
        with suppress(Exception):
            overrides = Overrides(repo=repository, overrides_list=list(choices))
        try:
            _create_defaults_list(repository, name, overrides, prepend_hydra=True, skip_missing=True)
            known = overrides.override_metadata.items()
            groups = overrides.known_choices_per_group
            found.unused = [
                Unused(key, facts.containing_config_path, sorted(groups.get(key.partition("@")[0], ())))
                for key, facts in known
                if not facts.used
            ]
        except Exception:  # the way ends here; RecursionError if it leads in a circle
            found.unused = []
    # What nobody asks for is the null of a group, which Hydra looks for as well, or optional.
    found.missing = [each for each in found.missing if chosen(choices, each) or found.asked(each)]
    return found


def repository_of(project: Project, name: str, choices: Sequence[Override] = ()) -> IConfigRepository:
    """All configs that a primary config can name, those of its ``hydra.searchpath`` too."""
    configs = loader(project)
    lines = [str(item.input_line) for item in choices]
    with warnings.catch_warnings():
        # A search path that is not there is told by `check`.
        warnings.simplefilter("ignore")
        try:
            return configs._parse_overrides_and_create_caching_repo(name, lines)[1]
        except Exception:  # of whatever is wrong with the primary config
            return configs.repository


def chosen(choices: Sequence[Override], config: str) -> str | None:
    """The group of which the command line chooses a config; None if it does not."""
    for item in choices:
        value: Any = item.value()
        for option in value if isinstance(value, list) else [value]:
            if f"{item.key_or_group}/{option}" == config and option is not None:
                return str(item.key_or_group)
    return None


class _Forgiving(IConfigRepository):
    """A repository that remembers what it is asked for, and has an empty config for what it has not."""

    def __init__(self, below: IConfigRepository, found: Reach) -> None:
        self._below = below
        self._found = found

    def load_config(self, config_path: str) -> ConfigResult:
        """A config, perhaps an empty one."""
        try:
            loaded = self._below.load_config(config_path)
            broken = False
        except (yaml.YAMLError, ConfigLoadError, ValueError, OmegaConfBaseException):
            loaded, broken = None, True
        if (loaded or broken) and (file := file_of(self._below, config_path)):
            self._found.files.setdefault(config_path, file)
        if loaded is not None:
            return loaded
        if not broken and config_path not in self._found.missing:
            self._found.missing.append(config_path)
        # Of an experiment that is not there it must not be said that it lies in the way of others.
        header: dict[str, str | None] = {"package": None}
        return ConfigResult("dlctl", "", OmegaConf.create(), header, defaults_list=[])

    def config_exists(self, config_path: str) -> bool:
        """Whether a config is there."""
        return self._below.config_exists(config_path)

    def group_exists(self, config_path: str) -> bool:
        """Whether there is a group."""
        return self._below.group_exists(config_path)

    def get_group_options(
        self, group_name: str, results_filter: ObjectType | None = ObjectType.CONFIG
    ) -> list[str]:
        """The options of a group."""
        return self._below.get_group_options(group_name, results_filter)

    def get_schema_source(self) -> ConfigSource:
        """Where structured configs lie."""
        return self._below.get_schema_source()

    def get_sources(self) -> list[ConfigSource]:
        """Where configs are looked for."""
        return self._below.get_sources()

    def initialize_sources(self, config_search_path: Any) -> None:
        """Nothing: the sources are those of the repository below."""
