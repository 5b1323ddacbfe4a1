"""Loader workers survive the signals that stop a run, and end with the process they load for.

^C at a terminal and many schedulers signal the whole process group. A worker that dies of it takes the
training with it before its checkpoint is saved.
"""

import atexit
import errno
import multiprocessing
import multiprocessing.util
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any
from weakref import WeakSet

from dlctl.errors import chain
from dlctl.runs.stop import SIGNALS

# What torch's DataLoader and torchdata's StatefulDataLoader run in their workers.
_LOOP = "_worker_loop"
# What torch says when it cannot allocate shared memory, and the exit code of a worker that found it full.
_SHARED_MEMORY = "shared memory(shm)"
_NO_MEMORY = 75
_workers: "WeakSet[BaseProcess]" = WeakSet()
_start = BaseProcess.start


@contextmanager
def protected() -> Iterator[None]:
    """Protect every loader worker that is started within, also those of loaders of the user's own."""
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

    # multiprocessing prints the error and drops the batch, for which training then waits forever.
    Queue._on_queue_feeder_error = staticmethod(_end_worker)  # type: ignore[attr-defined]
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


def _end_worker(error: BaseException, _: object) -> None:
    """End the worker: it cannot send a batch, because that cannot be pickled or shared memory is full."""
    print(f"loader worker cannot send a batch: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    full = _SHARED_MEMORY in str(error) or getattr(error, "errno", None) == errno.ENOSPC
    os._exit(_NO_MEMORY if full else 1)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a run failed because shared memory, through which workers send batches, is full."""
    signs = (_SHARED_MEMORY, "Bus error", f"with exit code {_NO_MEMORY}.")
    for each in chain(error):
        if any(sign in str(each) for sign in signs):
            return True
        if isinstance(each, OSError) and each.errno == errno.ENOSPC and each.filename is None:
            # A lock of a queue, which lies in shared memory too.
            frames = traceback.extract_tb(each.__traceback__)
            return bool(frames) and Path(frames[-1].filename).match("multiprocessing/synchronize.py")
    return False


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
