"""Config files, read once: their values for Hydra, their lines for whoever asks where a value comes from."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.core_plugins.importlib_resources_config_source import ImportlibResourcesConfigSource
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import OmegaConf

from dlctl.yaml_text import parse

# What decides which files there are: defaults lists, and hydra.searchpath.
_DECIDING = ("defaults", "hydra")
_OUTLINED: ContextVar[bool] = ContextVar("_OUTLINED", default=False)
_REPLACED: ContextVar[Mapping[Path, Any]] = ContextVar("_REPLACED", default=MappingProxyType({}))


class YamlSource(FileConfigSource):
    """Hydra's source of config files, with libyaml and without parsing a file twice."""

    def load_config(self, config_path: str) -> ConfigResult:
        """A config and its header, see ``_load``."""
        return _load(self, Path(self.path) / self._normalize_file_name(config_path))


class PackageSource(ImportlibResourcesConfigSource):
    """The same for configs in a Python package, where that lies in a folder."""

    def load_config(self, config_path: str) -> ConfigResult:
        """A config and its header, see ``_load``."""
        found = resources.files(self.path).joinpath(self._normalize_file_name(config_path))
        return _load(self, found) if isinstance(found, Path) else super().load_config(config_path)


def _load(source: ConfigSource, file: Path) -> ConfigResult:
    """A config and its header.

    Raises:
        ConfigLoadError: there is no such file, or it does not hold ``key: value``.
        yaml.YAMLError: it is not YAML.
    """
    if not file.is_file():
        raise ConfigLoadError(f"Config not found : {file}")
    value = values(file)
    if not isinstance(value, dict | None):
        raise ConfigLoadError(f"{file} holds a {type(value).__name__}")
    return ConfigResult(
        config=OmegaConf.create(_asked(value or {})),
        path=f"{source.scheme()}://{source.path}",
        provider=source.provider,
        header=ConfigSource._get_header_dict(text(file)[:512]),
    )


def _asked(value: dict[Any, Any]) -> dict[Any, Any]:
    """What is wanted of a file: all of it, or what decides which files there are."""
    return {key: value[key] for key in _DECIDING if key in value} if _OUTLINED.get() else value


@contextmanager
def outlined() -> Iterator[None]:
    """Let Hydra see defaults lists and its own settings only: making a config of the rest takes long."""
    token = _OUTLINED.set(True)
    try:
        yield
    finally:
        _OUTLINED.reset(token)


def text(file: Path) -> str:
    """What a file says; bytes that are no UTF-8 become question marks."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        if is_replaced(file):
            return ""
        raise


def values(file: Path) -> Any:
    """What a file holds, as Python objects that nobody may change."""
    if (instead := _REPLACED.get().get(file)) is not None:
        return instead
    return _parsed(str(file), *_state(file))[1]


def is_replaced(file: Path) -> bool:
    """Whether something else is held in the place of a file for now."""
    return file in _REPLACED.get()


@contextmanager
def replaced(contents: Mapping[Path, Any]) -> Iterator[None]:
    """Let files hold something else for a while, on top of what has been replaced already."""
    token = _REPLACED.set({**_REPLACED.get(), **contents})
    try:
        yield
    finally:
        _REPLACED.reset(token)


def nodes(file: Path) -> yaml.Node | None:
    """The syntax tree of a file, whose marks tell lines; None if it is empty or broken."""
    try:
        return _parsed(str(file), *_state(file))[0]
    except (OSError, yaml.YAMLError):
        return None


def find(node: yaml.Node | None, path: Sequence[str | int]) -> tuple[int, int, yaml.Node] | None:
    """Follow a path down a syntax tree.

    Returns:
        how many parts of the path were followed, the line (from 1) of the last of them, and the node there;
        None if the path leads elsewhere. A scalar on the way ends it: ``model: null`` says something
        about every key below ``model``.
    """
    line = 0
    for depth, part in enumerate(path):
        if isinstance(node, yaml.MappingNode):
            # Where a mapping takes in another one (<<), what it says itself stands behind.
            pairs = [(key, value) for key, value in node.value if _is(key, part)]
            if not pairs:
                return None
            line, node = pairs[-1][0].start_mark.line + 1, pairs[-1][1]
        elif isinstance(node, yaml.SequenceNode):
            if not isinstance(part, int) or part >= len(node.value):
                return None
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return (depth, line, node) if depth and node else None
    return (len(path), line, node) if node else None


def on_line(file: Path, line: int) -> tuple[str, ...]:
    """The way down to the first key that stands on a line; empty if none does."""

    def look(node: yaml.Node | None, way: tuple[str, ...]) -> tuple[str, ...]:
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            below = (*way, str(key.value))
            if found := below if key.start_mark.line + 1 == line else look(value, below):
                return found
        return ()

    return look(nodes(file), ())


def _is(node: yaml.Node, key: str | int) -> bool:
    """Whether a node is that of a key; ``yes`` is one of ``True``."""
    if node.value == str(key):
        return True
    if node.tag.endswith(":str") or isinstance(key, str) or not isinstance(node, yaml.ScalarNode):
        return False
    value = yaml.constructor.SafeConstructor().construct_object(node)
    return type(value) is type(key) and bool(value == key)


def _state(file: Path) -> tuple[int, int]:
    state = file.stat()
    return state.st_mtime_ns, state.st_size


@lru_cache(maxsize=1024)
def _parsed(file: str, modified: int, size: int) -> tuple[yaml.Node | None, Any]:
    with Path(file).open("rb") as stream:
        return parse(stream)


def written(node: yaml.Node) -> str:
    """A value as it stands in its file, on one line."""
    if isinstance(node, yaml.SequenceNode):
        return f"[{', '.join(map(written, node.value))}]"
    if isinstance(node, yaml.MappingNode):
        return f"{{{', '.join(f'{written(key)}: {written(value)}' for key, value in node.value)}}}"
    if isinstance(node, yaml.ScalarNode) and node.style in ("'", '"'):
        return f"{node.style}{node.value}{node.style}"
    return str(node.value) or "null"
