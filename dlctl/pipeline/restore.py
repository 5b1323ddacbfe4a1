"""Put what a checkpoint holds into a model and its callbacks, when Lightning asks for it.

Only then are the model's parameters known: ``setup``, ``configure_model`` and ``on_load_checkpoint`` of a
module may make layers, compile a net, or add weights that were left out.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch.nn.parameter import is_lazy

from dlctl.errors import CheckpointMisfit
from dlctl.pipeline import checkpoints
from dlctl.pipeline.lightning_adapter import callbacks_of
from dlctl.project import shown
from dlctl.runs.record import Run

log = logging.getLogger(__name__)
State = dict[str, Any]
_COMPILED = "_orig_mod"
_MOST_NAMES = 20


@dataclass(frozen=True)
class _Guard:
    trainer: Trainer
    run_id: str
    run_dir: Path
    trust: bool

    @property
    def path(self) -> Path:
        return Path(str(self.trainer.ckpt_path))


def guard(trainer: Trainer, run: Run, *, trust: bool = False) -> None:
    """Check and explain what a Trainer restores from checkpoints.

    - Names of parameters match whether or not the net was compiled when the checkpoint was written.
    - Weights or optimizer states that do not fit are a CheckpointMisfit with names and shapes.
    - Callbacks get no path from a checkpoint that leads out of the run's directory, and a ModelCheckpoint
      gets nothing from the checkpoint of another run: it would delete, or call best, files of that run.

    Args:
        trainer: whose strategy is changed in place.
        run: the run that the Trainer works for.
        trust: let callbacks other than ModelCheckpoint have any path.
    """
    about = _Guard(trainer, run.id, run.dir, trust)
    # Of partials: processes that Lightning spawns get the strategy pickled.
    strategy: Any = trainer.strategy
    strategy.load_model_state_dict = partial(_load_model, about)
    strategy.load_optimizer_state_dict = partial(_load_optimizers, about)


def _load_model(about: _Guard, checkpoint: State, strict: bool = True) -> None:
    strategy = about.trainer.strategy
    module = about.trainer.lightning_module
    _hold_paths(about, checkpoint)
    saved = checkpoint.get("state_dict")
    if isinstance(saved, dict):
        saved = checkpoint["state_dict"] = match_names(saved, module)
    try:
        type(strategy).load_model_state_dict(strategy, checkpoint, strict=strict)
    except RuntimeError as error:
        if not is_misfit(error):
            raise
        raise misfit(
            f"the checkpoint {shown(about.path)}", saved or {}, module, error, strict=strict
        ) from error
    if not strict:
        absent = [name for name in module.state_dict() if name not in (saved or {})]
        if absent:
            log.warning(
                f"the checkpoint has no values for {listed(absent)}: they stay as the model was built "
                "(strict_loading is off)"
            )


def _load_optimizers(about: _Guard, checkpoint: State) -> None:
    strategy = about.trainer.strategy
    saved, here = checkpoint.get("optimizer_states"), strategy.optimizers
    if isinstance(saved, list) and len(saved) != len(here):
        log.warning(f"the checkpoint has the states of {len(saved)} optimizers, and the model {len(here)}")
    try:
        type(strategy).load_optimizer_state_dict(strategy, checkpoint)
    except (ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointMisfit(
            f"the optimizer state in {shown(about.path)} does not fit the model's optimizer: {reason}",
            hint="leave out the overrides of the model and its optimizer\n"
            f"a new training with the weights alone: dlctl train --weights {shown(about.path)}",
        ) from error


# -- weights --------------------------------------------------------------------------------------


def match_names(saved: Mapping[str, Any], module: LightningModule) -> State:
    """Rename parameters that have another name only because a net was compiled or is no longer.

    ``torch.compile`` puts ``_orig_mod.`` into the names of all parameters of what it compiles.
    """
    here = module.state_dict().keys()
    by_plain_name = {_plain_name(name): name for name in here}
    renamed: State = {}
    for name, value in saved.items():
        match = name if name in here else by_plain_name.get(_plain_name(name), name)
        renamed[match if match not in saved else name] = value
    return renamed


def _plain_name(name: str) -> str:
    return ".".join(part for part in name.split(".") if part != _COMPILED)


def is_misfit(error: RuntimeError) -> bool:
    """Whether an exception is torch's report of a ``state_dict`` that does not fit."""
    return str(error).startswith("Error(s) in loading state_dict")


