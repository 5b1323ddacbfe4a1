"""The states of random generators, as plain values that a checkpoint may hold."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

State = dict[str, Any]
# Where samplers and data sets keep other samplers and data sets.
_INNER = ("sampler", "batch_sampler", "dataset", "datasets")
_DEPTH = 4


def capture(own: Mapping[str, Any] | None = None) -> State:
    """The states of Python's, NumPy's, torch's and every CUDA device's generator.

    Args:
        own: generators that somebody's code keeps for itself, by name, as ``own_generators`` finds them.
    """
    numpy: tuple[Any, ...] = np.random.get_state(legacy=True)  # type: ignore[assignment]
    name, keys, *rest = numpy
    return {
        "python": random.getstate(),
        # A NumPy array would not load with weights_only.
        "numpy": (name, torch.from_numpy(keys.astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "own": {key: _own_state(generator) for key, generator in (own or {}).items()},
    }


def restore(state: State, own: Mapping[str, Any] | None = None) -> None:
    """Go on from captured states; of ``own`` those that were captured under the same name."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    for key, generator in (own or {}).items():
        if key in state.get("own", {}):
            _set_own_state(generator, state["own"][key])


@contextmanager
def preserved(own: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Whatever is drawn inside leaves the generators as they were."""
    before = capture(own)
    try:
        yield
    finally:
        restore(before, own)


def same(left: State, right: State) -> bool:
    """Whether nothing was drawn between two captured states."""
    return all(_plain(left[key]) == _plain(right[key]) for key in left)


def own_generators(**roots: Any) -> dict[str, Any]:
    """Generators that objects keep as attributes, by name; also those of their samplers and data sets."""
    found: dict[str, Any] = {}
    for name, root in roots.items():
        _collect(root, name, _DEPTH, found)
    return found


def _collect(value: Any, path: str, depth: int, found: dict[str, Any]) -> None:
    for name, inner in getattr(value, "__dict__", {}).items():
        if isinstance(inner, torch.Generator | np.random.Generator | np.random.RandomState | random.Random):
            if not any(inner is known for known in found.values()):
                found[f"{path}.{name}"] = inner
        elif name.lstrip("_") in _INNER and depth:
            several = inner if isinstance(inner, list | tuple) else [inner]
            for number, each in enumerate(several):
                _collect(each, f"{path}.{name}.{number}", depth - 1, found)


def _own_state(generator: Any) -> Any:
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, np.random.RandomState):
        return _without_arrays(generator.get_state(legacy=False))
    return _without_arrays(generator.bit_generator.state)


def _set_own_state(generator: Any, state: Any) -> None:
    if isinstance(generator, torch.Generator):
        generator.set_state(state)
    elif isinstance(generator, random.Random):
        version, internal, gauss = state
        generator.setstate((version, tuple(internal), gauss))
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(_with_arrays(state))
    else:
        generator.bit_generator.state = _with_arrays(state)


def _without_arrays(state: Any) -> Any:
    if isinstance(state, dict):
        return {key: _without_arrays(value) for key, value in state.items()}
    # As tensors of int64, which hold the unsigned words of every bit generator.
    return (
        torch.from_numpy(state.view(np.int64 if state.itemsize == 8 else np.int32).copy())
        if isinstance(state, np.ndarray)
        else state
    )


def _with_arrays(state: Any) -> Any:
    if isinstance(state, dict):
        return {key: _with_arrays(value) for key, value in state.items()}
    if isinstance(state, torch.Tensor):
        array = state.numpy()
        return array.view(np.uint64 if array.itemsize == 8 else np.uint32).copy()
    return state


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
