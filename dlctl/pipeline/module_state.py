"""What training changes in a module, its data module and callbacks that no ``state_dict`` holds."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from torch import Tensor, nn

State = dict[str, Any]
# What every module has: Lightning's and torch's own business.
_COMMON = frozenset(vars(LightningModule())) | frozenset(vars(LightningDataModule())) | {"training"}
_SCALARS = (bool, int, float, complex, str, type(None))
# Larger containers are data, and only their length is compared.
_MOST_ITEMS = 100_000
# More than this is data and not the state of a training, and would be copied at every checkpoint.
_LARGEST = 2**26


class ChangedAttributes:
    """Finds the attributes of objects that training changes: counters, lists of losses, moving averages.

    Args:
        owners: the objects by name, as ``owners_of`` finds them, as they are when training starts.
    """

    def __init__(self, owners: Mapping[str, Any]) -> None:
        self._before = {name: _prints(owner) for name, owner in owners.items()}
        # Tensors are compared by identity, which would be given out again.
        self._alive = [
            value
            for owner in owners.values()
            for value in _attributes(owner).values()
            if isinstance(value, Tensor)
        ]

    def state(self, owners: Mapping[str, Any]) -> State:
        """The changed attributes that a checkpoint can hold, by owner, and the names of the others."""
        kept: dict[str, State] = {}
        lost: list[str] = []
        for owner_name, owner in owners.items():
            before = self._before.get(owner_name, {})
            for name, value in _attributes(owner).items():
                if name in before and before[name] == _print_of(value):
                    continue
                if _is_plain(value) and _size(value) <= _LARGEST:
                    kept.setdefault(owner_name, {})[name] = _copied(value)
                elif _has_state(value) or isinstance(value, Tensor | list | tuple | set | dict | deque):
                    lost.append(f"{type(owner).__name__}.{name} ({type(value).__name__})")
        return {"kept": kept, "lost": lost}


def owners_of(module: LightningModule, datamodule: Any, callbacks: Sequence[Callback]) -> dict[str, Any]:
    """The objects whose changed attributes are kept: what somebody wrote without a ``state_dict``."""
    found: dict[str, Any] = {"model": module}
    if datamodule is not None and type(datamodule).state_dict is LightningDataModule.state_dict:
        found["data"] = datamodule
    for callback in callbacks:
        foreign = type(callback).__module__.partition(".")[0] not in ("lightning", "dlctl")
        if foreign and type(callback).state_dict is Callback.state_dict:
            found[f"callback {callback.state_key}"] = callback
    return found


def restore_attributes(owners: Mapping[str, Any], kept: Mapping[str, State], device: torch.device) -> None:
    """Set attributes as they were; containers stay the objects that they are, others may hold them."""
    for owner_name, values in kept.items():
        if owner_name in owners and isinstance(values, dict):
            for name, value in values.items():
                _restore(owners[owner_name], name, _copied(value, device))


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


def _prints(owner: Any) -> State:
    return {name: _print_of(value) for name, value in _attributes(owner).items()}


def _attributes(owner: Any) -> State:
    found = {
        name: value
        for name, value in vars(owner).items()
        if name not in _COMMON and not isinstance(value, nn.Module | nn.Parameter)
    }
    if isinstance(owner, LightningDataModule):
        # All else of it is data.
        return {name: value for name, value in found.items() if type(value) in _SCALARS}
    return found


def _is_plain(value: Any) -> bool:
    if isinstance(value, Tensor):
        return type(value) is Tensor and value.layout is torch.strided
    if isinstance(value, dict):
        return all(_is_plain(item) for pair in value.items() for item in pair)
    if isinstance(value, list | tuple | set | deque):
        return all(map(_is_plain, value))
    return type(value) in _SCALARS


def _size(value: Any) -> int:
    """About how many bytes a plain value takes."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, dict):
        return sum(map(_size, value.values())) + 64
    return sum(map(_size, value)) + 64 if isinstance(value, list | tuple | set | deque) else 32


def _copied(value: Any, device: torch.device | None = None) -> Any:
    """A copy that loads without unpickling; it has lists where there were deques."""
    if isinstance(value, Tensor):
        return value.detach().clone().to(device or "cpu")
    if isinstance(value, dict):
        return {key: _copied(item, device) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_copied(item, device) for item in value)
    if isinstance(value, set):
        return {_copied(item, device) for item in value}
    return [_copied(item, device) for item in value] if isinstance(value, list | deque) else value


def _has_state(value: Any) -> bool:
    """Whether a value is an object of somebody's class, which may change without being replaced."""
    return (
        hasattr(value, "__dict__")
        and not callable(value)
        and type(value).__module__.partition(".")[0] not in ("torch", "lightning", "builtins", "omegaconf")
    )


def _print_of(value: Any, depth: int = 3) -> Any:
    """Something that differs when a value has changed."""
    if isinstance(value, Tensor):
        return id(value), value._version
    if isinstance(value, dict | list | tuple | set | deque) and len(value) > _MOST_ITEMS:
        return id(value), len(value)
    if isinstance(value, dict):
        return (
            [(str(key), _print_of(item, depth - 1)) for key, item in value.items()] if depth else len(value)
        )
    if isinstance(value, list | tuple | set | deque):
        return [_print_of(item, depth - 1) for item in value] if depth else len(value)
    if type(value) in _SCALARS:
        # NaN equals nothing, itself included.
        return repr(value)
    if _has_state(value) and depth:
        return id(value), [(name, _print_of(item, depth - 1)) for name, item in vars(value).items()]
    return id(value)