def misfit(
    what: str, saved: Mapping[str, Any], module: LightningModule, error: RuntimeError, *, strict: bool = True
) -> CheckpointMisfit:
    """The error for weights that do not fit a model, with the names and shapes that differ.

    Args:
        what: the file, as the beginning of the message.
        saved: the weights.
        module: the model.
        error: torch's own, for modules that compare something else than shapes.
        strict: names that only one of them has differ too.
    """
    found = differences(saved, module, strict=strict) or [
        " ".join(line.split()) for line in str(error).splitlines()[1:]
    ]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    rest = [*found[1:_MOST_NAMES], *(["..."] if len(found) > _MOST_NAMES else [])]
    hint = "leave out the overrides of model.*, or name the checkpoint of such a model"
    return CheckpointMisfit(
        f"{what} does not fit the model: {found[0] if found else error}{more}", hint="\n".join([*rest, hint])
    )


def differences(saved: Mapping[str, Any], module: LightningModule, *, strict: bool = True) -> list[str]:
    """The parameters of other shapes, and those that only the file or only the model has."""
    here = module.state_dict()
    found = []
    for name in [*here, *(name for name in saved if name not in here)]:
        there, built = _shape(saved.get(name)), _shape(here.get(name))
        if there != built and (strict or (name in saved and name in here)):
            found.append(f"{name} is {there} in the checkpoint and {built} here")
    return found


def _shape(value: Any) -> str:
    if value is None:
        return "absent"
    if is_lazy(value):
        return "uninitialized"
    return str(list(getattr(value, "shape", [])))


def listed(names: Sequence[str], most: int = 3) -> str:
    """A few names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


# -- paths ----------------------------------------------------------------------------------------


def _hold_paths(about: _Guard, checkpoint: State) -> None:
    """Take the state of callbacks out of a checkpoint that would lead them to files of others."""
    states = checkpoint.get("callbacks")
    if not isinstance(states, dict):
        checkpoint["callbacks"] = {}
        return
    carried = checkpoint.get("dlctl")
    carried = carried if isinstance(carried, dict) else {}
    own = carried.get("run") == about.run_id
    if own and isinstance(carried.get("dir"), str):
        checkpoints.relocate(checkpoint, carried["dir"], str(about.run_dir))
        carried["dir"] = str(about.run_dir)
    callbacks = callbacks_of(about.trainer)
    kept = {}
    for key, state in checkpoint["callbacks"].items():
        owner = next((each for each in callbacks if key in (each.state_key, type(each))), None)
        if isinstance(owner, Checkpoint):
            if not own:
                continue
            roots = [str(about.run_dir), str(getattr(owner, "dirpath", None) or about.run_dir)]
        elif about.trust:
            kept[key] = state
            continue
        else:
            roots = [str(about.run_dir)] if own else []
        outside = next((path for path in _paths(state) if not _is_inside(path, roots)), None)
        if outside is None:
            kept[key] = state
        elif owner is not None:
            log.warning(
                f"the checkpoint's state of {type(owner).__name__} names {shown(outside)}, "
                "which is not in the run's directory: the state is not used"
            )
    checkpoint["callbacks"] = kept
    if not (own or about.trust):
        _hold_attributes(carried)


def _hold_attributes(carried: State) -> None:
    """Take out the paths that another run kept in attributes of its objects: this one might write there."""
    resumed = carried.get("resume")
    attributes = resumed.get("attributes") if isinstance(resumed, dict) else None
    kept = attributes.get("kept") if isinstance(attributes, dict) else None
    if isinstance(kept, dict) and isinstance(attributes, dict):
        with_paths = []
        for values in filter(lambda each: isinstance(each, dict), kept.values()):
            found = [name for name, value in values.items() if next(_paths(value), None) is not None]
            for name in found:
                del values[name]
            with_paths += found
        if with_paths:
            names = listed(with_paths)
            log.warning(f"the checkpoint's values of {names} name files of another run: they are not used")


def _paths(value: Any) -> Iterator[str]:
    """Every text in the state of a callback that can be the path of a file."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _paths(key)
            yield from _paths(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _paths(item)
    elif isinstance(value, str | bytes | os.PathLike):
        text = os.fsdecode(value)
        # A metric's name such as val/loss is not a path. An absolute, climbing or existing one is.
        path = Path(text)
        climbs = ".." in path.parts or (os.sep in text and text.startswith("~"))
        if path.is_absolute() or climbs or "://" in text or (os.sep in text and os.path.lexists(text)):
            yield text


def _is_inside(path: str, roots: Sequence[str]) -> bool:
    if "://" in path:
        below = any(path.startswith(root.rstrip("/") + "/") or path == root for root in roots)
        return below and ".." not in path.split("/")
    try:
        real = Path(os.path.realpath(path))
    except ValueError:
        return False
    return any(real.is_relative_to(os.path.realpath(root)) for root in roots if "://" not in root)
