"""Checkpoints: written whole or not at all, read without running what strangers put in them."""

import hashlib
import io
import logging
import os
import pickle
import stat
import struct
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from omegaconf import Container, OmegaConf
from torch.serialization import get_unsafe_globals_in_checkpoint

from dlctl import redact
from dlctl.errors import DlctlError, NotFoundError
from dlctl.files import atomic_write
from dlctl.project import shown
from dlctl.runs import origin, store, trusted
from dlctl.runs.record import Run

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


def read(path: Path, *, trust: bool = False, run: Run | None = None) -> State:
    """Load a Lightning checkpoint on the CPU.

    Args:
        path: of the checkpoint.
        trust: load pickled objects, which may run code, whoever wrote them; without it only those
            that a run of this user wrote.
        run: to which it belongs, if it does not lie in the run's directory.

    Raises:
        NotFoundError: the file is missing, damaged, not a checkpoint, or not to be trusted.
    """
    state = load_file(path, trust=trust, run=run)
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        return state
    if is_state_dict(state):
        raise _weights_alone(path, "a plain state_dict")
    raise _unreadable(path, "it is not a Lightning checkpoint")


def is_state_dict(value: Any) -> bool:
    """Whether something is a module's ``state_dict``: names and their tensors."""
    return (
        isinstance(value, Mapping)
        and all(isinstance(name, str) for name in value)
        and any(isinstance(item, torch.Tensor) for item in value.values())
    )


def load_file(path: Path, *, trust: bool = False, run: Run | None = None) -> Any:
    """Load what ``torch.save`` wrote, on the CPU, after checking that the file is whole.

    The content is compared with the sha256 in the manifest of the run that the file belongs to; where
    there is none, with the checksums inside the file, which torch does not look at.

    Args:
        path: of the file.
        trust: load pickled objects, no matter who wrote them.
        run: to which it belongs, if it does not lie in the run's directory.

    Raises:
        NotFoundError: the file is missing, damaged, of another format, or not to be trusted.
    """
    try:
        # One open file: what is hashed and what is loaded are the same, should somebody replace it.
        with open_regular(path) as stream:
            _check_whole(stream, path, run)
            return _load(stream, path, trust)
    except DlctlError:
        raise
    except Exception as error:
        # Any exception: what torch raises for bytes that are no checkpoint is not a list to rely on.
        raise _unreadable(path, *_diagnose(path)) from error


def open_regular(path: Path) -> io.BufferedReader:
    """Open a regular file; opening a pipe or a device could wait forever.

    Raises:
        NotFoundError: it is missing, cannot be opened, or is not a regular file.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(path, (error.strerror or str(error)).lower()) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _unreadable(path, "it is not a regular file")
    return os.fdopen(handle, "rb")


def _check_whole(stream: io.BufferedReader, path: Path, run: Run | None) -> None:
    """Compare a file with its recorded sha256, or with the checksums of the zip archive that it is.

    Raises:
        NotFoundError: they differ.
    """
    if run is None:
        with suppress(NotFoundError):
            run = store.around(path)
    recorded = run.recorded_sha256(path.absolute()) if run else None
    if run is not None and recorded is not None:
        if hashlib.file_digest(stream, "sha256").hexdigest() != recorded:
            cut = not zipfile.is_zipfile(stream)
            why = "it is cut short or damaged" if cut else "its content has changed since the run wrote it"
            raise _unreadable(path, f"{why} (its sha256 is not the one in {shown(run.dir / 'run.json')})")
    elif zipfile.is_zipfile(stream):
        _check_crc(stream, path)
    stream.seek(0)


def _check_crc(stream: io.BufferedReader, path: Path) -> None:
    with zipfile.ZipFile(stream) as archive:
        for record in archive.infolist():
            # torch does not compress, and writes 0 where computing checksums is switched off.
            if not record.CRC or record.compress_type != zipfile.ZIP_STORED:
                continue
            try:
                with archive.open(record) as part:
                    while part.read(1 << 20):
                        pass
            except (zipfile.BadZipFile, EOFError) as error:
                raise _unreadable(path, "it is damaged: its content does not match its checksums") from error


def _load(stream: io.BufferedReader, path: Path, trust: bool) -> Any:
    try:
        with warnings.catch_warnings():
            # About the protocol of pickles that are no checkpoint.
            warnings.simplefilter("ignore")
            return torch.load(stream, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        whole = zipfile.is_zipfile(stream)
        if not trust and not whole:
            raise
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
    except (ImportError, AttributeError) as error:
        raise _unreadable(path, f"it holds objects of code that is not here ({error})") from error


_AGAIN = "name another one: dlctl runs show RUN lists a run's checkpoints"


def _unreadable(path: Path, why: str, hint: str = _AGAIN) -> NotFoundError:
    return NotFoundError(f"cannot read the checkpoint {shown(path)}: {why}", hint=hint)


def _weights_alone(path: Path, what: str) -> NotFoundError:
    return NotFoundError(
        f"{shown(path)} holds {what}, not a Lightning checkpoint",
        hint=f"to train from these weights: dlctl train --weights {shown(path)}",
    )


def _diagnose(path: Path) -> tuple[str, str]:
    """What a file is that cannot be loaded, and what to do about it."""
    with open_regular(path) as stream:
        head = stream.read(1024)
        archive = zipfile.is_zipfile(stream)
    if not head:
        return "it is empty", _AGAIN
    if head.startswith(b"version https://git-lfs"):
        return (
            "it is a Git LFS pointer, not the file itself",
            f"fetch the file: git lfs pull --include {path.name}",
        )
    if head.lstrip()[:100].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is a web page", "download the file itself"
    if is_safetensors(head):
        return (
            "it holds weights in the safetensors format",
            f"to train from these weights: dlctl train --weights {shown(path)}",
        )
    if archive:
        return "it is a zip file that holds no checkpoint, or a damaged one", _AGAIN
    if head.startswith(b"PK"):
        return "it is cut short or damaged", _AGAIN
    with suppress(UnicodeDecodeError):
        if "\0" not in head[:512].decode():
            return "it is a text file", _AGAIN
    return "it is not a checkpoint", _AGAIN


def is_safetensors(head: bytes) -> bool:
    """Whether a file that begins so is one of safetensors: the length of its header, and that as JSON."""
    return len(head) > 8 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] < 100_000_000


def is_finished(state: State, *, max_epochs: int | None, max_steps: int) -> bool:
    """Whether a training that goes on from a checkpoint has nothing left to do, by Lightning's rules.

    Args:
        state: the checkpoint.
        max_epochs: -1 or None for no limit.
        max_steps: -1 for no limit.
    """
    epochs, steps = epochs_trained(state), state.get("global_step")
    by_epochs = max_epochs not in (None, -1) and epochs is not None and epochs >= max_epochs
    return by_epochs or (max_steps != -1 and isinstance(steps, int) and steps >= max_steps)


def epochs_trained(state: State) -> int | None:
    """How many whole epochs a checkpoint has been trained; None if it does not tell."""
    try:
        return int(state["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])
    except (KeyError, TypeError, ValueError):
        return None


def relocate(checkpoint: State, old: str, new: str) -> None:
    """Let the callbacks in a checkpoint find their files again after the run's folder was moved."""

    def moved(value: Any) -> Any:
        if isinstance(value, str) and value.startswith(old + os.sep):
            return os.path.normpath(new + value.removeprefix(old))
        if isinstance(value, dict):
            return {moved(key): moved(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(map(moved, value)) if type(value) in (list, tuple) else value
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
