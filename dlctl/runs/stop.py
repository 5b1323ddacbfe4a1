"""Signals that stop a run: finish the batch, save, and leave with the right exit code."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from dlctl.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)
# Lightning replaces the handlers of these two when training starts.
_CONTESTED = (signal.SIGINT, signal.SIGTERM)
# Seconds within which signals are one request: `timeout` and launchers signal a process and then its
# group, and a rank is signalled by the terminal and by the process that started it.
_ONE_REQUEST = 1.0
# Starts workers, which a loader that was left in halves cannot end.
_LOADER = "torch/utils/data/dataloader.py"
# Seconds that a signal waits at most for what must not be left in halves.
_PATIENCE = 15.0


class Stop:
    """Turns the first signal into a request and a second ^C into an end.

    While ``graceful`` is set, training looks at ``requested`` after every batch, saves a
    checkpoint of that moment and raises. While signals are held, they are only noted. At any other
    time a signal raises at once, or as soon as an import has ended.

    Args:
        promise: what is announced upon the first signal.
        patient: never raise; the caller looks at ``requested`` and ``again``.
        early: nothing has begun that would have to be recorded: a signal during an import, which takes
            seconds for torch and would be left in halves, ends the process.

    Attributes:
        requested: the first signal.
        again: a patient one was asked a second time.
        forward: passes the signal on to processes that train for this one.
    """

    def __init__(
        self,
        promise: str = "saving a checkpoint after this batch",
        *,
        patient: bool = False,
        early: bool = False,
    ) -> None:
        self.promise = promise
        self.patient = patient
        self.early = early
        self.graceful = patient
        self.again = False
        self.requested: int | None = None
        self.forward: Callable[[int], None] | None = None
        self._held = False
        self._deferred = False
        self._when = 0.0
        self._owner = os.getpid()
        self._before: dict[int, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        # For a rank that Lightning spawns, which has handlers and a parent of its own.
        return {**self.__dict__, "_before": {}, "forward": None}

    def __enter__(self) -> "Stop":
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.restore()

    def install(self) -> None:
        """Handle the signals; again after other code replaced the handlers.

        A signal that was ignored when the process started stays ignored: SIGHUP under nohup, SIGINT in
        the background of a script. A handler of the user's own for one of the others stays too.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        self._owner = os.getpid()
        for signum in SIGNALS:
            current = signal.getsignal(signum)
            first = signum not in self._before
            before = self._before.setdefault(signum, current)
            ours = isinstance(getattr(current, "__self__", None), Stop)
            if signum == signal.SIGUSR1 and "SLURM_JOB_ID" in os.environ:
                continue  # Lightning requeues the job upon this
            if before != signal.SIG_IGN and (first or ours or signum in _CONTESTED):
                signal.signal(signum, self._handle)

    def restore(self) -> None:
        """Put back the handlers that were there before."""
        for signum, handler in self._before.items():
            # None is a handler that was not installed from Python and cannot be put back from here.
            if handler is not None:
                signal.signal(signum, handler)
        self._before.clear()

    def hold(self) -> None:
        """Only note signals from here on, while files are written that must be complete."""
        self._held = True
        self.install()

    def release(self) -> None:
        """Handle signals again.

        Raises:
            Interrupted: one came meanwhile.
        """
        self._held = False
        if self.requested is not None:
            raise Interrupted(self.requested)

    def ignore(self, *, for_good: bool = False) -> None:
        """Let no further signal disturb what is written at the end, or the end of the process either."""
        for signum in self._before:
            signal.signal(signum, signal.SIG_IGN)
        if for_good:
            self._before.clear()

    def default(self) -> None:
        """Let signals end the process at once, as by default."""
        for signum in self._before:
            if signal.getsignal(signum) != signal.SIG_IGN:
                signal.signal(signum, signal.SIG_DFL)
        self._before.clear()

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if os.getpid() != self._owner:
            return  # ^C in a process that was forked
        first = self.requested is None
        if first:
            self.requested, self._when = signum, time.monotonic()
        elif not self._deferred and time.monotonic() - self._when < _ONE_REQUEST:
            return
        if self._held:
            return
        if self.patient and not first:
            # Raised in a destructor, an exception would be printed and lost.
            self.again = True
            return
        if self.graceful and (first or signum != signal.SIGINT):
            if first:
                self._announce(signum)
            return
        if (self.early or time.monotonic() - self._when < _PATIENCE) and _cannot_raise(frame):
            self._defer(signum)
            return
        self._deferred = False
        raise Interrupted(signum)

    def _announce(self, signum: int) -> None:
        if self.forward is not None:
            self.forward(signum)
        again = "; again to stop at once" if signum == signal.SIGINT else ""
        _print_error(f"\n{signal.Signals(signum).name}: {self.promise}{again}")

    def _defer(self, signum: int) -> None:
        """Try again in a moment; early, end the process."""
        if self.early:
            os._exit(128 + signum)
        if not self._deferred:
            self._deferred = True
            _print_error(f"\n{signal.Signals(signum).name}: stopping in a moment")
        main = threading.main_thread().ident
        assert main is not None
        timer = threading.Timer(0.05, signal.pthread_kill, (main, signum))
        timer.daemon = True
        timer.start()


def _print_error(text: str) -> None:
    """Print on stderr from a signal handler."""
    try:
        print(text, file=sys.stderr, flush=True)
    except RuntimeError:
        # The signal came within a write to stderr, which cannot be entered again.
        with suppress(OSError):
            os.write(2, f"{text}\n".encode())


def _cannot_raise(frame: FrameType | None) -> bool:
    """Whether an exception would leave half a module or loader behind, or be swallowed by a destructor."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "__del__" or code.co_filename.startswith("<frozen importlib"):
            return True
        if code.co_name == "__init__" and code.co_filename.endswith(_LOADER):
            return True
        frame = frame.f_back
    return False


def _leave_to_parent() -> None:
    """In a process that was forked: what ends processes ends this one, so that a pool can terminate it.

    Not by a handler: a signal that comes just before the process waits for a lock would be handled after
    that. ^C reaches a whole group, and the parent decides what becomes of it.
    """
    for signum in set(SIGNALS) - {signal.SIGINT}:
        if isinstance(getattr(signal.getsignal(signum), "__self__", None), Stop):
            with suppress(ValueError):
                signal.signal(signum, signal.SIG_DFL)


os.register_at_fork(after_in_child=_leave_to_parent)
