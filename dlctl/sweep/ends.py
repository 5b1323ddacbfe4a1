"""How trials end that cannot say so themselves."""

import signal
from contextlib import suppress
from pathlib import Path

from dlctl.errors import ConfigError, DlctlError
from dlctl.runs import manifest, store
from dlctl.runs.manifest import Status


def kills_for_memory() -> int | None:
    """How many processes the kernel has killed because memory ran out; None if it does not tell."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("oom_kill ")).split()[1])
    return None


def why(code: int | None, memory: bool | None) -> str:
    """What an exit code says.

    Args:
        code: of a process that could not tell by itself how it ended.
        memory: whether the kernel has killed something for memory meanwhile; None if it does not tell.
    """
    if code is None or code >= 0:
        return f"its process ended with exit code {code}"
    if code == -signal.SIGKILL and memory:
        return "out of memory: the kernel killed its process"
    name = signal.Signals(-code).name if -code in list(signal.Signals) else f"signal {-code}"
    perhaps = ": out of memory?" if code == -signal.SIGKILL and memory is None else ""
    return f"its process was killed by {name}{perhaps}"


def note(
    directory: str | None,
    status: Status,
    reason: str | None = None,
    *,
    replaced: tuple[Status, ...] = ("running", "lost"),
) -> None:
    """Write the end of a trial into its run, unless its process has written another than these."""
    if directory is None:
        return
    with suppress(DlctlError, OSError):
        run = store.open_run(Path(directory))
        if run.manifest.status in replaced:
            error = {"type": "Killed", "message": reason} if reason else None
            run.note(status=status, ended=manifest.now(), error=error)


def missing_metric(name: str, metrics: dict[str, float | None]) -> str:
    """Which metric a trial ended without, and which it has logged."""
    return f"the metric '{name}' was not logged; logged were {', '.join(sorted(metrics)) or 'none'}"


class MetricMissing(ConfigError):
    """The first trial ended without the metric that is optimized.

    Args:
        metric: the one that is missing.
        metrics: what the trial has logged.
    """

    def __init__(self, metric: str, metrics: dict[str, float | None]) -> None:
        from difflib import get_close_matches

        self.metric = metric
        close = get_close_matches(metric, metrics, n=2, cutoff=0.6)
        hint = (
            f"did you mean {' or '.join(close)}?"
            if close
            else f"it logs {', '.join(sorted(metrics)) or 'nothing'}"
        )
        if metric.startswith("test"):
            hint = f"trials are not tested: optimize a metric of the validation; {hint}"
        super().__init__(
            f"the metric '{metric}' is logged nowhere: the first trial ended without it",
            hint=hint,
            key="optimized_metric",
            suggestions=close,
        )
