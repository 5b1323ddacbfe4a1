"""What training changes in a module, its data module and callbacks that no ``state_dict`` holds."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np
import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from torch import Tensor, nn
from torchmetrics import Metric

from dlctl.pipeline.lightning_adapter import unsaved_buffers

State = dict[str, Any]
# What every module has: Lightning's and torch's own business.
_COMMON = frozenset(vars(LightningModule())) | frozenset(vars(LightningDataModule())) | {"training"}
_SCALARS = (bool, int, float, complex, str, type(None))
_CONTAINERS = (dict, list, tuple, set, deque)
_LIBRARIES = ("torch", "lightning", "torchmetrics", "builtins", "omegaconf", "numpy")
# Larger containers and arrays are data, and only their identity and size are compared.
_MOST_VALUES, _MOST_BYTES = 20_000, 2**22
# Marks arrays and numbers of NumPy, which would not load with weights_only.
_NUMPY = "__numpy__"
# More than this is data and not the state of a training, and would be copied at every checkpoint.
_LARGEST = 2**26


class ChangedAttributes:
    """Finds the attributes of objects that training changes: counters, lists of losses, moving averages.

    Args:
        owners: the objects by name, as ``owners_of`` finds them, as they are when training starts.
        starts: what ``scalars`` finds of them before tuners run.
    """

    def __init__(self, owners: Mapping[str, Any], starts: Mapping[str, State]) -> None:
        found = {name: _attributes(owner) for name, owner in owners.items()}
        self._before = {
            owner: {name: _print_of(value) for name, value in values.items()}
            for owner, values in found.items()
        }
        self._starts = starts
        # They are compared by identity, which would be given out again.
        self._alive = found

    def state(self, owners: Mapping[str, Any]) -> State:
        """The changed attributes that a checkpoint can hold, by owner, and the names of the others.

        With the values that numbers and texts had at the start.
        """
        kept: dict[str, State] = {}
        starts: dict[str, State] = {}
        lost: list[str] = []
        for owner_name, owner in owners.items():
            before, start = self._before.get(owner_name, {}), self._starts.get(owner_name, {})
            for name, value in _attributes(owner).items():
                if name in before and before[name] == _print_of(value):
                    continue
                if _is_plain(value) and _size(value) <= _LARGEST:
                    kept.setdefault(owner_name, {})[name] = _copied(value)
                    if name in start:
                        starts.setdefault(owner_name, {})[name] = start[name]
                elif _has_state(value) or isinstance(value, (*_CONTAINERS, Tensor, np.ndarray)):
                    lost.append(f"{type(owner).__name__}.{name} ({type(value).__name__})")
        return {"kept": kept, "starts": starts, "lost": lost}


def scalars(owners: Mapping[str, Any]) -> dict[str, State]:
    """The attributes that are numbers, texts or None, by owner."""
    return {
        name: {key: value for key, value in _attributes(owner).items() if type(value) in _SCALARS}
        for name, owner in owners.items()
    }


def owners_of(module: LightningModule, datamodule: Any, callbacks: Sequence[Callback]) -> dict[str, Any]:
    """The objects whose changed attributes are kept: what somebody wrote without a ``state_dict``."""
    found: dict[str, Any] = {"model": module}
    for name, each in module.named_modules():
        if name and _root(each) not in _LIBRARIES and not isinstance(each, Metric):
            found[f"model.{name}"] = each
    if datamodule is not None and type(datamodule).state_dict is LightningDataModule.state_dict:
        found["data"] = datamodule
    for callback in callbacks:
        foreign = _root(callback) not in ("lightning", "dlctl")
        if foreign and type(callback).state_dict is Callback.state_dict:
            found[f"callback {callback.state_key}"] = callback
    return found


def restore_attributes(
    owners: Mapping[str, Any], state: State, starts: Mapping[str, State], device: torch.device
) -> None:
    """Set attributes as they were; containers stay the objects that they are, others may hold them.

    One that starts with another value now was changed by the user, and keeps that.
    """
    for owner_name, values in state["kept"].items():
        if owner_name not in owners or not isinstance(values, dict):
            continue
        before, now = state["starts"].get(owner_name, {}), starts.get(owner_name, {})
        for name, value in values.items():
            if name not in before or repr(before[name]) == repr(now.get(name)):
                _restore(owners[owner_name], name, _restored(value, device))


def _restore(owner: Any, name: str, value: Any) -> None:
    there = getattr(owner, name, None)
    if isinstance(there, list) and isinstance(value, list):
        there[:] = value
    elif isinstance(there, deque) and isinstance(value, list):
        there.clear()
        there.extend(value)
    elif isinstance(there, set | dict) and isinstance(value, set if isinstance(there, set) else dict):
        there.clear()
        there.update(value)
    else:
        setattr(owner, name, value)


def flags(module: LightningModule, modes: Mapping[str, bool] | None = None) -> State:
    """Which parameters are trained, and which modules are in training mode.

    Args:
        module: any.
        modes: the modes of its modules, where an evaluation has changed them.
    """
    return {
        "trained": {name: each.requires_grad for name, each in module.named_parameters()},
        "modes": dict(modes) if modes else {name: each.training for name, each in module.named_modules()},
    }


def restore_flags(module: LightningModule, state: State) -> None:
    """Freeze and thaw, and set the modes, as it was."""
    for name, parameter in module.named_parameters():
        if name in state["trained"] and parameter.requires_grad != state["trained"][name]:
            parameter.requires_grad_(state["trained"][name])
    for name, each in module.named_modules():
        each.training = state["modes"].get(name, each.training)


def gradients(module: LightningModule) -> dict[str, Tensor]:
    """The gradients that are there and not all zero, by the names of their parameters."""
    return {
        name: parameter.grad.detach().cpu().clone()
        for name, parameter in module.named_parameters()
        if parameter.grad is not None and bool(parameter.grad.any())
    }


def restore_gradients(module: LightningModule, saved: Mapping[str, Tensor]) -> None:
    """Put gradients back that have been accumulated."""
    for name, parameter in module.named_parameters():
        if name in saved:
            parameter.grad = saved[name].to(parameter.device, parameter.dtype)


def _root(value: Any) -> str:
    return type(value).__module__.partition(".")[0]


def _attributes(owner: Any) -> State:
    found = {
        name: value
        for name, value in vars(owner).items()
        if name not in _COMMON and not isinstance(value, nn.Module | nn.Parameter)
    }
    if isinstance(owner, nn.Module):
        found |= unsaved_buffers(owner)
    return found


def _is_plain(value: Any) -> bool:
    if isinstance(value, Tensor):
        return type(value) is Tensor and value.layout is torch.strided
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind in "biufc" and value.dtype.itemsize <= (16 if value.dtype.kind == "c" else 8)
    if isinstance(value, dict):
        return all(_is_plain(item) for pair in value.items() for item in pair)
    if isinstance(value, _CONTAINERS):
        return all(map(_is_plain, value))
    return type(value) in _SCALARS


def _size(value: Any) -> int:
    """About how many bytes a plain value takes."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, dict):
        return sum(map(_size, value.values())) + 64
    return sum(map(_size, value)) + 64 if isinstance(value, _CONTAINERS) else 32


