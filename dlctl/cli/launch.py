"""Around every run: its log, what is shown before it, and its end in one line."""

import logging
import logging.config
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dlctl import redact
from dlctl.errors import DlctlError, Interrupted, RunFailed, disk_full
from dlctl.project import Project, shown
from dlctl.runs import record, store
from dlctl.runs.record import Run

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from dlctl.composition.compose import Composed

log = logging.getLogger(__name__)
RUN_DIR = "DLCTL_RUN_DIR"
CHECKPOINT = "DLCTL_CHECKPOINT"
# On the terminal a failure is one line; its traceback is for the log.
_FILE_ONLY = {"file_only": True}
# Advice that says nothing about the user's run, or is wrong under dlctl.
_NOISE = (
    ".*does not have many workers.*",
    ".*exists and is not empty.*",
    ".*LeafSpec.*",
    ".*smaller than the logging interval.*",
    ".*in eval mode at the start of training.*",
    ".*callbacks used to create the checkpoint need to be provided.*",
)


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
    config, public = composed.resolve(run.dir), composed.public(run.dir)
    handed = {RUN_DIR: str(run.dir), CHECKPOINT: str(checkpoint or "")}
    with _environment(handed), _logging(run, composed, public):
        _extras(run, public)
        _hush_lightning()
        try:
            with record.record(run):
                try:
                    work(config, public)
                except Exception:
                    log.exception("the run failed", extra=_FILE_ONLY)
                    raise
        except DlctlError:
            raise
        except Exception as error:
            raise _failed(run, error) from error


def is_child() -> bool:
    """Whether this process is one rank of a run that another process records."""
    return RUN_DIR in os.environ and int(os.environ.get("LOCAL_RANK", "0")) > 0


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


def _extras(run: Run, public: "DictConfig") -> None:
    from dlctl.utils.rich_utils import enforce_tags, print_config_tree

    if run.child:
        return
    extras = public.get("extras") or {}
    if extras.get("enforce_tags"):
        enforce_tags(public, save_to=run.dir / "tags.log")
    if extras.get("print_config"):
        print_config_tree(public, save_to=run.dir / "config_tree.log")


@contextmanager
def _logging(run: Run, composed: "Composed", public: "DictConfig") -> Iterator[None]:
    """Log as ``hydra.job_logging`` says, nothing on stdout, no secrets; and put all back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    settings = composed.logging(run.dir)
    if run.child:
        settings = {"version": 1, "disable_existing_loggers": False}
    with warnings.catch_warnings():
        logging.config.dictConfig(settings)
        own = [handler for handler in root.handlers if handler not in handlers]
        for handler in own:
            handler.addFilter(_hide_secrets)
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                handler.emit = _to_stderr(handler)  # type: ignore[method-assign, assignment]
                handler.addFilter(lambda entry: not getattr(entry, "file_only", False))
        logging.captureWarnings(True)
        # With a full disk the log cannot be written either: no traceback for each of its lines.
        raising, logging.raiseExceptions = logging.raiseExceptions, False
        _quiet((public.get("extras") or {}).get("ignore_warnings", False))
        try:
            yield
        finally:
            logging.captureWarnings(False)
            logging.raiseExceptions = raising
            root.handlers[:] = handlers
            root.setLevel(level)
            for handler in own:
                handler.close()


def _to_stderr(handler: logging.Handler) -> Callable[[logging.LogRecord], None]:
    """Print on stderr as it is at that moment: a progress bar may have put itself in its place."""
    return lambda entry: print(handler.format(entry), file=sys.stderr, flush=True)


def _quiet(ignore_warnings: bool) -> None:
    """Warnings are told in one line each, advice that does not help not at all."""

    def one_line(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        return f"{' '.join(str(message).split())} ({category.__name__}, {shown(filename)}:{lineno})"

    warnings.formatwarning = one_line
    for pattern in _NOISE:
        warnings.filterwarnings("ignore", pattern)
    if ignore_warnings:
        warnings.simplefilter("ignore")


def _hush_lightning() -> None:
    """Lightning's messages go into the run's log, and what it prints with rich to stderr."""
    import lightning.pytorch  # noqa: F401 - importing it adds the handlers
    import rich

    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    rich.reconfigure(stderr=True)


def _hide_secrets(entry: logging.LogRecord) -> bool:
    text = entry.getMessage()
    if (hidden := redact.text(text)) != text:
        entry.msg, entry.args = hidden, ()
    return True


def _failed(run: Run, error: Exception) -> RunFailed:
    """An exception that is not dlctl's own, in one line."""
    if full := disk_full(error):
        where = f" ({shown(full.filename)})" if isinstance(full.filename, str) else ""
        return RunFailed(
            f"cannot write{where}: {full.strerror}",
            hint=f"make room; checkpoints saved before are whole\nto go on: {resume_command(run)}",
        )
    frames = traceback.extract_tb(error.__traceback__)
    installed = f"{os.sep}site-packages{os.sep}"
    own = [frame for frame in frames if installed not in frame.filename] or frames
    where = f" ({shown(own[-1].filename)}:{own[-1].lineno})" if own else ""
    text = next((line for line in str(error).splitlines() if line.strip()), "")
    return RunFailed(
        f"{type(error).__name__}: {text}{where}",
        hint=f"the traceback is in {shown(log_file(run))}; --traceback shows it here",
    )


def log_file(run: Run) -> Path:
    """The run's log."""
    return run.dir / f"{run.manifest.task}.log"


def resume_command(run: Run) -> str:
    """How to go on with a run."""
    return f"dlctl train --resume {run.id}"


def interrupted(run: Run, error: Interrupted) -> None:
    """Tell what an interrupted training left behind."""
    from dlctl.cli import render

    last = run.checkpoint("last")
    render.note(f"{error} stopped the run in {shown(run.dir)}")
    if last is None:
        render.note("no checkpoint was saved yet: start it again to train")
        return
    render.note(f"its last checkpoint is {shown(last)}")
    render.console(stderr=True).print(f"to go on: {resume_command(run)}", markup=False)
