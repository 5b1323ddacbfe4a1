"""`dlctl train --weights`: a new training from a run, a checkpoint, a state_dict or safetensors."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.conftest import Dlctl
from tests.pipeline.conftest import last_checkpoint

TOY = ("--exp", "toy", "extras.print_config=false")
# With this learning rate a training keeps the weights that it starts from.
STILL = ("+model.lr=0", "trainer.max_epochs=1")


def state_of(file: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(file, weights_only=True)
    return state


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("kind", ["Plain", "Late", "Configured", "Compiled", "Lora"])
def test_training_starts_from_weights_of_every_source(toy: Dlctl, kind: str) -> None:
    model = f"model._target_=src.toy.{kind}"
    trained = toy("train", *TOY, model, "--json").json
    source = last_checkpoint(toy)
    saved = state_of(source)["state_dict"]
    sources = [trained["run"]]
    if kind in ("Plain", "Compiled"):
        torch.save(saved, toy.root / "w.pt")
        save_file(saved, toy.root / "w.safetensors")
        sources += [str(source.relative_to(toy.root)), "w.pt", "w.safetensors"]
    for word in sources:
        toy("train", *TOY, model, *STILL, "--weights", word, "--json")
        run = toy.run_dir()
        begun = state_of(run / "checkpoints/last.ckpt")
        assert same(begun["state_dict"], saved)
        # A new training: one epoch of its own, and an optimizer that has seen no other.
        assert begun["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"] == 1
        assert begun["global_step"] == 10
        steps = [each["step"].item() for each in begun["optimizer_states"][0]["state"].values()]
        assert set(steps) == {10}
        noted = json.loads((run / "run.json").read_text())["weights"]
        assert Path(noted).name in (source.name, "epoch_000.ckpt", "epoch_001.ckpt", word)
        assert f"\nweights     {Path(noted).relative_to(toy.root)}\n" in toy("runs", "show", "last").out


def test_resumed_run_goes_on_from_its_checkpoint_not_from_the_weights(toy: Dlctl) -> None:
    toy("train", *TOY)
    weights = ("--weights", toy.run_dir().name)
    toy("train", *TOY, *weights, "trainer.max_epochs=1", "test=false")
    result = toy("train", "--resume", "last", "trainer.max_epochs=2", "test=false", "--json").json
    whole = toy("train", *TOY, *weights, "test=false", "--json").json
    assert result["metrics"] == pytest.approx(whole["metrics"], abs=1e-6)


def test_weights_of_another_shape_are_refused_before_training_or_taken_in_part(toy: Dlctl) -> None:
    toy("train", *TOY)
    saved = state_of(last_checkpoint(toy))["state_dict"]
    torch.save({**saved, "gone": torch.ones(2)}, toy.root / "w.pt")
    words = ("train", *TOY, "model._target_=src.toy.Headed", *STILL, "--weights", "w.pt")
    result = toy(*words, code=3)
    assert (
        "w.pt does not fit the model: net.2.weight is [3, 16] in the checkpoint and [5, 16] here"
        in result.err
    )
    for line in (
        "head.weight is absent in the checkpoint and [3, 5] here",
        "gone is [2] in the checkpoint and absent here",
        "--weights-partial",
    ):
        assert line in result.err
    assert not list(toy.run_dir().glob("checkpoints/*.ckpt"))

    result = toy(*words, "--weights-partial")
    assert "w.pt: 2 of the model's 6 parameters and buffers are loaded, 5 differ:" in result.err
    begun = state_of(last_checkpoint(toy))["state_dict"]
    assert torch.equal(begun["net.0.weight"], saved["net.0.weight"])
    assert begun["net.2.weight"].shape == (5, 16)


def test_experiment_can_name_weights(toy: Dlctl) -> None:
    toy("train", *TOY)
    saved = state_of(last_checkpoint(toy))["state_dict"]
    torch.save(saved, toy.root / "w.pt")
    experiment = toy.root / "configs/experiment/toy.yaml"
    experiment.write_text(experiment.read_text() + "weights_path: w.pt\n")
    toy("check", "experiment=toy")
    toy("train", *TOY, *STILL)
    assert same(state_of(last_checkpoint(toy))["state_dict"], saved)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--weights", "w.pt", "--ckpt", "w.pt"), 2, "--ckpt and --weights exclude each other"),
        (("--weights", "w.pt", "--resume", "last"), 2, "--resume and --weights exclude each other"),
        (("--weights-partial",), 2, "weights_partial has no effect without weights"),
        (("--weights", "none.pt"), 4, "there is no checkpoint none.pt"),
        (("--weights", "odd.pt"), 4, "odd.pt holds no weights: its keys are a, b"),
    ],
    ids=str,
)
def test_weights_that_cannot_be_used(toy: Dlctl, words: tuple[str, ...], code: int, told: str) -> None:
    torch.save({"layer": torch.ones(1)}, toy.root / "w.pt")
    torch.save({"a": 1, "b": 2}, toy.root / "odd.pt")
    assert told in toy("train", *TOY, *words, code=code).err
    assert not (toy.root / "logs").exists()


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("words", [("eval",), ("predict",), ("train", *TOY, "--ckpt")], ids=lambda w: w[0])
def test_weights_alone_are_named_as_such(toy: Dlctl, name: str, words: tuple[str, ...]) -> None:
    weights = {"layer": torch.ones(1)}
    torch.save(weights, toy.root / "w.pt")
    save_file(weights, toy.root / "w.safetensors")
    result = toy(*words, name, code=4)
    assert f"dlctl train --weights {name}" in result.err
