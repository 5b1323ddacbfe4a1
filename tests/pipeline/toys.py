"""Small modules, loaders and callbacks as people write them; a way to stop their training and resume it."""

import os
import random
import shutil
import signal
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch.callbacks import BaseFinetuning
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler, TensorDataset
from torchdata.stateful_dataloader import StatefulDataLoader

from dlctl.errors import Interrupted
from dlctl.runs import manifest
from dlctl.runs.manifest import Manifest
from dlctl.runs.record import Run

BATCHES = 12
BATCH = 8
KINDS = (
    "plain",
    "persistent",
    "own_batches",
    "own_loader",
    "own_generator",
    "replacement",
    "noisy",
    "one_iterator",
    "stream",
    "sized_stream",
    "stateful_map",
    "stateful_stream",
    "sized_stateful_stream",
    "several",
    "several_streams",
)
# When a training of ``Toy`` is stopped, as arguments of ``Stop``.
MOMENTS: dict[str, dict[str, Any]] = {
    "first batch": {"stage": "train", "epoch": 0, "batch": 0},
    "middle": {"stage": "train", "epoch": 1, "batch": 7},
    "accumulation": {"stage": "train", "epoch": 1, "batch": 5},
    "validation": {"stage": "val", "epoch": 1, "batch": 1},
    "end of epoch": {"stage": "train", "epoch": 1, "batch": 11},
    "killed": {"stage": "train", "epoch": 1, "batch": 5, "kill": True},
}
# How it optimizes, as changes of ``config``.
OPTIMIZATIONS: dict[str, dict[str, Any]] = {
    "automatic": {},
    "accumulating": {"trainer": {"accumulate_grad_batches": 5}},
    "manual": {"model": {"manual": True}},
    "swa": {
        "callbacks": {
            "swa": {
                "_target_": "lightning.pytorch.callbacks.StochasticWeightAveraging",
                "swa_lrs": 0.02,
                "swa_epoch_start": 2,
                "annealing_epochs": 2,
            }
        }
    },
    "swa without a scheduler": {
        "model": {"scheduler": None},
        "callbacks": {
            "swa": {
                "_target_": "lightning.pytorch.callbacks.StochasticWeightAveraging",
                "swa_lrs": 0.01,
                "swa_epoch_start": 1,
            }
        },
    },
    "ema": {
        "callbacks": {"ema": {"_target_": "lightning.pytorch.callbacks.EMAWeightAveraging", "decay": 0.8}}
    },
    "accumulation schedule": {
        "callbacks": {
            "schedule": {
                "_target_": "lightning.pytorch.callbacks.GradientAccumulationScheduler",
                "scheduling": {0: 2, 1: 4},
            }
        }
    },
    "state of its own": {"model": {"_target_": "tests.pipeline.toys.Remembering"}},
    "finetuning": {"callbacks": {"thaw": {"_target_": "tests.pipeline.toys.Thaw"}}},
    "thawing itself": {"model": {"_target_": "tests.pipeline.toys.SelfThawing"}},
    "warming up": {"callbacks": {"warm_up": {"_target_": "tests.pipeline.toys.WarmUp"}}},
    "number of steps": {"trainer": {"max_steps": 33, "max_epochs": -1}},
    "validation within epochs": {"trainer": {"val_check_interval": 5}},
}


def samples(number: int, seed: int) -> TensorDataset:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(number, 4, generator=generator)
    return TensorDataset(inputs, (inputs.sum(1) > 0).long())


class Stream(IterableDataset[Any]):
    """Samples one after the other, shared out among workers."""

    def __init__(self, number: int) -> None:
        self.data = samples(number, 1)

    def __iter__(self) -> Iterator[Any]:
        worker = torch.utils.data.get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for place in range(first, len(self.data), step):
            yield self.data[place]


class SizedStream(Stream):
    """A stream that knows its length."""

    def __len__(self) -> int:
        return len(self.data)


