"""What a search is to do: its settings, its space, and the config of each of its trials."""

import pickle
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from omegaconf import open_dict

from dlctl import redact
from dlctl.composition.compose import Composed, compose, override
from dlctl.composition.overrides import chooses, line_of, literal, parse
from dlctl.composition.resolving import hydra_values
from dlctl.composition.search_path import loader
from dlctl.project import Project
from dlctl.sweep.space import Params, Space


@dataclass(frozen=True)
class Asked:
    """What the command line asks for beside overrides; None where it says nothing."""

    search: str | None = None
    experiment: str | None = None
    trials: int | None = None
    jobs: int | None = None
    study: str | None = None
    storage: str | None = None
    sampler: str | None = None
    pruner: str | None = None
    timeout: str | None = None
    trial_timeout: str | None = None
    keep_going: bool | None = None
    zipped: bool = False


@dataclass(frozen=True)
class Plan:
    """A search, composed and checked; nothing of it has run yet.

    Attributes:
        project: whose configs are composed.
        base: the config that all trials share.
        lines: the overrides that all trials share.
        space: what they differ in.
        metrics: what is optimized.
        directions: ``minimize`` or ``maximize``, one a metric.
        trials: how many are to end.
        jobs: how many run at once.
        timeout: seconds in which new ones start.
        trial_timeout: seconds after which a trial is stopped and has failed.
        keep_going: whether to go on after a failure.
        sampler: of Optuna, as a config.
        pruner: of Optuna, as a config.
        study: its name, if one was given.
        storage: where it is kept, if that was said.
        directory: of the sweep, if no study of this name has one.
    """

    project: Project
    base: Composed
    lines: tuple[str, ...]
    space: Space
    metrics: tuple[str, ...]
    directions: tuple[str, ...]
    trials: int
    jobs: int
    timeout: float | None
    trial_timeout: float | None
    keep_going: bool
    sampler: dict[str, Any]
    pruner: dict[str, Any]
    study: str | None
    storage: str | None
    directory: Path
    _warm: dict[tuple[str, ...], Composed] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        """What makes two commands the same search."""
        kept = [
            *self.lines,
            f"trials={self.trials}",
            *self.metrics,
            *self.directions,
        ]
        kept += [f"{key}={text}" for key, text in self.space.facts["parameters"].items()]
        kept += [self.space.mode, str(self.sampler), str(self.pruner), self.storage or ""]
        return [redact.text(each) for each in kept]

    def trial(self, number: int, params: Params) -> Composed:
        """The config of a trial: composed once for each choice of groups, then only values are set."""
        lines = self.space.lines(params)
        configs = loader(self.project)
        items = parse(lines)
        groups = tuple(line_of(item) for item in items if chooses(configs, item))
        if groups not in self._warm:
            self._warm[groups] = compose(self.project, "train", [*self.lines, *groups])
        warm = self._warm[groups]
        # A third of what copy.deepcopy takes.
        full = pickle.loads(pickle.dumps(warm.full))
        found = replace(warm, full=full, overrides=(*self.lines, *lines))
        override(found, [item for item in items if line_of(item) not in groups], before=warm.full)
        with open_dict(found.full):
            found.full.hydra.overrides.task = [literal(line) for line in (*self.lines, *lines)]
            found.full.hydra.job.override_dirname = literal(",".join(lines))
            found.full.hydra.job.num = number
        return found

    def run_dir(self, composed: Composed, sweep: Path) -> Path:
        """The directory of a trial in that of its sweep."""
        with hydra_values(composed.full, None):
            return sweep / str(composed.full.hydra.sweep.subdir)
