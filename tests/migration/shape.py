"""Projects in the shape of lightning-hydra-template, written from a description of it."""

from pathlib import Path

FILES = {
    ".env": "TOY_FACTOR=2\n",
    "configs/__init__.py": "",
    "configs/train.yaml": """\
        # @package _global_

        defaults:
          - _self_
          - DATA: toy
          - model: toy
          - callbacks: default
          - logger: null
          - trainer: default
          - paths: default
          - extras: default
          - hydra: default
          - experiment: null
          - hparams_search: null
          - optional local: default
          - debug: null

        task_name: "train"
        tags: ["dev"]
        train: True
        test: True
        compile: False
        ckpt_path: null
        seed: null
        """,
    "configs/eval.yaml": """\
        # @package _global_

        defaults:
          - _self_
          - DATA: toy
          - model: toy
          - logger: null
          - trainer: default
          - paths: default
          - extras: default
          - hydra: default

        task_name: "eval"
        tags: ["dev"]
        ckpt_path: ???
        """,
    "configs/DATA/toy.yaml": """\
        _target_: src.data.toy.ToyDataModule
        data_dir: ${paths.data_dir}
        batch_size: 8
        factor: ${oc.env:TOY_FACTOR}
        """,
    "configs/model/toy.yaml": """\
        _target_: src.models.toy.ToyModule
        optimizer:
          _target_: torch.optim.Adam
          _partial_: true
          lr: 0.01
        scheduler:
          _target_: torch.optim.lr_scheduler.ReduceLROnPlateau
          _partial_: true
          mode: min
        net:
          _target_: src.models.parts.net.ToyNet
          width: 4
        """,
    "configs/callbacks/default.yaml": """\
        defaults:
          - model_checkpoint
          - early_stopping
          - model_summary
          - rich_progress_bar

        model_checkpoint:
          dirpath: ${paths.output_dir}/checkpoints
          filename: "epoch_{epoch:03d}"
          monitor: "val/acc"
          mode: "max"
          save_last: True
          auto_insert_metric_name: False
        early_stopping:
          monitor: "val/acc"
          patience: 100
          mode: "max"
        """,
    "configs/callbacks/model_checkpoint.yaml": """\
        model_checkpoint:
          _target_: lightning.pytorch.callbacks.ModelCheckpoint
          dirpath: null
          filename: null
          monitor: null
          save_last: null
          mode: "min"
          auto_insert_metric_name: True
        """,
    "configs/callbacks/early_stopping.yaml": """\
        early_stopping:
          _target_: lightning.pytorch.callbacks.EarlyStopping
          monitor: ???
          patience: 3
          mode: "min"
        """,
    "configs/callbacks/model_summary.yaml": """\
        model_summary:
          _target_: lightning.pytorch.callbacks.RichModelSummary
          max_depth: -1
        """,
    "configs/callbacks/rich_progress_bar.yaml": """\
        rich_progress_bar:
          _target_: lightning.pytorch.callbacks.RichProgressBar
        """,
    "configs/callbacks/none.yaml": "",
    "configs/logger/csv.yaml": """\
        csv:
          _target_: lightning.pytorch.loggers.csv_logs.CSVLogger
          save_dir: "${paths.output_dir}"
          name: "csv/"
          prefix: ""
        """,
    "configs/trainer/default.yaml": """\
        _target_: lightning.pytorch.trainer.Trainer
        default_root_dir: ${paths.output_dir}
        min_epochs: 1
        max_epochs: 2
        accelerator: cpu
        devices: 1
        check_val_every_n_epoch: 1
        deterministic: False
        """,
    "configs/trainer/gpu.yaml": "defaults:\n  - default\n\naccelerator: gpu\ndevices: 1\n",
    "configs/paths/default.yaml": """\
        root_dir: ${oc.env:PROJECT_ROOT}
        data_dir: ${paths.root_dir}/data/
        log_dir: ${paths.root_dir}/logs/
        output_dir: ${hydra:runtime.output_dir}
        work_dir: ${hydra:runtime.cwd}
        """,
    "configs/extras/default.yaml": "ignore_warnings: False\nenforce_tags: True\nprint_config: True\n",
    "configs/hydra/default.yaml": """\
        defaults:
          - override hydra_logging: colorlog
          - override job_logging: colorlog

        run:
          dir: ${paths.log_dir}/${task_name}/runs/${now:%Y-%m-%d}_${now:%H-%M-%S}
        sweep:
          dir: ${paths.log_dir}/${task_name}/multiruns/${now:%Y-%m-%d}_${now:%H-%M-%S}
          subdir: ${hydra.job.num}
        job_logging:
          handlers:
            file:
              filename: ${hydra:runtime.output_dir}/${task_name}.log
        """,
    "configs/experiment/example.yaml": """\
        # @package _global_

        defaults:
          - override /DATA: toy
          - override /model: toy
          - override /callbacks: default
          - override /trainer: default

        tags: ["toy", "small"]
        seed: 12345
        model:
          optimizer:
            lr: 0.02
        logger:
          wandb:
            tags: ${tags}
            group: "toy"
        """,
    "configs/experiment/study/wide/deep.yaml": """\
        # @package _global_

        defaults:
          - /experiment/example
          - override /logger: csv

        model:
          net:
            width: 16
        """,
    "configs/hparams_search/toy_optuna.yaml": """\
        # @package _global_

        defaults:
          - override /hydra/sweeper: optuna

        optimized_metric: "val/acc_best"

        hydra:
          mode: "MULTIRUN"
          sweeper:
            _target_: hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper
            storage: null
            study_name: null
            n_jobs: 1
            direction: maximize
            n_trials: 2
            sampler:
              _target_: optuna.samplers.TPESampler
              seed: 1234
              n_startup_trials: 10
            params:
              model.optimizer.lr: interval(0.0001, 0.1)
              model.net.width: choice(2, 4, 8)
        """,
    "configs/debug/default.yaml": """\
        # @package _global_

        task_name: "debug"
        callbacks: null
        logger: null
        extras:
          ignore_warnings: False
          enforce_tags: False
        hydra:
          job_logging:
            root:
              level: DEBUG
        trainer:
          max_epochs: 1
          accelerator: cpu
          devices: 1
          detect_anomaly: true
        DATA:
          batch_size: 4
        """,
    "configs/debug/fdr.yaml": """\
        # @package _global_

        defaults:
          - default

        trainer:
          fast_dev_run: true
        """,
    "configs/local/.gitkeep": "",
    "src/__init__.py": "",
    "src/data/__init__.py": "",
    "src/models/__init__.py": "",
    "src/models/parts/__init__.py": "",
    "src/data/toy.py": """\
        import torch
        from lightning import LightningDataModule
        from torch.utils.data import DataLoader, TensorDataset


        class ToyDataModule(LightningDataModule):
            def __init__(self, data_dir: str, batch_size: int = 8, factor: float = 1.0) -> None:
                super().__init__()
                self.save_hyperparameters(logger=False)
                generator = torch.Generator().manual_seed(7)
                points = torch.randn(64, 3, generator=generator) * float(factor)
                self.points = TensorDataset(points, (points.sum(1) > 0).long())

            def _loader(self, shuffle: bool) -> DataLoader:
                return DataLoader(self.points, batch_size=self.hparams.batch_size, shuffle=shuffle)

            def train_dataloader(self) -> DataLoader:
                return self._loader(True)

            def val_dataloader(self) -> DataLoader:
                return self._loader(False)

            def test_dataloader(self) -> DataLoader:
                return self._loader(False)
        """,
    "src/models/parts/net.py": """\
        from torch import nn


        class ToyNet(nn.Module):
            def __init__(self, width: int = 4) -> None:
                super().__init__()
                self.layers = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 2))

            def forward(self, x):
                return self.layers(x)
        """,
    "src/models/toy.py": """\
        import torch
        from lightning import LightningModule
        from torchmetrics import MaxMetric, MeanMetric
        from torchmetrics.classification.accuracy import Accuracy


        class ToyModule(LightningModule):
            def __init__(self, net, optimizer, scheduler) -> None:
                super().__init__()
                self.save_hyperparameters(logger=False)
                self.net = net
                self.loss = torch.nn.CrossEntropyLoss()
                for stage in ("train", "val", "test"):
                    setattr(self, f"{stage}_acc", Accuracy(task="multiclass", num_classes=2))
                    setattr(self, f"{stage}_loss", MeanMetric())
                self.val_acc_best = MaxMetric()

            def forward(self, x):
                return self.net(x)

            def _step(self, batch, acc, mean):
                points, targets = batch
                logits = self(points)
                loss = self.loss(logits, targets)
                mean(loss)
                acc(logits.argmax(1), targets)
                return loss

            def training_step(self, batch, batch_idx):
                loss = self._step(batch, self.train_acc, self.train_loss)
                self.log("train/loss", self.train_loss, on_step=False, on_epoch=True)
                self.log("train/acc", self.train_acc, on_step=False, on_epoch=True)
                return loss

            def validation_step(self, batch, batch_idx):
                self._step(batch, self.val_acc, self.val_loss)
                self.log("val/loss", self.val_loss, on_step=False, on_epoch=True, prog_bar=True)
                self.log("val/acc", self.val_acc, on_step=False, on_epoch=True, prog_bar=True)

            def on_validation_epoch_end(self):
                self.val_acc_best(self.val_acc.compute())
                self.log("val/acc_best", self.val_acc_best.compute(), sync_dist=True, prog_bar=True)

            def test_step(self, batch, batch_idx):
                self._step(batch, self.test_acc, self.test_loss)
                self.log("test/loss", self.test_loss, on_step=False, on_epoch=True)
                self.log("test/acc", self.test_acc, on_step=False, on_epoch=True)

            def predict_step(self, batch, batch_idx):
                return self(batch[0]).argmax(1)

            def configure_optimizers(self):
                optimizer = self.hparams.optimizer(params=self.trainer.model.parameters())
                scheduler = self.hparams.scheduler(optimizer=optimizer)
                plan = {"scheduler": scheduler, "monitor": "val/loss", "interval": "epoch", "frequency": 1}
                return {"optimizer": optimizer, "lr_scheduler": plan}
        """,
    "src/utils/__init__.py": "from src.utils.names import metric_of\n",
    "src/utils/names.py": "def metric_of(metrics, name):\n    return metrics[name] if name else None\n",
    "src/train.py": """\
        import hydra
        import lightning as L
        import rootutils
        from omegaconf import DictConfig

        rootutils.setup_root(__file__, indicator=".project-root", pythonpath=True)

        from src.utils import metric_of


        def _all(nodes):
            return [hydra.utils.instantiate(node) for node in (nodes or {}).values() if "_target_" in node]


        def train(cfg: DictConfig):
            if cfg.get("seed"):
                L.seed_everything(cfg.seed, workers=True)
            datamodule = hydra.utils.instantiate(cfg.DATA)
            model = hydra.utils.instantiate(cfg.model)
            callbacks, logger = _all(cfg.get("callbacks")), _all(cfg.get("logger"))
            trainer = hydra.utils.instantiate(cfg.trainer, callbacks=callbacks, logger=logger)
            if cfg.get("train"):
                trainer.fit(model=model, datamodule=datamodule, ckpt_path=cfg.get("ckpt_path"))
            train_metrics = trainer.callback_metrics
            if cfg.get("test"):
                best = trainer.checkpoint_callback.best_model_path or None
                trainer.test(model=model, datamodule=datamodule, ckpt_path=best, weights_only=False)
            return {**train_metrics, **trainer.callback_metrics}, {"cfg": cfg, "trainer": trainer}


        @hydra.main(version_base="1.3", config_path="../configs", config_name="train.yaml")
        def main(cfg: DictConfig):
            metrics, _ = train(cfg)
            return metric_of(metrics, cfg.get("optimized_metric"))


        if __name__ == "__main__":
            main()
        """,
}


def write(root: Path, *, data: str = "data", marker: str | None = ".project-root") -> None:
    """Write a project.

    Args:
        root: its folder.
        data: what it calls the group of data modules.
        marker: what lies at its root, if anything: a file, or the folder ``.git``.
    """
    from textwrap import dedent

    for name, text in FILES.items():
        put(root, name.replace("DATA", data), dedent(text).replace("DATA", data))
    if marker == ".git":
        (root / ".git").mkdir()
    elif marker:
        (root / marker).touch()


def put(root: Path, name: str, text: str) -> Path:
    """Write a file of a project."""
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file
