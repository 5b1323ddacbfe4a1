"""The process that trials are forked from, which imports for all of them what a training needs."""

import multiprocessing
import os
import signal
from contextlib import suppress
from multiprocessing import forkserver

PRELOADED = "dlctl.cli.preloaded"


def preload() -> None:
    """Begin to import what trials need, while other things are done."""
    multiprocessing.set_forkserver_preload([PRELOADED])
    forkserver.ensure_running()


def give_up() -> None:
    """End that process: there are going to be no trials, and its imports would go on for seconds."""
    pid = getattr(forkserver._forkserver, "_forkserver_pid", None)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        # It must not be taken for one that runs, by a command after this one in the same process.
        forkserver._forkserver._stop()  # type: ignore[attr-defined]
