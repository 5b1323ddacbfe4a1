"""Let a project's own function train: ``pipeline: {_target_: src.train.train}`` in the config."""

import copy
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_method
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import Trainer
from omegaconf import DictConfig, OmegaConf, open_dict

from dlctl.errors import ConfigError
from dlctl.pipeline import checkpoints, keeper
from dlctl.pipeline.keeper import Metrics
from dlctl.runs import trusted
from dlctl.runs.record import Run

# Both decide, by this name, whether to rewrite the command line of the ranks they start.
_LAUNCHERS = (
    "lightning.fabric.strategies.launchers.subprocess_script",
    "lightning.pytorch.strategies.launchers.subprocess_script",
)


def target(cfg: DictConfig) -> str | None:
    """The function that the config names as its pipeline; None if dlctl's own is to train."""
    node = cfg.get("pipeline")
    if not isinstance(node, DictConfig) or set(node) != {"_target_"}:
        return None
    return str(node["_target_"])


def call(
    cfg: DictConfig, run: Run, *, hydra: DictConfig, checkpoint: Path | None = None, trust: bool = False
) -> Metrics:
    """Call the project's function with the config, and note what comes out.

    Args:
        cfg: resolved; it names the function.
        run: where the rest is written and recorded.
        hydra: Hydra's part of the config, which code may ask for through ``HydraConfig``.
        checkpoint: given to the function as ``cfg.ckpt_path``.
        trust: let the checkpoint's pickled objects be loaded, whoever made them.

    Returns:
        the numbers of what the function returns: ``(metrics, objects)``, ``metrics``, or one number,
        which is the optimized metric.
    """
    name = target(cfg)
    assert name is not None
    try:
        function = get_method(name)
    except Exception as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise ConfigError(
            f"cannot load the pipeline {name}: {reason}",
            hint="pipeline._target_ names a function that takes the config",
            key="pipeline",
        ) from error
    if checkpoint is not None:
        checkpoints.read(checkpoint, trust=trust)
        with open_dict(cfg):
            cfg.ckpt_path = str(checkpoint)
    before = _states(run)
    try:
        with _results_apart(), _hydra_config(hydra, run.dir), _checkpoints(checkpoint if trust else None):
            result = function(cfg)
    finally:
        if not run.child:
            _know(run, before)
            run.note(checkpoints=_saved(run, None))
    parts = list(result) if isinstance(result, tuple | list) else [result]
    objects = [part for part in parts if isinstance(part, Mapping)]
    trainer = next((each["trainer"] for each in objects if isinstance(each.get("trainer"), Trainer)), None)
    if not run.child:
        run.note(checkpoints=_saved(run, trainer))
        if trainer is not None:
            run.note(device=keeper.device(trainer))
    return {**run.manifest.metrics, **_numbers(parts[0] if parts else None, cfg)}


def _numbers(value: Any, cfg: DictConfig) -> Metrics:
    if not isinstance(value, Mapping):
        wanted = cfg.get("optimized_metric")
        value = {wanted if isinstance(wanted, str) else "result": value}
    found: Metrics = {}
    for name, item in value.items():
        try:
            found[str(name)] = float(item)
        except (TypeError, ValueError, RuntimeError):
            continue
    return found


def _states(run: Run) -> dict[Path, tuple[int, int, int]]:
    """The checkpoints of a run, each with what changes when it is written again."""
    states = ((file, file.stat()) for file in run.dir.rglob("*.ckpt"))
    return {file: (state.st_mtime_ns, state.st_size, state.st_ino) for file, state in states}


def _know(run: Run, before: Mapping[Path, tuple[int, int, int]]) -> None:
    """Know as the user's own what processes that Lightning spawned have written by themselves."""
    for file, state in _states(run).items():
        if before.get(file) != state:
            with file.open("rb") as stream:
                trusted.remember(hashlib.file_digest(stream, "sha256").hexdigest())


def _saved(run: Run, trainer: Trainer | None) -> dict[str, str]:
    """The best and the last checkpoint below the run's directory."""
    if trainer is not None and (known := keeper.saved(trainer, run)):
        return known
    files = sorted(run.dir.rglob("*.ckpt"), key=lambda file: file.stat().st_mtime)
    if not files:
        return {}
    last = next((file for file in files if file.stem == "last"), files[-1])
    best = [file for file in files if not file.stem.startswith("last")]
    return {
        "best": str((best[-1] if best else last).relative_to(run.dir)),
        "last": str(last.relative_to(run.dir)),
    }


@contextmanager
def _results_apart() -> Iterator[None]:
    """Let processes that are started meanwhile print to stderr: stdout is for results."""
    if sys.__stdout__ is not None:
        sys.__stdout__.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def _hydra_config(hydra: DictConfig, output_dir: Path) -> Iterator[None]:
    """Let code ask for ``HydraConfig``, without Lightning's launchers noticing it."""
    whole = OmegaConf.create({"hydra": copy.deepcopy(hydra)})
    with open_dict(whole):
        whole.hydra.runtime.output_dir = str(output_dir)
    instance = HydraConfig.instance()
    modules: list[Any] = [import_module(name) for name in _LAUNCHERS]
    before = [module._HYDRA_AVAILABLE for module in modules]
    instance.cfg = whole  # type: ignore[assignment]
    for module in modules:
        module._HYDRA_AVAILABLE = False
    try:
        yield
    finally:
        instance.cfg = None
        for module, value in zip(modules, before, strict=True):
            module._HYDRA_AVAILABLE = value


@contextmanager
def _checkpoints(trust: Path | None) -> Iterator[None]:
    """Let the function's own Trainer write checkpoints as dlctl's does, and load only those to be trusted."""
    save, load = TorchCheckpointIO.save_checkpoint, TorchCheckpointIO.load_checkpoint

    def saving(self: Any, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
        if "://" in str(path) or storage_options is not None:
            save(self, checkpoint, path, storage_options)
        else:
            checkpoints.write(checkpoint, Path(path))

    def loading(self: Any, path: Any, map_location: Any = "cpu", weights_only: bool | None = None) -> Any:
        # Whoever writes weights_only=False in code of his own means it.
        if "://" in str(path) or weights_only is False or not Path(path).is_file():
            return load(self, path, map_location, weights_only)
        return checkpoints.load(Path(path), trust)

    TorchCheckpointIO.save_checkpoint = saving  # type: ignore[method-assign]
    TorchCheckpointIO.load_checkpoint = loading  # type: ignore[method-assign]
    try:
        yield
    finally:
        TorchCheckpointIO.save_checkpoint = save  # type: ignore[method-assign]
        TorchCheckpointIO.load_checkpoint = load  # type: ignore[method-assign]
