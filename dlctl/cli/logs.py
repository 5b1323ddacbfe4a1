"""What a run logs and warns: all of it into its log, the rest on stderr, no secrets anywhere."""

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING

from dlctl import redact, terminal
from dlctl.errors import ConfigError
from dlctl.project import shown
from dlctl.runs.record import Run

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from dlctl.composition.compose import Composed

# On the terminal a failure is one line; its traceback is for the log.
FILE_ONLY = {"file_only": True}
# Advice that says nothing about the user's run, or is wrong under dlctl.
_NOISE = (
    ".*does not have many workers.*",
    ".*exists and is not empty.*",
    ".*LeafSpec.*",
    ".*smaller than the logging interval.*",
    ".*in eval mode at the start of training.*",
    ".*callbacks used to create the checkpoint need to be provided.*",
    ".*your dataloader is not resumable.*",
)


@contextmanager
def to_run(run: Run, composed: "Composed", public: "DictConfig") -> Iterator[None]:
    """Log as ``hydra.job_logging`` says, but nothing on stdout; and put all back afterwards."""
    root = logging.getLogger()
    handlers, level, line = root.handlers[:], root.level, warnings.formatwarning
    with warnings.catch_warnings():
        _configure(run, composed)
        own = [handler for handler in root.handlers if handler not in handlers]
        for handler in own:
            _adapt(handler)
        logging.captureWarnings(True)
        # With a full disk the log cannot be written either: no traceback for each of its lines.
        raising, logging.raiseExceptions = logging.raiseExceptions, False
        for pattern in _NOISE:
            warnings.filterwarnings("ignore", pattern)
        if (public.get("extras") or {}).get("ignore_warnings", False):
            warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.captureWarnings(False)
            logging.raiseExceptions, warnings.formatwarning = raising, line
            root.handlers[:] = handlers
            root.setLevel(level)
            for handler in own:
                handler.close()


def _configure(run: Run, composed: "Composed") -> None:
    import logging.config

    try:
        settings = composed.logging(run.dir)
        if run.child:
            settings = {"version": 1, "disable_existing_loggers": False}
        logging.config.dictConfig(settings)
    except Exception as error:
        reason = error.__cause__ or error
        raise ConfigError(
            f"cannot log as hydra.job_logging says: {str(reason).splitlines()[0]}",
            hint="look at configs/hydra, and at task_name, which names the log",
            key="hydra.job_logging",
        ) from error


def take_over_lightnings() -> None:
    """Lightning's messages go into the run's log, its tables to stderr, its warnings into one line."""
    import lightning.pytorch  # noqa: F401 - importing it adds the handlers
    import rich

    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    warnings.formatwarning = _one_line
    rich.reconfigure(stderr=True)


def _one_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    return f"{' '.join(str(message).split())} ({category.__name__}, {shown(filename)}:{lineno})"


def _adapt(handler: logging.Handler) -> None:
    """Let a handler hide secrets, those in tracebacks too; and let it print on stderr alone."""
    plain = handler.format
    handler.format = lambda entry: redact.text(plain(_escaped(entry)))  # type: ignore[method-assign, assignment]
    if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
        handler.emit = _to_stderr(handler)  # type: ignore[method-assign, assignment]
        handler.addFilter(lambda entry: not getattr(entry, "file_only", False))


def _escaped(entry: logging.LogRecord) -> logging.LogRecord:
    """The entry without control characters in what it says; those of a formatter's colours stay."""
    new = copy(entry)
    new.msg, new.args = terminal.block(entry.getMessage()), None
    if entry.exc_info:
        new.exc_text = terminal.block(logging.Formatter().formatException(entry.exc_info))
    return new


def _to_stderr(handler: logging.Handler) -> Callable[[logging.LogRecord], None]:
    """Print on stderr as it is at that moment: a progress bar may have put itself in its place."""
    return lambda entry: print(handler.format(entry), file=sys.stderr, flush=True)
