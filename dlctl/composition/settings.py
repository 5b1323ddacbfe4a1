"""Interpolations in Hydra's own settings, which are read only when a run or a search is under way."""

from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, MissingMandatoryValue, OmegaConfBaseException

from dlctl.composition import faults as told
from dlctl.composition.compose import Composed
from dlctl.composition.keys import Keys, at, references, walk
from dlctl.composition.registering import retried
from dlctl.composition.resolving import hydra_values
from dlctl.errors import DlctlError

# What Hydra's own command line shows; and what no run reads: that, and what searches and launchers need.
_HELP = ("help", "hydra_help")
_OTHERS = ("sweep", "sweeper", "launcher", "hydra_logging", *_HELP)
# Its keys belong to plugins, which bring names of their own.
_PLUGINS = ("sweeper", "launcher", "callbacks")


def faults(composed: Composed, *, others: bool) -> list[DlctlError]:
    """Those whose interpolations do not resolve; what only the run knows passes.

    Args:
        composed: the config.
        others: look at those too that a run does not read.
    """
    found: list[DlctlError] = []
    tree: Any = OmegaConf.to_container(composed.full.hydra, resolve=False)
    read = {name: value for name, value in tree.items() if others or name not in _OTHERS}
    with hydra_values(composed.full, Path()):
        for keys, value in walk(read, ("hydra",)):
            # Where a run lies is asked for before all else.
            if not isinstance(value, str) or "${" not in value or keys[1] == "run":
                continue
            # Hydra's own texts, of every config: that what they name is there is seen at once.
            if keys[1] in _HELP and all(at({"hydra": tree}, what) for _, what in references(keys, value)):  # type: ignore[arg-type]
                continue
            try:
                retried(composed.project, partial(told.resolve, composed.full, keys))
            except (MissingMandatoryValue, InterpolationToMissingValueError):
                continue
            except (OmegaConfBaseException, ValueError, RecursionError) as error:
                if not _told_elsewhere(composed, keys, value) and not _is_plugins(keys, value):
                    found.append(told.unresolved(composed, keys, error))
    return found


def _is_plugins(keys: Keys, value: str) -> bool:
    """Whether an interpolation names what only a plugin brings."""
    named = [
        what[1:2] for _, what in references(keys, value) if isinstance(what, tuple) and what[:1] == ("hydra",)
    ]
    return any(name and name[0] in _PLUGINS for name in named)


def _told_elsewhere(composed: Composed, keys: Keys, value: str) -> bool:
    """Whether an interpolation fails because of a value that is there and fails itself."""
    tree = OmegaConf.to_container(composed.full, resolve=False)
    for _, named in references(keys, value):
        if isinstance(named, tuple) and at(tree, named) is not None:
            try:
                told.resolve(composed.full, named)
            except (OmegaConfBaseException, ValueError, RecursionError):
                return True
    return False
