"""What the process of a trial is given. Optuna stays out of it: trials would import it for nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlctl.composition.compose import Composed


@dataclass(frozen=True)
class Job:
    """What the process of a trial is given.

    Attributes:
        composed: its config.
        directory: of its run.
        trial: ``{"study", "number"}``.
        slot: which of the jobs it is, counted from 0.
        jobs: how many run at once.
        argv: the command line of the sweep.
    """

    composed: Composed
    directory: Path
    trial: dict[str, Any]
    slot: int
    jobs: int
    argv: list[str]
