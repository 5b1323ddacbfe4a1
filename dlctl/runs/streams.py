"""Standard streams that a closed pipe or terminal does not turn into errors."""

import io
import os
import sys


def keep() -> None:
    """Let messages that cannot be written be lost: the log has them, and nobody reads them here.

    `dlctl train 2>&1 | head` closes stderr in the middle of a training, `2>&-` before it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # Else the next file that is opened gets this number, and messages are written into it.
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - as long as the process
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = io.TextIOWrapper(
            io.BufferedWriter(_Lossy(2, "w", closefd=False)),
            encoding=getattr(sys.stderr, "encoding", None),
            errors="backslashreplace",
            line_buffering=True,
            write_through=True,
        )


class _Lossy(io.FileIO):
    """Drops what cannot be written."""

    def write(self, data: "bytes | memoryview", /) -> int:  # type: ignore[override]
        try:
            written: int | None = super().write(data)
        except OSError:
            written = None
        return len(data) if written is None else written
