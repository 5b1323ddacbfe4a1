"""Around every run: its log, what is shown before it, and its end in one line."""

import logging
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, nullcontext, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlctl import redact
from dlctl.cli import logs
from dlctl.errors import DlctlError, Interrupted, NotFoundError, RunFailed, disk_full
from dlctl.project import Project, shown
from dlctl.runs import manifest, record, store, trusted, workers
from dlctl.runs.record import Run
from dlctl.utils import exception_text

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from dlctl.composition.compose import Composed

log = logging.getLogger(__name__)
RUN_DIR = "DLCTL_RUN_DIR"
CHECKPOINT = "DLCTL_CHECKPOINT"


def execute(
    run: Run,
    composed: "Composed",
    work: Callable[["DictConfig", "DictConfig"], None],
    checkpoint: Path | None = None,
) -> None:
    """Do the work of a run: log it, record how it ends, and tell a failure in one line.

    Args:
        run: started already.
        composed: its config.
        work: takes the resolved config, and the same without secrets.
        checkpoint: from which it starts; the ranks that Lightning starts need to know.
    """
    from dlctl.composition import unused

    handed = {RUN_DIR: str(run.dir), CHECKPOINT: str(checkpoint or "")}
    try:
        folder = chdir(run.dir) if unused.changes_folder(composed) else nullcontext()
        with record.record(run), _environment(unused.environment(composed) | handed), folder, _public_argv():
            if not run.child and (torchruns := _torchruns_store()):
                for name, value in handed.items():
                    torchruns.set(name, value)
            config, public = composed.resolve(run.dir), composed.public(run.dir)
            with logs.to_run(run, composed, public):
                _extras(run, public)
                logs.take_over_lightnings()
                _warn_of_state_folder(run)
                try:
                    # Lightning's own progress bars and the prints of a project go to stdout.
                    with redirect_stdout(sys.stderr):
                        work(config, public)
                except Exception:
                    log.exception("the run failed", extra=logs.FILE_ONLY)
                    raise
    except DlctlError:
        raise
    except Exception as error:
        raise _failed(run, error) from error


def is_child() -> bool:
    """Whether this process is one rank of a run that another process records."""
    if int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0:
        return False
    if RUN_DIR not in os.environ and (torchruns := _torchruns_store()):
        # torchrun starts all ranks at once: wait until the first one has made the directory.
        os.environ[RUN_DIR] = torchruns.get(RUN_DIR).decode()
        os.environ[CHECKPOINT] = torchruns.get(CHECKPOINT).decode()
    return RUN_DIR in os.environ


def _torchruns_store() -> Any:
    """Where the ranks that torchrun starts can leave each other a word; None without torchrun."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    import torch.distributed

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    server = torch.distributed.TCPStore(address, port, is_master=False, wait_for_workers=False)  # type: ignore[attr-defined]
    return torch.distributed.PrefixStore(f"dlctl/{attempt}", server)  # type: ignore[attr-defined]


def inherited(project: Project) -> tuple[Run, "Composed", Path | None]:
    """The run, config and checkpoint that a child rank takes part in."""
    from dlctl.composition.compose import load

    run = store.open_run(Path(os.environ[RUN_DIR]))
    run.child = True
    checkpoint = os.environ.get(CHECKPOINT)
    return run, load(project, run.dir / ".hydra"), Path(checkpoint) if checkpoint else None


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _warn_of_state_folder(run: Run) -> None:
    if run.manifest.kind not in ("train", "trial", "debug") or run.child or not (reason := trusted.failure()):
        return
    log.warning(
        f"{trusted.folder()} cannot be used ({reason}), where dlctl notes which runs are yours: "
        "eval, predict and --resume of this run will need --trust-checkpoint. "
        "Make the folder writable for you alone, or set XDG_STATE_HOME to one that is."
    )


@contextmanager
def _public_argv() -> Iterator[None]:
    """Hide secrets in ``sys.argv``, which trackers send; ranks that are started take the run's own config."""
    before = sys.argv
    sys.argv = [*before[:1], *map(redact.text, before[1:])]
    try:
        yield
    finally:
        sys.argv = before


