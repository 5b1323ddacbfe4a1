"""The study: which trial comes next, and what became of the others. Only the worker touches its storage."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from dlctl import redact
from dlctl.runs import process
from dlctl.sweep.space import Parameter, Params, Space

State = Literal["complete", "pruned", "failed"]
_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
# What dlctl writes beside Optuna's own: of the study, and of a trial.
STOP = "dlctl:stop"
_OWNER, _LOST, _RETRY, _COMBINATION = "owner", "interrupted", "retry_of", "combination"
_SURPLUS, _RUN, _BEAT = "surplus", "run", "alive"
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


class Study:
    """An Optuna study with a bound on its trials.

    Args:
        study: of Optuna.
        space: what trials differ in.
        wanted: how many trials are to end; interrupted ones do not count.
    """

    def __init__(self, study: optuna.Study, space: Space, wanted: int) -> None:
        self.optuna = study
        self.space = space
        self.wanted = wanted
        self._me = process.identity()
        self._distributions = {each.name: _distribution(each) for each in space.parameters}
        # Of other hosts' trials the last sign of life, and when it came by the clock of this host.
        self._seen: dict[int, tuple[object, float]] = {}

    @property
    def prunes(self) -> bool:
        """Whether trials can be pruned: Optuna does so for one metric only."""
        return len(self.optuna.directions) == 1

    def next(self) -> Trial | None:
        """A trial to run; None if there are enough, ended or running."""
        while True:
            self.recover()
            trials = self.optuna.get_trials(deepcopy=False)
            if sum(map(_counts, trials)) >= self.wanted:
                return None
            trial = self._ask(trials)
            if trial is None or not self._surplus(trial.number):
                return trial
            # Another worker has asked at the same moment.
            self.interrupt(trial, _SURPLUS)

    def _ask(self, trials: Sequence[FrozenTrial]) -> Trial | None:
        """A trial that is this worker's: what waits, or new values; None if all combinations are taken."""
        if self.space.mode == "search":
            trial = self.optuna.ask(self._distributions)
            trial.set_user_attr(_OWNER, self._me)
            return trial
        size = min(self.space.size or 0, self.wanted)
        taken = {trial.user_attrs.get(_COMBINATION) for trial in trials if not trial.user_attrs.get(_LOST)}
        number = next((number for number in range(size) if number not in taken), None)
        if number is None:
            return None
        # All at once: to ask for known values takes Optuna a dozen transactions.
        known = create_trial(
            state=TrialState.RUNNING,
            params=self.space.combination(number),
            distributions=self._distributions,
            user_attrs={_COMBINATION: number, _OWNER: self._me},
        )
        storage = self.optuna._storage
        return Trial(self.optuna, storage.create_new_trial(self.optuna._study_id, template_trial=known))

    def _surplus(self, number: int) -> bool:
        """Whether others had the same thought first: one trial too many, or the same one twice."""
        trials = self.optuna.get_trials(deepcopy=False)
        mine = next(trial for trial in trials if trial.number == number).user_attrs
        before = [trial for trial in trials if trial.number < number and _counts(trial)]
        if len(before) >= self.wanted:
            return True
        return any(
            name in mine and trial.user_attrs.get(name) == mine[name]
            for trial in before
            for name in (_COMBINATION, _RETRY)
        )

    def recover(self) -> list[int]:
        """Let the trials of workers that are no more be tried again; their numbers."""
        found = []
        trials = self.optuna.get_trials(deepcopy=False)
        for trial in trials:
            if trial.state != TrialState.RUNNING or not (_orphan(trial) or self._silent(trial)):
                continue
            # Another worker may find it at the same moment.
            with suppress(UpdateFinishedTrialError):
                self.interrupt(Trial(self.optuna, trial._trial_id), "its worker is gone")
                found.append(trial.number)
        if not found:
            self._queue_again(trials)
        return found

    def _silent(self, trial: FrozenTrial) -> bool:
        """Whether a trial of another host has given no sign of life for long; clocks may differ."""
        owner = trial.user_attrs.get(_OWNER)
        if owner is None or owner["host"] == self._me["host"]:
            return False
        beat, now = trial.user_attrs.get(_BEAT), time.monotonic()
        known, since = self._seen.get(trial.number, (None, now))
        if trial.number not in self._seen or known != beat:
            self._seen[trial.number] = (beat, now)
            return False
        return now - since > SILENCE

    @property
    def others_run(self) -> bool:
        """Whether trials run, of other workers as this one has none: they may yet have to be tried again."""
        trials = self.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return any(map(_counts, trials))

    def beat(self, trial: Trial) -> bool:
        """Give other hosts a sign of life; whether the trial is still this worker's."""
        with suppress(UpdateFinishedTrialError):
            trial.set_user_attr(_BEAT, time.time())
            return True
        return False

    def interrupt(self, trial: Trial, reason: str) -> None:
        """End a trial that is no result; its values are tried again."""
        trial.set_user_attr(_LOST, reason)
        self.optuna.tell(trial, state=TrialState.FAIL)
        self._queue_again(self.optuna.get_trials(deepcopy=False))

    def _queue_again(self, trials: Sequence[FrozenTrial]) -> None:
        """Queue what was interrupted, and not queued before its worker was killed."""
        if self.space.mode != "search":
            return
        queued = {trial.user_attrs.get(_RETRY) for trial in trials}
        for trial in trials:
            again = trial.state == TrialState.FAIL and trial.user_attrs.get(_LOST, _SURPLUS) != _SURPLUS
            if again and trial.number not in queued and trial.params:
                self.optuna.enqueue_trial(trial.params, user_attrs={_RETRY: trial.number})

    # A worker that was suspended for long may find that another host has taken its trials for dead.

    def begin(self, trial: Trial, directory: str) -> None:
        """Write down where a trial runs, and that it does so from now on: the first ones wait for imports."""
        with suppress(UpdateFinishedTrialError):
            trial.set_user_attr(_RUN, {"dir": directory, "began": datetime.now().isoformat()})

    def finish(
        self, trial: Trial, state: State, values: Sequence[float] = (), error: str | None = None
    ) -> Row | None:
        """Write down how a trial ended; None if it was another's by then."""
        with suppress(UpdateFinishedTrialError):
            if error is not None:
                trial.set_user_attr("error", redact.text(error))
            if state == "complete":
                told = self.optuna.tell(trial, list(values))
            else:
                told = self.optuna.tell(
                    trial, state=TrialState.PRUNED if state == "pruned" else TrialState.FAIL
                )
            return _row(told)
        return None

    def report(self, trial: Trial, value: float, epoch: int) -> bool:
        """Tell the pruner a metric; whether it wants the trial stopped."""
        with suppress(UpdateFinishedTrialError):
            trial.report(value, epoch)
            return trial.should_prune()
        return True

    def stop(self, wanted: bool) -> None:
        """Ask all workers to start no more trials, or take that back."""
        self.optuna.set_user_attr(STOP, wanted)

    @property
    def stopped(self) -> bool:
        """Whether somebody has asked for it."""
        return bool(self.optuna.user_attrs.get(STOP))

    @property
    def rows(self) -> list[Row]:
        """The trials that have ended, by number; interrupted ones left out."""
        return rows(self.optuna)

    @property
    def best(self) -> list[Row]:
        """The best trial; of several metrics those that no other beats in all; none yet, none."""
        return best(self.optuna)

    def best_of(self, found: Sequence[Row]) -> list[Row]:
        """The best of trials that were read already."""
        return _best(found, self.optuna.directions)


