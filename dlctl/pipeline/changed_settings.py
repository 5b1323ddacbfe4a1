"""Let a resumed training use the settings that its config has now.

A checkpoint restores the settings of optimizers, schedulers and callbacks together with their state. What
the config said when the run started is kept with it: a difference from now is a change by the user.
"""

import inspect
from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Callback, Trainer
from torch import Tensor

from dlctl.errors import CheckpointMisfit

Settings = dict[str, Any]
State = dict[str, Any]


def configured_schedulers(trainer: Trainer) -> list[Any]:
    """The schedulers, with those that SequentialLR and ChainedScheduler hold."""
    found = []
    for config in trainer.lr_scheduler_configs:
        found += [config.scheduler, *getattr(config.scheduler, "_schedulers", ())]
    return found


def optimizer_settings(trainer: Trainer) -> State:
    """What the optimizers and schedulers are configured with, before a checkpoint is restored."""
    return {
        "optimizers": [
            {"class": _name(each), "groups": [_plain_items(group) for group in each.param_groups]}
            for each in trainer.optimizers
        ],
        "schedulers": [
            {"class": _name(each), "settings": _plain_items(vars(each))}
            for each in configured_schedulers(trainer)
        ],
    }


def callback_settings(callbacks: Sequence[Callback]) -> list[State]:
    """What the callbacks were made with: those of their attributes that are named after an argument."""
    return [{"class": _name(each), "settings": _arguments(each)} for each in callbacks]


def refuse_other_optimizers(before: State, now: State) -> None:
    """Make sure that the state of the optimizers fits what the config asks for now.

    Raises:
        CheckpointMisfit: other classes of optimizers or schedulers, or another number of them.
    """
    for kind in ("optimizers", "schedulers"):
        old, new = ([each["class"] for each in state[kind]] for state in (before, now))
        if old != new:
            raise CheckpointMisfit(
                f"the config has {_listed(new)} and the checkpoint holds the state of {_listed(old)}",
                hint="a resumed training keeps its optimizers and schedulers: leave out that override, "
                "or start a new run from the weights: --weights PATH",
            )


def apply_optimizer_changes(
    trainer: Trainer, schedulers: Sequence[Any], before: State, now: State
) -> list[str]:
    """Change what a restored optimizer or scheduler is to do from here on.

    A learning rate that a scheduler has changed is changed by the same factor as the one in the config.

    Args:
        trainer: with its state restored.
        schedulers: those that the config asks for; a callback may have put others in their place.
        before: the settings when the run was started.
        now: those of the config as it is now.

    Returns:
        What changed, a line each.
    """
    changes: list[str] = []
    for optimizer, old, new in zip(trainer.optimizers, before["optimizers"], now["optimizers"], strict=True):
        groups = zip(optimizer.param_groups, old["groups"], new["groups"], strict=False)
        for number, (group, was, wanted) in enumerate(groups):
            for key in [key for key in wanted if key in was and was[key] != wanted[key]]:
                value = wanted[key]
                if key == "lr" and was[key] and group[key] != was[key]:
                    value = float(group[key]) * (wanted[key] / was[key])
                where = f"param_groups[{number}]." if len(optimizer.param_groups) > 1 else ""
                if key != "initial_lr":
                    changes.append(f"{_name(optimizer)}.{where}{key}: {group[key]} -> {value}")
                if isinstance(group[key], Tensor):
                    group[key].fill_(value)
                else:
                    group[key] = value
    for scheduler, old, new in zip(schedulers, before["schedulers"], now["schedulers"], strict=True):
        for key, value in new["settings"].items():
            if key in old["settings"] and old["settings"][key] != value and not _is_progress(key):
                changes.append(f"{_name(scheduler)}.{key}: {old['settings'][key]} -> {value}")
                setattr(scheduler, key, value)
        if hasattr(scheduler, "_last_lr"):
            scheduler._last_lr = [group["lr"] for group in scheduler.optimizer.param_groups]
    return changes


def apply_callback_changes(callbacks: Sequence[Callback], before: list[State], now: list[State]) -> list[str]:
    """The same for callbacks, which keep some of their settings with their state.

    Args:
        callbacks: with their states restored.
        before: the settings when the run was started.
        now: those of the config as it is now.

    Returns:
        What changed, a line each.
    """
    changes = []
    for callback, new in zip(callbacks, now, strict=True):
        old = next((each for each in before if each["class"] == new["class"]), None)
        if old is None or [each["class"] for each in before].count(new["class"]) > 1:
            continue
        for key, value in new["settings"].items():
            if key in old["settings"] and old["settings"][key] != value and getattr(callback, key) != value:
                changes.append(f"{_name(callback)}.{key}: {getattr(callback, key)} -> {value}")
                setattr(callback, key, value)
    return changes


def group_names(trainer: Trainer) -> list[list[list[str]]]:
    """The names of the parameters in each group of each optimizer."""
    names = {id(parameter): name for name, parameter in trainer.lightning_module.named_parameters()}
    return [
        [[names.get(id(each), "") for each in group["params"]] for group in optimizer.param_groups]
        for optimizer in trainer.optimizers
    ]


def add_missing_groups(trainer: Trainer, names: list[list[list[str]]]) -> None:
    """Add the parameter groups that training had added, so that the state of the optimizers fits."""
    parameters = dict(trainer.lightning_module.named_parameters())
    for optimizer, groups in zip(trainer.optimizers, names, strict=False):
        for group in groups[len(optimizer.param_groups) :]:
            if all(name in parameters for name in group):
                optimizer.add_param_group({"params": [parameters[name] for name in group]})


def _is_progress(key: str) -> bool:
    """Whether an attribute of a scheduler tells how far it is; phases and milestones are settings."""
    return key.startswith("_") and key not in ("_schedule_phases", "_milestones")


def _plain_items(values: Any) -> Settings:
    found = {}
    for key, value in values.items():
        if isinstance(value, Tensor) and value.numel() == 1:
            value = value.item()  # a learning rate may be one
        if key != "params" and _is_plain(value):
            found[key] = value
    return found


def _arguments(callback: Callback) -> Settings:
    names = list(inspect.signature(type(callback).__init__).parameters)
    attributes = vars(callback)
    found = {}
    for name in names:
        for key in (name, f"_{name}"):
            if key in attributes and _is_plain(attributes[key]):
                found[key] = attributes[key]
    return found


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(item) for item in value.values())
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    return value is None or type(value) in (bool, int, float, str)


def _name(value: object) -> str:
    return type(value).__name__


def _listed(names: list[str]) -> str:
    return " and ".join(names) if names else "none"
