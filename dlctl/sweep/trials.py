"""What became of the trials of a study, as its storage tells it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from dlctl.runs import process
from dlctl.sweep.space import Params

State = Literal["complete", "pruned", "failed"]
_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
# What dlctl writes beside Optuna's own: of the study, and of a trial.
STOP = "dlctl:stop"
OWNER, LOST, RETRY, COMBINATION = "owner", "interrupted", "retry_of", "combination"
SURPLUS, RUN, BEAT = "surplus", "run", "alive"
# Seconds without a sign of life after which a worker of another host is taken for dead: six are missing.
SILENCE = 180.0


@dataclass(frozen=True)
class Row:
    """A trial that has ended, or runs.

    Attributes:
        number: counts from 0, with gaps where trials were interrupted.
        state: ``complete``, ``pruned``, ``failed`` or ``running``.
        params: name -> value.
        values: one of each metric; empty unless complete (of a pruned trial the last one).
        dir: of its run.
        error: why it failed.
        seconds: how long it took.
    """

    number: int
    state: str
    params: Params
    values: list[float]
    dir: str | None
    error: str | None
    seconds: float | None


def rows(study: optuna.Study) -> list[Row]:
    """The trials of a study that have ended, by number; interrupted ones left out."""
    trials = study.get_trials(deepcopy=False, states=tuple(_STATES))
    return [row_of(trial) for trial in trials if counts(trial)]


def running(study: optuna.Study) -> tuple[list[Row], list[Row]]:
    """The trials of a study that run, here or elsewhere, and those whose worker is gone."""
    found = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    counted = [trial for trial in found if counts(trial)]
    gone = [trial for trial in counted if is_orphan(trial) or _late(trial)]
    return [row_of(trial) for trial in counted if trial not in gone], [row_of(trial) for trial in gone]


def is_orphan(trial: FrozenTrial) -> bool:
    """Whether the worker of a trial is gone, as far as this host can tell at once."""
    owner = trial.user_attrs.get(OWNER)
    if owner is None:
        return _older_than(trial, seconds=10)  # else its worker is about to sign it
    return process.is_gone(owner["host"], owner["process"])


def _late(trial: FrozenTrial) -> bool:
    """Whether the last sign of life is long ago, as far as the clocks of two hosts can tell."""
    beat = float(trial.user_attrs.get(BEAT, time.time()))
    return time.time() - beat > SILENCE


def best(study: optuna.Study) -> list[Row]:
    """The best trial of a study, of several metrics the Pareto front."""
    return best_of(rows(study), study.directions)


def best_of(found: Sequence[Row], directions: Sequence[StudyDirection]) -> list[Row]:
    """Those that no other beats: of one metric the first of the best ones."""
    signs = [-1 if each == StudyDirection.MAXIMIZE else 1 for each in directions]
    costs = {
        row.number: [sign * value for sign, value in zip(signs, row.values, strict=True)]
        for row in found
        if row.state == "complete"
    }
    if len(signs) == 1:
        first = min(costs, key=lambda number: (costs[number], number), default=None)
        return [row for row in found if row.number == first]
    front = {
        number for number, cost in costs.items() if not any(_beats(other, cost) for other in costs.values())
    }
    return [row for row in found if row.number in front]


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial has ended as a result, or may still."""
    return trial.state != TrialState.WAITING and not trial.user_attrs.get(LOST)


def _older_than(trial: FrozenTrial, seconds: float) -> bool:
    return trial.datetime_start is None or (datetime.now() - trial.datetime_start).total_seconds() > seconds


def row_of(trial: FrozenTrial) -> Row:
    """A trial in dlctl's terms."""
    pruned_at = (
        [trial.intermediate_values[max(trial.intermediate_values)]] if trial.intermediate_values else []
    )
    run = trial.user_attrs.get(RUN, {})
    began = datetime.fromisoformat(run["began"]) if run else trial.datetime_start
    ended = trial.datetime_complete
    return Row(
        trial.number,
        _STATES.get(trial.state, "running"),
        dict(trial.params),
        list(trial.values or (pruned_at if trial.state == TrialState.PRUNED else [])),
        run.get("dir"),
        trial.user_attrs.get("error"),
        (ended - began).total_seconds() if began and ended else None,
    )