def rows(study: optuna.Study) -> list[Row]:
    """The trials of a study that have ended, by number; interrupted ones left out."""
    trials = study.get_trials(deepcopy=False, states=tuple(_STATES))
    return [_row(trial) for trial in trials if _counts(trial)]


def running(study: optuna.Study) -> tuple[list[Row], list[Row]]:
    """The trials of a study that run, here or elsewhere, and those whose worker is gone."""
    found = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    counted = [trial for trial in found if _counts(trial)]
    gone = [trial for trial in counted if _orphan(trial) or _late(trial)]
    return [_row(trial) for trial in counted if trial not in gone], [_row(trial) for trial in gone]


def _orphan(trial: FrozenTrial) -> bool:
    owner = trial.user_attrs.get(_OWNER)
    if owner is None:
        return _older_than(trial, seconds=10)  # else its worker is about to sign it
    return process.is_gone(owner["host"], owner["process"])


def _late(trial: FrozenTrial) -> bool:
    """Whether the last sign of life is long ago, as far as the clocks of two hosts can tell."""
    beat = float(trial.user_attrs.get(_BEAT, time.time()))
    return time.time() - beat > SILENCE


def best(study: optuna.Study) -> list[Row]:
    """The best trial of a study, of several metrics the Pareto front."""
    return _best(rows(study), study.directions)


def _best(found: Sequence[Row], directions: Sequence[StudyDirection]) -> list[Row]:
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


def _distribution(parameter: Parameter) -> BaseDistribution:
    low, high, step = parameter.low, parameter.high, parameter.step
    if low is None or high is None:
        return CategoricalDistribution(parameter.values)
    if isinstance(low, int) and isinstance(high, int) and (step is None or isinstance(step, int)):
        return IntDistribution(low, high, log=parameter.log, step=step or 1)
    return FloatDistribution(low, high, log=parameter.log, step=step)


def _counts(trial: FrozenTrial) -> bool:
    """Whether a trial has ended as a result, or may still."""
    return trial.state != TrialState.WAITING and not trial.user_attrs.get(_LOST)


def _older_than(trial: FrozenTrial, seconds: float) -> bool:
    return trial.datetime_start is None or (datetime.now() - trial.datetime_start).total_seconds() > seconds


def _row(trial: FrozenTrial) -> Row:
    pruned_at = (
        [trial.intermediate_values[max(trial.intermediate_values)]] if trial.intermediate_values else []
    )
    run = trial.user_attrs.get(_RUN, {})
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
