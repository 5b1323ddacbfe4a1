"""Experiments and searches as config files: of overrides, of a run, of a trial."""

from collections.abc import Sequence
from typing import Any

import yaml
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from dlctl.composition.compose import Composed, compose, load
from dlctl.composition.keys import differences
from dlctl.composition.logged import Logged
from dlctl.composition.overrides import chooses, line_of, parse
from dlctl.composition.search_path import loader
from dlctl.errors import ConfigError
from dlctl.project import Project
from dlctl.runs.record import Run

# What belongs to one run and to no experiment.
_OF_THE_RUN = ("ckpt_path", "experiment", "hparams_search", "hydra", "debug")


def of_overrides(project: Project, name: str, about: str, lines: Sequence[str]) -> str:
    """An experiment that does what overrides say.

    Args:
        project: whose configs are combined.
        name: of the experiment.
        about: what it is, one line.
        lines: the overrides; those that remove something say nothing here.
    """
    choices, others = _divided(project, lines)
    values: dict[str, Any] = {}
    for item in others:
        if not item.is_delete():
            _set(values, item.key_or_group.split("."), item.value())
    return _text(name, about, choices, values)


def combining(project: Project, name: str, lines: Sequence[str]) -> str:
    """An experiment of overrides, with metrics to watch that its model logs.

    Raises:
        ConfigError: the overrides do not compose.
    """
    composed = compose(project, "train", lines)
    about = f"{composed.choices.get('model')} on {composed.choices.get('data')}."
    return of_overrides(project, name, about, [*_watched(composed), *lines])


def of_run(project: Project, name: str, run: Run) -> str:
    """An experiment out of a run: its choices, and the values that differ from what these come to today.

    Raises:
        NotFoundError: the run's config is not there any more.
        ConfigError: what it chose is not there any more.
    """
    saved = load(project, run.dir / ".hydra")
    choices, _ = _divided(project, saved.overrides)
    today = compose(project, "train", [line_of(item) for item in choices])
    values: dict[str, Any] = {}
    before, after = (OmegaConf.to_container(each.config) for each in (today, saved))
    for key, _, new in differences(before, after):
        if key.partition(".")[0] not in _OF_THE_RUN and new is not ...:
            _set(values, key.split("."), new)
    return _text(name, f"As the run {run.name}.", choices, values)


def search(project: Project, name: str, experiment: str | None, lines: Sequence[str]) -> str:
    """A search: its metric and its space, which lines like ``key=interval(0,1)`` give.

    Raises:
        ConfigError: the experiment does not compose, or nothing could be searched.
    """
    composed = compose(project, "train", [f"experiment={experiment}"] if experiment else [])
    space = dict(line.split("=", 1) for line in lines) or _usual(composed)
    metric = composed.config.get("optimized_metric")
    chosen = f" --exp {experiment}" if experiment else ""
    values = {"optimized_metric": metric, "hydra": {"sweeper": {"n_trials": 20, "params": space}}}
    about = f"# {', '.join(space)} by {metric}.\n# Launch: dlctl sweep --search {name}{chosen}\n\n"
    defaults = "defaults:\n  - override /hydra/sweeper: optuna\n  - _self_\n\n"
    return f"# @package _global_\n{about}{defaults}{yaml.safe_dump(values, sort_keys=False, width=100)}"


def _usual(composed: Composed) -> dict[str, str]:
    """What is worth searching nearly always, around the values that are there."""
    space = {}
    rate, size = (OmegaConf.select(composed.config, key) for key in ("model.optimizer.lr", "data.batch_size"))
    if isinstance(rate, float) and rate > 0:
        space["model.optimizer.lr"] = f"tag(log, interval({rate / 10:g}, {rate * 10:g}))"
    if isinstance(size, int) and size > 1:
        space["data.batch_size"] = f"choice({size // 2}, {size}, {size * 2})"
    if not space:
        raise ConfigError(
            "there is no model.optimizer.lr and no data.batch_size to search",
            hint="say what is searched: dlctl new search NAME 'model.net.size=16,32'",
        )
    return space


def _watched(composed: Composed) -> list[str]:
    """Overrides that watch ``val/loss`` where the metric that is watched is logged nowhere."""
    target = OmegaConf.select(composed.config, "model._target_")
    logged = Logged([str(target)])
    if "val/loss" not in logged:
        return []
    found = []
    callbacks = composed.config.get("callbacks") or {}
    for name, node in callbacks.items():
        watched = node.get("monitor") if isinstance(node, DictConfig) else None
        if watched and watched not in logged:
            found += [f"callbacks.{name}.monitor=val/loss", f"callbacks.{name}.mode=min"]
    metric = composed.config.get("optimized_metric")
    if isinstance(metric, str) and metric not in logged:
        found.append("optimized_metric=val/loss")
    return found


def _divided(project: Project, lines: Sequence[str]) -> tuple[list[Override], list[Override]]:
    """Choices of groups, and all else; a search that a run was part of is neither."""
    configs = loader(project)
    items = [item for item in parse(lines) if item.key_or_group not in ("hparams_search", "debug")]
    choices = [item for item in items if chooses(configs, item)]
    return choices, [item for item in items if item not in choices]


def _set(values: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    *parents, last = keys
    for parent in parents:
        values = values.setdefault(parent, {})
    values[last] = value


def _text(name: str, about: str, choices: Sequence[Override], values: dict[str, Any]) -> str:
    defaults: list[str] = []
    for item in choices:
        if item.is_delete():
            continue
        if item.key_or_group == "experiment":
            defaults.insert(0, str(item.value()))
        else:
            package = f"@{item.package}" if item.package else ""
            defaults.append(f"override /{item.key_or_group}{package}: {_option(item.value())}")
    head = f"# @package _global_\n# {about}\n# Launch: dlctl train --exp {name}\n\n"
    listed = "defaults:\n" + "".join(f"  - {each}\n" for each in [*defaults, "_self_"])
    return head + listed + ("\n" + yaml.safe_dump(values, sort_keys=False) if values else "")


def _option(value: Any) -> str:
    return "null" if value is None else str(value)
