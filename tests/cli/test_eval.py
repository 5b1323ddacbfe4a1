import csv
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.conftest import QUIET, Dlctl

FDR = ("trainer.fast_dev_run=true",)


def evaluate(dlctl: Dlctl, *words: str, code: int = 0) -> Any:
    result = dlctl("eval", *words, *QUIET, "--json", code=code)
    return result.json


def test_last_is_evaluated_without_being_told_anything_again(trained: Dlctl, example: dict[str, Any]) -> None:
    report = evaluate(trained, "last")
    assert report["evaluated"] == example["run"]
    assert report["metrics"] == {name: example["metrics"][name] for name in ("test/acc", "test/loss")}
    assert report["dir"] == str(trained.root / "logs/eval/runs" / report["run"])
    table = list(csv.DictReader((Path(report["dir"]) / "csv/metrics.csv").open()))
    assert float(table[0]["test/acc"]) == report["metrics"]["test/acc"]


def test_overrides_of_the_training_are_remembered(dlctl: Dlctl) -> None:
    words = ("--exp", "example", "model.net.lin1_size=96", "trainer.max_epochs=1", "trainer.min_epochs=1")
    trained = dlctl.train(*words, "--json").json
    report = evaluate(dlctl, "last")
    assert report["metrics"]["test/acc"] == trained["metrics"]["test/acc"]


@pytest.mark.parametrize("named", ["id", "directory", "checkpoint", "override"])
def test_run_can_be_named_in_every_way(trained: Dlctl, example: dict[str, Any], named: str) -> None:
    directory = Path("logs/train/runs") / example["run"]
    best = next((trained.root / directory / "checkpoints").glob("epoch_*.ckpt"))
    word = {
        "id": example["run"],
        "directory": str(directory),
        "checkpoint": str(best),
        "override": f"ckpt_path={best}",
    }[named]
    report = evaluate(trained, word)
    assert report["evaluated"] == example["run"]
    assert report["metrics"]["test/acc"] == example["metrics"]["test/acc"]


def test_best_last_and_other_checkpoints_of_a_run(trained: Dlctl, example: dict[str, Any]) -> None:
    last = trained.run_dir() / "checkpoints/last.ckpt"
    by_name = evaluate(trained, "last", "--ckpt", "last")["metrics"]
    by_path = evaluate(trained, "last", "--ckpt", str(last))["metrics"]
    assert by_name == by_path
    assert by_name["test/loss"] != example["metrics"]["test/loss"]


def test_splits_have_metrics_of_their_own_names(trained: Dlctl, example: dict[str, Any]) -> None:
    val = evaluate(trained, "last", "--split", "val")["metrics"]
    train = evaluate(trained, "last", "--split", "train")["metrics"]
    assert val["val/acc"] == example["metrics"]["val/acc_best"]
    assert set(train) == {"train/acc", "train/loss"}
    assert train["train/acc"] > val["val/acc"]
    assert "there is no split 'dev'" in trained("eval", "last", "--split", "dev", code=2).err


def test_training_images_are_evaluated_without_their_augmentation(trained: Dlctl) -> None:
    plain = evaluate(trained, "last", "--split", "train")["metrics"]
    black = "data.augment={_target_:torch.zeros_like,_partial_:true}"
    assert evaluate(trained, "last", "--split", "train", black)["metrics"] == plain


def test_checkpoint_moved_elsewhere_carries_its_config(
    trained: Dlctl, example: dict[str, Any], tmp_path: Path
) -> None:
    moved = tmp_path / "epoch=03.ckpt"
    shutil.move(next((trained.run_dir() / "checkpoints").glob("epoch_*.ckpt")), moved)
    shutil.rmtree(trained.root / "logs")
    for word in (str(moved), f"ckpt_path={moved}"):
        report = evaluate(trained, word)
        assert report["evaluated"] is None
        assert report["metrics"]["test/acc"] == example["metrics"]["test/acc"]


