import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from lightning import Callback, LightningModule, Trainer
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import Metric

from dlctl.data.mnist_datamodule import MNISTDataModule
from dlctl.models.components.simple_dense_net import SimpleDenseNet
from dlctl.models.mnist_module import LossAndAccuracy, MNISTLitModule

CONFIG = Path(__file__).parents[2] / "configs" / "model" / "mnist.yaml"
SGD = partial(torch.optim.SGD, lr=0.1)


def images(number: int = 40) -> TensorDataset:
    generator = torch.Generator().manual_seed(1)
    return TensorDataset(
        torch.randn(number, 1, 28, 28, generator=generator),
        torch.randint(10, (number,), generator=generator),
    )


def module(**kwargs: Any) -> MNISTLitModule:
    torch.manual_seed(1)
    return MNISTLitModule(**{"net": SimpleDenseNet(784, 8, 8, 8, 10), "optimizer": SGD, **kwargs})


def trainer(folder: Path, **kwargs: Any) -> Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    defaults = {"accelerator": "cpu", "devices": 1, "max_epochs": 1, "default_root_dir": folder}
    return Trainer(**{**quiet, "enable_checkpointing": False, **defaults, **kwargs})


class Watch(Callback):
    """What was logged at the end of every epoch, and the loss of every step."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self.losses: list[float] = []
        self.rates: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        self.losses.append(float(outputs["loss"]))

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])
        self._keep(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._keep(trainer)

    def _keep(self, trainer: Trainer) -> None:
        if trainer.callback_metrics:
            self.epochs.append({name: float(value) for name, value in trainer.callback_metrics.items()})


def fit(folder: Path, model: MNISTLitModule, size: int = 40, **kwargs: Any) -> Watch:
    watch = Watch()
    loader = DataLoader(images(size), batch_size=16)
    trainer(folder, callbacks=[watch], **kwargs).fit(model, loader, DataLoader(images(24), batch_size=16))
    return watch


# The metric


def test_batches_count_by_their_size() -> None:
    metric, loader = LossAndAccuracy(), DataLoader(images(40), batch_size=16)
    net = SimpleDenseNet(784, 8, 8, 8, 10).eval()
    for batch, targets in loader:
        logits = net(batch)
        metric.update(functional.cross_entropy(logits, targets), logits, targets)
    every, targets = images(40).tensors
    values = metric.compute()
    assert values["loss"].item() == pytest.approx(
        functional.cross_entropy(net(every), targets).item(), rel=1e-5
    )
    assert values["acc"].item() == pytest.approx((net(every).argmax(1) == targets).float().mean().item())
    metric.reset()
    assert [state.item() for state in metric.metric_state.values()] == [0, 0, 0]


def test_processes_add_up_their_sums() -> None:
    metric = LossAndAccuracy()
    metric.update(torch.tensor(1.0), torch.eye(10)[:4], torch.tensor([0, 1, 2, 0]))
    other = {"loss_sum": torch.tensor(36.0), "correct": torch.tensor(3), "count": torch.tensor(12)}
    gathered = iter(other.values())
    metric.sync(dist_sync_fn=lambda mine, group: [mine, next(gathered)], distributed_available=lambda: True)
    assert metric.metric_state == {"loss_sum": 40.0, "correct": 6, "count": 16}


# Training


def test_an_epoch_logs_the_means_over_its_samples(tmp_path: Path) -> None:
    watch = fit(tmp_path, module(), max_epochs=2)
    assert [set(epoch) for epoch in watch.epochs] == [
        {"train/loss", "train/acc", "val/loss", "val/acc", "val/acc_best"}
    ] * 2
    for epoch, losses in zip(watch.epochs, (watch.losses[:3], watch.losses[3:]), strict=True):
        mean = (16 * losses[0] + 16 * losses[1] + 8 * losses[2]) / 40
        assert epoch["train/loss"] == pytest.approx(mean, rel=1e-5)


def test_the_best_accuracy_is_that_of_an_epoch_and_not_of_the_sanity_check(tmp_path: Path) -> None:
    class Spoilt(Callback):
        """A module that is perfect in the sanity check, and then gets worse every epoch."""

        def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            assert isinstance(pl_module, MNISTLitModule)
            perfect = 24 if trainer.sanity_checking else 12 - trainer.current_epoch
            pl_module.val_metrics.correct.fill_(perfect)

    model, watch = module(), Watch()
    loader = DataLoader(images(24), batch_size=16)
    trainer(tmp_path, callbacks=[Spoilt(), watch], max_epochs=3).fit(model, loader, loader)
    assert [epoch["val/acc"] for epoch in watch.epochs] == pytest.approx([12 / 24, 11 / 24, 10 / 24])
    assert [epoch["val/acc_best"] for epoch in watch.epochs] == pytest.approx([0.5] * 3)


def test_a_test_measures_the_whole_set_in_eval_mode(tmp_path: Path) -> None:
    model = module()
    fit(tmp_path, model)
    tested = trainer(tmp_path)
    tested.test(model, DataLoader(images(30), batch_size=16), verbose=False)
    every, targets = images(30).tensors
    with torch.no_grad():
        logits = model.eval()(every)
    assert tested.callback_metrics["test/loss"].item() == pytest.approx(
        functional.cross_entropy(logits, targets).item(), rel=1e-5
    )
    assert tested.callback_metrics["test/acc"].item() == pytest.approx(
        (logits.argmax(1) == targets).float().mean().item()
    )


def test_it_learns_the_sample(tmp_path: Path) -> None:
    data = MNISTDataModule(None, train_val_test_split=(7000, 1000, 2000))
    model = instantiate(OmegaConf.load(CONFIG))
    learning = trainer(tmp_path, gradient_clip_val=0.5)
    torch.manual_seed(1)
    learning.fit(model, data)
    assert learning.callback_metrics["train/acc"] > 0.7
    assert learning.callback_metrics["val/acc"] > 0.88


def test_mixed_precision_trains_on_a_cpu(tmp_path: Path) -> None:
    adam = partial(torch.optim.Adam, lr=0.01, fused=True)
    exact, mixed = module(optimizer=adam), module(optimizer=adam)
    losses = fit(tmp_path, exact, max_epochs=3, gradient_clip_val=0.5).losses
    rounded = fit(tmp_path, mixed, max_epochs=3, gradient_clip_val=0.5, precision="bf16-mixed").losses
    assert rounded != losses
    assert rounded == pytest.approx(losses, rel=0.05)
    assert {each.dtype for each in mixed.parameters()} == {torch.float32}


def test_all_that_is_summed_up_is_held_in_metrics() -> None:
    metrics = [name for name, each in module().named_modules() if isinstance(each, Metric)]
    assert metrics == ["train_metrics", "val_metrics", "test_metrics", "val_acc_best"]


# Optimizer and scheduler


def test_the_config_builds_the_network_and_the_optimizer(tmp_path: Path) -> None:
    config = OmegaConf.load(CONFIG)
    model = instantiate(config)
    widths = [layer.out_features for layer in model.net.modules() if isinstance(layer, nn.Linear)]
    assert widths == [64, 128, 64, 10]
    optimizer = model.make_optimizer(params=model.parameters())
    assert type(optimizer) is torch.optim.Adam
    assert (optimizer.defaults["lr"], optimizer.defaults["fused"]) == (0.001, True)
    assert isinstance(model.make_scheduler(optimizer=optimizer), ReduceLROnPlateau)
    config.scheduler = None
    assert instantiate(config).make_scheduler is None


def test_the_learning_rate_falls_when_the_validation_loss_does_not(tmp_path: Path) -> None:
    plateau = partial(ReduceLROnPlateau, factor=0.1, patience=0, threshold=1e9, threshold_mode="abs")
    watch = fit(tmp_path, module(scheduler=plateau), max_epochs=4)
    assert watch.rates == pytest.approx([0.1, 0.1, 0.01, 0.001])


def test_the_scheduler_waits_for_validations_that_are_not_every_epoch(tmp_path: Path) -> None:
    plateau = partial(ReduceLROnPlateau, factor=0.1, patience=0, threshold=1e9, threshold_mode="abs")
    watch = fit(tmp_path, module(scheduler=plateau), max_epochs=5, check_val_every_n_epoch=2)
    assert watch.rates == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.01])


def test_schedulers_that_follow_no_metric_step_every_epoch(tmp_path: Path) -> None:
    watch = fit(tmp_path, module(scheduler=partial(StepLR, step_size=1)), max_epochs=3)
    assert watch.rates == pytest.approx([0.1, 0.01, 0.001])


@pytest.mark.filterwarnings("ignore:ReduceLROnPlateau conditioned on metric")
def test_without_validation_the_learning_rate_stays(tmp_path: Path) -> None:
    watch = fit(tmp_path, module(scheduler=ReduceLROnPlateau), max_epochs=2, limit_val_batches=0)
    assert watch.rates == [0.1, 0.1]
    assert set(watch.epochs[-1]) == {"train/loss", "train/acc"}


# Checkpoints


def test_a_checkpoint_holds_plain_values_only(tmp_path: Path) -> None:
    model = module(scheduler=ReduceLROnPlateau)
    fitted = trainer(tmp_path)
    fitted.fit(model, DataLoader(images(), batch_size=16), DataLoader(images(), batch_size=16))
    fitted.save_checkpoint(tmp_path / "a.ckpt")
    checkpoint = torch.load(tmp_path / "a.ckpt", weights_only=True)
    assert checkpoint["hyper_parameters"] == {"compile": False}
    assert set(checkpoint["state_dict"]) == {f"net.{name}" for name in model.net.state_dict()}
    other = module(net=SimpleDenseNet(784, 8, 8, 8, 10))
    other.load_state_dict(checkpoint["state_dict"])
    batch = images(5).tensors[0]
    assert torch.equal(other.eval()(batch), model.eval()(batch))


def test_compiling_keeps_the_names_of_the_weights() -> None:
    plain, compiled = module(), module(compile=True)
    compiled.setup("fit")
    assert compiled.net._compiled_call_impl is not None
    assert list(compiled.state_dict()) == list(plain.state_dict())
    evaluated = module(compile=True)
    evaluated.setup("test")
    assert evaluated.net._compiled_call_impl is None


# Prediction


def test_predictions_name_the_likeliest_digit_and_its_probability(tmp_path: Path) -> None:
    model = module()
    batches = trainer(tmp_path).predict(model, DataLoader(images(20), batch_size=16))
    assert batches is not None
    assert [len(batch["target"]) for batch in batches] == [16, 4]
    found: dict[str, Tensor] = {name: torch.cat([b[name] for b in batches]) for name in batches[0]}
    every, targets = images(20).tensors
    with torch.no_grad():
        probabilities = model.eval()(every).softmax(1)
    assert torch.equal(found["target"], targets)
    assert torch.equal(found["prediction"], probabilities.argmax(1))
    assert torch.allclose(found["probability"], probabilities.amax(1))
    assert not math.isnan(found["probability"].sum())


def test_the_network_flattens_what_it_is_given() -> None:
    net = SimpleDenseNet(784, 8, 8, 8, 3).eval()
    batch = torch.randn(5, 1, 28, 28)
    assert net(batch).shape == (5, 3)
    assert torch.equal(net(batch), net(batch.flatten(1)))
