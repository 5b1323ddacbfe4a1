"""Every value of a config with the line or override that set it, and what it points at."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from omegaconf import OmegaConf

from dlctl import redact
from dlctl.composition.compose import Composed
from dlctl.composition.config_files import Keys
from dlctl.composition.provenance import Step, dotted
from dlctl.errors import DlctlError
from dlctl.project import Place

# Of ${oc.env:X,${paths.y}} the inner one; what surrounds it matches once that is taken out.
_INNERMOST = re.compile(r"\$\{([^${}]*)\}")


@dataclass(frozen=True)
class Fact:
    """A value and where it comes from.

    Attributes:
        keys: the way down to it.
        value: as it stands in the config, interpolations unresolved.
        step: what set it last; None for what Hydra itself sets in Python.
        points: for an interpolation, each key or variable it names with what set that.
        resolved: what the interpolation comes to, where that can be known before the run.
    """

    keys: Keys
    value: Any
    step: Step | None
    points: tuple[tuple[str, Place | str | None], ...] = ()
    resolved: Any = None

    @property
    def by(self) -> Place | str:
        """The place or override; in words where it is neither."""
        return self.step.by if self.step else "Hydra"


def plain(composed: Composed, *, resolve: bool = False, hydra: bool = False) -> dict[str, Any]:
    """A config as Python values, without secrets.

    Args:
        composed: of what.
        resolve: replace interpolations by their values, as in a run started now.
        hydra: its ``hydra`` node, unresolved, alone.
    """
    if hydra:
        node: Any = OmegaConf.to_container(composed.full.hydra, resolve=False)
        tree = {"hydra": node}
    else:
        config = composed.public(composed.run_dir()) if resolve else composed.config
        tree = OmegaConf.to_container(config, resolve=False)  # type: ignore[assignment]
    redacted: dict[str, Any] = redact.tree(tree)
    return redacted


def facts(composed: Composed, config: Any, under: Keys = ()) -> Iterator[Fact]:
    """Explain every value of a part of a config.

    Args:
        composed: what the part belongs to.
        config: the part, as ``plain`` gives it.
        under: the way down to the part.
    """
    try:
        resolved: Any = plain(composed, resolve=True)
    except DlctlError:
        resolved = {}
    for keys, value in walk(config, under):
        history = composed.trail.history(keys)
        step = history[-1] if history else None
        points = tuple(_points(composed, keys, value)) if isinstance(value, str) else ()
        yield Fact(keys, value, step, points, at(resolved, keys) if points else None)


def walk(config: Any, keys: Keys = (), *, lists: bool = True) -> Iterator[tuple[Keys, Any]]:
    """Every value of a plain config that holds no others, with the way down to it.

    Args:
        config: a mapping, a list or a single value.
        keys: the way down to it.
        lists: go into lists too.
    """
    if isinstance(config, dict) and config:
        for key, value in config.items():
            yield from walk(value, (*keys, key), lists=lists)
    elif isinstance(config, list) and config and lists:
        for number, value in enumerate(config):
            yield from walk(value, (*keys, number))
    else:
        yield keys, config


def at(config: Any, keys: Keys) -> Any:
    """What lies at the end of a way down; None if nothing does."""
    for key in keys:
        if isinstance(config, dict):
            config = config.get(key)
        elif isinstance(config, list) and isinstance(key, int) and key < len(config):
            config = config[key]
        else:
            return None
    return config


def differences(old: Any, new: Any) -> list[tuple[str, Any, Any]]:
    """What differs between two plain configs: key, old value, new value; ``...`` where there is none."""
    before, after = dict(walk(old, lists=False)), dict(walk(new, lists=False))
    return [
        (dotted(keys), before.get(keys, ...), after.get(keys, ...))
        for keys in {**before, **after}
        if before.get(keys, ...) != after.get(keys, ...)
    ]


def _points(composed: Composed, keys: Keys, text: str) -> Iterator[tuple[str, Place | str | None]]:
    while found := _INNERMOST.search(text):
        text = text.replace(found[0], "")
        name = found[1].strip()
        resolver, colon, rest = name.partition(":")
        if colon and resolver == "oc.env":
            yield f"${rest.partition(',')[0]}", None
        elif colon:
            yield name, None
        else:
            up = len(name) - len(name.lstrip("."))
            absolute = (*keys[: len(keys) - up], *name.lstrip(".").split(".")) if up else (*name.split("."),)
            history = composed.trail.history(absolute)
            yield dotted(absolute), history[-1].by if history else None