def test_values_and_choices_go_on_top_of_the_runs_config(trained: Dlctl, example: dict[str, Any]) -> None:
    words = ("data.batch_size=250", "trainer=cpu", "logger=many_loggers")
    report = evaluate(trained, "last", *words)
    assert report["metrics"]["test/acc"] == pytest.approx(example["metrics"]["test/acc"])
    resolved = (Path(report["dir"]) / "config_resolved.yaml").read_text()
    assert "batch_size: 250" in resolved
    assert "accelerator: cpu" in resolved
    assert "lin1_size: 128" in resolved
    assert (Path(report["dir"]) / "tensorboard").is_dir()


def test_debug_runs_and_evaluations_are_never_last(trained: Dlctl, example: dict[str, Any]) -> None:
    evaluate(trained, "last")
    trained("debug", "fdr", *QUIET)
    assert trained("runs", "show", "last", "--json").json["id"] == example["run"]
    trained.train(*FDR)
    # The newest training has no checkpoint: for eval, last is the one before.
    assert trained("runs", "show", "last", "--json").json["id"] != example["run"]
    assert evaluate(trained, "last")["evaluated"] == example["run"]


def test_unreadable_checkpoints_are_told_before_anything_is_built(
    trained: Dlctl, example: dict[str, Any], tmp_path: Path
) -> None:
    whole = trained.run_dir() / "checkpoints/last.ckpt"
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes(whole.read_bytes()[:100_000])
    text = tmp_path / "text.ckpt"
    text.write_text("no checkpoint")
    pickled = tmp_path / "pickled.ckpt"
    torch.save({"state_dict": {}, "hyper_parameters": {"net": torch.nn.Linear(1, 1)}}, pickled)
    harmful = tmp_path / "harmful.ckpt"
    harmful.write_bytes(pickle.dumps(Harmful(tmp_path / "harm")))
    for file, said in {
        cut: "it is cut short or damaged",
        text: "cannot read the checkpoint",
        pickled: "holds pickled objects, which run any code when they are loaded, and no run of yours",
        harmful: "cannot read the checkpoint",
        tmp_path / "absent.ckpt": "there is no checkpoint",
    }.items():
        result = trained("eval", str(file), code=4)
        assert said in result.err
        assert "Traceback" not in result.err
    assert not (tmp_path / "harm").exists()
    assert not (trained.root / "logs/eval").exists()
    assert "there is no run or checkpoint 'yesterday'" in trained("eval", "yesterday", code=4).err
    assert "no run or checkpoint is named" in trained("eval", code=2).err


class Harmful:
    """Writes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


def test_checkpoint_that_does_not_fit_the_model_names_what_differs(trained: Dlctl) -> None:
    result = trained("eval", "last", "model.net.lin1_size=64", *QUIET, code=3)
    assert "does not fit the model: net.model.0.weight is [128, 784] in the checkpoint" in result.err
    assert "and [64, 784] here (and 6 more)" in result.err


def test_truncated_best_checkpoint_of_a_run(trained: Dlctl) -> None:
    best = next((trained.run_dir() / "checkpoints").glob("epoch_*.ckpt"))
    best.write_bytes(best.read_bytes()[:5000])
    result = trained("eval", "last", *QUIET, code=4)
    assert f"cannot read the checkpoint {best.relative_to(trained.root)}: it is cut short" in result.err


def test_checkpoint_loads_in_a_notebook_when_the_network_is_given(trained: Dlctl) -> None:
    from hydra.utils import instantiate

    from dlctl.models.mnist_module import MNISTLitModule

    file = trained.run_dir() / "checkpoints/last.ckpt"
    saved = torch.load(file, weights_only=True)
    config = yaml.safe_load(saved["dlctl"]["config"])["model"]
    net, optimizer = instantiate(config["net"]), instantiate(config["optimizer"])
    module = MNISTLitModule.load_from_checkpoint(file, net=net, optimizer=optimizer)
    assert all(torch.equal(saved["state_dict"][name], value) for name, value in module.state_dict().items())
