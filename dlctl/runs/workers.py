"""Loader workers survive the signals that stop a run, and end with the process they load for.

^C at a terminal and many schedulers signal the whole process group. A worker that dies of it takes the
training with it before its checkpoint is saved.
"""

import atexit
import multiprocessing
import multiprocessing.util
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.process import BaseProcess
from typing import Any
from weakref import WeakSet

from dlctl.runs.stop import SIGNALS

# What torch's DataLoader and torchdata's StatefulDataLoader run in their workers.
_LOOP = "_worker_loop"
_workers: "WeakSet[BaseProcess]" = WeakSet()
_start = BaseProcess.start


@contextmanager
def protected() -> Iterator[None]:
    """Protect every loader worker that is started meanwhile, whoever makes the loader."""
    before = BaseProcess.start
    protect()
    try:
        yield
    finally:
        BaseProcess.start = before  # type: ignore[method-assign]


def protect() -> None:
    """Protect every loader worker that is started from now on, forked or spawned."""
    BaseProcess.start = _start_protected  # type: ignore[method-assign, assignment]


def _start_protected(process: Any) -> None:
    """Start a process; a loader worker with its signals blocked until it ignores them."""
    if getattr(process._target, "__name__", None) != _LOOP:
        _start(process)
        return
    process._target = partial(_loop, process._target)
    _workers.add(process)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        _start(process)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _loop(loop: Callable[..., None], *args: Any) -> None:
    """Run a worker's loop, ignoring the signals."""
    from torch.utils.data import _utils

    signal_handling: Any = _utils.signal_handling
    original = signal_handling._set_worker_signal_handlers

    def set_handlers(*_: Any) -> None:
        original()
        _ignore_signals()

    # It lets SIGTERM end the worker.
    signal_handling._set_worker_signal_handlers = set_handlers
    _ignore_signals()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    loop(*args)


def _ignore_signals() -> None:
    for signum in SIGNALS:
        if signal.getsignal(signum) != signal.SIG_IGN:
            # Not SIG_IGN, which programs that the worker runs would inherit.
            signal.signal(signum, _do_nothing)


def _do_nothing(*_: Any) -> None:
    pass


def _kill_workers() -> None:
    for process in multiprocessing.active_children():
        if process in _workers:
            process.kill()


# Runs before the handler that the import of multiprocessing.util registers, which sends SIGTERM to
# workers that are still busy and waits for them.
atexit.register(_kill_workers)
