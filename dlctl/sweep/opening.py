"""Opening the study that a search belongs to, or finding out what it would meet."""

import warnings
from typing import Any

import optuna
from hydra.utils import instantiate
from optuna.exceptions import ExperimentalWarning

from dlctl.errors import ConfigError, DlctlError
from dlctl.sweep import storage as storages
from dlctl.sweep import sweeps
from dlctl.sweep.patience import Patience
from dlctl.sweep.plan import Plan
from dlctl.sweep.sweeps import Sweep


def look(plan: Plan, sweep: Sweep, *, goes_on: bool) -> None:
    """Find out what a search would meet in its storage, and make nothing there."""
    storage = storages.look(_where(plan, sweep, goes_on=goes_on))
    if storage is not None and sweep.study in optuna.get_all_study_names(storage):
        storages.refuse_another(storages.load(storage, sweep.study), plan.directions, plan.space)


def opened(plan: Plan, sweep: Sweep, *, goes_on: bool, patience: Patience) -> optuna.Study:
    """The study in its storage, which is reached before anything is started.

    Args:
        plan: what is searched.
        sweep: which names the study.
        goes_on: whether the sweep has begun before.
        patience: for how long calls of the storage are repeated once it is open.
    """
    warnings.simplefilter("ignore", ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    where = _where(plan, sweep, goes_on=goes_on)
    storage = storages.connect(where, patience)
    parts = {}
    for name, config in {"sampler": dict(plan.sampler), "pruner": dict(plan.pruner)}.items():
        try:
            seed = config.get("seed")
            if name == "sampler" and isinstance(seed, int):
                # A study that goes on must not draw the same values again.
                config["seed"] = seed + _known_trials(storage, sweep.study)
            config.pop("_partial_", None)  # files for Hydra's plugin say that it builds them later
            with warnings.catch_warnings():
                # Files that were written for an older Optuna set what this one has no more use for.
                warnings.simplefilter("ignore", FutureWarning)
                warnings.simplefilter("ignore", ExperimentalWarning)
                parts[name] = instantiate(config)
        except Exception as error:
            cause = error.__cause__ or error
            raise ConfigError(
                f"cannot build the {name} {config.get('_target_')}: {cause}".splitlines()[0],
                hint=f"look at {name}, or choose another: dlctl list {name}",
                key=name,
            ) from error
    try:
        return storages.create(storage, sweep.study, plan.directions, plan.space, **parts)
    except DlctlError:
        raise
    except Exception as error:
        raise storages.unreachable(where, error) from None


def _where(plan: Plan, sweep: Sweep, *, goes_on: bool) -> str:
    """The storage that was asked for, or else the sweep's own."""
    return plan.storage or (sweeps.storage_of(sweep) if goes_on else sweep.storage)


def _known_trials(storage: Any, name: str) -> int:
    try:
        return len(optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False))
    except KeyError:
        return 0
