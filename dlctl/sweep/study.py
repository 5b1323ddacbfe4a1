"""The study: which trial comes next, and what became of the others. Only the worker touches its storage."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from dlctl import redact
from dlctl.errors import ConfigError, NotFoundError
from dlctl.project import shown
from dlctl.runs import process
from dlctl.sweep.space import Parameter, Params, Space

State = Literal["complete", "pruned", "failed"]
_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
# What dlctl writes beside Optuna's own: of the study, and of a trial.
SPACE, STOP = "dlctl:space", "dlctl:stop"
_OWNER, _LOST, _RETRY, _COMBINATION = "owner", "interrupted", "retry_of", "combination"
_SURPLUS = "surplus"


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
            waiting = any(trial.state == TrialState.WAITING for trial in trials)
            if self.space.mode != "search" and not waiting and not self._enqueue_combination(trials):
                return None
            trial = self.optuna.ask(self._distributions)
            trial.set_user_attr(_OWNER, self._me)
            if not self._surplus(trial.number):
                return trial
            # Another worker has asked at the same moment.
            self.interrupt(trial, _SURPLUS)

    def _enqueue_combination(self, trials: Sequence[FrozenTrial]) -> bool:
        """Make the first combination that nobody has tried the next trial; whether there is one."""
        size = min(self.space.size or 0, self.wanted)
        taken = {trial.user_attrs.get(_COMBINATION) for trial in trials if not trial.user_attrs.get(_LOST)}
        number = next((number for number in range(size) if number not in taken), None)
        if number is None:
            return False
        self.optuna.enqueue_trial(self.space.combination(number), user_attrs={_COMBINATION: number})
        return True

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
        for trial in self.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            owner = trial.user_attrs.get(_OWNER)
            if owner == self._me or (owner and not process.is_gone(owner["host"], owner["process"])):
                continue
            if owner is None and not _older_than(trial, seconds=10):
                continue  # its worker is about to sign it
            self.interrupt(Trial(self.optuna, trial._trial_id), "its worker is gone")
            found.append(trial.number)
        self._queue_again()
        return found

    def interrupt(self, trial: Trial, reason: str) -> None:
        """End a trial that is no result; its values are tried again."""
        trial.set_user_attr(_LOST, reason)
        self.optuna.tell(trial, state=TrialState.FAIL)
        self._queue_again()

    def _queue_again(self) -> None:
        """Queue what was interrupted, and not queued before its worker was killed."""
        if self.space.mode != "search":
            return
        trials = self.optuna.get_trials(deepcopy=False)
        queued = {trial.user_attrs.get(_RETRY) for trial in trials}
        for trial in trials:
            again = trial.state == TrialState.FAIL and trial.user_attrs.get(_LOST, _SURPLUS) != _SURPLUS
            if again and trial.number not in queued and trial.params:
                self.optuna.enqueue_trial(trial.params, user_attrs={_RETRY: trial.number})

    def finish(
        self, trial: Trial, state: State, values: Sequence[float] = (), error: str | None = None
    ) -> None:
        """Write down how a trial ended."""
        if error is not None:
            trial.set_user_attr("error", redact.text(error))
        if state == "complete":
            self.optuna.tell(trial, list(values))
        else:
            self.optuna.tell(trial, state=TrialState.PRUNED if state == "pruned" else TrialState.FAIL)

    def report(self, trial: Trial, value: float, epoch: int) -> bool:
        """Tell the pruner a metric; whether it wants the trial stopped."""
        trial.report(value, epoch)
        return trial.should_prune()

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


def rows(study: optuna.Study) -> list[Row]:
    """The trials of a study that have ended, by number; interrupted ones left out."""
    trials = study.get_trials(deepcopy=False, states=tuple(_STATES))
    return [_row(trial) for trial in trials if _counts(trial)]


def running(study: optuna.Study) -> list[Row]:
    """The trials of a study that run, here or elsewhere."""
    found = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return [_row(trial) for trial in found if _counts(trial)]


def best(study: optuna.Study) -> list[Row]:
    """The best trial of a study, of several metrics the Pareto front."""
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        return []
    found = [study.best_trial] if len(study.directions) == 1 else study.best_trials
    return [_row(trial) for trial in found]


def connect(storage: str) -> BaseStorage:
    """Open an Optuna URL or a journal file, which are made if they are not there.

    Raises:
        ConfigError: it cannot be reached; told without its password.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        if "://" not in storage:
            Path(storage).parent.mkdir(parents=True, exist_ok=True)
            return JournalStorage(JournalFileBackend(storage))
        if storage.startswith("sqlite:///"):
            return _sqlite(storage)
        # SQLAlchemy's default driver for PostgreSQL is another one in each of its versions.
        url = storage.replace("postgresql://", "postgresql+psycopg://", 1)
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    except Exception as error:
        raise unreachable(storage, error) from None


