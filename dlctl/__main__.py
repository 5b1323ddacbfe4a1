"""The ``dlctl`` command, and ``python -m dlctl``: what torchrun, SLURM and other launchers start."""

import os
import signal
from types import FrameType


def main() -> None:
    """Run the command line and exit with its code."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, _leave)
    from dlctl.cli import main as run

    run()


def _leave(signum: int, _: FrameType | None) -> None:
    """End the process: there is nothing yet but imports, which an exception would leave in halves."""
    os._exit(128 + signum)


if __name__ == "__main__":
    main()
