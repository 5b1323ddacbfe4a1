"""The process of one trial of a search: a run like any other, that tells the worker how it goes."""

import os
import signal
import sys
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlctl.cli import launch
from dlctl.errors import DlctlError, Interrupted, Pruned
from dlctl.project import Project
from dlctl.runs import record

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from dlctl.pipeline.keeper import Metrics
    from dlctl.sweep.job import Job

# Linux's prctl(2): a signal for the process when the one that forked it dies.
_PDEATHSIG = 1


def run(job: "Job", pipe: Connection) -> None:
    """Train as a job says.

    Args:
        job: what to do.
        pipe: takes ("forked", None), ("started", directory), ("epoch", {...}), which is answered by
            whether to stop, and ("ended", {...}).
    """
    _alone(job)
    pipe.send(("forked", None))
    _share(job)
    sys.argv = job.argv
    try:
        project = Project.find()
        found = record.start(project, job.composed, "trial", wanted=job.directory, trial=job.trial)
    except Exception as error:
        told = str(error) if isinstance(error, DlctlError) else f"{type(error).__name__}: {error}"
        pipe.send(("ended", {"status": "failed", "metrics": {}, "error": told}))
        return
    _print_to(found.dir / "output.log")
    pipe.send(("started", str(found.dir)))
    # The ranks that Lightning starts join this run; with the command line of a search each would search.
    sys.argv = ["dlctl", "train"]
    sys.modules["__main__"].__spec__ = find_spec("dlctl.__main__")
    reason = _train(job, found, pipe)
    facts = found.manifest
    pipe.send(("ended", {"status": facts.status, "metrics": facts.metrics, "error": reason}))


def _report(pipe: Connection, epoch: int, epochs: int, metrics: "Metrics") -> bool:
    """Tell the worker of an epoch; its answer. Ranks that are spawned take this along, pickled."""
    try:
        pipe.send(("epoch", {"epoch": epoch, "epochs": epochs, "metrics": metrics}))
        return bool(pipe.recv())
    except (EOFError, OSError):
        # The worker is gone: whoever goes on with the search tries these values again.
        raise Interrupted(signal.SIGTERM) from None


def _train(job: "Job", found: record.Run, pipe: Connection) -> str | None:
    """Train; why that failed, if it did."""

    def work(config: "DictConfig", public: "DictConfig") -> None:
        from omegaconf import open_dict

        from dlctl.pipeline.train import train

        with open_dict(config):
            config.test = False
        metrics = train(
            config,
            found,
            public=public,
            carried=job.composed.carried(),
            hydra=job.composed.full.hydra,
            report=partial(_report, pipe),
        )
        found.note(metrics=metrics)

    try:
        launch.execute(found, job.composed, work)
    except (Pruned, Interrupted) as end:
        return f"stopped by {end}" if isinstance(end, Interrupted) else None
    except DlctlError as error:
        return str(error)
    return None


def _alone(job: "Job") -> None:
    """A session of its own, so that ^C is the worker's; and no life without the worker."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(OSError):
        # When memory runs out, one trial is to go, and not the search.
        Path("/proc/self/oom_score_adj").write_text("500")
    if sys.platform == "linux":
        import ctypes

        # The process that forked this one ends with the worker.
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1:
            os._exit(1)


def _share(job: "Job") -> None:
    """Its share of the cores, and a device of its own where there are several."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = max(1, cores // job.jobs)
    wanted = int(os.environ.get("OMP_NUM_THREADS") or share)
    torch.set_num_threads(min(wanted, share))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = visible.split(",") if visible else [str(n) for n in range(torch.cuda.device_count())]
    asked: Any = (job.composed.full.get("trainer") or {}).get("devices", "auto")
    if len(devices) > 1 and asked in ("auto", -1, 1, "1"):
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[job.slot % len(devices)]


def _print_to(file: Path) -> None:
    """Let what the trial prints, crashes of C code included, go into a file of its run."""
    import faulthandler

    sys.stdout.flush()
    sys.stderr.flush()
    with file.open("ab", buffering=0) as stream:
        for number in (1, 2):
            os.dup2(stream.fileno(), number)
    faulthandler.enable()
