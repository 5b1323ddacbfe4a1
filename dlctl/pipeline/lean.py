"""What makes a training step cheap: nothing is done for hooks, profilers and devices that are not there."""

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from lightning.pytorch import Callback
from lightning.pytorch.profilers import PassThroughProfiler

# Called at every step; each call costs Lightning some ten microseconds even where it does nothing.
_STEP_HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
    "on_validation_batch_start",
    "on_validation_batch_end",
)


class NoProfiler(PassThroughProfiler):
    """Measures nothing, and takes no time for it.

    Lightning opens a profiler's context some sixty times a step. Its own default is a generator
    that calls two functions which do nothing.
    """

    _nothing: AbstractContextManager[Any] = nullcontext()

    def profile(self, action_name: str) -> AbstractContextManager[Any]:  # type: ignore[override]
        """A context in which nothing is measured."""
        return self._nothing


def skip_idle_hooks(callbacks: list[Callback]) -> None:
    """Let Lightning pass over the hooks that a callback does not have.

    It calls a hook if the attribute is callable, and ``Callback`` has an empty method for each.
    """
    for callback in callbacks:
        for hook in _STEP_HOOKS:
            if getattr(type(callback), hook) is getattr(Callback, hook):
                setattr(callback, hook, None)


def no_driver_checks() -> None:
    """Where there is no CUDA, do not look for its driver at every optimizer step.

    Lightning asks torch to check through NVML, so that CUDA is not initialised before processes
    are forked; torch then loads a library in every step of Adam to find no device.
    """
    if not torch.cuda.is_available():
        os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
