"""Checkpoints: written whole or not at all, read without running what strangers put in them."""

import hashlib
import io
import logging
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.utilities.model_helpers import is_overridden
from omegaconf import Container, OmegaConf
from torch.serialization import get_unsafe_globals_in_checkpoint

from dlctl import redact
from dlctl.errors import ConfigError, NotFoundError
from dlctl.files import atomic_write
from dlctl.project import shown
from dlctl.runs import origin, trusted

log = logging.getLogger(__name__)
State = dict[str, Any]


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes to a temporary name in the same folder and renames.

    Lightning's own goes through the system's temporary folder: the move from another disk is a
    copy that can stop half-way.

    Args:
        trust: a checkpoint whose pickled objects the user trusts, and those of its folder: a run that is
            resumed is tested with the best of all.
    """

    def __init__(self, trust: Path | None = None) -> None:
        self._trust = trust

    def save_checkpoint(self, checkpoint: State, path: Any, storage_options: Any = None) -> None:
        """Save a checkpoint; a local one atomically."""
        if "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
        else:
            write(checkpoint, Path(path))

    def load_checkpoint(
        self, path: Any, map_location: Any = "cpu", weights_only: bool | None = None
    ) -> State:
        """Load a checkpoint; the pickled objects of a local one only if they are to be trusted."""
        if "://" in str(path):
            return super().load_checkpoint(path, map_location, weights_only)
        return load(Path(path), self._trust)


def load(path: Path, trust: Path | None) -> State:
    """What a Trainer loads: a checkpoint, or the weights with which a process that was spawned ends.

    Args:
        path: a local file.
        trust: a checkpoint whose pickled objects are trusted, with those of its folder.
    """
    if path.name == ".temp.ckpt":
        weights: State = torch.load(path, map_location="cpu", weights_only=True)
        return weights
    return read(path, trust=trust is not None and path.parent == trust.parent)


def write(checkpoint: State, path: Path) -> None:
    """Save a checkpoint atomically; if it holds pickled objects, know it as the user's own from then on."""
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer.seek(0)
    if get_unsafe_globals_in_checkpoint(buffer):
        trusted.remember(hashlib.sha256(buffer.getbuffer()).hexdigest())
    atomic_write(path, buffer.getbuffer())


class LastCheckpoint(ModelCheckpoint):
    """Saves every epoch as last.ckpt.

    ``ModelCheckpoint(save_last=True)`` does so only in epochs that are among its best: a run that
    is killed would lose all epochs since.

    Args:
        dirpath: the folder of the ModelCheckpoint that it stands in for.
    """

    def __init__(self, dirpath: Any) -> None:
        super().__init__(
            dirpath=dirpath, filename="last", save_on_train_epoch_end=True, enable_version_counter=False
        )


def keep_last(callbacks: list[Callback]) -> list[Callback]:
    """The callbacks, with a LastCheckpoint in place of ``save_last`` where that would not do."""
    for callback in callbacks:
        # One that saves every few steps, or every epoch because it has no metric, saves the last too.
        if (
            isinstance(callback, ModelCheckpoint)
            and callback.save_last is True
            and callback.monitor
            and not callback._every_n_train_steps
            and not callback._train_time_interval
        ):
            callback.save_last = False
            return [*callbacks, LastCheckpoint(callback.dirpath)]
    return callbacks


def read(path: Path, *, trust: bool = False) -> State:
    """Load a checkpoint on the CPU.

    Args:
        path: of the checkpoint.
        trust: load pickled objects, which may run code, whoever wrote them; without it only those
            that a run of this user wrote.

    Raises:
        NotFoundError: it is not there, is cut short, is no checkpoint, or is not to be trusted.
    """
    try:
        # One open file: what is hashed and what is loaded are the same, should somebody replace it.
        with path.open("rb") as stream:
            state = _load(stream, path, trust)
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise _unreadable(path, "it is cut short or damaged") from error
    if not isinstance(state, dict) or not isinstance(state.get("state_dict"), dict):
        raise _unreadable(path, "it is not a Lightning checkpoint")
    return state


