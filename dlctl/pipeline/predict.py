"""Predict with a checkpoint and write what comes out."""

import csv
import io
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden
from omegaconf import DictConfig, OmegaConf

from dlctl.errors import ConfigError
from dlctl.files import atomic_write
from dlctl.pipeline import build, checkpoints, keeper
from dlctl.pipeline.evaluate import Split, show_split
from dlctl.runs.manifest import finite
from dlctl.runs.record import Run

Row = dict[str, Any]
log = logging.getLogger(__name__)


def predict(
    cfg: DictConfig,
    run: Run,
    *,
    checkpoint: Path,
    output: Path | None,
    split: Split | Literal["predict"] | None = None,
    trust: bool = False,
) -> tuple[Path, int]:
    """Predict a split and write it, one row a sample in the order of the data.

    What ``predict_step`` returns becomes the columns: a dict of tensors of shape (batch, ...), or of
    lists, one column each; a single tensor the column ``prediction``. A data module that has a method
    ``write_predictions(predictions, path)`` writes its own format instead; if it has a
    ``predictions_suffix`` (".conllu"), only into files of that name, and into those by default.

    Args:
        cfg: resolved.
        run: the prediction's own run.
        checkpoint: whose weights predict.
        output: a ``.csv`` or ``.jsonl`` file, or what the data module writes; None for a file in the
            run's directory.
        split: which part of the data; ``predict`` for the loaders of ``predict_dataloader``, the default
            where there is one, else ``test``.
        trust: load the checkpoint's pickled objects, whoever made them.

    Returns:
        The file, and how many rows were written: as the data module counts them, or its batches.

    Raises:
        ConfigError: the output cannot be written as its name says, or is the data itself; or there are no
            such data.
    """
    if output is not None:
        _refuse_data(cfg, output)
    state = checkpoints.read(checkpoint, trust=trust)
    build.seed(cfg)
    datamodule = build.datamodule(cfg)
    suffix = getattr(datamodule, "predictions_suffix", None)
    output = output or run.dir / f"predictions{suffix or '.csv'}"
    own = _writer(datamodule, output, suffix)
    model = build.model(cfg)
    checkpoints.fits(state, model, checkpoint)
    trainer = _trainer(cfg, checkpoint if trust else None)
    run.note(device=keeper.device(trainer))
    own_data = any(
        each is not None and is_overridden("predict_dataloader", each) for each in (datamodule, model)
    )
    if split == "predict" or (split is None and own_data):
        build.loader_source(datamodule, model, "predict_dataloader")
    else:
        show_split(datamodule, model, split or "test", "predict_dataloader")
    batches = trainer.predict(model, datamodule=datamodule, ckpt_path=checkpoint, weights_only=True) or []
    if own is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        written = own(batches, output)
        return output, len(batches) if written is None else int(written)
    rows = list(_rows(batches, _loader_names(trainer)))
    atomic_write(output, _FORMATS[output.suffix](rows).encode())
    return output, len(rows)


def _refuse_data(cfg: DictConfig, output: Path) -> None:
    """Raise ConfigError if predictions would be written over what is read."""
    data = OmegaConf.to_container(cfg.data) if cfg.get("data") else {}
    for value in data.values() if isinstance(data, dict) else ():
        with suppress(OSError, ValueError):  # most values are no files
            if isinstance(value, str) and output.samefile(value):
                hint = "name another file: --output FILE"
                raise ConfigError(f"{output.name} is read and would be overwritten", hint=hint)


def _trainer(cfg: DictConfig, trust: Path | None) -> Trainer:
    """The Trainer on one device, whatever the run had: of several each would keep its own rows."""
    built = build.trainer(cfg, build.callbacks(cfg), [], trust)
    if built.world_size == 1:
        return built
    log.warning(f"predicting on one device, not on {built.world_size}: rows stay complete and in order")
    alone = {**cfg.trainer, "devices": 1, "num_nodes": 1, "strategy": "auto"}
    return build.trainer(OmegaConf.create({"trainer": alone}), build.callbacks(cfg), [], trust)


def _writer(
    datamodule: LightningDataModule | None, output: Path, suffix: str | None
) -> Callable[..., Any] | None:
    """The data module's own way to write a file; None for one of rows.

    Raises:
        ConfigError: nobody knows how to write such a file.
    """
    own: Callable[..., Any] | None = getattr(datamodule, "write_predictions", None)
    if own is not None and suffix in (None, output.suffix):
        return own
    if output.suffix not in _FORMATS:
        known = [*([suffix] if own is not None and suffix else []), *_FORMATS]
        raise ConfigError(
            f"cannot write predictions as '{output.suffix or output.name}'",
            hint=f"name a file that ends in {', '.join(known[:-1])} or {known[-1]}",
        )
    return None


def _loader_names(trainer: Trainer) -> list[str | int]:
    """What several loaders are called: by their keys, or numbered; empty for a single one."""
    loaders = trainer.predict_dataloaders
    if isinstance(loaders, dict):
        names: list[str | int] = list(loaders)
    else:
        names = list(range(len(loaders))) if isinstance(loaders, list | tuple) else []
    return names if len(names) > 1 else []


def _rows(batches: Sequence[Any], loaders: Sequence[str | int]) -> Iterator[Row]:
    """A row for each sample, numbered within its loader."""
    for name, found in zip(loaders, batches, strict=True) if loaders else [(None, batches)]:
        index = 0
        for batch in found:
            columns = {key: _values(value) for key, value in _columns(batch).items()}
            for values in zip(*columns.values(), strict=True):
                row = {"index": index, **dict(zip(columns, values, strict=True))}
                yield row if name is None else {"dataloader": name, **row}
                index += 1


def _columns(batch: Any) -> Mapping[str, Any]:
    """The columns of a batch; a tuple is one column each, a list one sample each."""
    if isinstance(batch, Mapping):
        return batch
    tensors = (
        isinstance(batch, list) and bool(batch) and all(isinstance(each, torch.Tensor) for each in batch)
    )
    if isinstance(batch, tuple) or tensors:
        return {f"prediction_{number}": each for number, each in enumerate(batch)}
    if isinstance(batch, list) and batch and all(isinstance(each, Mapping) for each in batch):
        return {
            key: [each.get(key) for each in batch] for key in dict.fromkeys(k for each in batch for k in each)
        }
    return {"prediction": batch}


def _values(value: Any) -> list[Any]:
    """The cells of a column, one for each sample."""
    if isinstance(value, torch.Tensor):
        plain = (value.float() if value.is_floating_point() else value).tolist()
        return plain if isinstance(plain, list) else [plain]
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return [value]
    return [each.tolist() if isinstance(each, torch.Tensor) else each for each in value]


def _as_csv(rows: Sequence[Row]) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, list(rows[0]) if rows else ["index"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _as_jsonl(rows: Sequence[Row]) -> str:
    return "".join(json.dumps(finite(row)) + "\n" for row in rows)


_FORMATS = {".csv": _as_csv, ".jsonl": _as_jsonl}
