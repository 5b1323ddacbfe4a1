"""What a stranger puts into a checkpoint or a run runs no code, in whatever place it lies."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import Dlctl
from tests.pipeline.conftest import last_checkpoint

TOY = ("--exp", "toy", "extras.print_config=false")


class Harmful:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.makedirs, (str(self.folder), 0o777, True)

    def __hash__(self) -> int:
        return 1


def target(folder: Path) -> str:
    return f"_target_: os.makedirs\nname: {folder}\nexist_ok: true\n"


def placed(*keys: str) -> Callable[[dict[str, Any], Path], object]:
    """A pickle in that place of a checkpoint."""

    def place(state: dict[str, Any], folder: Path) -> None:
        inner = state
        for key in keys[:-1]:
            inner = inner.setdefault(key, {})
        inner[keys[-1]] = Harmful(folder)

    return place


def config(text: str) -> Callable[[dict[str, Any], Path], object]:
    """A config that the checkpoint carries, with a target in one of its sections."""

    def place(state: dict[str, Any], folder: Path) -> None:
        state["dlctl"]["config"] += text.format(**{"target": f"os.makedirs, name: {folder}, exist_ok: true"})

    return place


def override(state: dict[str, Any], folder: Path) -> None:
    state["dlctl"]["overrides"] = ["model._target_=os.makedirs", f"+model.name={folder}"]


def instantiator(state: dict[str, Any], folder: Path) -> None:
    state["hyper_parameters"] = {"_instantiator": "os.makedirs", "name": str(folder)}


# Refused with exit code 4, unless it is told otherwise.
IN_CHECKPOINTS: dict[str, Callable[[dict[str, Any], Path], object]] = {
    "weight": placed("state_dict", "net.0.weight"),
    "name of a weight": lambda state, folder: state["state_dict"].update({Harmful(folder): 1}),
    "hyperparameter": placed("hyper_parameters", "lr"),
    "hyperparameters": placed("hyper_parameters"),
    "data hyperparameter": placed("datamodule_hyper_parameters", "batch_size"),
    "class of hyperparameters": placed("hparams_type"),
    "name of hyperparameters": placed("hparams_name"),
    "callback": placed("callbacks", "EarlyStopping"),
    "loop": placed("loops", "fit_loop", "state_dict"),
    "optimizer": placed("optimizer_states"),
    "scheduler": placed("lr_schedulers"),
    "version": placed("pytorch-lightning_version"),
    "random state": placed("dlctl", "resume", "rng"),
    "carried config": placed("dlctl", "config"),
    "carried overrides": placed("dlctl", "overrides"),
    "anything else": placed("notes"),
    "target of the model": config("\nmodel: {{_target_: {target}}}\n"),
    "pipeline": config("\npipeline: {{_target_: {target}}}\n"),
    "callback of the config": config("\ncallbacks: {{x: {{_target_: {target}}}}}\n"),
    "override": override,
}


@pytest.fixture
def trained(toy: Dlctl) -> Dlctl:
    toy("train", *TOY, "trainer.max_epochs=1")
    return toy


def test_pickles_and_configs_in_checkpoints(trained: Dlctl, tmp_path: Path) -> None:
    source, harm = last_checkpoint(trained), tmp_path / "harm"
    for name, place in IN_CHECKPOINTS.items():
        for zipped in (True, False):
            state = torch.load(source, weights_only=True)
            place(state, harm)
            torch.save(state, trained.root / "x.ckpt", _use_new_zipfile_serialization=zipped)
            for command in ("eval", "predict") if zipped else ("eval",):
                result = trained(command, "x.ckpt", code=4)
                assert "fault of dlctl" not in result.err, name
                assert not harm.exists(), name
    # What is loaded for other reasons than to be evaluated: none of the config in it is used.
    for place in (placed("notes"), placed("optimizer_states"), placed("state_dict", "net.0.weight")):
        state = torch.load(source, weights_only=True)
        place(state, harm)
        torch.save(state, trained.root / "x.ckpt")
        for option in ("--ckpt", "--weights"):
            result = trained("train", *TOY, "trainer.max_epochs=2", option, "x.ckpt", code=4)
            assert "holds pickled objects" in result.err
            assert not harm.exists()


def test_names_of_code_in_checkpoints_are_not_called(trained: Dlctl, tmp_path: Path) -> None:
    state = torch.load(last_checkpoint(trained), weights_only=True)
    instantiator(state, tmp_path / "harm")
    state["hparams_name"] = "os.makedirs"
    torch.save(state, trained.root / "x.ckpt")
    trained("eval", "x.ckpt")
    trained("train", *TOY, "trainer.max_epochs=2", "--ckpt", "x.ckpt")
    trained("train", *TOY, "--weights", "x.ckpt")
    assert not (tmp_path / "harm").exists()


def test_bare_pickles(trained: Dlctl, tmp_path: Path) -> None:
    harm = tmp_path / "harm"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for name in ("x.ckpt", "x.pt", "x.safetensors"):
            (trained.root / name).write_bytes(pickle.dumps({"state_dict": Harmful(harm)}, protocol))
            for words in (("eval", name), ("train", *TOY, "--weights", name)):
                assert "fault of dlctl" not in trained(*words, code=4).err
                assert not harm.exists()


def write(name: str, text: str) -> Callable[[Path, Path], object]:
    return lambda run, harm: (run / name).write_text(text.format(harm=harm))


def lead_out(run: Path, harm: Path) -> None:
    torch.save({"state_dict": Harmful(harm)}, run.parent / "x.ckpt")
    facts = json.loads((run / "run.json").read_text())
    facts["checkpoints"] = {"best": "../x.ckpt", "last": "../x.ckpt"}
    (run / "run.json").write_text(json.dumps(facts))


def append(name: str, text: str) -> Callable[[Path, Path], object]:
    def place(run: Path, harm: Path) -> None:
        with (run / name).open("a") as file:
            file.write(text.format(harm=harm))

    return place


YAML_CODE = "!!python/object/apply:os.makedirs ['{harm}']\n"
IN_RUNS: dict[str, Callable[[Path, Path], object]] = {
    "yaml in config": write(".hydra/config.yaml", YAML_CODE),
    "yaml in hydra": write(".hydra/hydra.yaml", YAML_CODE),
    "yaml in overrides": write(".hydra/overrides.yaml", YAML_CODE),
    "target": append(".hydra/config.yaml", "\nnew: {{_target_: os.makedirs, name: '{harm}'}}\n"),
    "search path": append(".hydra/hydra.yaml", "\nsearchpath: ['file://{harm}']\n"),
    "override": write(".hydra/overrides.yaml", "- model._target_=os.makedirs\n- +model.name={harm}\n"),
    "checkpoint elsewhere": lead_out,
}


@pytest.mark.parametrize("way", IN_RUNS)
def test_files_of_runs(trained: Dlctl, tmp_path: Path, way: str) -> None:
    harm, run = tmp_path / "harm", trained.run_dir()
    stranger = run.with_name("stranger")
    shutil.copytree(run, stranger)
    IN_RUNS[way](stranger, harm)
    for words in (
        ("eval", str(stranger)),
        ("predict", str(stranger)),
        ("train", "--resume", str(stranger), "trainer.max_epochs=2"),
    ):
        result = trained(*words, code=4)
        assert "fault of dlctl" not in result.err
        assert not harm.exists()
