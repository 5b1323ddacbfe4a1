"""Config -> data module, model, callbacks, loggers, trainer."""

import re
from pathlib import Path
from types import MethodType
from typing import Any

import lightning.pytorch as pl
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.callbacks.progress.progress_bar import ProgressBar as LightningProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import MixedPrecision, Precision
from lightning.pytorch.plugins.io import CheckpointIO
from lightning.pytorch.utilities.model_helpers import is_overridden
from omegaconf import DictConfig, OmegaConf, open_dict

from dlctl.errors import ConfigError, DlctlError, chain
from dlctl.extras import EXTRAS
from dlctl.pipeline import lean
from dlctl.pipeline.checkpoints import AtomicCheckpointIO, keep_last
from dlctl.utils.exception_text import advice, one_line
from dlctl.utils.instantiators import (
    instantiate_callbacks,
    instantiate_loggers,
    of_type,
    target_nodes,
)
from dlctl.utils.progress import ProgressBar

# How each tracker's logger takes the id of the run that it is to go on with.
_TRACKER_IDS = {
    "WandbLogger": "id",
    "MLFlowLogger": "run_id",
    "AimLogger": "run_hash",
    "CometLogger": "experiment_key",
}
# These write their checkpoints in shards of their own.
_SHARDING = ("fsdp", "deepspeed", "model_parallel")


def seed(cfg: DictConfig) -> None:
    """Seed Python, NumPy, torch and the loaders' workers, if the config has a seed."""
    value = cfg.get("seed")
    if value is None:
        return
    if not isinstance(value, int) or not 0 <= value < 2**32:
        raise ConfigError(
            f"the seed is '{value}'", hint="a whole number from 0 to 4294967295: seed=1", key="seed"
        )
    pl.seed_everything(value, workers=True, verbose=False)


def datamodule(cfg: DictConfig) -> LightningDataModule | None:
    """The data module of ``data`` (or ``datamodule``, as older projects call it).

    Returns:
        The data module; None where the config has none, and the module is to bring its own loaders.
    """
    key = "datamodule" if "datamodule" in cfg and "data" not in cfg else "data"
    return of_type(_build(cfg, key), LightningDataModule, key) if cfg.get(key) else None


def loader_source(datamodule: LightningDataModule | None, module: LightningModule, method: str) -> Any:
    """Which of the two gives the loaders of a stage, as Lightning chooses it.

    Args:
        datamodule: if there is one, its loaders come first.
        module: may bring its own.
        method: ``train_dataloader`` or another.

    Raises:
        ConfigError: neither does.
    """
    for each in (datamodule, module):
        if each is not None and is_overridden(method, each):
            return each
    if datamodule is None:
        raise ConfigError(
            f"the config has no 'data', and {type(module).__name__} has no {method}() of its own",
            hint="choose a data module: data=OPTION",
            key="data",
        )
    raise ConfigError(
        f"{type(datamodule).__name__} has no {method}()", hint=f"write one: {method}", key="data"
    )


def model(cfg: DictConfig) -> LightningModule:
    """The LightningModule of ``model``."""
    return of_type(_build(cfg, "model"), LightningModule, "model")


def callbacks(cfg: DictConfig) -> list[Callback]:
    """The callbacks, with a progress bar if they have none."""
    found = _each("callbacks", instantiate_callbacks, cfg)
    wanted = OmegaConf.select(cfg, "trainer.enable_progress_bar") is not False
    if wanted and not any(isinstance(each, LightningProgressBar) for each in found):
        found.append(ProgressBar())
    return keep_last(found)


def loggers(cfg: DictConfig, known: dict[str, str] | None = None, step: int | None = None) -> list[Logger]:
    """The loggers, going on with what they wrote before.

    Args:
        cfg: the config.
        known: class name -> the id under which the tracker knows the run.
        step: the training step from which they go on.
    """
    config = OmegaConf.create({"logger": cfg.get("logger")})
    for node in target_nodes(config.logger, "logger").values():
        name = str(node.get("_target_", "")).rpartition(".")[2]
        with open_dict(node):
            if known and name in _TRACKER_IDS and name in known:
                node[_TRACKER_IDS[name]] = known[name]
                if name == "WandbLogger":
                    node.resume = "allow"
            if step is not None and name == "TensorBoardLogger":
                # What was logged after the checkpoint is going to be logged again.
                node.purge_step = step
    return _each("logger", instantiate_loggers, config)


