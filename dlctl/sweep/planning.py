"""From a command line to a plan: what is searched, with which settings, and what is wrong with it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf, open_dict

from dlctl.composition import check, config_store, preflight, roots
from dlctl.composition import faults as told
from dlctl.composition.absent import no_option
from dlctl.composition.compose import Composed, compose
from dlctl.composition.overrides import chooses, line_of, parse
from dlctl.composition.resolving import hydra_values
from dlctl.composition.search_path import loader
from dlctl.errors import ConfigError, UsageError, raise_all
from dlctl.project import Project
from dlctl.sweep import settings as settings_of
from dlctl.sweep import space as spaces
from dlctl.sweep.plan import Asked, Plan
from dlctl.sweep.space import Space

# Samplers of Hydra's plugin that Optuna calls otherwise today.
_RENAMED = {"motpe": "tpe"}


def make(project: Project, said: Sequence[str], asked: Asked) -> Plan:
    """Compose a search and find out what is wrong with it before anything starts.

    Args:
        project: whose configs are composed.
        said: the overrides of the command line; with several values they are searched.
        asked: its options.

    Raises:
        ConfigError: all that is known to be wrong.
    """
    configs = loader(project)
    parsed = parse(said, configs)
    swept = [item for item in parsed if item.is_sweep_override()]
    of_study, fixed = _divide(project, [item for item in parsed if item not in swept])
    options = {"sampler": asked.sampler, "pruner": asked.pruner}
    of_study = [*(f"{name}={value}" for name, value in options.items() if value), *of_study]
    settings = _settings(project, of_study)
    lines = _base_lines(project, settings, fixed, asked, bool(swept))
    base = compose(project, "train", lines)
    if (name := base.choices.get("hydra/sweeper/sampler")) and not asked.sampler:
        settings = _settings(project, [f"sampler={_RENAMED.get(name, name)}", *of_study])
    sweeper = settings_of.plugin(base)
    settings_of.take_over(settings, sweeper, base, of_study)
    items = _varied(sweeper, swept, fixed, configs)
    grid = str(settings.sampler["_target_"]).endswith(".GridSampler")
    searched = bool(asked.sampler) or (any(item not in swept for item in items) and "sampler" in sweeper)
    whole = {item.get_key_element() for item in items if item.is_interval_sweep() and _is_whole(base, item)}
    searched = searched and not grid and not asked.zipped
    space = spaces.space(items, zipped=asked.zipped, sampled=searched, whole=whole)
    if grid:
        _take_grid(settings, sweeper, space)
    metrics = settings_of.metrics(base)
    _refuse_faults(base, items, space)
    return _plan(project, base, lines, space, metrics, settings, asked)


def _settings(project: Project, lines: Sequence[str]) -> Any:
    """The config of a search.

    Raises:
        ConfigError: it chooses no sampler or no pruner.
    """
    composed = compose(project, "sweep", lines)
    raise_all([*roots.lacking(composed)])
    return composed.config


def _take_grid(settings: Any, sweeper: dict[str, Any], space: Space) -> None:
    """Optuna's sampler of a grid wants to be told the space; all combinations are what it comes to.

    Raises:
        ConfigError: an interval is searched.
    """
    if space.mode == "search":
        key = next(each.key for each in space.parameters if not each.choices)
        raise ConfigError(
            f"a grid takes lists, and '{key}' is an interval",
            hint=f"name its values: {key}=1,2,3, or choose another: --sampler tpe",
            key=key,
        )
    with open_dict(settings):
        settings.sampler = {"_target_": "optuna.samplers.RandomSampler"}  # has nothing to choose
        settings.combinations = sweeper.get("n_trials")


def _plan(
    project: Project,
    base: Composed,
    lines: list[str],
    space: Space,
    metrics: list[str],
    settings: Any,
    asked: Asked,
) -> Plan:
    trials = asked.trials or settings.get("trials") or 20
    if space.size is not None:
        trials = min(asked.trials or settings.get("combinations") or space.size, space.size)
    pruner = OmegaConf.to_container(settings.pruner)
    if space.mode != "search" and not asked.pruner:
        pruner = {"_target_": "optuna.pruners.NopPruner"}  # who asks for all combinations wants all of them
    directory = _sweep_dir(base)
    sampler: Any = OmegaConf.to_container(settings.sampler)
    settings_of.refuse_uninstalled(str(sampler["_target_"]))
    if "seed" in sampler and sampler["seed"] is None:
        sampler["seed"] = base.config.get("seed")
    return Plan(
        project=project,
        base=base,
        lines=tuple(lines),
        space=space,
        metrics=tuple(metrics),
        directions=tuple(settings_of.directions(base, metrics, settings.get("direction"))),
        trials=int(trials),
        jobs=int(asked.jobs or settings.get("jobs") or 1),
        timeout=settings_of.seconds(asked.timeout or settings.get("timeout")),
        trial_timeout=settings_of.seconds(
            asked.trial_timeout or settings.get("trial_timeout"), "trial_timeout"
        ),
        keep_going=bool(settings.get("keep_going", True)) if asked.keep_going is None else asked.keep_going,
        sampler=sampler,
        pruner=pruner,  # type: ignore[arg-type]
        study=asked.study or settings.get("study"),
        storage=asked.storage or settings.get("storage"),
        _warm={(): base},
        directory=directory.with_name(asked.study) if asked.study else directory,
    )


def _divide(project: Project, items: Sequence[Override]) -> tuple[list[str], list[Override]]:
    """Overrides of the study's settings, and those of the trials: a name that train has is train's."""
    if not items:
        return [], []
    train, study = (compose(project, name).config for name in ("train", "sweep"))
    own = {str(key) for key in study} - {str(key) for key in train}
    mine = [item for item in items if item.key_or_group.partition(".")[0] in own - {"experiment"}]
    return [line_of(item) for item in mine], [item for item in items if item not in mine]


def _base_lines(
    project: Project, settings: Any, fixed: Sequence[Override], asked: Asked, swept: bool
) -> list[str]:
    """The overrides of all trials; those of the default search where nothing else is searched."""
    named = {item.key_or_group for item in fixed}
    lines = [line_of(item) for item in fixed]
    if asked.experiment:
        lines.insert(0, f"experiment={asked.experiment}")
    if asked.search:
        return [f"hparams_search={asked.search}", *lines]
    if (
        swept
        or "hparams_search" in named
        or settings_of.plugin(compose(project, "train", lines)).get("params")
    ):
        return lines
    if settings.get("search"):
        lines.insert(0, f"hparams_search={settings.search}")
    if settings.get("experiment") and not asked.experiment and "experiment" not in named:
        lines.insert(0, f"experiment={settings.experiment}")
    return lines


def _varied(
    sweeper: dict[str, Any], swept: Sequence[Override], fixed: Sequence[Override], configs: Any
) -> list[Override]:
    """What trials differ in: of the search's file, and of the command line, which has the last word."""
    said = {item.get_key_element().lstrip("+") for item in [*swept, *fixed]}
    lines = [f"{key}={value}" for key, value in sweeper["params"].items() if str(key).lstrip("+") not in said]
    items = [*parse(lines, configs), *swept]
    if not items:
        raise UsageError(
            "nothing is searched",
            hint="give several values (data.batch_size=32,64), an interval, or --search NAME",
        )
    if any(item.key_or_group.partition(".")[0] == "optimized_metric" for item in items):
        raise UsageError(
            "'optimized_metric' is what the search optimizes, and cannot differ between trials",
            hint="several at once: optimized_metric=[val/loss,val/acc]",
        )
    if hydra := [item for item in items if item.is_hydra_override()]:
        raise UsageError(
            f"'{hydra[0].key_or_group}' is no value of a trial", hint="a search varies the config"
        )
    # A single value in the file's params is one that all trials get; a list of one does the same.
    return [
        item
        if item.is_sweep_override()
        else parse([f"{item.get_key_element()}=choice({_value(item)})"], configs)[0]
        for item in items
    ]


