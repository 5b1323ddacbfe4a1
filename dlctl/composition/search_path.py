"""The project's configs over the packaged ones, file by file."""

from importlib import resources
from pathlib import Path

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import IConfigRepository
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.core_plugins import basic_launcher, basic_sweeper  # noqa: F401 - nodes
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import OmegaConf

from dlctl.composition import config_store
from dlctl.composition.config_files import PackageSource, YamlSource
from dlctl.composition.config_store import LastResortSource, ProjectStoreSource, StructuredConfigSource
from dlctl.project import Project


class PluginSource(ConfigSource):
    """Launchers and sweepers of Hydra plugins, as empty configs that take any value.

    dlctl starts and searches by itself; projects that choose ``override /hydra/launcher: submitit_slurm``
    compose nevertheless, whether the plugin is installed or not.
    """

    @staticmethod
    def scheme() -> str:
        """The scheme of its place in the search path."""
        return "plugin"

    def load_config(self, config_path: str) -> ConfigResult:
        """An empty config."""
        return ConfigResult(self.provider, self.path, OmegaConf.create(), {"package": None})

    def available(self) -> bool:
        """Always."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Whether plugins bring options of a group."""
        return config_path.startswith(("hydra/launcher", "hydra/sweeper"))

    def is_config(self, config_path: str) -> bool:
        """Whether it may be an option that a plugin brings; ``basic`` is Hydra's own."""
        group, _, name = config_path.rpartition("/")
        return bool(group) and self.is_group(group) and name != "basic"

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Nothing: what plugins there are is not known."""
        return []


def loader(project: Project) -> ConfigLoaderImpl:
    """Hydra's config loader over the project's configs and the packaged ones.

    Built by hand rather than by ``hydra.initialize``: that knows one config folder only, scans and
    imports every installed Hydra plugin, and leaves global state behind.
    """
    sources = (YamlSource, PackageSource, PluginSource, ProjectStoreSource, LastResortSource)
    for source in (*sources, StructuredConfigSource):
        SourcesRegistry.instance().register(source)
    path = ConfigSearchPathImpl()
    if project.found:
        path.append("project", f"{config_store.DECLARED}://{project.root}")
    path.append("hydra", "pkg://hydra.conf")
    for number, folder in enumerate(project.folders):
        path.append("main" if number == 0 else "dlctl", f"file://{folder}")
    path.append("dlctl", "plugin://hydra")
    if project.found:
        path.append("project", f"{config_store.ANY}://{project.root}")
    path.append("schema", "structured://")
    return ConfigLoaderImpl(path)


def file_of(repository: IConfigRepository, config: str) -> Path | None:
    """The file behind ``model/mnist``; None for what is registered in Python."""
    for source in repository.get_sources():
        if source.is_config(config):
            name = source._normalize_file_name(config)
            if source.scheme() == "file":
                return Path(source.path) / name
            if source.scheme() == "pkg":
                return Path(str(resources.files(source.path).joinpath(name)))
            return None
    return None
