"""The process that trials are forked from, which imports for all of them what a training needs."""

import multiprocessing
import os
import signal
from contextlib import suppress
from multiprocessing import forkserver, resource_tracker

PRELOADED = "dlctl.cli.preloaded"
# What a terminal or a scheduler sends to a whole process group; the preloaded module unblocks them.
_GROUP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def preload() -> None:
    """Begin to import what trials need, while other things are done."""
    multiprocessing.set_forkserver_preload([PRELOADED])
    _start_tracker()  # else it is started below, and unblocks the signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _GROUP)
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_tracker() -> None:
    """Start the process that removes semaphores, and does so without a word for those of killed trials."""
    known = os.environ.get("PYTHONWARNINGS")
    quiet = "ignore:resource_tracker:UserWarning"
    os.environ["PYTHONWARNINGS"] = f"{known},{quiet}" if known else quiet
    try:
        resource_tracker.ensure_running()
    finally:
        del os.environ["PYTHONWARNINGS"]
        if known is not None:
            os.environ["PYTHONWARNINGS"] = known


def give_up() -> None:
    """End that process: there are going to be no trials, and its imports would go on for seconds."""
    pid = getattr(forkserver._forkserver, "_forkserver_pid", None)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        # It must not be taken for one that runs, by a command after this one in the same process.
        forkserver._forkserver._stop()  # type: ignore[attr-defined]
