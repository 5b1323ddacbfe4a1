"""What a search is to do: its settings, its space, and the config of each of its trials."""

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from dlctl import redact
from dlctl.composition import check, preflight
from dlctl.composition import faults as told
from dlctl.composition.absent import no_option
from dlctl.composition.compose import Composed, chooses, compose, line_of, override, parse
from dlctl.composition.resolving import hydra_values
from dlctl.composition.search_path import loader
from dlctl.errors import ConfigError, UsageError, raise_all
from dlctl.project import Project
from dlctl.sweep import space as spaces
from dlctl.sweep.space import Params, Space

# What Hydra's Optuna plugin calls the settings of a study.
_PLUGIN = {"trials": "n_trials", "jobs": "n_jobs", "storage": "storage", "direction": "direction"}
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_LESS_IS_MORE = re.compile(r"loss|err|perplexity|ppl|mae|mse|rmse|wer|cer", re.IGNORECASE)


@dataclass(frozen=True)
class Asked:
    """What the command line asks for beside overrides; None where it says nothing."""

    search: str | None = None
    experiment: str | None = None
    trials: int | None = None
    jobs: int | None = None
    study: str | None = None
    storage: str | None = None
    sampler: str | None = None
    pruner: str | None = None
    timeout: str | None = None
    keep_going: bool | None = None
    zipped: bool = False


@dataclass(frozen=True)
class Plan:
    """A search, composed and checked; nothing of it has run yet.

    Attributes:
        project: whose configs are composed.
        base: the config that all trials share.
        lines: the overrides that all trials share.
        space: what they differ in.
        metrics: what is optimized.
        directions: ``minimize`` or ``maximize``, one a metric.
        trials: how many are to end.
        jobs: how many run at once.
        timeout: seconds in which new ones start.
        keep_going: whether to go on after a failure.
        sampler: of Optuna, as a config.
        pruner: of Optuna, as a config.
        study: its name, if one was given.
        storage: where it is kept, if that was said.
        directory: of the sweep, if no study of this name has one.
    """

    project: Project
    base: Composed
    lines: tuple[str, ...]
    space: Space
    metrics: tuple[str, ...]
    directions: tuple[str, ...]
    trials: int
    jobs: int
    timeout: float | None
    keep_going: bool
    sampler: dict[str, Any]
    pruner: dict[str, Any]
    study: str | None
    storage: str | None
    directory: Path
    _warm: dict[tuple[str, ...], Composed] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        """What makes two commands the same search."""
        kept = [
            *self.lines,
            f"trials={self.trials}",
            *(f"{m} {d}" for m, d in zip(self.metrics, self.directions, strict=True)),
        ]
        kept += [f"{key}={text}" for key, text in self.space.facts["parameters"].items()]
        kept += [self.space.mode, str(self.sampler), str(self.pruner), self.storage or ""]
        return [redact.text(each) for each in kept]

    def trial(self, number: int, params: Params) -> Composed:
        """The config of a trial: composed once for each choice of groups, then only values are set."""
        lines = self.space.lines(params)
        configs = loader(self.project)
        items = parse(lines)
        groups = tuple(line_of(item) for item in items if chooses(configs, item))
        if groups not in self._warm:
            self._warm[groups] = compose(self.project, "train", [*self.lines, *groups])
        warm = self._warm[groups]
        found = replace(warm, full=copy.deepcopy(warm.full), overrides=(*self.lines, *lines))
        override(found, [item for item in items if line_of(item) not in groups])
        with open_dict(found.full):
            found.full.hydra.overrides.task = [*self.lines, *lines]
            found.full.hydra.job.override_dirname = ",".join(lines)
            found.full.hydra.job.num = number
        return found

    def run_dir(self, composed: Composed, sweep: Path) -> Path:
        """The directory of a trial in that of its sweep."""
        with hydra_values(composed.full, None):
            return sweep / str(composed.full.hydra.sweep.subdir)


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
    settings: Any = compose(project, "sweep", of_study).config
    lines = _base_lines(project, settings, fixed, asked, bool(swept))
    base = compose(project, "train", lines)
    sweeper = _plugin(base)
    _take_over(settings, sweeper, base, of_study)
    items = _varied(sweeper, swept, fixed, configs)
    searched = bool(asked.sampler) or (any(item not in swept for item in items) and "sampler" in sweeper)
    space = spaces.space(items, zipped=asked.zipped, sampled=searched and not asked.zipped)
    metrics = _metrics(base)
    _refuse_faults(base, items, space)
    return _plan(project, base, lines, space, metrics, settings, asked)


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
        trials = min(asked.trials or space.size, space.size)
    pruner = OmegaConf.to_container(settings.pruner)
    if space.mode != "search" and not asked.pruner:
        pruner = {"_target_": "optuna.pruners.NopPruner"}  # who asks for all combinations wants all of them
    directory = _sweep_dir(base)
    sampler: Any = OmegaConf.to_container(settings.sampler)
    if "seed" in sampler and sampler["seed"] is None:
        sampler["seed"] = base.config.get("seed")
    return Plan(
        project=project,
        base=base,
        lines=tuple(lines),
        space=space,
        metrics=tuple(metrics),
        directions=tuple(_directions(base, metrics, settings.get("direction"))),
        trials=int(trials),
        jobs=int(asked.jobs or settings.get("jobs") or 1),
        timeout=seconds(asked.timeout or settings.get("timeout")),
        keep_going=bool(settings.get("keep_going", True)) if asked.keep_going is None else asked.keep_going,
        sampler=sampler,
        pruner=pruner,  # type: ignore[arg-type]
        study=asked.study or settings.get("study"),
        storage=asked.storage or settings.get("storage"),
        directory=directory.with_name(asked.study) if asked.study else directory,
    )


