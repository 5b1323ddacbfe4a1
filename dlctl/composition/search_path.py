"""The project's configs over the packaged ones, file by file."""

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.core_plugins import basic_launcher, basic_sweeper  # noqa: F401 - nodes
from hydra._internal.core_plugins.structured_config_source import StructuredConfigSource
from hydra._internal.sources_registry import SourcesRegistry

from dlctl.composition.config_files import PackageSource, YamlSource
from dlctl.project import Project


def loader(project: Project) -> ConfigLoaderImpl:
    """Hydra's config loader over the project's configs and the packaged ones.

    Built by hand rather than by ``hydra.initialize``: that knows one config folder only, scans and
    imports every installed Hydra plugin, and leaves global state behind.
    """
    for source in (YamlSource, PackageSource, StructuredConfigSource):
        SourcesRegistry.instance().register(source)
    path = ConfigSearchPathImpl()
    path.append("hydra", "pkg://hydra.conf")
    for number, folder in enumerate(project.folders):
        path.append("main" if number == 0 else "dlctl", f"file://{folder}")
    path.append("schema", "structured://")
    return ConfigLoaderImpl(path)
