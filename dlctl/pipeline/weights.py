"""Start a training from weights alone: of a run, a checkpoint, a ``state_dict`` or a safetensors file."""

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from omegaconf import DictConfig
from torch.nn.parameter import is_lazy

from dlctl.errors import ConfigError, NotFoundError
from dlctl.pipeline import checkpoints, restore
from dlctl.project import Project, shown
from dlctl.runs import store
from dlctl.runs.record import Run

log = logging.getLogger(__name__)
State = dict[str, Any]


def configured(cfg: DictConfig) -> Path | None:
    """The file of weights that a config names, if it names one.

    Raises:
        NotFoundError: ``weights_path`` names no run or file.
    """
    name = cfg.get("weights_path")
    return store.find_checkpoint(Project.find(), str(name))[0] if name else None


def read(path: Path, *, trust: bool = False, run: Run | None = None) -> State:
    """Load a file of weights; the result has at least the key ``state_dict``.

    Args:
        path: a Lightning checkpoint, a ``state_dict`` that ``torch.save`` wrote, or safetensors.
        trust: load pickled objects, no matter who wrote them.
        run: to which the file belongs.

    Raises:
        NotFoundError: the file is missing, damaged, of another format, or not to be trusted.
    """
    with checkpoints.open_regular(path) as stream:
        head = stream.read(16)
    if checkpoints.is_safetensors(head):
        return {"state_dict": _read_safetensors(path)}
    state = checkpoints.load_file(path, trust=trust, run=run)
    if isinstance(state, dict) and isinstance(state.get("state_dict"), Mapping):
        return state
    if checkpoints.is_state_dict(state):
        return {"state_dict": dict(state)}
    held = (
        f"its keys are {restore.listed([*map(str, state)])}"
        if isinstance(state, dict)
        else "it is one object"
    )
    raise NotFoundError(
        f"{shown(path)} holds no weights: {held}",
        hint="save the weights alone: torch.save(model.state_dict(), PATH)",
    )


def _read_safetensors(path: Path) -> State:
    from safetensors.torch import load_file

    try:
        weights: State = load_file(path)
    except Exception as error:
        raise NotFoundError(
            f"cannot read the weights {shown(path)}: {' '.join(str(error).split())}",
            hint="the file is damaged or cut short: get it again",
        ) from error
    return weights


def start_from(trainer: Trainer, path: Path, *, partially: bool = False, trust: bool = False) -> None:
    """Let a Trainer load weights as soon as the model is complete, before its optimizers are made.

    Args:
        trainer: whose strategy is changed in place.
        path: as for :func:`read`.
        partially: take what fits and report the rest in a warning.
        trust: load pickled objects, no matter who wrote them.
    """
    strategy: Any = trainer.strategy
    # A partial: processes that Lightning spawns get the strategy pickled.
    strategy.setup = partial(_set_up, strategy, path, partially, trust)


def _set_up(strategy: Any, path: Path, partially: bool, trust: bool, trainer: Trainer) -> None:
    del strategy.setup  # once: the test that follows loads a checkpoint of this run
    if trainer.ckpt_path is None:
        module = trainer.lightning_module
        state = read(path, trust=trust)
        if "pytorch-lightning_version" in state:
            # As LightningModule.load_from_checkpoint does: it may put back weights that were left out.
            module.on_load_checkpoint(state)
        load(module, state["state_dict"], path, partially=partially)
    strategy.setup(trainer)


def load(module: LightningModule, weights: Mapping[str, Any], path: Path, *, partially: bool) -> None:
    """Load weights into a model.

    Args:
        module: complete.
        weights: names and tensors.
        path: where they come from, for messages.
        partially: take what fits and report the rest in a warning.

    Raises:
        ConfigError: names or shapes differ; with ``partially``, none fits.
    """
    if any(parameter.is_meta for parameter in module.parameters()):
        raise ConfigError(
            "weights cannot be loaded into a model on the meta device",
            hint="build it on a device: use another trainer.strategy",
        )
    weights = restore.match_names(weights, module)
    here = module.state_dict()
    rest = restore.differences(weights, module) if partially else []
    if rest:
        weights = {name: value for name, value in weights.items() if _fits(value, here.get(name))}
        if not weights:
            raise ConfigError(
                f"none of the weights in {shown(path)} fits the model", hint="\n".join(rest[:20])
            )
        log.warning(
            f"{shown(path)}: {len(weights)} of the model's {len(here)} parameters and buffers are loaded, "
            f"{len(rest)} differ:\n  " + "\n  ".join(rest)
        )
    try:
        module.load_state_dict(weights, strict=not partially)
    except RuntimeError as error:
        if not restore.is_misfit(error):
            raise
        fault = restore.misfit(shown(path), weights, module, error)
        lines = (fault.hint or "").splitlines()[:-1]
        raise ConfigError(
            fault.message,
            hint="\n".join([*lines, "to take what fits and report the rest: --weights-partial"]),
        ) from error


def _fits(saved: Any, here: Any) -> bool:
    return is_lazy(here) or (
        here is not None and getattr(saved, "shape", None) == getattr(here, "shape", None)
    )
