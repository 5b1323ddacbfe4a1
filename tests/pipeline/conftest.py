"""A small project whose module and data can be of many kinds."""

import textwrap
from pathlib import Path

import pytest

from tests.conftest import Dlctl

MODULE = """\
import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


def make(size, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(size, 8, generator=generator)
    return TensorDataset(x, x[:, :3].argmax(1))


class Data(LightningDataModule):
    def setup(self, stage=None):
        self.found_classes = 3

    def train_dataloader(self):
        return DataLoader(make(160, 1), batch_size=16, shuffle=True)

    def val_dataloader(self):
        return DataLoader(make(48, 2), batch_size=48)

    def test_dataloader(self):
        return DataLoader(make(96, 3), batch_size=48)


class Plain(LightningModule):
    def __init__(self, lr=0.05, hidden=16):
        super().__init__()
        self.save_hyperparameters(logger=False)
        self.lr = lr
        self.net = nn.Sequential(nn.Linear(8, hidden), nn.ReLU(), nn.Linear(hidden, 3))

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        loss = F.cross_entropy(self(batch[0]), batch[1])
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def _eval(self, batch, split):
        out = self(batch[0])
        self.log(f"{split}/loss", F.cross_entropy(out, batch[1]))
        self.log(f"{split}/acc", (out.argmax(1) == batch[1]).float().mean())

    def validation_step(self, batch, batch_idx):
        self._eval(batch, "val")

    def test_step(self, batch, batch_idx):
        self._eval(batch, "test")

    def predict_step(self, batch, batch_idx):
        return {"prediction": self(batch[0]).argmax(1)}

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.lr)


class Fails(Callback):
    \"\"\"Fails at the start of an epoch.\"\"\"

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch == self.epoch:
            raise OSError("the disk is gone")


class Late(Plain):
    \"\"\"Makes its head in setup, of the data.\"\"\"

    def __init__(self, lr=0.05):
        super().__init__(lr=lr)
        self.head = None

    def setup(self, stage):
        if self.head is None:
            self.head = nn.Linear(3, self.trainer.datamodule.found_classes)

    def forward(self, x):
        return self.head(self.net(x))


class Configured(Plain):
    \"\"\"Makes its net in configure_model.\"\"\"

    def __init__(self, lr=0.05):
        super().__init__(lr=lr)
        self.net = None

    def configure_model(self):
        if self.net is None:
            self.net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))


class Compiled(Plain):
    \"\"\"Compiles its net for some stages only.\"\"\"

    def __init__(self, lr=0.05, stages=("fit",)):
        super().__init__(lr=lr)
        self.stages = stages

    def setup(self, stage):
        if stage in self.stages:
            self.net = torch.compile(self.net, backend="eager")


class Lora(Plain):
    \"\"\"Leaves the frozen weights out of its checkpoints and puts them back.\"\"\"

    def __init__(self, lr=0.05):
        super().__init__(lr=lr)
        self.net[0].load_state_dict({"weight": torch.ones(16, 8).tril(), "bias": torch.zeros(16)})
        self.net[0].requires_grad_(False)

    def on_save_checkpoint(self, checkpoint):
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {k: v for k, v in state.items() if not k.startswith("net.0.")}

    def on_load_checkpoint(self, checkpoint):
        own = {k: v for k, v in self.state_dict().items() if k.startswith("net.0.")}
        checkpoint["state_dict"] = {**own, **checkpoint["state_dict"]}


class Loose(Lora):
    \"\"\"Leaves them out, and lets Lightning load what there is.\"\"\"

    def __init__(self, lr=0.05):
        super().__init__(lr=lr)
        self.strict_loading = False

    def on_load_checkpoint(self, checkpoint):
        pass


class Headed(Plain):
    \"\"\"Another head over the same body.\"\"\"

    def __init__(self, lr=0.05, classes=5):
        super().__init__(lr=lr)
        self.net[2] = nn.Linear(16, classes)
        self.head = nn.Linear(classes, 3)

    def forward(self, x):
        return self.head(self.net(x))
"""
FILES = {
    "src/__init__.py": "",
    "src/toy.py": MODULE,
    "configs/data/toy.yaml": "_target_: src.toy.Data\n",
    "configs/model/toy.yaml": "_target_: src.toy.Plain\n",
    "configs/experiment/toy.yaml": """\
        # @package _global_
        defaults:
          - override /data: toy
          - override /model: toy
        seed: 1
        optimized_metric: val/acc
        trainer:
          accelerator: cpu
          min_epochs: 1
          max_epochs: 2
        callbacks:
          model_checkpoint: {monitor: val/acc}
          early_stopping: {monitor: val/acc}
        """,
}


@pytest.fixture
def toy(dlctl: Dlctl) -> Dlctl:
    """The command in such a project: ``toy("train", *TOY, model("Late"))``."""
    for name, text in FILES.items():
        file = dlctl.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
    return dlctl


def last_checkpoint(dlctl: Dlctl, name: str = "last") -> Path:
    return dlctl.run_dir(name) / "checkpoints/last.ckpt"
