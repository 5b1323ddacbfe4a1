"""The project's configs over the packaged ones, file by file."""

from pathlib import Path

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.core_plugins import basic_launcher, basic_sweeper  # noqa: F401 - nodes
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.core_plugins.importlib_resources_config_source import (
    ImportlibResourcesConfigSource,
)
from hydra._internal.core_plugins.structured_config_source import StructuredConfigSource
from hydra._internal.sources_registry import SourcesRegistry

from dlctl.project import Project


def folders(project: Project) -> list[Path]:
    """The folders a config is looked for in, first match wins."""
    own = [project.configs] if project.configs and project.configs != project.packaged else []
    return [*own, project.packaged]


def loader(project: Project) -> ConfigLoaderImpl:
    """Hydra's config loader over the project's configs and the packaged ones.

    Built by hand rather than by ``hydra.initialize``: that knows one config folder only, scans and
    imports every installed Hydra plugin, and leaves global state behind.
    """
    for source in (FileConfigSource, ImportlibResourcesConfigSource, StructuredConfigSource):
        SourcesRegistry.instance().register(source)
    path = ConfigSearchPathImpl()
    path.append("hydra", "pkg://hydra.conf")
    for number, folder in enumerate(folders(project)):
        path.append("main" if number == 0 else "dlctl", f"file://{folder}")
    path.append("schema", "structured://")
    return ConfigLoaderImpl(path)


def file_of(project: Project, config_path: str) -> Path | None:
    """The file behind ``model/mnist``; None for Hydra's own configs."""
    for folder in folders(project):
        file = folder / f"{config_path.removesuffix('.yaml')}.yaml"
        if file.is_file():
            return file
    return None


def options(project: Project, group: str) -> list[str]:
    """The options of a group, project and packaged ones together, sorted."""
    found = {
        file.stem for folder in folders(project) for file in (folder / group).glob("*.yaml") if file.is_file()
    }
    return sorted(found)
