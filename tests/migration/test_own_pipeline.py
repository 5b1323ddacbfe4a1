"""What a project's own training script does beyond the usual, and how it is kept."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import QUIET, Dlctl
from tests.migration.shape import put

MORE = """\
import hydra
import torch
from lightning.pytorch.tuner import Tuner


def train(cfg):
    data_cfg = cfg.data
    datamodule = hydra.utils.instantiate(data_cfg)
    model = hydra.utils.instantiate(cfg.model)
    teacher = hydra.utils.instantiate(cfg.teacher)
    callbacks = [hydra.utils.instantiate(c) for _, c in cfg.callbacks.items() if "_target_" in c]
    logger = utils.instantiate_loggers(cfg.get("logger"))
    hooks = utils.instantiate_hooks(cfg.get("hooks"))
    for _, each in cfg["transforms"].items():
        hydra.utils.instantiate(each)
    trainer = hydra.utils.instantiate(cfg.trainer, callbacks=callbacks, logger=logger)
    model.load_state_dict(torch.load(cfg.pretrained))
    trainer.fit(model=model, datamodule=datamodule, ckpt_path=cfg.get("ckpt_path"))
    trainer.fit(model, train_dataloaders=hooks)
    trainer.predict(model, datamodule)
    trainer.test(model=model, datamodule=datamodule, ckpt_path=None)


def unrelated(cfg):
    return cfg.teacher