class StatefulStream(Stream):
    """A stream that says where it is and goes on from there."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.place = 0

    def __iter__(self) -> Iterator[Any]:
        worker = torch.utils.data.get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        start = self.place if 0 < self.place < len(self.data) else first
        for place in range(start, len(self.data), step):
            self.place = place + step
            yield self.data[place]

    def state_dict(self) -> dict[str, int]:
        return {"place": self.place}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.place = state["place"]


class SizedStatefulStream(StatefulStream):
    """The same, which knows its length."""

    def __len__(self) -> int:
        return len(self.data)


class OwnBatches:
    """A batch sampler of somebody's own: shuffles batches of neighbours."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __iter__(self) -> Iterator[list[int]]:
        order = list(range(self.number // BATCH))
        random.shuffle(order)
        for batch in order:
            yield list(range(batch * BATCH, (batch + 1) * BATCH))

    def __len__(self) -> int:
        return self.number // BATCH


class OwnLoader:
    """A loader that is nothing of torch's: batches of a data set in random order."""

    def __init__(self, data: TensorDataset) -> None:
        self.data = data

    def __len__(self) -> int:
        return BATCHES

    def __iter__(self) -> Iterator[Any]:
        order = torch.randperm(len(self.data))
        for batch in range(BATCHES):
            yield self.data[order[batch * BATCH : (batch + 1) * BATCH]]


class OneIterator(DataLoader[Any]):
    """Keeps one iterator for all epochs, as loaders do that avoid to start workers again."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.endless: Any = None

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        self.endless = self.endless or self.epochs()
        for _ in range(len(self)):
            yield next(self.endless)

    def epochs(self) -> Iterator[Any]:
        while True:
            yield from super().__iter__()


class Noisy(Dataset[Any]):
    """Augments its samples with a generator of its own, which makes the order of draws matter."""

    def __init__(self, number: int) -> None:
        self.data = samples(number, 1)
        self.noise = np.random.default_rng(5)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Any:
        inputs, target = self.data[index]
        return inputs + 0.1 * torch.from_numpy(self.noise.standard_normal(4)).float(), target


class Data(LightningDataModule):
    """Training data in any form.

    Args:
        kind: one of the keys of ``loader``.
        workers: of the training loader.
        batch_size: of most kinds.
    """

    def __init__(self, kind: str = "plain", workers: int = 0, batch_size: int = BATCH) -> None:
        super().__init__()
        self.kind, self.workers, self.batch_size = kind, workers, batch_size
        self.level = 0

    def train_dataloader(self) -> Any:
        number = BATCHES * BATCH
        size: dict[str, Any] = {"batch_size": self.batch_size, "num_workers": self.workers}
        plain = samples(number, 1)
        kinds: dict[str, Any] = {
            "plain": lambda: DataLoader(plain, shuffle=True, **size),
            "persistent": lambda: DataLoader(
                plain, shuffle=True, persistent_workers=self.workers > 0, **size
            ),
            "own_batches": lambda: DataLoader(
                plain, batch_sampler=OwnBatches(number), num_workers=self.workers
            ),
            "own_generator": lambda: DataLoader(
                plain, shuffle=True, generator=torch.Generator().manual_seed(11), **size
            ),
            "replacement": lambda: DataLoader(plain, sampler=RandomSampler(plain, True, number), **size),
            "noisy": lambda: DataLoader(Noisy(number), shuffle=True, **size),
            "stream": lambda: DataLoader(Stream(number), **size),
            "sized_stream": lambda: DataLoader(SizedStream(number), **size),
            "stateful_map": lambda: StatefulDataLoader(plain, shuffle=True, **size),
            "stateful_stream": lambda: StatefulDataLoader(StatefulStream(number), **size),
            "sized_stateful_stream": lambda: StatefulDataLoader(SizedStatefulStream(number), **size),
            "several": lambda: {
                "a": DataLoader(plain, shuffle=True, **size),
                "b": DataLoader(samples(5 * BATCH, 3), shuffle=True, **size),
            },
            "several_streams": lambda: [
                DataLoader(Stream(number), **size),
                DataLoader(Stream(5 * BATCH), **size),
            ],
            "own_loader": lambda: OwnLoader(plain),
            "one_iterator": lambda: OneIterator(plain, shuffle=True, **size),
        }
        return kinds[self.kind]()

    def val_dataloader(self) -> Any:
        return DataLoader(samples(3 * BATCH, 2), BATCH)

    test_dataloader = val_dataloader


class Toy(LightningModule):
    """Draws random numbers at every step, and watches a metric to change its learning rate.

    Args:
        lr: learning rate.
        manual: optimize by hand, and accumulate four batches.
        scheduler: ``plateau`` or none.
        optimizer: the name of its class in torch.
    """

    def __init__(
        self,
        lr: float = 0.05,
        manual: bool = False,
        scheduler: str | None = "plateau",
        optimizer: str = "Adam",
    ) -> None:
        super().__init__()
        self.lr, self.scheduler, self.optimizer = lr, scheduler, optimizer
        self.net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2))
        self.automatic_optimization = not manual
        self.seen: list[float] = []
        self.average = 0.0
        self.recent: deque[Tensor] = deque(maxlen=3)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        several = list(batch.values()) if isinstance(batch, dict) else batch
        pairs = several if isinstance(several[0], list | tuple) else [several]
        self.seen.append(round(sum(float(inputs.sum()) for inputs, _ in pairs), 3))
        loss: Tensor = sum(functional.cross_entropy(self.net(inputs), target) for inputs, target in pairs)  # type: ignore[assignment]
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=BATCH)
        if not self.automatic_optimization:
            self.manual_backward(loss / 4)
            if (batch_idx + 1) % 4 == 0:
                optimizer: Any = self.optimizers()
                optimizer.step()
                optimizer.zero_grad()
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        loss = outputs["loss"].detach()
        self.average = 0.9 * self.average + 0.1 * float(loss)
        self.recent.append(loss)

    def on_train_epoch_end(self) -> None:
        self.log("train/average", self.average)
        self.log("train/recent", torch.stack(list(self.recent)).mean())

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        inputs, target = batch
        self.log("val/loss", functional.cross_entropy(self.net(inputs), target))

    test_step = validation_step

    def configure_optimizers(self) -> Any:
        trained = [each for each in self.parameters() if each.requires_grad]
        optimizer = getattr(torch.optim, self.optimizer)(trained, lr=self.lr)
        if self.scheduler is None or not self.automatic_optimization:
            return optimizer
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=0.5, patience=0, threshold=10.0
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "val/loss"}}


class Counting(nn.Module):
    """Scales its input by a counter that is no buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.register_buffer("scale", torch.ones(1), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training:
            self.calls += 1
            self.scale.mul_(0.99)
        return inputs * self.scale * (1 + 0.01 * self.calls)


class Remembering(Toy):
    """Keeps state in a submodule, in a buffer that is not saved, and in numbers and arrays of NumPy."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.net = nn.Sequential(Counting(), *self.net)
        self.total = np.float64(0.0)
        self.history = np.zeros(3)
        self.features: Tensor | None = None

    def setup(self, stage: str) -> None:
        with torch.inference_mode():
            self.features = torch.ones(2) * 3
        if stage == "fit":
            self.trainer.callbacks.append(Callback())  # type: ignore[attr-defined]

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = super().training_step(batch, batch_idx)
        self.total = self.total + loss.item()
        self.history[batch_idx % 3] += loss.item()
        return loss * (1 + 0.01 * float(self.total))

    def on_train_epoch_end(self) -> None:
        super().on_train_epoch_end()
        self.log("total", float(self.total))
        self.log("history", float(self.history.sum()))


class SelfThawing(Toy):
    """Freezes a layer, and thaws it and trains it when the second epoch begins, all by itself."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.net[0].requires_grad_(False)

    def on_train_epoch_start(self) -> None:
        if self.current_epoch == 1:
            self.net[0].requires_grad_(True)
            optimizer: Any = self.optimizers()
            optimizer.optimizer.add_param_group({"params": list(self.net[0].parameters()), "lr": 0.01})


class Thaw(BaseFinetuning):
    """Thaws a layer when the second epoch begins."""

    def freeze_before_training(self, pl_module: Any) -> None:
        self.freeze(pl_module.net[0])

    def finetune_function(self, pl_module: Any, epoch: int, optimizer: Any) -> None:
        if epoch == 1:
            self.unfreeze_and_add_param_group(pl_module.net[0], optimizer, lr=0.01)


class Halve(Callback):
    """Halves the learning rate when the third epoch begins."""

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        if trainer.current_epoch == 2:
            for group in trainer.optimizers[0].param_groups:
                group["lr"] /= 2


class WarmUp(Callback):
    """Counts steps and epochs in attributes of its own and of the data module, without a ``state_dict``."""

    def __init__(self, steps: int = 0) -> None:
        self.steps = steps
        self.losses: list[float] = []

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        self.steps += 1
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = 0.05 * min(1.0, self.steps / 30)

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.losses.append(float(outputs["loss"]))

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        trainer.datamodule.level += 1
        module.log("level", float(trainer.datamodule.level))
        module.log("losses", sum(self.losses))
        module.log("warm", float(self.steps))


class Killed(BaseException):
    """Ends a training as a kill would: nothing more is saved."""


class Stop(Callback):
    """Stops a training before a batch: by a signal, or as a kill would."""

    def __init__(self, stage: str, epoch: int, batch: int, kill: bool = False) -> None:
        self.moment, self.kill = (stage, epoch, batch), kill

    def _stop(self, stage: str, trainer: Any, batch: int) -> None:
        if (stage, trainer.current_epoch, batch) == self.moment:
            if self.kill:
                raise Killed
            os.kill(os.getpid(), signal.SIGINT)

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        self._stop("train", trainer, batch_idx)

    def on_validation_batch_start(
        self, trainer: Any, module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if not trainer.sanity_checking:
            self._stop("val", trainer, batch_idx)


class Diary(Callback):
    """Keeps what a training came to for the test to see."""

    found: dict[str, Any]

    def on_train_end(self, trainer: Any, module: Any) -> None:
        type(self).found = {
            "weights": {name: value.clone() for name, value in module.state_dict().items()},
            "lrs": [group["lr"] for each in trainer.optimizers for group in each.param_groups],
            "metrics": {name: float(value) for name, value in trainer.callback_metrics.items()},
            "seen": list(module.seen),
            "steps": trainer.global_step,
            "frozen": [name for name, each in module.named_parameters() if not each.requires_grad],
        }


def config(directory: Path, **changes: Any) -> Any:
    """A config of a toy training, three epochs long.

    Args:
        directory: of the run.
        changes: merged into it.
    """
    here = "tests.pipeline.toys"
    base = {
        "seed": 3,
        "test": False,
        "data": {"_target_": f"{here}.Data"},
        "model": {"_target_": f"{here}.Toy"},
        "trainer": {
            "_target_": "lightning.pytorch.Trainer",
            "default_root_dir": str(directory),
            "max_epochs": 3,
            "accelerator": "cpu",
            "devices": 1,
            "logger": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
        },
        "callbacks": {
            "checkpoint": {
                "_target_": "lightning.pytorch.callbacks.ModelCheckpoint",
                "dirpath": str(directory / "checkpoints"),
                "monitor": "val/loss",
                "save_last": True,
            },
            "diary": {"_target_": f"{here}.Diary"},
        },
    }
    return OmegaConf.merge(OmegaConf.create(base), OmegaConf.create(changes))


def fit(directory: Path, cfg: Any, checkpoint: Path | None = None) -> dict[str, Any]:
    """Train, and return what the diary holds."""
    from dlctl.pipeline.train import train

    directory.mkdir(parents=True, exist_ok=True)
    facts = Manifest("toy", "train", "train", "running", [], [], manifest.now())
    manifest.write(directory, facts)
    run = Run(directory, facts)
    Diary.found = {}
    with run.stop:
        train(cfg, run, public=cfg, carried={}, hydra=OmegaConf.create(), checkpoint=checkpoint)
    return Diary.found


def stop_and_resume(
    directory: Path,
    stop: dict[str, Any],
    checkpoint: str = "checkpoints/last.ckpt",
    resumed_with: dict[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Stop a training at a moment, resume it, and return what it came to.

    Args:
        directory: of the run.
        stop: the moment, as arguments of ``Stop``.
        checkpoint: a pattern; the newest file of that name is resumed from.
        resumed_with: further changes of the config, for the resumed training only.
        changes: of the config.
    """
    stopper = {"_target_": "tests.pipeline.toys.Stop", **stop}
    shutil.rmtree(directory, ignore_errors=True)
    callbacks = {**changes.get("callbacks", {}), "stop": stopper}
    stopped = False
    try:
        fit(directory, config(directory, **{**changes, "callbacks": callbacks}))
    except (Interrupted, Killed):
        stopped = True
    assert stopped
    newest = max(directory.glob(checkpoint), key=lambda path: path.stat().st_mtime_ns)
    cfg = OmegaConf.merge(config(directory, **changes), OmegaConf.create(resumed_with or {}))
    return fit(directory, cfg, newest)


def difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    """What two trainings differ in by more than rounding; empty for nothing."""
    for name in ("steps", "frozen", "seen"):
        if one[name] != other[name]:
            return f"{name}: {one[name]} and {other[name]}"
    if not np.allclose(one["lrs"], other["lrs"], atol=1e-9):
        return f"lrs: {one['lrs']} and {other['lrs']}"
    for name, value in one["metrics"].items():
        if not abs(value - other["metrics"].get(name, float("inf"))) < 1e-6:
            return f"{name}: {value} and {other['metrics'].get(name)}"
    for name, value in one["weights"].items():
        if not torch.allclose(value, other["weights"][name], atol=1e-6, rtol=0):
            return f"{name}: {(value - other['weights'][name]).abs().max()}"
    return ""
