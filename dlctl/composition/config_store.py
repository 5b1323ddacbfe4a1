"""Structured configs that a project's code registers in Hydra's ConfigStore.

Importing a project may take seconds. Its source therefore tells which options the code registers, and the
code is imported only when a config names one of them.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from hydra._internal.core_plugins import structured_config_source
from hydra.core.config_store import ConfigNode, ConfigStore
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import OmegaConf

from dlctl.composition import registering
from dlctl.composition.store_calls import Registration, groups, options, registrations
from dlctl.project import Project

# Schemes of the search path: in front of all files, and behind them.
DECLARED, ANY = "declared", "registered"


class StructuredConfigSource(structured_config_source.StructuredConfigSource):
    """Hydra's source of structured configs, which sees what is registered while Hydra composes.

    Hydra tells this source by the name of its class, and composes with a deep copy of it: of the ConfigStore
    too, if that were an attribute.
    """

    @property
    def store(self) -> ConfigStore:
        """The ConfigStore as it is now."""
        return ConfigStore.instance()

    @store.setter
    def store(self, store: ConfigStore) -> None:
        """Hydra sets what it is anyway."""


class ProjectStoreSource(ConfigSource):
    """Imports the code that registers a config when Hydra looks for that config; holds none itself.

    What is registered is found in the source of structured configs, the last in the search path.
    """

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider, path)
        root = Path(self.path)
        self._project = Project(root, found=True, configs=None, packaged=root)

    @cached_property
    def _registrations(self) -> Sequence[Registration]:
        return registrations(self._project)

    @staticmethod
    def scheme() -> str:
        """The scheme of its place in the search path."""
        return DECLARED

    def available(self) -> bool:
        """Always."""
        return True

    def is_config(self, config_path: str) -> bool:
        """Never; but afterwards the ConfigStore has the config if the code registers it."""
        path = config_path.rstrip("/").removesuffix(".yaml")
        if not _is_stored(path, ObjectType.CONFIG):
            self._import([each for each in self._registrations if self._registers(each, path)])
        return False

    def is_group(self, config_path: str) -> bool:
        """Never."""
        return False

    def load_config(self, config_path: str) -> ConfigResult:
        """Never called."""
        raise NotImplementedError

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Never called."""
        raise NotImplementedError

    def _registers(self, each: Registration, path: str) -> bool:
        return each.path == path

    def _import(self, found: Sequence[Registration]) -> None:
        for file in dict.fromkeys(each.place.file for each in found):
            if module := registering.module_of(self._project, file):
                registering.import_once(self._project, module)


class LastResortSource(ProjectStoreSource):
    """The same for groups, and for names that the source does not tell, when no file has them."""

    @staticmethod
    def scheme() -> str:
        """The scheme of its place in the search path."""
        return ANY

    def _registers(self, each: Registration, path: str) -> bool:
        return each.path is None and each.may_be(path)

    def is_group(self, config_path: str) -> bool:
        """Never; but afterwards the ConfigStore has the group if the code registers it."""
        group = config_path.strip("/")
        # Hydra asks this of the key of every override.
        if group and "." not in group and not _is_stored(group, ObjectType.GROUP):
            self._import([each for each in self._registrations if each.may_have(group)])
        return False


def all_options(project: Project, group: str) -> list[str]:
    """The options of a group, sorted: files, what the source registers, what the ConfigStore has."""
    stored = ConfigStore.instance()
    loaded = stored.list(group) if group and _is_stored(group, ObjectType.GROUP) else []
    loaded = [name.removesuffix(".yaml") for name in loaded if name.endswith(".yaml")]
    return sorted({*project.options(group), *options(project, group), *loaded})


def all_groups(project: Project) -> list[str]:
    """The groups of files and those that the source registers, sorted."""
    return sorted({*project.groups, *groups(project)})


def reason(project: Project, path: str) -> str | None:
    """Why a config that the source registers is not in the ConfigStore; None if none is missing."""
    found = next((each for each in registrations(project) if each.path == path), None)
    if found is None or _is_stored(path, ObjectType.CONFIG):
        return None
    return f"it is registered in {found.place}, {registering.why_not(project, found.place.file)}"


def value(path: str, keys: tuple[str | int, ...]) -> tuple[int, str] | None:
    """A value of a registered config.

    Returns:
        how many of the keys lead to it, and the value on one line; None if it says nothing about them.
    """
    if not _is_stored(path, ObjectType.CONFIG):
        return None
    stored: ConfigNode = ConfigStore.instance().load(f"{path}.yaml")
    node = OmegaConf.to_container(stored.node, resolve=False, enum_to_str=True)
    for depth, key in enumerate(keys):
        if not isinstance(node, dict):
            return depth, "null" if node is None else str(node)
        if key not in node:
            return None
        node = node[key]
    return len(keys), "null" if node is None else str(node)


def _is_stored(path: str, kind: ObjectType) -> bool:
    name = f"{path}.yaml" if kind is ObjectType.CONFIG else path
    return bool(ConfigStore.instance().get_type(name) is kind)
