"""The settings of a search: of dlctl's sweep.yaml, of files for Hydra's plugin, of the metric itself."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from dlctl.composition.compose import Composed
from dlctl.composition.durations import parse_duration
from dlctl.composition.registering import retried
from dlctl.composition.resolving import hydra_values
from dlctl.errors import ConfigError, UsageError
from dlctl.sweep import space as spaces

# What Hydra's Optuna plugin calls the settings of a study.
_PLUGIN = {"trials": "n_trials", "jobs": "n_jobs", "storage": "storage", "direction": "direction"}
_DIRECTIONS = ("minimize", "maximize")
_LESS_IS_MORE = re.compile(r"loss|err|perplexity|ppl|mae|mse|rmse|wer|cer", re.IGNORECASE)


def plugin(base: Composed) -> dict[str, Any]:
    """The settings under ``hydra.sweeper``, resolved: as files for Hydra's plugins give them."""
    with hydra_values(base.full, None):
        sweeper = base.full.hydra.sweeper
        found: Any = retried(base.project, lambda: OmegaConf.to_container(sweeper, resolve=True))
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
    return dict(found)


def take_over(settings: Any, sweeper: dict[str, Any], base: Composed, said: Sequence[str]) -> None:
    """Let the settings of a search's file stand over dlctl's, and below those of the command line."""
    named = {line.lstrip("+").partition("=")[0].partition(".")[0] for line in said}
    with open_dict(settings):
        for ours, theirs in {**_PLUGIN, "study": "study_name"}.items():
            if sweeper.get(theirs) is not None and ours not in named:
                settings[ours] = sweeper[theirs]
        for part in ("sampler", "pruner"):
            if isinstance(sweeper.get(part), dict) and part not in named and sweeper[part].get("_target_"):
                settings[part] = sweeper[part]


# What samplers import only once they are asked for their first values.
_WANTED = {"CmaEsSampler": "cmaes", "QMCSampler": "scipy", "GPSampler": "scipy"}


def refuse_uninstalled(sampler: str) -> None:
    """Tell that a sampler lacks its package before the first trials are over.

    Raises:
        ConfigError: it does.
    """
    package = _WANTED.get(sampler.rpartition(".")[2])
    if package and find_spec(package) is None:
        raise ConfigError(
            f"{sampler} needs the package {package}", hint=f"pip install {package}", key="sampler"
        )


def metrics(base: Composed) -> list[str]:
    """What is optimized, one metric or several."""
    found = base.config.get("optimized_metric")
    names = [found] if isinstance(found, str) else [str(each) for each in found or _watched(base)]
    if not names:
        raise ConfigError(
            "the config names no metric to optimize", hint="optimized_metric=val/acc", key="optimized_metric"
        )
    return names


def _watched(base: Composed) -> list[str]:
    """The metric by which checkpoints are chosen, of configs that name none to optimize."""
    kept = [node for node in _callbacks(base) if str(node.get("_target_")).endswith(".ModelCheckpoint")]
    return [str(node.monitor) for node in kept if node.get("monitor")][:1]


def _callbacks(base: Composed) -> list[DictConfig]:
    """The nodes of callbacks: all of the group's, or the group itself if it has a ``_target_``."""
    group = base.config.get("callbacks")
    if not isinstance(group, DictConfig):
        return []
    return [group] if "_target_" in group else [e for e in group.values() if isinstance(e, DictConfig)]


def directions(base: Composed, metrics: Sequence[str], said: Any) -> list[str]:
    """Which way is better: as the config says, or as a callback watches the metric, or by its name."""
    if said is not None:
        given = [said] * len(metrics) if isinstance(said, str) and len(metrics) == 1 else said
        given = [given] if isinstance(given, str) else list(given)
        if len(given) == len(metrics) and set(given) <= set(_DIRECTIONS):
            return given
        close = [word for each in given for word in get_close_matches(str(each).lower(), _DIRECTIONS, 1, 0.5)]
        raise ConfigError(
            f"direction is {said}, and the metrics are {', '.join(metrics)}",
            hint=f"did you mean {', '.join(close)}?"
            if len(close) == len(metrics) and close != given
            else "direction=minimize or maximize, a list with one for each metric",
            key="direction",
            suggestions=close,
        )
    return [_direction(base, name) for name in metrics]


def _direction(base: Composed, metric: str) -> str:
    for node in _callbacks(base):
        if node.get("monitor") in (metric, metric.removesuffix("_best")):
            return "maximize" if node.get("mode") == "max" else "minimize"
    return "minimize" if _LESS_IS_MORE.search(metric) else "maximize"


def seconds(text: Any, key: str = "timeout") -> float | None:
    """Parse a duration: ``2h``, ``90m``, ``1h30m`` or a number of seconds.

    Args:
        text: as an option or a config gives it; None for no limit.
        key: the setting, for the message.

    Raises:
        UsageError: it is invalid, or not above 0.
    """
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        option = f"--{key.replace('_', '-')}"
        raise UsageError(f"{error} for {option}", hint=f"{option} 2h, 90m, 1h30m or 45s") from None
