"""Evaluate a checkpoint on one split of its data."""

from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import LightningDataModule
from omegaconf import DictConfig
from torch.utils.data import DataLoader, SequentialSampler

from dlctl.pipeline import build, keeper, restore
from dlctl.runs.record import Run
from dlctl.utils.logging_utils import log_hyperparameters

Split = Literal["train", "val", "test"]


def evaluate(
    cfg: DictConfig,
    run: Run,
    *,
    public: DictConfig,
    checkpoint: Path,
    split: Split = "test",
    trust: bool = False,
) -> dict[str, float | None]:
    """The metrics of a checkpoint.

    Args:
        cfg: resolved.
        run: the evaluation's own run.
        public: ``cfg`` without secrets, for the loggers.
        checkpoint: whose weights are evaluated.
        split: which part of the data; its metrics are named after it.
        trust: load the checkpoint's pickled objects, whoever made them.
    """
    build.seed(cfg)
    datamodule = build.datamodule(cfg)
    model = build.model(cfg)
    callbacks, loggers = build.callbacks(cfg), build.loggers(cfg)
    trainer = build.trainer(cfg, callbacks, loggers, checkpoint if trust else None)
    restore.guard(trainer, run, trust=trust)
    log_hyperparameters(public, model, trainer)
    options: dict[str, Any] = {"ckpt_path": checkpoint, "verbose": False, "weights_only": True}
    run.note(device=keeper.device(trainer))
    if split == "val":
        trainer.validate(model, datamodule=datamodule, **options)
        return keeper.metrics(trainer)
    show_split(datamodule, split, "test_dataloader")
    trainer.test(model, datamodule=datamodule, **options)
    # The model's test_step names its metrics after the test set, whatever it is given.
    return {
        f"{split}/{name.removeprefix('test/')}" if name.startswith("test/") else name: value
        for name, value in keeper.metrics(trainer).items()
    }


def show_split(datamodule: LightningDataModule, split: Split, method: str) -> None:
    """Let a data module give one of its splits, in order, where another is asked for.

    A data module that augments its training data has a method ``eval_dataloader(split)`` which
    gives them as they are.
    """
    if method == f"{split}_dataloader":
        return
    loader, setup = getattr(datamodule, f"{split}_dataloader"), datamodule.setup
    as_is = getattr(datamodule, "eval_dataloader", None)
    stage = "test" if split == "test" else "fit"
    datamodule.setup = lambda *_, **__: setup(stage)  # type: ignore[method-assign]
    setattr(datamodule, method, lambda: as_is(split) if as_is else in_order(loader()))


def in_order(loader: Any) -> Any:
    """The same loader without shuffling, so that results stand in the order of the data."""
    if not isinstance(loader, DataLoader) or isinstance(loader.sampler, SequentialSampler):
        return loader
    if loader.batch_size is None:
        return loader
    return DataLoader(
        loader.dataset,
        batch_size=loader.batch_size,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        worker_init_fn=loader.worker_init_fn,
    )
