"""What holds while a config is composed and resolved, and not a moment longer."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from hydra.core.utils import setup_globals
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import UnsupportedValueType

from dlctl import redact

# Sections of Hydra's config whose keys belong to plugins.
_OTHERS = ("launcher", "sweeper", "callbacks")


@contextmanager
def without_collecting() -> Iterator[None]:
    """Pause the garbage collector: of the many nodes that composing makes most stay."""
    paused = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if paused:
            gc.enable()


@contextmanager
def hydra_values(full: DictConfig, output_dir: Path | None) -> Iterator[None]:
    """Let ``${hydra:...}`` read from a config for a moment.

    Hydra's own way is a global HydraConfig. Lightning's launchers rewrite the command line of
    their children where that is set, so it must not outlive the resolving: here it is never set.
    """
    values = {
        ("runtime", "output_dir"): output_dir and str(output_dir),
        ("job", "num"): 0,
        ("job", "id"): "0",
    }
    missing = [
        (full.hydra[section], key, value)
        for (section, key), value in values.items()
        if value is not None and OmegaConf.is_missing(full.hydra[section], key)
    ]
    for section, key, value in missing:
        section[key] = value
    OmegaConf.register_new_resolver("hydra", lambda path: _of_hydra(full, path), replace=True)
    try:
        yield
    finally:
        for section, key, _ in missing:
            section[key] = "???"
        setup_globals()


def _of_hydra(full: DictConfig, path: str) -> Any:
    """What ``${hydra:path}`` stands for.

    Hydra gives None for what is not there. Where it knows all names that is a misspelt one; what
    launchers and sweepers have, and which groups were chosen, differs from run to run.
    """
    found = OmegaConf.select(full, f"hydra.{path}")
    node: Any = full.hydra
    for name in path.split(".") if found is None and path.partition(".")[0] not in _OTHERS else ():
        if not OmegaConf.is_dict(node) or not is_dataclass(OmegaConf.get_type(node)):
            break
        if name not in node._content:
            raise KeyError(f"Interpolation key 'hydra:{path}' not found")
        node = node._get_node(name)
    return found


def resolved(config: DictConfig) -> DictConfig:
    """A config with every interpolation replaced by its value.

    Args:
        config: may be changed.
    """
    try:
        OmegaConf.resolve(config)
        return config
    except UnsupportedValueType:
        # OmegaConf does not put up with resolvers that give lists or dicts, as its own oc.decode does.
        plain: Any = OmegaConf.to_container(config, resolve=True)
        whole: DictConfig = OmegaConf.create(plain, flags={"struct": bool(OmegaConf.is_struct(config))})
        return whole


@contextmanager
def hidden_secrets() -> Iterator[set[str]]:
    """Let ``${oc.env:SECRET}`` resolve to itself; gives the names that were asked for."""
    from omegaconf.resolvers import oc

    hidden: set[str] = set()

    def env(name: str, *default: Any) -> Any:
        if redact.is_secret_name(name):
            hidden.add(name)
            return f"${{oc.env:{','.join(map(str, (name, *default)))}}}"
        return oc.env(name, *default)

    OmegaConf.register_new_resolver("oc.env", env, replace=True)
    try:
        yield hidden
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)