def trainer(
    cfg: DictConfig, callbacks: list[Callback], loggers: list[Logger], trust: Path | None = None
) -> Trainer:
    """The Trainer, which writes checkpoints atomically and loads none that holds a stranger's objects.

    Args:
        cfg: the config.
        callbacks: all of them.
        loggers: none for no logging.
        trust: a checkpoint that is loaded whatever it holds.
    """
    config: DictConfig = OmegaConf.create({**(cfg.get("trainer") or {})})
    strategy = str(config.get("strategy") or "").lower()
    plugins = _plugins(config.pop("plugins", None))
    own = any(isinstance(each, CheckpointIO) for each in plugins)
    if not own and not any(name in strategy for name in _SHARDING):
        plugins.append(AtomicCheckpointIO(trust))
    _refuse_switched_off(cfg, callbacks)
    lean.no_driver_checks()
    lean.skip_idle_hooks(callbacks)
    more: dict[str, Any] = {"callbacks": callbacks, "logger": loggers or False, "plugins": plugins}
    if config.get("profiler") is None:
        more["profiler"] = lean.NoProfiler()
    built = of_type(_build(OmegaConf.create({"trainer": config}), "trainer", **more), Trainer, "trainer")
    precision = built.precision_plugin
    if isinstance(precision, MixedPrecision) and precision.scaler is None:
        # bfloat16 is not scaled, so a fused optimizer's gradients can be clipped; Lightning thinks
        # of float16, where they cannot, and refuses both.
        precision.clip_gradients = MethodType(Precision.clip_gradients, precision)  # type: ignore[method-assign]
    return built


def _refuse_switched_off(cfg: DictConfig, callbacks: list[Callback]) -> None:
    """Name the callback that the Trainer does not accept beside ``enable_...: false``."""
    switches = {
        "enable_progress_bar": (LightningProgressBar, "ProgressBar"),
        "enable_checkpointing": (Checkpoint, "Checkpoint"),
    }
    for switch, (kind, word) in switches.items():
        off = OmegaConf.select(cfg, f"trainer.{switch}") is False
        if off and any(isinstance(each, kind) for each in callbacks):
            nodes = target_nodes(cfg.get("callbacks"), "callbacks")
            keys = [key for key, node in nodes.items() if word in str(node._target_).rpartition(".")[2]]
            raise ConfigError(
                f"'trainer.{switch}' is false, and there is a callback that it excludes",
                hint=f"leave that out too: {' '.join(f'{key}=null' for key in keys or ['callbacks'])}",
                key=f"trainer.{switch}",
            )


def _plugins(config: Any) -> list[Any]:
    """The plugins of ``trainer.plugins``: a node, a word that Lightning knows, or a list of those."""
    found = config if OmegaConf.is_list(config) else [config] if config else []
    try:
        return [each if isinstance(each, str) else instantiate(each) for each in found]
    except InstantiationException as error:
        raise _not_built("trainer.plugins", error) from error


def _each(key: str, function: Any, cfg: DictConfig) -> list[Any]:
    try:
        found: list[Any] = function(cfg.get(key))
        return found
    except (InstantiationException, ImportError) as error:
        raise _not_built(key, error) from error


def _build(cfg: DictConfig, key: str, **arguments: Any) -> Any:
    if not cfg.get(key):
        raise ConfigError(f"the config has no '{key}'", hint=f"choose one: {key}=OPTION", key=key)
    try:
        return instantiate(cfg[key], **arguments)
    except InstantiationException as error:
        raise _not_built(key, error) from error


def _not_built(key: str, error: Exception) -> DlctlError:
    """Hydra's report of what a target raised, as one line."""
    for each in chain(error):
        if isinstance(each, DlctlError):
            return each
    # What the target raised: what it had caught before is beside the point.
    cause: BaseException = error
    while isinstance(cause, InstantiationException) and cause.__cause__:
        cause = cause.__cause__
    if isinstance(cause, ImportError):
        *_, cause = chain(cause)
    lines = str(error).splitlines()
    where = next((line.partition(":")[2].strip() for line in lines if "full_key" in line), "") or key
    target = re.search(r"(?:call to target|locating target|loading) '([^']+)'", str(error))
    absent = ""
    if isinstance(cause, ModuleNotFoundError):
        # Lightning's loggers name what they need in their text only.
        named = re.search(r"Requirement '(\w+)", str(cause))
        absent = named[1] if named else (cause.name or "").partition(".")[0]
    hint = advice(cause) or f"look at {where}._target_ and its arguments"
    if absent in EXTRAS:
        hint = f"pip install 'dlctl[{EXTRAS[absent]}]'"
    elif absent:
        hint = f"pip install {absent}, or look at {where}._target_"
    return ConfigError(
        f"cannot build '{where}'{f' ({target[1]})' if target else ''}: {one_line(cause)}",
        hint=hint,
        key=where,
    )
