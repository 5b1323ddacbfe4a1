"""The states of all random generators, as plain values that a checkpoint may hold."""

import random
from typing import Any

import numpy as np
import torch

State = dict[str, Any]


def capture() -> State:
    """The states of Python's, NumPy's, torch's and every CUDA device's generator."""
    numpy: tuple[Any, ...] = np.random.get_state(legacy=True)  # type: ignore[assignment]
    name, keys, *rest = numpy
    return {
        "python": random.getstate(),
        # A NumPy array would not load with weights_only.
        "numpy": (name, torch.from_numpy(keys.astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore(state: State) -> None:
    """Go on from captured states."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
