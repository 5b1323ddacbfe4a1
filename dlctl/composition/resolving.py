"""What holds while a config is composed and resolved, and not a moment longer."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.utils import setup_globals
from omegaconf import DictConfig, OmegaConf

from dlctl import redact


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
    OmegaConf.register_new_resolver(
        "hydra", lambda path: OmegaConf.select(full, f"hydra.{path}"), replace=True
    )
    try:
        yield
    finally:
        for section, key, _ in missing:
            section[key] = "???"
        setup_globals()


@contextmanager
def hidden_secrets() -> Iterator[None]:
    """Let ``${oc.env:SECRET}`` resolve to itself."""
    from omegaconf.resolvers import oc

    def env(name: str, *default: Any) -> Any:
        if redact.is_secret_name(name):
            return f"${{oc.env:{','.join(map(str, (name, *default)))}}}"
        return oc.env(name, *default)

    OmegaConf.register_new_resolver("oc.env", env, replace=True)
    try:
        yield
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)
