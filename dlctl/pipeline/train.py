"""Train as a config says, then test the best checkpoint."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from omegaconf import DictConfig

from dlctl.errors import ConfigError, Interrupted, Pruned
from dlctl.pipeline import build, checkpoints, keeper, lightning_adapter, own, restore, weights
from dlctl.pipeline.keeper import Metrics
from dlctl.pipeline.relay import Relay, Report
from dlctl.runs import manifest
from dlctl.runs.record import Run
from dlctl.utils.exception_text import advice, without_hint
from dlctl.utils.logging_utils import log_hyperparameters

log = logging.getLogger(__name__)


def train(
    cfg: DictConfig,
    run: Run,
    *,
    public: DictConfig,
    carried: dict[str, Any],
    hydra: DictConfig,
    checkpoint: Path | None = None,
    trust: bool = False,
    report: Report | None = None,
) -> Metrics:
    """Train a model and test its best checkpoint.

    Args:
        cfg: resolved.
        run: where everything is written and recorded.
        public: ``cfg`` without secrets, for the loggers.
        hydra: Hydra's part of the config, for a pipeline of the project's own.
        carried: the unresolved config as YAML and its overrides, to travel inside checkpoints.
        report: told every epoch, of a search's trial.
        checkpoint: start from its full state: weights, optimizer, epoch, random generators.
        trust: load the checkpoint's pickled objects, whoever made them.

    Without a checkpoint the training starts from the weights that ``weights_path`` of the config names.

    Returns:
        The last value of every metric; those of the test are of the best checkpoint.
    """
    start = weights.configured(cfg) if checkpoint is None else None
    if own.target(cfg) is not None:
        if start is not None:
            raise ConfigError(
                "weights_path has no effect in a pipeline of the project's own",
                hint="load the weights in the function that pipeline._target_ names",
                key="weights_path",
            )
        return own.call(cfg, run, hydra=hydra, checkpoint=checkpoint, trust=trust)
    state = checkpoints.read(checkpoint, trust=trust) if checkpoint else None
    build.seed(cfg)
    datamodule, model = build.datamodule(cfg), build.model(cfg)
    for stage, wanted in (("train", cfg.get("train", True)), ("test", cfg.get("test", False))):
        if wanted:
            build.loader_source(datamodule, model, f"{stage}_dataloader")
    # First: it notes how things are before other callbacks change them.
    callbacks = [keeper.Keeper(run, carried, resumes=checkpoint is not None), *build.callbacks(cfg)]
    callbacks += [Relay(run, report)] if run.manifest.trial else []
    loggers = build.loggers(cfg, run.manifest.loggers, state.get("global_step") if state else None)
    trainer = build.trainer(cfg, callbacks, loggers, checkpoint if trust else None)
    restore.guard(trainer, run, trust=trust)
    if start is not None:
        partially = bool(cfg.get("weights_partial"))
        weights.start_from(trainer, start, partially=partially, trust=trust)
        run.note(weights=str(start))
    log_hyperparameters(public, model, trainer)
    return _trained(cfg, run, trainer, model, datamodule, checkpoint)


def _trained(
    cfg: DictConfig,
    run: Run,
    trainer: Trainer,
    model: LightningModule,
    datamodule: LightningDataModule | None,
    checkpoint: Path | None,
) -> Metrics:
    # What a resumed run knew before: it may have nothing left to do but its test.
    metrics: Metrics = dict(run.manifest.metrics)
    if cfg.get("train", True):
        # Templates of some years say at the top that the whole model is to be compiled.
        fitted: Any = torch.compile(model) if cfg.get("compile") is True else model
        _fit(trainer, fitted, datamodule, checkpoint, run)
        metrics |= keeper.metrics(trainer)
        if not run.child:
            run.note(metrics=metrics, checkpoints=keeper.saved(trainer, run))
        if run.stop.requested is not None:
            raise Interrupted(run.stop.requested)
    if cfg.get("test", False):
        metrics |= _test(trainer, model, datamodule, checkpoint)
    return metrics


def _fit(
    trainer: Trainer,
    model: LightningModule,
    datamodule: LightningDataModule | None,
    checkpoint: Path | None,
    run: Run,
) -> None:
    with _ranks_of(trainer, run):
        try:
            trainer.fit(model, datamodule, ckpt_path=checkpoint, weights_only=True)
        except Exception as error:
            raise _configured_wrong(error) or error from None


@contextmanager
def _ranks_of(trainer: Trainer, run: Run) -> Iterator[None]:
    """Let ranks that Lightning spawns stop as this process does that waits for them.

    They save the checkpoint and note metrics and checkpoints in the manifest, all this process knows.
    """
    forward = lightning_adapter.spawned_rank_signaller(trainer)
    if forward is None:
        yield
        return
    run.stop.forward, run.stop.graceful = forward, True
    try:
        yield
    except Exception:
        if run.stop.requested is not None:
            raise Interrupted(run.stop.requested) from None
        if manifest.read(run.dir).status == "pruned":
            raise Pruned("as its ranks were told") from None
        raise
    finally:
        run.stop.forward, run.stop.graceful = None, False
        run.manifest = manifest.read(run.dir)


def _configured_wrong(error: BaseException) -> ConfigError | None:
    """What Lightning or torch rejects in a setting, as an error of the config."""
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    # Of a rank that Lightning spawned, only the text arrives here.
    if "SyncBatchNorm layers only work with" in str(error):
        return ConfigError(
            "SyncBatchNorm layers need GPUs",
            hint="on a CPU: trainer.sync_batchnorm=false",
            key="trainer.sync_batchnorm",
        )
    if not isinstance(error, MisconfigurationException):
        return None
    hint = advice(error) or "look at trainer and callbacks"
    return ConfigError(" ".join(without_hint(str(error)).split()), hint=hint)


def _test(
    trainer: Trainer,
    model: LightningModule,
    datamodule: LightningDataModule | None,
    checkpoint: Path | None,
) -> Metrics:
    callback = trainer.checkpoint_callback
    best = getattr(callback, "best_model_path", "") or None
    if best is None and not getattr(trainer, "fast_dev_run", False):
        log.warning("no checkpoint was kept: testing the weights as they are now")
    if best is None and checkpoint is not None and not trainer.current_epoch:
        best = str(checkpoint)
    trainer.test(model, datamodule=datamodule, ckpt_path=best, verbose=False, weights_only=True)
    return keeper.metrics(trainer)
