"""Evaluate a checkpoint on one split of its data."""

from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.utilities import CombinedLoader
from lightning.pytorch.utilities.model_helpers import is_overridden
from omegaconf import DictConfig
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    WeightedRandomSampler,
)

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
        build.loader_source(datamodule, model, "val_dataloader")
        trainer.validate(model, datamodule=datamodule, **options)
        return keeper.metrics(trainer)
    show_split(datamodule, model, split, "test_dataloader")
    trainer.test(model, datamodule=datamodule, **options)
    # The model's test_step names its metrics after the test set, whatever it is given.
    return {
        f"{split}/{name.removeprefix('test/')}" if name.startswith("test/") else name: value
        for name, value in keeper.metrics(trainer).items()
    }


def show_split(
    datamodule: LightningDataModule | None, model: LightningModule, split: Split, method: str
) -> None:
    """Let a data module, or a module with its own loaders, give one of its splits where another is asked for.

    One that augments its training data has a method ``eval_dataloader(split)`` which gives them as they are.

    Raises:
        ConfigError: neither has loaders for that split.
    """
    source = build.loader_source(datamodule, model, f"{split}_dataloader")
    if method == f"{split}_dataloader":
        return
    loader, setup = getattr(source, f"{split}_dataloader"), source.setup
    as_is = getattr(source, "eval_dataloader", None)
    stage = "test" if split == "test" else "fit"
    source.setup = lambda *_, **__: setup(stage)
    setattr(source, method, lambda: as_is(split) if as_is else in_order(loader()))
    if source is model and datamodule is not None and is_overridden(method, datamodule):
        # Lightning would ask the data module first.
        setattr(datamodule, method, getattr(model, method))


def in_order(loaders: Any) -> Any:
    """The same loader, or several, without shuffling, so that results are in the order of the data."""
    if isinstance(loaders, dict):
        return {name: in_order(each) for name, each in loaders.items()}
    if isinstance(loaders, list | tuple):
        return [in_order(each) for each in loaders]
    if isinstance(loaders, CombinedLoader):
        return in_order(loaders.iterables)
    loader = loaders
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        return loader
    if isinstance(loader.sampler, SequentialSampler) and type(loader.batch_sampler) is BatchSampler:
        return loader
    # A batch sampler of somebody's own has no batch size that DataLoader knows of.
    size = loader.batch_size or getattr(loader.batch_sampler, "batch_size", None)
    if size is None and loader.batch_sampler is not None:
        size = len(next(iter(loader.batch_sampler)))
    return DataLoader(
        _in_order(loader),
        batch_size=size,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        worker_init_fn=loader.worker_init_fn,
    )


def _in_order(loader: DataLoader[Any]) -> Any:
    """The samples that a loader gives, in the order of its data set: samplers may leave some out."""
    given: Any = loader.sampler
    if type(loader.batch_sampler) not in (BatchSampler, type(None)):
        given = [index for batch in loader.batch_sampler for index in batch]  # type: ignore[union-attr]
    elif isinstance(given, SequentialSampler | RandomSampler | WeightedRandomSampler):
        return loader.dataset
    indices = sorted({int(index) for index in given})
    whole = len(indices) == len(loader.dataset)  # type: ignore[arg-type]
    return loader.dataset if whole else Subset(loader.dataset, indices)
