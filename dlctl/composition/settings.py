"""Settings of Hydra that dlctl reads only when a run or a search is under way."""

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


def faults(composed: Composed) -> list[DlctlError]:
    """Those whose interpolations do not resolve; what only the run knows passes."""
    found: list[DlctlError] = []
    tree: Any = OmegaConf.to_container(composed.full.hydra, resolve=False)
    read = {name: tree.get(name) for name in ("sweep", "job_logging")}
    with hydra_values(composed.full, Path()):
        for keys, value in walk(read, ("hydra",)):
            if not isinstance(value, str) or "${" not in value:
                continue
            try:
                retried(composed.project, partial(told.resolve, composed.full, keys))
            except (MissingMandatoryValue, InterpolationToMissingValueError):
                continue
            except (OmegaConfBaseException, ValueError, RecursionError) as error:
                if not _told_elsewhere(composed, keys, value):
                    found.append(told.unresolved(composed, keys, error))
    return found


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
