"""The study: which trial comes next, and what became of the others. Only the worker touches its storage."""

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from dlctl import redact
from dlctl.runs import process
from dlctl.sweep import trials as known
from dlctl.sweep.patience import Patience
from dlctl.sweep.space import Parameter, Space
from dlctl.sweep.trials import (
    BEAT,
    COMBINATION,
    LOST,
    OWNER,
    RETRY,
    RUN,
    STOP,
    SURPLUS,
    Row,
    State,
    counts,
    is_orphan,
)


class Study:
    """An Optuna study with a bound on its trials.

    Args:
        study: of Optuna.
        space: what trials differ in.
        wanted: how many trials are to end; interrupted ones do not count.
        patience: with which its storage was opened.

    Attributes:
        seen: the trials that had ended when the storage last answered.
    """

    def __init__(
        self, study: optuna.Study, space: Space, wanted: int, patience: Patience | None = None
    ) -> None:
        self.optuna = study
        self.patience = patience or Patience()
        self.seen: list[Row] = []
        self.space = space
        self.wanted = wanted
        # Samplers that have tried everything call this, which Optuna allows within its own loop only.
        study.stop = partial(self.stop, True)  # type: ignore[method-assign]
        self._me = process.identity()
        self._mine: set[int] = set()
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
            if sum(map(counts, trials)) >= self.wanted:
                return None
            try:
                trial = self._ask(trials)
            except UpdateFinishedTrialError:
                # It took so long to choose the values that another worker took this one for dead.
                continue
            if trial is None or not self._surplus(trial.number):
                self._mine |= {trial.number} if trial is not None else set()
                return trial
            # Another worker has asked at the same moment.
            self.interrupt(trial, SURPLUS)

    def _ask(self, trials: Sequence[FrozenTrial]) -> Trial | None:
        """A trial that is this worker's: what waits, or new values; None if all combinations are taken."""
        if self.space.mode == "search":
            trial = self.optuna.ask(self._distributions)
            trial.set_user_attr(OWNER, self._me)
            return trial
        size = min(self.space.size or 0, self.wanted)
        taken = {trial.user_attrs.get(COMBINATION) for trial in trials if not trial.user_attrs.get(LOST)}
        number = next((number for number in range(size) if number not in taken), None)
        if number is None:
            return None
        # All at once: to ask for known values takes Optuna a dozen transactions.
        whole = create_trial(
            state=TrialState.RUNNING,
            params=self.space.combination(number),
            distributions=self._distributions,
            user_attrs={COMBINATION: number, OWNER: self._me},
        )
        storage = self.optuna._storage
        return Trial(self.optuna, storage.create_new_trial(self.optuna._study_id, template_trial=whole))

    def _surplus(self, number: int) -> bool:
        """Whether others had the same thought first: one trial too many, or the same one twice."""
        trials = self.optuna.get_trials(deepcopy=False)
        mine = next(trial for trial in trials if trial.number == number).user_attrs
        before = [trial for trial in trials if trial.number < number and counts(trial)]
        if len(before) >= self.wanted:
            return True
        return any(
            name in mine and trial.user_attrs.get(name) == mine[name]
            for trial in before
            for name in (COMBINATION, RETRY)
        )

    def recover(self) -> list[int]:
        """Let the trials of workers that are no more be tried again; their numbers."""
        found = []
        trials = self.optuna.get_trials(deepcopy=False)
        for trial in trials:
            if trial.state != TrialState.RUNNING:
                continue
            if not (is_orphan(trial) or self._silent(trial) or self._unknown(trial)):
                continue
            # Another worker may find it at the same moment.
            if self.interrupt(Trial(self.optuna, trial._trial_id), "its worker is gone"):
                found.append(trial.number)
        if not found:
            self._queue_again(trials)
        return found

    def _silent(self, trial: FrozenTrial) -> bool:
        """Whether a trial of another host has given no sign of life for long; clocks may differ."""
        owner = trial.user_attrs.get(OWNER)
        if owner is None or owner["host"] == self._me["host"]:
            return False
        # While the storage did not answer, no sign of life could arrive.
        beat, now = trial.user_attrs.get(BEAT), self.patience.clock()
        before, since = self._seen.get(trial.number, (None, now))
        if trial.number not in self._seen or before != beat:
            self._seen[trial.number] = (beat, now)
            return False
        return now - since > known.SILENCE

    def _unknown(self, trial: FrozenTrial) -> bool:
        """Whether a trial is signed by this worker, which never learned that its storage had made it."""
        return trial.user_attrs.get(OWNER) == self._me and trial.number not in self._mine

    @property
    def others_run(self) -> bool:
        """Whether trials run, of other workers as this one has none: they may yet have to be tried again."""
        trials = self.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return any(map(counts, trials))

    def beat(self, trial: Trial) -> bool:
        """Give other hosts a sign of life; whether the trial is still this worker's."""
        with suppress(UpdateFinishedTrialError):
            trial.set_user_attr(BEAT, time.time())
            return True
        return False

    def interrupt(self, trial: Trial, reason: str) -> bool:
        """End a trial that is no result, its values are tried again; whether it had not ended before."""
        with suppress(UpdateFinishedTrialError):
            trial.set_user_attr(LOST, reason)
            self._tell(trial, state=TrialState.FAIL)
            self._queue_again(self.optuna.get_trials(deepcopy=False))
            return True
        return False

    def _tell(
        self, trial: Trial, values: list[float] | None = None, state: TrialState | None = None
    ) -> FrozenTrial:
        """Tell how a trial ended.

        Raises:
            UpdateFinishedTrialError: it has ended already.
        """
        try:
            return self.optuna.tell(trial, values, state=state)
        except ValueError as error:
            now = next(each for each in self.optuna.get_trials(deepcopy=False) if each.number == trial.number)
            if now.state.is_finished():
                raise UpdateFinishedTrialError from error
            raise

    def _queue_again(self, trials: Sequence[FrozenTrial]) -> None:
        """Queue what was interrupted, and not queued before its worker was killed."""
        if self.space.mode != "search":
            return
        queued = {trial.user_attrs.get(RETRY) for trial in trials}
        for trial in trials:
            again = trial.state == TrialState.FAIL and trial.user_attrs.get(LOST, SURPLUS) != SURPLUS
            if again and trial.number not in queued and trial.params:
                self.optuna.enqueue_trial(trial.params, user_attrs={RETRY: trial.number})

    # A worker that was suspended for long may find that another host has taken its trials for dead.

    def begin(self, trial: Trial, directory: str) -> None:
        """Write down where a trial runs, and that it does so from now on: the first ones wait for imports."""
        with suppress(UpdateFinishedTrialError):
            trial.set_user_attr(RUN, {"dir": directory, "began": datetime.now().isoformat()})

    def finish(
        self, trial: Trial, state: State, values: Sequence[float] = (), error: str | None = None
    ) -> Row | None:
        """Write down how a trial ended; None if it was another's by then."""
        with suppress(UpdateFinishedTrialError):
            if error is not None:
                trial.set_user_attr("error", _printable(redact.text(error)))
            if state == "complete":
                ended = self._tell(trial, list(values))
            else:
                ended = self._tell(trial, state=TrialState.PRUNED if state == "pruned" else TrialState.FAIL)
            return known.row_of(ended) if counts(ended) else None
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
        self.seen = known.rows(self.optuna)
        return self.seen

    @property
    def best(self) -> list[Row]:
        """The best trial; of several metrics those that no other beats in all; none yet, none."""
        return known.best(self.optuna)

    def best_of(self, found: Sequence[Row]) -> list[Row]:
        """The best of trials that were read already."""
        return known.best_of(found, self.optuna.directions)


def _printable(text: str) -> str:
    """The text with control characters and surrogates escaped: a report in UTF-8 cannot hold the latter."""
    kept = (each if each.isprintable() or each in "\n\t" else ascii(each)[1:-1] for each in text)
    return "".join(kept)


def _distribution(parameter: Parameter) -> BaseDistribution:
    low, high, step = parameter.low, parameter.high, parameter.step
    if low is None or high is None:
        return CategoricalDistribution(parameter.values)
    if isinstance(low, int) and isinstance(high, int) and (step is None or isinstance(step, int)):
        return IntDistribution(low, high, log=parameter.log, step=step or 1)
    return FloatDistribution(low, high, log=parameter.log, step=step)