def _sqlite(storage: str) -> RDBStorage:
    file = Path(storage.removeprefix("sqlite:///"))
    file.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(file, timeout=60) as connection:
        # Readers do not wait for the writer; kept in the file. Busy only where others open it now.
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    return RDBStorage(storage, engine_kwargs={"connect_args": {"timeout": 60}})


def unreachable(storage: str, error: Exception) -> ConfigError:
    cause = error.__cause__ or error
    missing = next((each for each in (cause, error) if isinstance(each, ModuleNotFoundError)), None)
    hint = "look at the URL, and whether the server is up"
    if missing is not None or "psycopg" in str(error):
        hint = (
            "pip install 'dlctl[postgresql]'"
            if "postgres" in storage
            else f"pip install {missing and missing.name}"
        )
    reason = next((line for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
    secret = redact.url_password(storage)
    reason = reason.replace(secret, "***") if secret else reason
    return ConfigError(
        f"the study's storage {redact.text(storage)} cannot be reached: {redact.text(reason)}",
        hint=hint,
        key="storage",
        topic="storage",
    )


def create(
    storage: BaseStorage, name: str, directions: Sequence[str], space: Space, **parts: Any
) -> optuna.Study:
    """Open a study, or make it.

    Raises:
        ConfigError: there is one of that name that searches something else.
    """
    found = optuna.create_study(
        storage=storage, study_name=name, directions=list(directions), load_if_exists=True, **parts
    )
    known = found.user_attrs.get(SPACE)
    told = [each.name.lower() for each in found.directions]
    if known is None and not found.get_trials(deepcopy=False):
        found.set_user_attr(SPACE, space.facts)
    elif known != space.facts or told != list(directions):
        raise ConfigError(
            f"there is a study '{name}' already, and it searches something else",
            hint=f"{difference(known, space.facts)}\nname another: --study NAME",
            key="study",
        )
    return found


def difference(known: Any, wanted: dict[str, Any]) -> str:
    """What two spaces differ in, in a line."""
    if not isinstance(known, dict):
        return "it was not made by dlctl"
    there, here = known["parameters"], wanted["parameters"]
    for key in {**there, **here}:
        if there.get(key) != here.get(key):
            return f"{key} is {there.get(key, 'not searched')} there and {here.get(key, 'not searched')} here"
    return f"it is a {known['mode']} there and a {wanted['mode']} here, or its directions differ"


def load(storage: BaseStorage, name: str) -> optuna.Study:
    """Open a study that is there.

    Raises:
        NotFoundError: it is not.
    """
    try:
        return optuna.load_study(study_name=name, storage=storage)
    except KeyError as error:
        raise NotFoundError(
            f"the storage holds no study '{name}'", hint="dlctl study status shows the studies"
        ) from error


def _distribution(parameter: Parameter) -> BaseDistribution:
    low, high, step = parameter.low, parameter.high, parameter.step
    if low is None or high is None:
        return CategoricalDistribution(parameter.values)
    if isinstance(low, int) and isinstance(high, int) and (step is None or isinstance(step, int)):
        return IntDistribution(low, high, log=parameter.log, step=step or 1)
    return FloatDistribution(low, high, log=parameter.log, step=step)


def _counts(trial: FrozenTrial) -> bool:
    """Whether a trial has ended as a result, or may still."""
    if trial.state == TrialState.WAITING or trial.user_attrs.get(_LOST):
        return False
    return True


def _older_than(trial: FrozenTrial, seconds: float) -> bool:
    from datetime import datetime

    return trial.datetime_start is None or (datetime.now() - trial.datetime_start).total_seconds() > seconds


def _row(trial: FrozenTrial) -> Row:
    pruned_at = (
        [trial.intermediate_values[max(trial.intermediate_values)]] if trial.intermediate_values else []
    )
    error = trial.user_attrs.get("error")
    return Row(
        trial.number,
        _STATES.get(trial.state, "running"),
        dict(trial.params),
        list(trial.values or (pruned_at if trial.state == TrialState.PRUNED else [])),
        trial.user_attrs.get("dir"),
        error,
        trial.duration.total_seconds() if trial.duration else None,
    )


def where(storage: str) -> str:
    """A storage as it is shown: without a password, a file relative to the current folder."""
    file = storage.removeprefix("sqlite:///")
    return shown(file) if "://" not in file else redact.text(storage)