def _extras(run: Run, public: "DictConfig") -> None:
    from dlctl.utils.rich_utils import enforce_tags, print_config_tree

    if run.child:
        return
    extras = public.get("extras") or {}
    if extras.get("enforce_tags"):
        enforce_tags(public, save_to=run.dir / "tags.log")
    if extras.get("print_config"):
        print_config_tree(public, save_to=run.dir / "config_tree.log")


def _failed(run: Run, error: Exception) -> RunFailed:
    """An exception that is not dlctl's own, in one line."""
    if not (run.dir / manifest.FILE).is_file():
        return record.deleted(run)
    if workers.is_out_of_memory(error):
        return RunFailed(
            f"loader workers have no room in shared memory (/dev/shm{_size('/dev/shm')})",
            hint="data.num_workers=0 needs none; or enlarge it (docker run --shm-size=8g)\n"
            f"the traceback is in {shown(log_file(run))}",
        )
    if full := disk_full(error):
        where = f" ({shown(full.filename)})" if isinstance(full.filename, str) else ""
        return RunFailed(
            f"cannot write{where}: {full.strerror}",
            hint=f"make room; checkpoints saved before are whole\n{_next_step(run)}",
        )
    frames = traceback.extract_tb(error.__traceback__)
    installed = f"{os.sep}site-packages{os.sep}"
    own = [frame for frame in frames if installed not in frame.filename] or frames
    where = f" ({shown(own[-1].filename)}:{own[-1].lineno})" if own else ""
    text = exception_text.one_line(error)
    if isinstance(error, OSError) and isinstance(error.filename, str):
        text = f"{type(error).__name__}: {error.strerror}: {shown(error.filename)}"
    hint = f"the traceback is in {shown(log_file(run))}; --traceback shows it here"
    if advised := exception_text.advice(error):
        hint = f"{advised}\n{hint}"
    return RunFailed(f"{text}{where}", hint=hint)


def _size(folder: str) -> str:
    try:
        return f", {shutil.disk_usage(folder).total / 1e6:.1f} MB"
    except OSError:
        return ""


def log_file(run: Run) -> Path:
    """The run's log."""
    return run.dir / f"{run.manifest.task}.log"


def start_again(run: Run) -> str:
    """How to start a run again that has no checkpoint."""
    from dlctl.cli import render
    from dlctl.composition.kept import primary_name

    words = list(run.manifest.overrides)
    with suppress(NotFoundError):
        if (name := primary_name(Project.find(), run.dir / ".hydra")) != "train":
            words = ["--config", name, *words]
    return f"start it again: {render.command('train', *words)}"


def _next_step(run: Run) -> str:
    """How to go on after a failure that is none of the run's own."""
    if run.manifest.kind not in ("train", "debug"):
        return "then start it again"
    return f"to go on: {resume_command(run)}" if run.checkpoint("last") else start_again(run)


def resume_command(run: Run) -> str:
    """How to go on with a run."""
    from dlctl.cli import render

    return render.command("train", "--resume", reference(run))


def reference(run: Run) -> str:
    """What names a run and no other: its id, or its directory where the config chose that."""
    if run.manifest.kind == "trial":
        return run.name
    return run.id if run.dir.parent.name == "runs" else shown(run.dir)


def interrupted(run: Run, error: Interrupted) -> None:
    """Tell what an interrupted training left behind."""
    from dlctl.cli import render

    last = run.checkpoint("last")
    render.note(f"{error} stopped the run in {shown(run.dir)}")
    if last is None:
        render.note("no checkpoint was saved yet: start it again to train")
        return
    render.note(f"its last checkpoint is {shown(last)}")
    render.line(f"to go on: {resume_command(run)}", stderr=True)
