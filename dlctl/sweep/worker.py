"""One worker: ask for a trial, run it in a process of its own, tell how it ended; several at once."""

import math
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path
from typing import Any, Protocol

from optuna.trial import Trial

from dlctl.errors import DlctlError, Interrupted, RunFailed
from dlctl.runs.stop import Stop
from dlctl.sweep import ends
from dlctl.sweep.job import Job
from dlctl.sweep.patience import StorageLost
from dlctl.sweep.plan import Plan
from dlctl.sweep.study import Study
from dlctl.sweep.trials import Row

# Seconds that a trial has to end by itself once it was asked to.
_GRACE = 10.0
_PATIENCE = 0.25
# Seconds between the signs of life of a trial.
BEAT = 30.0


@dataclass
class Running:
    """A trial that runs, and what it has told so far."""

    trial: Trial
    params: dict[str, Any]
    process: Any
    pipe: connection.Connection
    slot: int
    started: float = field(default_factory=time.monotonic)
    dir: str | None = None
    epoch: int = 0
    epochs: int = 0
    value: float | None = None
    ended: dict[str, Any] | None = None
    stopping: bool = False
    deadline: float | None = None
    overdue: bool = False
    beaten: float = field(default_factory=time.monotonic)


class Watcher(Protocol):
    """Whoever shows a search."""

    def ended(self, row: Row, rows: Sequence[Row]) -> None:
        """A trial has ended, as all of these have."""

    def tick(self, running: Sequence[Running]) -> None:
        """A moment has passed."""


