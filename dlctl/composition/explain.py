"""Every value of a config with the line or override that set it, and what it points at."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from omegaconf import OmegaConf

from dlctl import redact
from dlctl.composition.compose import Composed
from dlctl.composition.keys import Keys, at, dotted, references, walk
from dlctl.composition.provenance import Step
from dlctl.errors import DlctlError
from dlctl.project import Place


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
        public = composed.public(composed.run_dir()) if resolve else None
        tree = composed.plain() if public is None else OmegaConf.to_container(public, resolve=False)  # type: ignore[assignment]
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
        # What is empty now may have been emptied.
        history = composed.trail.history(keys, below=value == {})
        step = history[-1] if history else None
        points = tuple(_points(composed, keys, value)) if isinstance(value, str) else ()
        yield Fact(keys, value, step, points, at(resolved, keys) if points else None)


def _points(composed: Composed, keys: Keys, text: str) -> Iterator[tuple[str, Place | str | None]]:
    for resolver, what in references(keys, text):
        if isinstance(what, tuple):
            history = composed.trail.history(what)
            yield dotted(what), history[-1].by if history else None
        elif resolver == "oc.env":
            yield f"${what.partition(',')[0]}", None
        else:
            yield f"{resolver}:{what}", None