"""

NOTES = """\
src/train.py:10: it instantiates cfg.teacher, which dlctl train does not
src/train.py:13: it instantiates cfg.hooks, which dlctl train does not
src/train.py:15: it instantiates cfg.transforms, which dlctl train does not
src/train.py:17: it calls model.load_state_dict, which dlctl train does not
src/train.py:19: it calls trainer.fit once more, which dlctl train does not
src/train.py:19: it calls trainer.fit with train_dataloaders, which dlctl train does not
src/train.py:20: it calls trainer.predict, which dlctl train does not
to run that function as it is, add to configs/train.yaml: pipeline: {_target_: src.train.train}
"""


def test_the_usual_script_has_nothing_that_dlctl_skips(template: Dlctl) -> None:
    assert template("check").err == ""


def test_steps_that_dlctl_would_skip_are_notes(template: Dlctl) -> None:
    put(template.root, "src/train.py", MORE)
    result = template("check")
    assert result.out == "no fault in 1 config\n"
    assert result.err == NOTES
    assert [*template("check", "--json").json["notes"]] == [*NOTES.splitlines()]
    assert template("check", "+pipeline._target_=src.train.train").err == ""
    put(
        template.root,
        "configs/local/default.yaml",
        "# @package _global_\npipeline:\n  _target_: src.train.train\n",
    )
    assert template("check").err == ""


def test_script_that_cannot_be_read_is_no_fault(template: Dlctl) -> None:
    put(template.root, "src/train.py", "def train(:\n")
    assert template("check").out == "no fault in 1 config\n"


OWN = "+pipeline._target_=src.train.train"


def test_own_function_trains_and_is_recorded(template: Dlctl) -> None:
    report = template("train", OWN, "experiment=example", *QUIET, "--json").json
    directory = Path(report["dir"])
    assert report["metrics"]["test/acc"] > 0.5
    facts = json.loads((directory / "run.json").read_text())
    assert (facts["status"], facts["device"]) == ("done", "cpu")
    assert {*facts["checkpoints"]} == {"best", "last", "sha256"}
    # Saved by Lightning, with the whole network; nevertheless the user's own.
    state = torch.load(directory / facts["checkpoints"]["best"], weights_only=False)
    assert isinstance(state["hyper_parameters"]["net"], torch.nn.Module)
    evaluated = template("eval", "last", "--json").json
    assert evaluated["metrics"]["test/acc"] == pytest.approx(report["metrics"]["test/acc"])
    more = template("train", "--resume", "last", "trainer.max_epochs=3", *QUIET, "--json").json
    assert more["dir"] == report["dir"]
    state = torch.load(directory / "checkpoints/last.ckpt", weights_only=False)
    assert state["epoch"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn"])
def test_own_function_in_several_processes(template: Dlctl, strategy: str) -> None:
    several = ("trainer.devices=2", f"+trainer.strategy={strategy}", *QUIET)
    report = template.process("train", OWN, "experiment=example", *several, "--json").json
    assert report["metrics"]["test/acc"] > 0.5
    assert len(template("runs", "list", "--json").json["runs"]) == 1
    # What the other processes saved is the user's own, too.
    assert template("eval", "last", "trainer.devices=1", "trainer.strategy=auto", "--json").json["metrics"]


def test_own_function_in_a_search(template: Dlctl) -> None:
    report = template.process("sweep", "--search", "toy_optuna", OWN, *QUIET, "--json").json
    assert [trial["state"] for trial in report["trials"]] == ["complete", "complete"]


@pytest.mark.parametrize(
    ("result", "metrics"),
    [
        ("{'a': 1, 'b': 'word'}", {"a": 1.0}),
        ("(dict(a=2.5), {})", {"a": 2.5}),
        ("0.5", {"result": 0.5}),
        ("None", {}),
    ],
)
def test_what_it_returns(template: Dlctl, result: str, metrics: Any) -> None:
    put(template.root, "src/train.py", f"def train(cfg):\n    print('said')\n    return {result}\n")
    assert template("train", OWN, *QUIET, "--json").json["metrics"] == metrics


def test_it_may_ask_hydra(template: Dlctl) -> None:
    code = (
        "from hydra.core.hydra_config import HydraConfig\nfrom hydra.utils import get_original_cwd\n"
        "def train(cfg):\n    hydra = HydraConfig.get()\n"
        "    assert hydra.runtime.output_dir == cfg.paths.output_dir\n"
        "    assert get_original_cwd() == cfg.paths.root_dir\n"
        "    return {'choice': float(hydra.runtime.choices.model == 'toy')}\n"
    )
    put(template.root, "src/train.py", code)
    assert template("train", OWN, *QUIET, "--json").json["metrics"] == {"choice": 1.0}
    from hydra.core.hydra_config import HydraConfig

    assert not HydraConfig.initialized()


def test_function_that_fails_or_is_not_there(template: Dlctl) -> None:
    put(template.root, "src/train.py", "def train(cfg):\n    raise ValueError('a bad day')\n")
    assert "error: ValueError: a bad day (src/train.py:2)" in template("train", OWN, *QUIET, code=1).err
    assert (
        "there is no 'trane' in src.train"
        in template("train", "+pipeline._target_=src.train.trane", *QUIET, code=3).err
    )


def test_settings_of_hydra_that_dlctl_has_no_use_for_are_told_once(template: Dlctl) -> None:
    put(
        template.root,
        "configs/experiment/cluster.yaml",
        "# @package _global_\ndefaults:\n  - override /hydra/launcher: ray\n"
        "  - override /hydra/sweeper: ax\n  - _self_\n"
        "hydra:\n  callbacks:\n    mine:\n      _target_: far.away.Callback\n  mode: MULTIRUN\n",
    )
    put(template.root, "src/train.py", "def train(cfg): ...\n")
    told = (
        "dlctl has no use for hydra/launcher=ray, hydra/sweeper=ax, hydra.callbacks, "
        "hydra.mode=MULTIRUN (dlctl sweep searches)\n"
    )
    err = template("train", OWN, "experiment=cluster", *QUIET).err
    assert err.count(told) == 1
    assert "no use" not in template("train", OWN, *QUIET).err


@pytest.mark.parametrize(
    ("script", "words", "changes"),
    [
        ('@hydra.main(config_path="../configs", config_name="train.yaml")', (), True),
        ('@hydra.main(version_base="1.1", config_path="../configs")', (), True),
        ('@hydra.main(version_base=None, config_path="../configs")', (), False),
        ('@hydra.main(version_base="1.3", config_path="../configs")', (), False),
        ('@hydra.main(version_base="1.3", config_path="../configs")', ("hydra.job.chdir=true",), True),
        ('@hydra.main(config_path="../configs")', ("hydra.job.chdir=false",), False),
        ("", (), False),
    ],
)
def test_folder_of_the_run_is_the_current_one_as_hydra_has_it(
    template: Dlctl, script: str, words: tuple[str, ...], changes: bool
) -> None:
    code = (
        "import os\nimport hydra\ndef train(cfg):\n"
        "    return {'inside': os.getcwd() == cfg.paths.output_dir, 'seen': int(os.environ.get('SEEN', 0))}\n"
    )
    main = f"{script}\ndef main(cfg): ...\n" if script else ""
    put(template.root, "src/train.py", code + main)
    words = (OWN, *words, *QUIET, "+hydra.job.env_set.SEEN=7", "--json")
    assert template("train", *words).json["metrics"] == {"inside": float(changes), "seen": 7.0}
    assert Path.cwd() == template.root