def _divide(project: Project, items: Sequence[Override]) -> tuple[list[str], list[Override]]:
    """Overrides of the study's settings, and those of the trials: a name that train has is train's."""
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
    if swept or "hparams_search" in named or _plugin(compose(project, "train", lines)).get("params"):
        return lines
    if settings.get("search"):
        lines.insert(0, f"hparams_search={settings.search}")
    if settings.get("experiment") and not asked.experiment and "experiment" not in named:
        lines.insert(0, f"experiment={settings.experiment}")
    return lines


def _plugin(base: Composed) -> dict[str, Any]:
    """The settings under ``hydra.sweeper``, resolved: as files for Hydra's plugins give them."""
    with hydra_values(base.full, None):
        found: Any = OmegaConf.to_container(base.full.hydra.sweeper, resolve=True)
    found = found or {}
    if found.get("custom_search_space"):
        raise ConfigError(
            "hydra.sweeper.custom_search_space is a function, and dlctl searches what can be written down",
            hint="write the space under hydra.sweeper.params",
            key="hydra.sweeper.custom_search_space",
        )
    old = found.get("search_space") or {}
    found["params"] = {
        **{key: spaces.legacy(each) for key, each in old.items()},
        **(found.get("params") or {}),
    }
    return found


def _take_over(settings: Any, sweeper: dict[str, Any], base: Composed, said: Sequence[str]) -> None:
    """Let the settings of a search's file stand over dlctl's, and below those of the command line."""
    named = {line.lstrip("+").partition("=")[0].partition(".")[0] for line in said}
    with open_dict(settings):
        for ours, theirs in {**_PLUGIN, "study": "study_name"}.items():
            if sweeper.get(theirs) is not None and ours not in named:
                settings[ours] = sweeper[theirs]
        for part in ("sampler", "pruner"):
            if isinstance(sweeper.get(part), dict) and part not in named and sweeper[part].get("_target_"):
                settings[part] = sweeper[part]


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


def _metrics(base: Composed) -> list[str]:
    found = base.config.get("optimized_metric")
    names = [found] if isinstance(found, str) else [str(each) for each in found or []]
    if not names:
        raise ConfigError(
            "the config names no metric to optimize", hint="optimized_metric=val/acc", key="optimized_metric"
        )
    return names


def _directions(base: Composed, metrics: Sequence[str], said: Any) -> list[str]:
    """Which way is better: as the config says, or as a callback watches the metric, or by its name."""
    if said is not None:
        given = [said] * len(metrics) if isinstance(said, str) and len(metrics) == 1 else said
        given = [given] if isinstance(given, str) else list(given)
        if len(given) == len(metrics) and set(given) <= {"minimize", "maximize"}:
            return given
        raise ConfigError(
            f"direction is {said}, and the metrics are {', '.join(metrics)}",
            hint="direction=minimize or maximize, a list with one for each metric",
            key="direction",
        )
    return [_direction(base, name) for name in metrics]


def _direction(base: Composed, metric: str) -> str:
    callbacks = base.config.get("callbacks") or {}
    for node in callbacks.values():
        if isinstance(node, DictConfig) and node.get("monitor") in (metric, metric.removesuffix("_best")):
            return "maximize" if node.get("mode") == "max" else "minimize"
    return "minimize" if _LESS_IS_MORE.search(metric) else "maximize"


def _sweep_dir(base: Composed) -> Path:
    with hydra_values(base.full, None):
        return Path(str(base.full.hydra.sweep.dir)).absolute()


def _refuse_faults(base: Composed, items: Sequence[Override], space: Space) -> None:
    """Tell everything that is known to be wrong before torch is imported."""
    base.resolve(base.run_dir())
    found = [*check.faults(base, imports=False, searched=True), *_unknown(base, items)]
    doubtful = ("path", "value")
    raise_all([fault for fault in found if fault.topic not in doubtful])
    configs = loader(base.project)
    for item, parameter in zip(items, space.parameters, strict=True):
        if not chooses(configs, item):
            raise_all(preflight.unfit(base, item.key_or_group, _scalars(parameter.values)))


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
        if (options := base.project.options(item.key_or_group)) and item.is_choice_sweep():
            for option in (str(each) for each in item.sweep_iterator()):
                if option not in options and "/" not in option and option != "null":
                    found.append(no_option(base.project, item.key_or_group, option))
    return found


def seconds(text: Any) -> float | None:
    """``2h``, ``90m``, ``1h30m`` or a number of seconds.

    Raises:
        UsageError: it is none.
    """
    if text is None:
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([smhd]?)", str(text).strip().lower())
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != str(text).lower().replace(
        " ", ""
    ):
        raise UsageError(f"'{text}' is no time", hint="--timeout 2h, 90m, 1h30m or 45s")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
