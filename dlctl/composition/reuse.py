"""The config of a run that has been, used again: to resume, evaluate or predict."""

import copy
from collections.abc import Sequence
from dataclasses import replace

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from dlctl.composition import faults
from dlctl.composition.compose import Composed, compose, override
from dlctl.composition.keys import word
from dlctl.composition.overrides import chooses, line_of, parse
from dlctl.composition.search_path import loader
from dlctl.project import Project

# What an evaluation does not take over from the training.
_OF_THE_EVALUATION = ("task_name", "logger", "callbacks", "ckpt_path", "weights_path", "weights_partial")


def over(saved: Composed, overrides: Sequence[str]) -> Composed:
    """A saved config with new overrides on top: values are set, choices are composed as of today."""
    parsed = parse(overrides)
    configs = loader(saved.project)
    groups = [item for item in parsed if chooses(configs, item)]
    result = Composed(
        saved.project,
        saved.name,
        copy.deepcopy(saved.full),
        (*saved.overrides, *overrides),
        tuple(line_of(item) for item in groups),
    )
    if groups:
        _choose_again(result, parse(saved.overrides), groups, configs)
    override(result, [item for item in parsed if item not in groups])
    return result


def _choose_again(
    result: Composed, said: Sequence[Override], groups: list[Override], configs: ConfigLoaderImpl
) -> None:
    """Replace the parts of a saved config that new choices bring."""
    named = {item.key_or_group for item in groups}
    kept = [item for item in said if chooses(configs, item) and item.key_or_group not in named]
    fresh = compose(result.project, result.name, [line_of(item) for item in [*kept, *groups]])
    for item in groups:
        part = _replace(result.full, fresh.full, configs, item)
        # What was said of single values then still holds, where there are such values now.
        values = [
            each
            for each in said
            if not chooses(configs, each)
            and each.key_or_group.startswith(f"{part}.")
            and OmegaConf.select(result.full, each.key_or_group) is not None
        ]
        override(result, values)


def evaluation(
    project: Project,
    own: DictConfig | None,
    said: Sequence[str],
    overrides: Sequence[str],
    task: str,
    primary: str = "train",
) -> Composed:
    """The config with which a trained model is evaluated.

    Args:
        project: whose ``eval`` config gives what an evaluation needs of its own.
        own: the unresolved config of the training; None where nobody knows it any more.
        said: the overrides of the training.
        overrides: on top of all.
        task: names the folder of the new run.
        primary: the primary config of the training, from which new choices are composed.
    """
    if own is None:
        return compose(project, "eval", [f"++task_name={task}", *overrides])
    today = compose(project, "eval", [f"++task_name={task}"])
    with open_dict(today.full):
        for key in ("data", "datamodule", "model", "trainer"):
            today.full.pop(key, None)
        for name, node in own.items_ex(resolve=False):
            if name not in _OF_THE_EVALUATION:
                today.full[name] = node
    saved = Composed(project, primary, today.full, tuple(said))
    return replace(over(saved, overrides), overrides=tuple(overrides))


def differences(old: Composed, new: Composed) -> list[str]:
    """What differs between two configs, as ``key: old -> new``."""
    before, after = dict(faults.leaves(old.full)), dict(faults.leaves(new.full))
    return [
        f"{key}: {word(before.get(key))} -> {word(after.get(key))}"
        for key in {**before, **after}
        if before.get(key) != after.get(key) and not isinstance(after.get(key), DictConfig)
    ]


def _replace(full: DictConfig, fresh: DictConfig, configs: ConfigLoaderImpl, item: Override) -> str:
    """Put the part that a choice brought into the saved config; the part's key."""
    package: str = item.package or item.key_or_group.replace("/", ".")
    header = configs.repository.load_config(f"{item.key_or_group}/{item.value()}")
    if header is not None and header.header.get("package") == "_global_":
        hydra = full.hydra
        with open_dict(full):
            full.merge_with(fresh)
            full.hydra = hydra
        return ""
    node = OmegaConf.select(fresh, package)
    if package not in ("", "hydra"):
        OmegaConf.update(full, package, node, merge=False, force_add=True)
    return package