def _copied(value: Any) -> Any:
    """A copy that loads without unpickling: deques are lists, arrays of NumPy marked tensors."""
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, np.ndarray | np.generic):
        return {_NUMPY: torch.from_numpy(np.array(value)), "scalar": isinstance(value, np.generic)}
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, tuple | set):
        return type(value)(map(_copied, value)) if type(value) in (tuple, set) else tuple(map(_copied, value))
    return [_copied(item) for item in value] if isinstance(value, list | deque) else value


def _restored(value: Any, device: torch.device) -> Any:
    """What was copied."""
    if isinstance(value, Tensor):
        return value.detach().clone().to(device)
    if isinstance(value, dict):
        if _NUMPY in value:
            array = value[_NUMPY].numpy().copy()
            return array[()] if value["scalar"] else array
        return {key: _restored(item, device) for key, item in value.items()}
    if isinstance(value, tuple | set):
        return type(value)(_restored(item, device) for item in value)
    return [_restored(item, device) for item in value] if isinstance(value, list) else value


def _has_state(value: Any) -> bool:
    """Whether a value is an object of somebody's class, which may change without being replaced."""
    return hasattr(value, "__dict__") and not callable(value) and _root(value) not in _LIBRARIES


def _print_of(value: Any, left: list[int] | None = None, depth: int = 8) -> Any:
    """Something that differs when a value has changed.

    Args:
        value: any.
        left: how many more values may be looked at; beyond that only identities and lengths are compared.
        depth: how deep it is looked into.
    """
    left = [_MOST_VALUES] if left is None else left
    left[0] -= 1
    if isinstance(value, Tensor):
        return id(value), 0 if value.is_inference() else value._version
    if isinstance(value, np.ndarray):
        small = value.nbytes <= _MOST_BYTES and value.dtype != object
        return id(value), value.shape, crc32(value.tobytes()) if small else 0
    if type(value) in _SCALARS or isinstance(value, np.generic):
        # NaN equals nothing, itself included.
        return repr(value)
    if isinstance(value, _CONTAINERS):
        if not depth or len(value) > left[0]:
            return id(value), len(value)
        items = value.items() if isinstance(value, dict) else value
        return [_print_of(item, left, depth - 1) for item in items]
    if _has_state(value) and depth and left[0] > 0:
        return id(value), [(name, _print_of(item, left, depth - 1)) for name, item in vars(value).items()]
    return id(value)
