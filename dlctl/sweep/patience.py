"""Wait for a study's storage that does not answer, and go on when it does."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, get_storage
from optuna.trial import TrialState
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
    SQLAlchemyError,
)

from dlctl.errors import DlctlError, Interrupted, NotFoundError
from dlctl.runs.stop import Stop

# Seconds between two attempts: at first, at most, and how long they are repeated.
_FIRST, _LONGEST, LIMIT = 0.2, 3.0, 600.0
# Waiting changes nothing about these.
_HOPELESS = (ArgumentError, DataError, IntegrityError, NotSupportedError, ProgrammingError)
_HOPELESS_TEXTS = ("no such table", "not a database", "malformed")
# Methods that report a study or trial of an unknown name or number with a KeyError.
_LOOKUPS = ("get_study_id_from_name", "get_trial_id_from_study_id_trial_number")


class StorageLost(NotFoundError):
    """The storage of a study does not answer, or no longer holds the study."""


class Patience:
    """Repeats calls of a storage while a server restarts, a database is locked or a disk is full.

    Attributes:
        limit: seconds after which a storage that does not answer is given up; 0 to fail at once.
        say: shows a line to the user.
        stop: the signals that were caught; a requested stop ends the waiting.
        hint: what to do when the storage is given up.
        waited: seconds spent waiting so far.
    """

    def __init__(self, limit: float = 0.0, say: Callable[[str], None] = print) -> None:
        self.limit = limit
        self.say = say
        self.stop: Stop | None = None
        self.hint: str | None = None
        self.waited = 0.0

    def clock(self) -> float:
        """Seconds, by a clock that stands still while the storage does not answer."""
        return time.monotonic() - self.waited

    def wrap(self, storage: BaseStorage, describe: Callable[[Exception], DlctlError]) -> BaseStorage:
        """The storage, with calls that are repeated while it does not answer.

        Args:
            storage: changed in place, or cached as Optuna does with a database.
            describe: turns an exception of the storage into an error without its password.
        """
        cached = get_storage(storage)
        for name in vars(BaseStorage):
            if not name.startswith("_") and callable(method := getattr(cached, name)):
                setattr(cached, name, partial(self._call, name, method, describe, cached))
        return cached

    def _call(
        self,
        name: str,
        method: Callable[..., Any],
        describe: Callable[[Exception], DlctlError],
        storage: BaseStorage,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        began, told, pause = time.monotonic(), False, 0.0
        while True:
            try:
                found = method(*args, **kwargs)
            except UpdateFinishedTrialError:
                if name == "set_trial_state_values" and pause and _is_done(storage, *args, **kwargs):
                    found = True  # the attempt whose answer was lost had succeeded
                else:
                    raise
            except KeyError as error:
                if name in _LOOKUPS:
                    raise
                raise StorageLost(
                    "the study is no longer in its storage: it was deleted",
                    hint="dlctl study status shows the studies; --study NAME begins another",
                ) from error
            except (StorageInternalError, SQLAlchemyError, OSError) as error:
                lost = describe(error)
                if _is_hopeless(error) or self._given_up(began):
                    self.limit = 0.0  # what is given up is not waited for again
                    raise StorageLost(self._final(lost, began, told), hint=self.hint or lost.hint) from error
                if pause and not told:
                    told = True
                    self.say(f"{lost.message}; waiting for it, for at most {self.limit / 60:.0f} min")
                pause = min(max(_FIRST, 2 * pause), _LONGEST)
                self._sleep(pause)
                continue
            if pause:
                self.waited += time.monotonic() - began
            if told:
                self.say(f"the study's storage answers again after {time.monotonic() - began:.0f} s")
            return found

    def _given_up(self, began: float) -> bool:
        if self.stop is not None and self.stop.requested is not None:
            return True
        return time.monotonic() - began >= self.limit

    def _final(self, lost: DlctlError, began: float, told: bool) -> str:
        minutes = (time.monotonic() - began) / 60
        return f"{lost.message}; gave up after {minutes:.0f} min" if told else lost.message

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.stop is not None and self.stop.requested is not None:
                raise Interrupted(self.stop.requested)
            time.sleep(min(left, 0.1))


def _is_hopeless(error: Exception) -> bool:
    """Whether the same call cannot succeed later."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    if isinstance(cause, FileNotFoundError | PermissionError | IsADirectoryError):
        return True
    return isinstance(cause, _HOPELESS) or any(text in str(cause) for text in _HOPELESS_TEXTS)


def _is_done(storage: BaseStorage, trial_id: int, state: TrialState, values: Any = None) -> bool:
    """Whether a trial has ended in this state and with these values."""
    trial = storage.get_trial(trial_id)
    return trial.state == state and (values is None or trial.values == list(values))
