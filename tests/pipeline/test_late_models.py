"""Checkpoints of models that are complete only after setup, configure_model or on_load_checkpoint."""

import sys
from typing import Any

import pytest
import torch

from tests.conftest import Dlctl
from tests.pipeline.conftest import last_checkpoint

TOY = ("--exp", "toy", "extras.print_config=false")
STOP = "+callbacks.stop={_target_:tests.helpers.SendSignal,name:SIGINT,stage:train,epoch:1,batch:4}"
KINDS = ("Late", "Configured", "Compiled", "Lora", "Loose")


def weights(dlctl: Dlctl) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(last_checkpoint(dlctl), weights_only=True)["state_dict"]
    return state


@pytest.mark.parametrize("kind", KINDS)
def test_every_command_loads_what_lightning_loads(toy: Dlctl, kind: str) -> None:
    model = f"model._target_=src.toy.{kind}"
    trained = toy("train", *TOY, model, "--json").json
    digest = {name: value.double().sum().item() for name, value in weights(toy).items()}
    for word in ("last", str(last_checkpoint(toy).with_name("epoch_001.ckpt"))):
        metrics = toy("eval", word, "--json").json["metrics"]
        assert metrics == {name: trained["metrics"][name] for name in ("test/loss", "test/acc")}
    assert toy("predict", "last", "--json").json["rows"] == 96
    last = str(last_checkpoint(toy))
    longer = ("train", *TOY, model, "trainer.max_epochs=3", "test=false", "--json")
    more = toy(*longer, "--ckpt", last).json
    assert more["metrics"] == pytest.approx(toy(*longer).json["metrics"], abs=1e-6)

    toy("train", *TOY, model, STOP, code=130)
    resumed = toy("train", "--resume", "last", "~callbacks.stop", "--json").json
    assert resumed["metrics"] == pytest.approx(trained["metrics"], abs=1e-6)
    assert {name: v.double().sum().item() for name, v in weights(toy).items()} == pytest.approx(digest)


@pytest.mark.parametrize(
    ("train", "test"), [("[fit]", "[]"), ("[]", "[test,predict]"), ("[fit]", "[test]")], ids=str
)
def test_compiled_nets_load_whatever_stage_compiles(toy: Dlctl, train: str, test: str) -> None:
    target = "model._target_=src.toy.Compiled"
    trained = toy("train", *TOY, target, f"+model.stages={train}", "--json").json
    assert any("_orig_mod" in name for name in weights(toy)) is ("fit" in train)
    report = toy("eval", "last", f"model.stages={test}", "--json").json
    assert report["metrics"]["test/loss"] == pytest.approx(trained["metrics"]["test/loss"], abs=1e-6)
    # And going on with the other names.
    other = "[]" if "fit" in train else "[fit]"
    result = toy("train", "--resume", "last", f"model.stages={other}", "trainer.max_epochs=3", "--json").json
    whole = toy("train", *TOY, target, f"+model.stages={other}", "trainer.max_epochs=3", "--json").json
    assert result["metrics"] == pytest.approx(whole["metrics"], abs=1e-6)


def test_loose_loading_reports_what_was_not_loaded(toy: Dlctl) -> None:
    toy("train", *TOY, "model._target_=src.toy.Loose")
    result = toy("eval", "last")
    assert "has no values for net.0.weight, net.0.bias: they stay as the model was built" in result.err


@pytest.mark.parametrize("kind", ["Plain", "Late", "Lora", "Loose"])
def test_weights_that_do_not_fit_are_named_with_both_shapes(toy: Dlctl, kind: str) -> None:
    module = (toy.root / "src/toy.py").read_text()
    toy("train", *TOY, f"model._target_=src.toy.{kind}")
    (toy.root / "src/toy.py").write_text(module.replace("nn.Linear(hidden, 3)", "nn.Linear(hidden, 40)"))
    for name in ("src", "src.toy"):
        del sys.modules[name]
    run = toy.run_dir()
    for words in (
        ("eval", "last"),
        ("predict", "last"),
        ("train", "--resume", "last", "trainer.max_epochs=3"),
    ):
        result = toy(*words, code=3)
        assert "net.2.weight is [3, 16] in the checkpoint and [40, 16] here (and " in result.err
        assert "\n  net.2.bias is [3] in the checkpoint and [40] here\n" in result.err
        assert "Error(s) in loading" not in result.err
        assert str(run.relative_to(toy.root)) in result.err


def test_optimizer_of_another_model_leads_to_weights(toy: Dlctl) -> None:
    toy("train", *TOY)
    last = str(last_checkpoint(toy).relative_to(toy.root))
    (toy.root / "src/more.py").write_text(
        "from torch import nn\nfrom src.toy import Plain\n\n\n"
        "class More(Plain):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.strict_loading = False\n"
        "        self.more = nn.Linear(3, 3)\n"
    )
    result = toy(
        "train", *TOY, "model._target_=src.more.More", "--ckpt", last, "trainer.max_epochs=4", code=3
    )
    assert f"error: the optimizer state in {last} does not fit the model's optimizer: " in result.err
    assert f"dlctl train --weights {last}" in result.err
