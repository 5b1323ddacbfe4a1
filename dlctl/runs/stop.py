"""SIGINT and SIGTERM: finish the batch, save, and leave with the right exit code."""

import signal
import sys
import threading
from types import FrameType
from typing import Any

from dlctl.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Turns the first signal into a request and the second into an end.

    While ``graceful`` is set, training looks at ``requested`` after every batch, saves a
    checkpoint of that moment and raises. At any other time the signal raises at once.

    Args:
        promise: what is told to happen upon the first signal.
        patient: never raise; whoever is responsible looks at ``requested`` and ``again``.
    """

    def __init__(
        self, promise: str = "saving a checkpoint after this batch", *, patient: bool = False
    ) -> None:
        self.promise = promise
        self.patient = patient
        self.graceful = patient
        self.again = False
        self.requested: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        self._before.clear()

    def install(self) -> None:
        """Take the signals over; again after somebody else took them."""
        if threading.current_thread() is threading.main_thread():
            for signum in SIGNALS:
                before = signal.signal(signum, self._handle)
                self._before.setdefault(signum, before)

    def ignore(self, *, for_good: bool = False) -> None:
        """Let no further signal disturb what is written at the end, or the end of the process either."""
        for signum in self._before:
            signal.signal(signum, signal.SIG_IGN)
        if for_good:
            self._before.clear()

    def _handle(self, signum: int, _: FrameType | None) -> None:
        if self.patient and self.requested is not None:
            # Raised in a destructor, an exception would be printed and lost.
            self.again = True
            return
        if not self.graceful or self.requested is not None:
            raise Interrupted(signum)
        self.requested = signum
        name = signal.Signals(signum).name
        again = "; again to stop at once" if signum == signal.SIGINT else ""
        print(f"\n{name}: {self.promise}{again}", file=sys.stderr, flush=True)