def _value(item: Override) -> str:
    return line_of(item).partition("=")[2]


def _sweep_dir(base: Composed) -> Path:
    with hydra_values(base.full, None):
        return Path(str(base.full.hydra.sweep.dir)).absolute()


def _refuse_faults(base: Composed, items: Sequence[Override], space: Space) -> None:
    """Tell everything that is known to be wrong before torch is imported."""
    base.resolve(base.run_dir())
    found = [*check.faults(base, imports=False, searched=True), *_unknown(base, items)]
    doubtful = ("path", "data", "value")
    raise_all([fault for fault in found if fault.topic not in doubtful])
    configs = loader(base.project)
    for item, parameter in zip(items, space.parameters, strict=True):
        if not chooses(configs, item):
            raise_all(preflight.unfit(base, item.key_or_group, _scalars(parameter.plain)))


def _is_whole(base: Composed, item: Override) -> bool:
    """Whether an interval written with whole numbers, which Hydra makes floats, is one of whole numbers."""
    ends = re.search(r"interval\(\s*-?\d+\s*,\s*-?\d+\s*\)", line_of(item))
    if ends is None or "float(" in line_of(item):
        return False
    wanted = preflight.expected(base.full, item.key_or_group)
    if wanted is not None:
        return not wanted.accepts(0.5)
    now = OmegaConf.select(base.config, item.key_or_group, throw_on_resolution_failure=False)
    span: Any = item.value()
    return not isinstance(now, float) and span.end - span.start > 1


def _scalars(values: Sequence[Any]) -> list[Any]:
    """The values that an annotation can be held against."""
    return [
        value
        for value in values
        if value is not None and "${" not in str(value) and str(value)[:1] not in "[{"
    ]


def _unknown(base: Composed, items: Sequence[Override]) -> list[ConfigError]:
    """What is searched and is not in the config."""
    found = []
    in_file = base.full.hydra.sweeper.get("params") or {}
    for item in items:
        key = item.key_or_group
        if item.is_add() or item.is_force_add() or key in in_file or check.known(base, key):
            continue
        close = list(told.close_keys(base.full, key))
        message = f"the search varies '{key}', which is not in the config"
        hint = told.meant(close) or f"to add a new key: +{line_of(item)}"
        found.append(ConfigError(message, hint=hint, key=key, suggestions=close, topic="key"))
    for item in items:
        if (options := config_store.all_options(base.project, item.key_or_group)) and item.is_choice_sweep():
            for option in (str(each) for each in item.sweep_iterator()):
                if option not in options and "/" not in option and option != "null":
                    found.append(no_option(base.project, item.key_or_group, option))
    return found