def _load(stream: io.BufferedReader, path: Path, trust: bool) -> Any:
    try:
        return torch.load(stream, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        whole = zipfile.is_zipfile(path)
        if not trust and not whole:
            raise _unreadable(path, "it is not a checkpoint") from error
        stream.seek(0)
        if not trust and not trusted.is_own(hashlib.file_digest(stream, "sha256").hexdigest()):
            raise NotFoundError(
                f"{shown(path)} holds pickled objects, which run any code when they are loaded, "
                "and no run of yours on this machine wrote it",
                hint=origin.RISK,
            ) from error
    stream.seek(0)
    try:
        return torch.load(stream, map_location="cpu", weights_only=False)
    except pickle.UnpicklingError as error:
        raise _unreadable(path, "it is not a checkpoint") from error
    except (ImportError, AttributeError) as error:
        raise _unreadable(path, f"it holds objects of code that is not here ({error})") from error


def _unreadable(path: Path, why: str) -> NotFoundError:
    return NotFoundError(
        f"cannot read the checkpoint {shown(path)}: {why}",
        hint="name another one: dlctl runs show RUN lists a run's checkpoints",
    )


def fits(state: State, model: LightningModule, path: Path) -> None:
    """Make sure that the weights of a checkpoint are those of a model.

    A weight of no elements takes its size from the data or the checkpoint: it fits any.

    Raises:
        ConfigError: names or shapes differ.
    """
    if is_overridden("configure_model", model):
        return  # built for its data, when that has been read; Lightning compares then
    saved, built = state["state_dict"], model.state_dict()
    faults = [
        f"{name} is {_shape(saved.get(name))} in the checkpoint and {_shape(built.get(name))} here"
        for name in [*built, *(name for name in saved if name not in built)]
        if _shape(saved.get(name)) != _shape(built.get(name)) and not _open(saved.get(name), built.get(name))
    ]
    if faults and getattr(model, "strict_loading", True):
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise ConfigError(
            f"the checkpoint {shown(path)} does not fit the model: {faults[0]}{more}",
            hint="leave out the overrides of model.*, or name the checkpoint of such a model",
        )


def _open(saved: Any, built: Any) -> bool:
    """Whether a weight has no size yet, and waits for one."""
    return saved is not None and isinstance(built, torch.Tensor) and not built.numel()


def _shape(value: Any) -> str:
    return "absent" if value is None else str(list(getattr(value, "shape", [])))


def relocate(checkpoint: State, old: str, new: str) -> None:
    """Let the callbacks in a checkpoint find their files again after the run's folder was moved."""

    def moved(value: Any) -> Any:
        if isinstance(value, str) and value.startswith(old + os.sep):
            return new + value.removeprefix(old)
        if isinstance(value, dict):
            return {moved(key): moved(item) for key, item in value.items()}
        return value

    if old != new:
        checkpoint["callbacks"] = moved(checkpoint.get("callbacks", {}))


def plain(checkpoint: State) -> None:
    """Take out of a checkpoint's hyperparameters what is no plain value, and hide secrets.

    Networks, partials and config objects there would have to be unpickled to be loaded; what is
    needed to rebuild the model stands in the config, which the checkpoint carries too.
    """
    for key in ("hyper_parameters", "datamodule_hyper_parameters"):
        if isinstance(checkpoint.get(key), Container):
            checkpoint[key] = OmegaConf.to_container(checkpoint[key])
        if isinstance(checkpoint.get(key), dict):
            values = checkpoint[key]
            checkpoint[key] = redact.tree({name: value for name, value in values.items() if _is_plain(value)})
    checkpoint.pop("hparams_type", None)


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(item) for item in value.values())
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str | torch.Tensor)
