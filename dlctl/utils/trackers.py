"""Loggers whose tracker may die: that costs the tracker, not the training."""

import logging
import os
from functools import partial
from typing import Any, TypeVar

from lightning.pytorch.loggers.logger import Logger

from dlctl import redact
from dlctl.errors import DlctlError, RunFailed
from dlctl.utils.csv_logger import CSVLogger

log = logging.getLogger(__name__)
T = TypeVar("T")

# What Lightning, its callbacks and modules call of a logger.
_CALLED = (
    "log_hyperparams", "log_metrics", "log_graph", "log_image", "log_table", "log_text", "log_audio",
    "log_video", "save", "after_save_checkpoint", "finalize",
)  # fmt: skip
# MLflow's client tries again for four minutes, and waits for two for each answer. Training stands still
# meanwhile. With these a server that refuses connections costs some 15 seconds, once.
_MLFLOW = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
_WORKED, _OFF = "_dlctl_worked", "_dlctl_off"


def guard(logger: T) -> T:
    """Turn a logger's first exception into a warning and switch the logger off.

    A logger whose very first call fails has never reached its tracker: that is an error, raised
    before training begins. dlctl's own ``CSVLogger`` is left alone: without it the results are lost.

    Args:
        logger: is changed in place and keeps its class.

    Returns:
        The same object.
    """
    if not isinstance(logger, Logger) or isinstance(logger, CSVLogger):
        return logger
    if _is_mlflow(logger):
        for name, value in _MLFLOW.items():
            os.environ.setdefault(name, value)
        # Each attempt has a warning of several lines; what counts is how it ends.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    for name in _CALLED:
        if callable(getattr(type(logger), name, None)):
            # A partial can be pickled, as launchers that spawn processes need; a closure cannot.
            setattr(logger, name, partial(_call, logger, name))
    return logger


def _call(logger: Logger, name: str, *args: Any, **kwargs: Any) -> Any:
    if getattr(logger, _OFF, False):
        return None
    try:
        if name == "log_hyperparams" and args:
            args = (_public(logger, args[0]), *args[1:])
        result = getattr(type(logger), name)(logger, *args, **kwargs)
    except DlctlError:
        raise
    except Exception as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), "")
        reason = f"{type(error).__name__}: {reason}"
        label = type(logger).__name__
        if getattr(logger, _WORKED, False) and isinstance(error, TypeError | ValueError | AttributeError):
            # A value that the tracker cannot take; it is there for others.
            log.warning(f"{label}.{name} failed, and what it was given is not logged: {reason}")
            return None
        if not getattr(logger, _WORKED, False) and name != "finalize":
            raise RunFailed(
                f"{label} cannot use its tracker: {reason}",
                hint="start the tracker's server or correct its address, or train without it: logger=csv",
            ) from error
        setattr(logger, _OFF, True)
        log.warning(f"{label} failed and is off for the rest of this run, which goes on: {reason}")
        log.warning(f"where {label} failed", exc_info=True, extra={"file_only": True})
        return None
    if name.startswith("log_"):
        setattr(logger, _WORKED, True)
    return result


def _public(logger: Logger, params: Any) -> Any:
    """Hyperparameters without secrets, and without what the tracker would refuse."""
    if isinstance(params, dict):
        params = redact.tree(params)
    return _new_mlflow_params(logger, params) if _is_mlflow(logger) else params


def _is_mlflow(logger: Logger) -> bool:
    return any(each.__name__ == "MLFlowLogger" for each in type(logger).__mro__)


def _new_mlflow_params(logger: Any, params: Any) -> dict[str, str]:
    """The parameters that the run does not have yet; those with another value become tags.

    MLflow's parameters cannot be changed, and a batch with a single changed one is refused whole.
    """
    from lightning.fabric.utilities.logger import _convert_params, _flatten_dict

    # Cut as Lightning cuts them.
    flat = {name: str(value)[:250] for name, value in _flatten_dict(_convert_params(params)).items()}
    if logger.experiment is None or logger.run_id is None:
        return flat
    known = logger.experiment.get_run(logger.run_id).data.params
    changed = {name: value for name, value in flat.items() if known.get(name, value) != value}
    for name, value in changed.items():
        logger.experiment.set_tag(logger.run_id, f"resumed/{name}", value)
    if changed:
        log.warning(
            "MLflow keeps the parameters with which the run was first started; these are now tags of it: "
            + ", ".join(f"resumed/{name}" for name in changed)
        )
    return {name: value for name, value in flat.items() if name not in known}