class Worker:
    """Runs the trials of a study until there are enough.

    Args:
        plan: what is searched.
        study: where trials come from and are told.
        sweep: the directory of the sweep.
        target: runs in the process of a trial, given its job and the pipe to talk to this one.
        watcher: shows what happens.
        stop: the signals that were caught.
        meanwhile: called once while the first trials run.
    """

    def __init__(
        self,
        plan: Plan,
        study: Study,
        sweep: Path,
        target: Callable[..., None],
        watcher: Watcher,
        stop: Stop,
        meanwhile: Callable[[], None],
    ) -> None:
        self._plan = plan
        self._study = study
        self._sweep = sweep
        self._target = target
        self._watcher = watcher
        self._running: list[Running] = []
        self._started = time.monotonic()
        self._failed = False
        self._stop = stop
        self._meanwhile = meanwhile
        self._kills = ends.kills_for_memory()
        self._clock = study.patience.clock
        self._logged: set[str] = set()
        self._unlogged: ends.MetricMissing | None = None

    def run(self, argv: list[str]) -> None:
        """Run trials until there are enough, time is up or somebody asks to stop.

        Raises:
            Interrupted: a signal; the trials that ran are going to be tried again.
            ConfigError: the metric to optimize is not logged.
            StorageLost: the storage has not answered for long; the trials that ran are tried again.
        """
        try:
            self._fill(argv)
            self._meanwhile()
            while self._fill(argv) or self._running or self._awaits_others():
                if self._stop.requested is not None or (self._failed and not self._plan.keep_going):
                    break
                self._wait()
                self._beat()
                self._stop_overdue()
                self._watcher.tick(self._running)
            if self._stop.requested is not None:
                raise Interrupted(self._stop.requested)
            if (missing := self._metric_missing()) and not self._running:
                raise missing
        except StorageLost:
            if self._stop.requested is not None:
                raise Interrupted(self._stop.requested) from None
            raise
        finally:
            self._end_all()

    def _fill(self, argv: list[str]) -> bool:
        """Start trials in the slots that are free; whether one was started."""
        begun = False
        while len(self._running) < self._plan.jobs and self._may_start():
            trial = self._study.next()
            if trial is None:
                break
            self._start(trial, argv)
            begun = True
        return begun

    def _awaits_others(self) -> bool:
        """Whether trials of other workers here still run, which may yet have to be tried again."""
        return self._may_start() and self._study.others_run

    def _may_start(self) -> bool:
        late = self._plan.timeout is not None and time.monotonic() - self._started > self._plan.timeout
        halted = self._failed and not self._plan.keep_going
        if late or halted or self._metric_missing() or self._stop.requested is not None:
            return False
        return not self._study.stopped

    def _metric_missing(self) -> ends.MetricMissing | None:
        """The metric that the first trial ended without and no trial beside it has logged so far."""
        error = self._unlogged
        return error if error is not None and error.metric not in self._logged else None

    def _start(self, trial: Trial, argv: list[str]) -> None:
        """Start the process of a trial; one whose config is wrong has failed."""
        slot = next(n for n in range(self._plan.jobs) if n not in [each.slot for each in self._running])
        here, there = multiprocessing.get_context("forkserver").Pipe()
        running = Running(trial, dict(trial.params), None, here, slot)
        try:
            composed = self._plan.trial(trial.number, running.params)
            directory = self._plan.run_dir(composed, self._sweep)
        except DlctlError as fault:
            self._end(running, "failed", error=str(fault))
            return
        about = {"study": self._study.optuna.study_name, "number": trial.number}
        job = Job(composed, directory, about, slot, self._plan.jobs, argv)
        process: Any = multiprocessing.get_context("forkserver").Process(
            target=self._target, args=(job, there), daemon=False
        )
        # Nobody must be able to stop us between the process and our knowing of it.
        running.process = process
        self._running.append(running)
        try:
            try:
                process.start()
            except (EOFError, ConnectionError):
                process.start()  # the process that forks was killed: there is another one now
        except (EOFError, OSError) as error:
            raise RunFailed(
                f"cannot start the process of trial {trial.number}: {type(error).__name__} {error}".rstrip(),
                hint="the process that trials are forked from has died; its messages are above",
            ) from error
        there.close()

    def _wait(self) -> None:
        """Hear what the trials say, for a moment."""
        sources: dict[Any, Running] = {}
        for each in self._running:
            sources[each.process.sentinel] = each
            if not each.pipe.closed:
                sources[each.pipe] = each
        if not sources:
            time.sleep(_PATIENCE)
        ready = connection.wait(list(sources), timeout=_PATIENCE)
        for each in {id(sources[source]): sources[source] for source in ready}.values():
            self._hear(each)
            if each.process.exitcode is not None:
                self._hear(each)
                self._gone(each)

    def _beat(self) -> None:
        """Show other hosts that this worker lives; a trial that they have taken over ends here."""
        now = time.monotonic()
        for each in self._running:
            if now - each.beaten > BEAT:
                each.beaten = now
                if not self._study.beat(each.trial):
                    each.process.terminate()

    def _stop_overdue(self) -> None:
        """Stop trials that have run for too long: with a signal, and if they go on with SIGKILL."""
        now = self._clock()
        for each in self._running:
            if each.deadline is None or now < each.deadline:
                continue
            if each.overdue:
                _kill(each)
            else:
                each.overdue = True
                each.process.terminate()
            each.deadline = now + _GRACE

    def _hear(self, running: Running) -> None:
        """Take what a trial has sent; its process may be gone in the middle of it."""
        try:
            while not running.pipe.closed and running.pipe.poll():
                kind, what = running.pipe.recv()
                if kind == "forked" and self._plan.trial_timeout is not None:
                    running.deadline = self._clock() + self._plan.trial_timeout
                elif kind == "started":
                    running.dir, running.started = what, time.monotonic()
                    self._study.begin(running.trial, what)
                elif kind == "epoch":
                    self._epoch(running, **what)
                elif kind == "ended":
                    running.ended = what
        except (EOFError, OSError):
            running.pipe.close()

    def _epoch(self, running: Running, epoch: int, epochs: int, metrics: dict[str, float | None]) -> None:
        """Relay a metric to the pruner, and its answer to the trial."""
        running.epoch, running.epochs = epoch, epochs
        self._logged |= metrics.keys()
        value = metrics.get(self._plan.metrics[0])
        prune = False
        if value is not None and math.isfinite(value):
            running.value = value
            if self._study.prunes:
                prune = self._study.report(running.trial, value, epoch) and epoch < epochs
        running.pipe.send(prune)

    def _gone(self, running: Running) -> None:
        """The process of a trial is over: find out how, and tell the study."""
        running.process.join()
        # What it has started, loaders and ranks, goes with it.
        _kill(running)
        ended = running.ended or self._died(running)
        if running.overdue and ended["status"] not in ("done", "pruned"):
            reason = f"trial timed out after {self._plan.trial_timeout:g} s (--trial-timeout)"
            ends.note(running.dir, "failed", reason, replaced=("running", "lost", "interrupted", "failed"))
            self._end(running, "failed", error=reason)
        elif self._stopped(running) and ended["status"] != "done":
            self._interrupt(running)
        elif ended["status"] == "done":
            self._complete(running, ended["metrics"])
        else:
            self._end(running, ended["status"], error=ended.get("error"))

    def _stopped(self, running: Running) -> bool:
        """Whether a trial was asked to stop, or got the signal that this process got too."""
        return running.stopping or self._stop.requested is not None

    def _died(self, running: Running) -> dict[str, Any]:
        """How a process ended that could not say so itself."""
        before, self._kills = self._kills, ends.kills_for_memory()
        reason = ends.why(running.process.exitcode, None if before is None else self._kills != before)
        ends.note(running.dir, "failed", reason)
        return {"status": "failed", "error": reason}

    def _complete(self, running: Running, metrics: dict[str, float | None]) -> None:
        missing = next((name for name in self._plan.metrics if name not in metrics), None)
        if missing is not None:
            first = missing not in self._logged and not self._study.rows
            self._end(running, "failed", error=ends.missing_metric(missing, metrics))
            if first and self._plan.space.numeric:
                # Trials that run beside it may yet log the metric: they decide.
                self._unlogged = ends.MetricMissing(missing, metrics)
            return
        self._logged |= metrics.keys()
        values = [metrics[name] for name in self._plan.metrics]
        for name, value in zip(self._plan.metrics, values, strict=True):
            if value is None or not math.isfinite(value):
                self._end(running, "failed", error=f"{name} is {value}")
                return
        self._end(running, "complete", [float(value) for value in values if value is not None])

    def _end(
        self, running: Running, state: Any, values: Sequence[float] = (), error: str | None = None
    ) -> None:
        if running in self._running:
            self._running.remove(running)
        running.pipe.close()
        row = self._study.finish(running.trial, state, values, error)
        if row is not None:
            self._failed = self._failed or state == "failed"
            self._watcher.ended(row, self._study.rows)

    def _interrupt(self, running: Running) -> None:
        self._running.remove(running)
        running.pipe.close()
        # Where the storage does not answer, its next worker finds that this process is gone.
        with suppress(StorageLost):
            self._study.interrupt(running.trial, "stopped")

    def _end_all(self) -> None:
        """Stop all trials that still run; they will be tried again."""
        for each in [*self._running]:
            each.stopping = True
            if each.process.pid is None:
                self._interrupt(each)  # it ends by itself when it finds nobody to talk to
            else:
                each.process.terminate()
        deadline = time.monotonic() + _GRACE
        try:
            while self._running and time.monotonic() < deadline and not self._stop.again:
                with suppress(StorageLost):
                    self._wait()
        finally:
            for each in [*self._running]:
                _kill(each)
                with suppress(AttributeError, AssertionError):
                    each.process.join(5)
                ends.note(each.dir, "interrupted")
                self._interrupt(each)


def _kill(running: Running) -> None:
    """Kill the process of a trial and all that it has started: loaders and ranks."""
    with suppress(ProcessLookupError, PermissionError, AttributeError, TypeError):
        os.killpg(running.process.pid, signal.SIGKILL)
    with suppress(ProcessLookupError, AttributeError):
        running.process.kill()  # not yet in a group of its own
