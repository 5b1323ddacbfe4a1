"""``dlctl check`` tells what is wrong before it costs an hour."""

# ruff: noqa: E501 - a table

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Dlctl


def write(dlctl: Dlctl, name: str, text: str) -> None:
    file = dlctl.root / "configs" / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_good_config_has_no_fault(dlctl: Dlctl) -> None:
    result = dlctl("check", "--exp", "example", "trainer.max_epochs=3")
    assert (result.out, result.err) == ("no fault in 1 config\n", "")


def test_faults_are_told_with_their_lines_and_what_to_do(dlctl: Dlctl) -> None:
    write(dlctl, "experiment/mine", "# @package _global_\ndefaults:\n  - example\n  - _self_\n"
          "trainer:\n  max_epoch: 3\ncallbacks:\n  early_stopping:\n    monitor: val/accc\n")  # fmt: skip
    result = dlctl("check", "--exp", "mine", code=3)
    assert result.err == (
        "error: configs/experiment/mine.yaml:6: "
        "lightning.pytorch.trainer.Trainer takes no argument 'max_epoch'\n"
        "  did you mean max_epochs or min_epochs?\n"
        "error: configs/experiment/mine.yaml:9: the metric 'val/accc' is logged nowhere in the code of "
        "dlctl.models.mnist_module.MNISTLitModule\n"
        "  did you mean val/acc or val/acc_best?\n"
    )
    assert result.out == "2 faults in 1 config\n"


def test_faults_as_json(dlctl: Dlctl) -> None:
    write(dlctl, "model/mine", "defaults: [mnist, _self_]\nnet:\n  lin1_sze: 3\n")
    found = dlctl("check", "model=mine", "--json", code=3).json
    assert found["schema_version"] == 1
    (fault,) = found["faults"]
    assert fault["file"] == str(dlctl.root / "configs/model/mine.yaml")
    assert (fault["line"], fault["kind"], fault["key"]) == (3, "argument", "model.net.lin1_sze")
    assert fault["suggestions"][0] == "lin1_size"


def test_config_that_does_not_compose_is_a_fault_like_others(dlctl: Dlctl) -> None:
    write(dlctl, "experiment/mine", "# @package _global_\ndefaults:\n  - override /data: mnst\n")
    result = dlctl("check", "--exp", "mine", "--json", code=3)
    (fault,) = result.json["faults"]
    assert (fault["line"], fault["kind"]) == (3, "defaults")
    assert "mnist" in fault["suggestions"]


def test_faults_of_the_command_line_have_no_line(dlctl: Dlctl) -> None:
    (fault,) = dlctl("check", "ckpt_path=nothing.ckpt", "--json", code=3).json["faults"]
    assert (fault["file"], fault["kind"]) == (None, "path")


def test_extra_that_is_not_installed_is_a_note(dlctl: Dlctl, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlctl.composition import source

    found = source.spec
    monkeypatch.setattr(source, "spec", lambda name: None if name.startswith("aim") else found(name))
    result = dlctl("check", "logger=aim")
    assert result.out == "no fault in 1 config\n"
    assert "aim.pytorch_lightning.AimLogger needs an extra: pip install 'dlctl[aim]'" in result.err


def test_all_takes_no_overrides(dlctl: Dlctl) -> None:
    assert "--all checks everything" in dlctl("check", "--all", "seed=1", code=2).err


def test_search_path_that_is_not_there_is_a_fault(dlctl: Dlctl) -> None:
    assert "hydra.searchpath names /nowhere" in dlctl("check", "hydra.searchpath=[/nowhere]", code=3).err


def test_train_tells_the_faults_of_its_config_before_torch_is_imported(dlctl: Dlctl) -> None:
    write(dlctl, "model/mine", "defaults: [mnist, _self_]\nnet:\n  lin1_sze: 3\n")
    code = (
        "import sys; from dlctl.cli import run; c = run(sys.argv[1:]); print('torch' in sys.modules); exit(c)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "train", "model=mine"], cwd=dlctl.root, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (3, "False\n")
    assert "configs/model/mine.yaml:3: " in done.stderr
    assert not (dlctl.root / "logs").exists()


@pytest.mark.parametrize(
    ("code", "monitor", "faults"),
    [
        ("self.log('val/f1', x)", "val/f1", 0),
        ("self.log('val/f1', x)", "val/f2", 1),
        ("self.log(f'{self.stage}/f1', x)", "val/f1", 0),
        ("self.log_dict({'val/f1': x, f'val/{1}': x})", "val/f1", 0),
        ("self.log_dict(self.metrics(x))", "val/anything", 0),
        ("for s in ('train', 'val'): self.log(s + '/f1', x)", "val/f1", 0),
        ("for s in ('train', 'val'): self.log(s + '/f1', x)", "test/f1", 1),
        ("self.log(name='val/f1', value=x, on_step=True, on_epoch=True)", "val/f1_epoch", 0),
        ("help_me(self, x)", "val/f1", 0),
        ("import torch; torch.log(x)", "val/f1", 1),
    ],
)
def test_metrics_are_read_from_the_models_code(dlctl: Dlctl, code: str, monitor: str, faults: int) -> None:
    (dlctl.root / "mine.py").write_text(
        "from lightning import LightningModule\nclass Mine(LightningModule):\n"
        f"    def validation_step(self, x, i):\n        {code}\n"
    )
    write(dlctl, "model/mine", "_target_: mine.Mine\n")
    words = (f"callbacks.{name}.monitor={monitor}" for name in ("model_checkpoint", "early_stopping"))
    found = dlctl("check", "model=mine", *words, "--json", code=3 if faults else 0).json["faults"]
    assert [fault["kind"] for fault in found] == ["metric", "metric"] * faults


def test_own_modules_that_cannot_be_read_are_told_with_their_line(dlctl: Dlctl) -> None:
    (dlctl.root / "mine.py").write_text("class Mine:\n    def __init__(self\n")
    write(dlctl, "model/mine", "_target_: mine.Mine\n")
    (fault,) = dlctl("check", "model=mine", "--json", code=3).json["faults"]
    assert fault["kind"] == "target"
    assert "mine.py:2: '(' was never closed" in fault["message"]


def test_what_source_does_not_tell_is_imported(dlctl: Dlctl) -> None:
    (dlctl.root / "imported_module.py").write_text(
        "globals()['Good'] = type('Good', (), {})\nPath('imported').touch()\n".replace(
            "Path", "__import__('pathlib').Path"
        )
    )
    write(dlctl, "model/mine", "_target_: imported_module.Good\n")
    assert dlctl("check", "model=mine", "~callbacks").out == "no fault in 1 config\n"
    assert Path("imported").exists()
    result = dlctl("check", "model=mine", "model._target_=imported_module.Bad", "~callbacks", code=3)
    assert "there is no 'Bad' in imported_module\n  correct the name, or the module" in result.err


def test_settings_of_a_logger_that_is_not_chosen_are_no_fault(dlctl: Dlctl) -> None:
    write(dlctl, "experiment/mine", "# @package _global_\ndefaults:\n  - example\n  - _self_\n"
          "logger:\n  wandb:\n    tags: ${tags}\n")  # fmt: skip
    assert dlctl("check", "--exp", "mine").out == "no fault in 1 config\n"


def test_packages_without_init_are_read_and_untrue_annotations_pass(dlctl: Dlctl) -> None:
    (dlctl.root / "shapes/inner").mkdir(parents=True)
    (dlctl.root / "shapes/inner/nets.py").write_text(
        "from attrs import define\n\n"
        "class Net:\n    def __init__(self, skip: bool = False, size: int = 1): ...\n\n"
        "@define\nclass Fields:\n    width: int\n\n"
        "def register(cls): return cls\n\n"
        "@register\nclass Registered:\n    def __init__(self, *, depth): ...\n\n"
        "def make(): ...\ndef make(anything): ...\n"
    )
    write(
        dlctl,
        "model/mine",
        "defaults: [mnist, _self_]\nnet:\n  _target_: shapes.inner.nets.Net\n  skip: concat\n",
    )
    good = ("check", "model=mine")
    unknown = [
        f"~model.net.{name}" for name in ("input_size", "lin1_size", "lin2_size", "lin3_size", "output_size")
    ]
    assert dlctl(*good, *unknown).out == "no fault in 1 config\n"
    assert "takes no argument 'input_size'" in dlctl(*good, *unknown[1:], code=3).err
    for name in ("Fields", "Registered", "make"):
        words = (f"model.net._target_=shapes.inner.nets.{name}", "~model.net.skip", "+model.net.anything=1")
        assert dlctl(*good, *unknown, *words).out == "no fault in 1 config\n"
    result = dlctl(*good, *unknown, "model.net._target_=shapes.inner.nets.Nte", code=3)
    assert "did you mean shapes.inner.nets.Net?" in result.err


def test_packages_that_are_not_installed_are_told_once(dlctl: Dlctl) -> None:
    for name in ("one", "two"):
        write(dlctl, f"model/{name}", "_target_: no_such_package.Model\n")
    (fault,) = dlctl("check", "--all", "--json", code=3).json["faults"]
    assert fault["message"] == "the package 'no_such_package' is not installed"


def test_token_that_is_not_set_is_a_note(dlctl: Dlctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_API_TOKEN", raising=False)
    result = dlctl("check", "+token=${oc.env:MY_API_TOKEN}")
    assert "needs the environment variable MY_API_TOKEN" in result.err
    assert "MY_OTHER is not set" in dlctl("check", "+other=${oc.env:MY_OTHER}", code=3).err


def test_files_of_the_data_do_not_keep_a_training_from_fetching_them(dlctl: Dlctl) -> None:
    words = ("+data_file=nothing.csv",)
    assert "nothing.csv, which does not exist" in dlctl("check", *words, code=3).err
    dlctl("train", *words, "--dry-run")


def test_what_other_code_instantiates_may_be_given_more_there(dlctl: Dlctl) -> None:
    write(dlctl, "experiment/mine", "# @package _global_\nother:\n  _target_: torch.optim.Adam\n  lr: 0.1\n")
    assert dlctl("check", "--exp", "mine").out == "no fault in 1 config\n"
    assert "torch.optim.Adam needs 'params'" in dlctl("check", "~model.optimizer._partial_", code=3).err


def test_experiments_in_folders_and_with_odd_names_are_checked(dlctl: Dlctl) -> None:
    for name in ("experiment/abl/deep", "experiment/1"):
        write(dlctl, name, "# @package _global_\nmodel:\n  net:\n    lin1_sze: 3\n")
    found = dlctl("check", "--all", "--json", code=3).json["faults"]
    assert [(Path(fault["file"]).name, fault["line"]) for fault in found] == [("1.yaml", 4), ("deep.yaml", 4)]


@pytest.mark.parametrize("text", ["", "# nothing\n", "0: 3\n_target_: torch.nn.ReLU\ntrue: 2\n_args_: 3\n"])
def test_odd_configs_are_no_fault_of_dlctl(dlctl: Dlctl, text: str) -> None:
    write(dlctl, "train", text)
    for words in (("check",), ("check", "--all")):
        assert "fault of dlctl" not in dlctl(*words, code=3 if "_target_" in text else 0).err


def test_one_mistake_is_told_once(dlctl: Dlctl) -> None:
    write(
        dlctl, "model/mine", "defaults: [mnist, _self_]\n_target_: dlctl.models.mnist_module.MNISTLitModul\n"
    )
    (fault,) = dlctl("check", "model=mine", "--json", code=3).json["faults"]
    assert (fault["line"], fault["kind"]) == (2, "target")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("experiment", "model:\n  compile: true\nown: 3\n"),
        ("experiment", "seed: 3\n"),
        ("experiment", "defaults:\n  - override /data: mnist\n  - _self_\nown: 3\n"),
        ("debug", "trainer:\n  max_epochs: 1\n"),
        ("hparams_search", "hydra:\n  sweeper:\n    params:\n      seed: 1,2\n"),
    ],
)
@pytest.mark.parametrize("all_", [True, False])
def test_whole_config_without_its_package_is_a_fault(dlctl: Dlctl, name: str, text: str, all_: bool) -> None:
    write(dlctl, f"{name}/mine", f"# What it is for\n{text}")
    result = dlctl("check", *(["--all"] if all_ else [f"{name}=mine"]), code=3)
    assert result.err == (
        f"error: configs/{name}/mine.yaml:1: what this file sets goes below '{name}', "
        "where nothing reads it\n"
        "  the first line must be: # @package _global_\n"
    )


@pytest.mark.parametrize("text", ["# @package experiment\nseed: 3\n", "own: 3\n", "defaults: [example]\n"])
def test_config_that_is_meant_to_have_a_package_of_its_own_is_no_fault(dlctl: Dlctl, text: str) -> None:
    write(dlctl, "experiment/mine", text)
    assert dlctl("check", "--exp", "mine").out == "no fault in 1 config\n"


@pytest.mark.parametrize(
    ("wrong", "meant"), [("_taget_", "_target_"), ("_target", "_target_"), ("_partal_", "_partial_")]
)
def test_misspelt_keys_of_hydra_are_faults(dlctl: Dlctl, wrong: str, meant: str) -> None:
    write(dlctl, "data/mine", f"defaults: [mnist_mini, _self_]\n{wrong}: mine.Data\n")
    err = dlctl("check", "data=mine", code=3).err
    assert err == (
        f"error: configs/data/mine.yaml:2: 'data.{wrong}' means nothing to Hydra\n  did you mean {meant}?\n"
    )


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("runtime.outptu_dir", "runtime.output_dir"),
        ("runtme.cwd", "runtime.cwd"),
        ("job.nam", "job.name"),
    ],
)
def test_misspelt_settings_of_hydra_are_faults(dlctl: Dlctl, wrong: str, meant: str) -> None:
    write(dlctl, "experiment/mine", f"# @package _global_\nwhere: ${{hydra:{wrong}}}\n")
    err = dlctl("check", "--exp", "mine", code=3).err
    assert err.startswith(
        f"error: configs/experiment/mine.yaml:2: 'where' cannot be resolved: Hydra has no '{wrong}'"
    )
    assert f"did you mean ${{hydra:{meant}}}" in err


@pytest.mark.parametrize(
    "right",
    ["launcher.n_jobs", "sweeper.own", "runtime.choices.model", "runtime.choices.no", "job.num", "run.dir"],
)
def test_settings_that_hydra_may_have_are_no_faults(dlctl: Dlctl, right: str) -> None:
    dlctl("check", f"+where=${{hydra:{right}}}")


def test_interpolation_into_a_part_that_is_removed_is_a_fault(dlctl: Dlctl) -> None:
    write(dlctl, "logger/mine", 'csv:\n  name: run${model.net.lin1_size}\nsizes: ["${model.net}"]\n')
    assert dlctl("check", "logger=mine", "~logger.sizes").out == "no fault in 1 config\n"
    err = dlctl("check", "logger=mine", "~model", code=3).err
    assert (
        "configs/logger/mine.yaml:2: 'logger.csv.name' cannot be resolved: there is no key 'model.net" in err
    )
    assert (
        "configs/logger/mine.yaml:3: 'logger.sizes[0]' cannot be resolved: there is no key 'model.net'" in err
    )
    assert "give it a value: logger.sizes.0=VALUE" in err


def test_files_that_hydra_does_not_read_are_noted(dlctl: Dlctl) -> None:
    write(dlctl, "model/mine", "")
    (dlctl.root / "configs/model/mine.yaml").rename(dlctl.root / "configs/model/mine.yml")
    result = dlctl("check", "--all")
    assert result.err == "configs/model/mine.yml is not read: the names of configs end in .yaml\n"


def test_resolver_that_gives_a_list_is_no_fault(dlctl: Dlctl) -> None:
    text = "# @package _global_\nsizes: '${oc.decode:\"[1,2]\"}'\nmore: {a: '${oc.create:\"{b: 3}\"}'}\n"
    write(dlctl, "experiment/mine", text)
    assert dlctl("check", "--exp", "mine").out == "no fault in 1 config\n"
    shown = dlctl("show-config", "--exp", "mine", "--resolve", "--format", "json").json
    assert (shown["sizes"], shown["more"]) == ([1, 2], {"a": {"b": 3}})


def test_what_is_wrong_beside_a_wrong_override_is_told_too(dlctl: Dlctl) -> None:
    result = dlctl("check", "trainer.max_epoch=3", "ckpt_path=no.ckpt", "seed=abc", code=3)
    errors = [line.partition(": ")[2] for line in result.err.splitlines() if line.startswith("error")]
    assert errors == [
        "unknown key 'trainer.max_epoch'",
        "'ckpt_path' names no.ckpt, which does not exist",
        "the seed is 'abc', and must be a whole number",
    ]
    assert result.out == "3 faults in 1 config\n"


def test_what_keeps_a_config_from_composing_hides_nothing_else(dlctl: Dlctl) -> None:
    write(
        dlctl,
        "experiment/mine",
        "# @package _global_\ndefaults:\n  - override /data: mnst\n  - override /callbacks: nothing_like\n"
        "  - _self_\ntrainer:\n  max_epoch: 3\ndata:\n  bath: 3\nwhere: ${nowhere}\n",
    )
    result = dlctl("check", "--exp", "mine", "seed=[", "ckpt_path=no.ckpt", code=3)
    errors = [line.removeprefix("error: ") for line in result.err.splitlines() if line.startswith("error")]
    assert [each.partition(": no viable")[0] for each in errors[:2]] == [
        "cannot read the override 'seed=['",
        "'ckpt_path' names no.ckpt, which does not exist",
    ]
    # Which of two options of data was meant is not known, so nothing is said of data.bath.
    assert errors[2:] == [
        "configs/experiment/mine.yaml:3: there is no option of 'data' 'mnst'",
        "configs/experiment/mine.yaml:4: there is no option of 'callbacks' 'nothing_like'",
        "configs/experiment/mine.yaml:7: lightning.pytorch.trainer.Trainer takes no argument 'max_epoch'",
        "configs/experiment/mine.yaml:10: 'where' cannot be resolved: there is no key 'nowhere'",
    ]
    assert result.out == "6 faults in 1 config\n"


def test_broken_file_is_not_blamed_for_what_it_would_have_said(dlctl: Dlctl) -> None:
    write(dlctl, "model/mine", "_target_: {\n")
    write(dlctl, "experiment/mine", "# @package _global_\ndefaults: [override /model: mine, _self_]\n"
          "model: {net: {lin1_size: 3}}\ntrainer: {max_epoch: 3}\n")  # fmt: skip
    found = dlctl("check", "--exp", "mine", "model.net.lin2_size=3", "--json", code=3).json["faults"]
    where = [(Path(fault["file"]).parent.name, fault["line"], fault["kind"]) for fault in found]
    assert where == [("experiment", 4, "argument"), ("model", 1, "yaml")]


def test_folders_of_a_search_are_resolved_too(dlctl: Dlctl) -> None:
    text = "# @package _global_\nhydra:\n  sweep:\n    dir: {}\n    subdir: {}\n"
    write(dlctl, "experiment/mine", text.format("logs/${tsk_name}", "a${nowhere}"))
    err = dlctl("check", "--exp", "mine", code=3).err
    assert err == (
        "error: configs/experiment/mine.yaml:4: 'hydra.sweep.dir' cannot be resolved: "
        "there is no key 'tsk_name'\n  did you mean ${task_name}?\n"
        "error: configs/experiment/mine.yaml:5: 'hydra.sweep.subdir' cannot be resolved: "
        "there is no key 'nowhere'\n  give it a value: hydra.sweep.subdir=VALUE\n"
    )
    # One run needs none of it.
    dlctl("train", "--exp", "mine", "--dry-run")
    right = "${hydra.job.num}_${hydra.job.id}_${hydra.job.override_dirname}_${hydra:runtime.output_dir}"
    write(dlctl, "experiment/mine", text.format("${hydra.runtime.cwd}/${now:%Y}", right))
    assert dlctl("check", "--exp", "mine").out == "no fault in 1 config\n"


def test_primary_config_that_wins_over_its_experiments_is_a_fault(dlctl: Dlctl) -> None:
    groups = "data: mnist_mini, model: mnist, paths: default, trainer: cpu, hydra: default, experiment: null"
    lists = f"defaults: [{groups}]"
    write(dlctl, "train", f"{lists}\ntask_name: train\ntags: [dev]\nseed: null\n")
    write(dlctl, "experiment/mine", "# @package _global_\ntags: [dev]\nseed: 7\n")
    told = (
        "error: configs/train.yaml:1: the defaults list does not say where the file itself comes: "
        "it comes last, and its 'seed' wins over that of configs/experiment/mine.yaml:3\n"
        "  add '- _self_', at the beginning if the configs in the list are to win\n"
    )
    assert dlctl("check", "--exp", "mine", code=3).err == told
    assert dlctl("check", "--all", code=3).err == told
    # Without an experiment it comes to the same, and a group's own file comes last for everybody.
    assert dlctl("check").err == ""
    write(dlctl, "trainer/mine", "defaults: [cpu]\ndevices: 2\n")
    assert dlctl("check", "trainer=mine").err == ""


# A file of a project, what it says, the line of the fault and what is said: mistakes as people make them.
FURTHER = [
    ("callbacks/own", "defaults: [default, _self_]\nearly_stopping:\n  mode: maximum\n", 3, "takes min or max"),
    ("callbacks/own", "defaults: [default, _self_]\nearly_stopping:\n  patince: 3\n", 3, "no argument 'patince'"),
    ("trainer/own", "defaults: [default, _self_]\nmax_epochs: [10]\n", 2, "'[10]' does not fit"),
    ("model/own", "defaults: [mnist, _self_]\ncompile: fasle\n", 2, "'fasle' does not fit 'model.compile'"),
    ("model/own", "defaults: [mnist, _self_]\nscheduler:\n  _target_: torch.optm.lr_scheduler.StepLR\n", 3, "no 'optm' in torch"),
    ("trainer/own", "defaults: [default, _self_]\nmax_epochs: None\n", 2, "'None' does not fit"),
    ("experiment/own", "# @package global\ndefaults:\n  - override /data: mnist\n  - override /trainer: cpu\n", 1, "no package 'global'"),
    ("experiment/own", "hello\n", 1, "the file holds a word"),
    ("experiment/own", "# @package _global_\nhydra:\n  rum:\n    dir: x\n", 3, "'hydra.rum'"),
    ("train", "defaults:\n  - model: mnist\n  - data: mnist_mini\n  - trainr: default\n  - paths: default\n  - hydra: default\n"
     "  - experiment: null\n  - _self_\ntask_name: x\n", 4, "there is no group 'trainr'"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "line", "said"), FURTHER, ids=[each[3] for each in FURTHER])
def test_further_mistakes_are_told_at_their_lines_and_nothing_else(
    dlctl: Dlctl, name: str, text: str, line: int, said: str
) -> None:
    write(dlctl, name, text)
    (fault,) = dlctl("check", "--all", "--json", code=3).json["faults"]
    assert (fault["file"], fault["line"]) == (str(dlctl.root / f"configs/{name}.yaml"), line)
    assert said in fault["message"]


def test_all_goes_on_past_what_does_not_compose(dlctl: Dlctl) -> None:
    text = ("# @package _global_\ndefaults:\n  - /model: mnist\n  - override /data: nothing_like\n  - _self_\n"
            "trainer:\n  max_epoch: 3\nhydra:\n  rum: 3\n  job:\n    num: abc\n")  # fmt: skip
    write(dlctl, "experiment/mine", text)
    found = dlctl("check", "--all", "--json", code=3).json["faults"]
    assert [fault["line"] for fault in found] == [3, 4, 7, 9, 11]


def test_folder_named_like_a_config_is_told_once(dlctl: Dlctl) -> None:
    (dlctl.root / "configs/experiment/folder.yaml").mkdir(parents=True)
    (fault,) = dlctl("check", "--all", "--json", code=3).json["faults"]
    assert "cannot be read" in fault["message"]


TRAIN = (
    "defaults: [_self_, {data: mnist_mini}, {model: mnist}, {callbacks: default}, {logger: csv}, "
    "{trainer: default}, {paths: default}, {extras: default}, {hydra: default}]\n"
)


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("task_name: x\nckpt_pth: null\n", "", ["'ckpt_pth' is read by nothing"]),
        ("task_name: x\ntrainr:\n  max_epochs: 1\n", "", ["'trainr' is read by nothing"]),
        # Its own code reads it, or the config does.
        ("task_name: x\nckpt_pth: null\n", "print(cfg.ckpt_pth)\n", []),
        ("task_name: ${taskname}\ntaskname: x\n", "", []),
        # A word beside another one, and sections of its own.
        ("task_name: x\ntags: [a]\ntag: a\nseed: 1\nseeds: [1]\ntesting: {a: 1}\n", "", []),
        # Braces that are a format, and a name that is none of the config's.
        (
            "task_name: x\nnote: '{epoch.x} ${task_name} $HOME $nothing.x {nothing.x}'\nb: {a.b: null}\n",
            "",
            [],
        ),
        ("task_name: x\nnote: $(paths.log_dir)/a\n", "", ["'note' is the text '$(paths.log_dir)'"]),
    ],
    ids=["value", "section", "read by code", "pointed at", "words of its own", "formats", "parentheses"],
)
def test_root_keys_and_pointers_that_are_probably_misspelt(
    dlctl: Dlctl, text: str, code: str, said: list[str]
) -> None:
    write(dlctl, "train", TRAIN + text)
    (dlctl.root / "main.py").write_text(code)
    found = dlctl("check", "--all", "--json", code=3 if said else 0).json["faults"]
    assert len(found) == len(said)
    assert all(part in fault["message"] for part, fault in zip(said, found, strict=True))


def test_numbers_that_are_not_whole_are_told_in_files_as_on_the_command_line(dlctl: Dlctl) -> None:
    (dlctl.root / "own.py").write_text(
        "from collections.abc import Sequence\nfrom typing import Optional, Union\n\n"
        "class Own:\n    def __init__(self, rate: int = 0.5, size: int = 3, opt: int | None = None,\n"
        "                 either: float | int = 1, union: 'Union[int, float]' = 1, text: 'int' = 1, bare=1,\n"
        "                 names: Sequence[int] = (), fraction: Optional[float] = None, any: 'Unknown' = 1): ...\n"
    )
    write(dlctl, "trainer/own", "defaults: [default, _self_]\nmax_epochs: 1e5\n")
    # Untrue annotations, whole numbers for others, unions, names that mean nothing, what is pointed at.
    fine = "rate: 0.1\n  either: 2.0\n  union: 2.5\n  bare: 2.0\n  fraction: 2\n  any: 2.0\n"
    wrong = '  size: 2.5\n  opt: 64.0\n  text: "64"\n  names: 2.0\n'
    section = f"part:\n  _target_: own.Own\n  {fine}{wrong}other:\n  _target_: own.Own\n  size: ${{own}}\n"
    write(dlctl, "experiment/own", f"# @package _global_\nown: 2.0\n{section}")
    err = dlctl("check", "trainer=own", "--exp", "own", code=3).err
    assert err == (
        "error: configs/experiment/own.yaml:11: '2.5' does not fit 'part.size', which takes int\n"
        "  write a number\n"
        "error: configs/experiment/own.yaml:12: '64.0' does not fit 'part.opt', which takes int | None\n"
        "  did you mean 64?\n"
        "error: configs/experiment/own.yaml:13: '64' does not fit 'part.text', which takes 'int'\n"
        "  without quotes: 64\n"
        "error: configs/trainer/own.yaml:2: '100000.0' does not fit 'trainer.max_epochs', which takes Optional[int]\n"
        "  did you mean 100000?\n"
    )
    for words in (("trainer.max_epochs=1e5",), ("--exp", "own", "part.opt=64.0")):
        assert "does not fit" in dlctl("check", *words, code=3).err
    # Python does not hold anybody to annotations, so a training tells it and goes on.
    assert "'100000.0' does not fit" in dlctl("train", "trainer=own", "--dry-run").err


# As people write them: a file of a project, what it says, the line of the fault, what is said and what to do.
MEANT = [
    ("experiment/own", "# @package _global_\ndefaults: [example, _self_]\ntrainer:\nmax_epochs: 3\n", 3,
     "'trainer' is empty here, which removes the whole section", "indent what belongs below it; if it is to be removed: trainer: null"),
    ("experiment/own", "# @package _global_\nmodel:\n  optimizer:\n  # lr: 3\n", 3,
     "'model.optimizer' is empty here", "indent what belongs below it; if it is to be removed: optimizer: null"),
    ("model/own", "defaults: [mnist, _self_]\nnet:\n  lin1_size:64\n", 2,
     "'model.net' is a section, and here the word 'lin1_size:64'", "a colon and a space belong between them: lin1_size: 64"),
    ("experiment/own", "# @package _global_\ntrainer:\n  max_epochs = 3\n", 2,
     "'trainer' is a section, and here the word 'max_epochs = 3'", "a colon and a space belong between them: max_epochs: 3"),
    ("experiment/own", "# @package _global_\ndefaults:\n  - override /model mnist\n", 3,
     "'/model' is no keyword: there are override and optional", "a colon belongs behind a group: - override /model: OPTION"),
    ("experiment/own", "# @package _global_\nhydra:\n  sweeper:\n    direction: maximize\n", 4,
     "'hydra.sweeper.direction': Key 'direction' not in", "choose one that takes it, in the defaults list: - override /hydra/sweeper: OPTION"),
    ("experiment/own", "# @package _global_\nmodel: {compile: 'true'}\n", 2,
     "'true' does not fit 'model.compile', which takes bool", "without quotes: true"),
    ("experiment/own", "# @package _global_\npaths: {root_dir: /nowhere/at/all}\n", 2,
     "'paths.root_dir' names /nowhere/at/all, which does not exist", "make it, or correct the path"),
    ("experiment/own", "# @package _global_\ntrainer: ${trainers.gpu}\nwhere: ${trainer.devices}\n", 2,
     "'trainer' cannot be resolved: there is no key 'trainers.gpu'", "give it a value: trainer=VALUE"),
    ("experiment/own", "# @package _global_\ndata: mnist\n", 2,
     "'data' is a section, and here the word 'mnist'", "to choose an option, in the defaults list: - override /data: mnist"),
    ("experiment/own", "# @package _global_\ntrainer:\n  - max_epochs: 3\n", 2,
     "'trainer' is a section (dlctl:trainer/default.yaml:1), and here a list", "its values go below it, without dashes"),
    ("experiment/own", "# @package _global_\nmodel:\n  net: [64, 128]\nseed: 3\n", 3,
     "'model.net' is a section (dlctl:model/mnist.yaml:6), and here a list", "its values go below it, without dashes"),
    ("experiment/own", "# @package _global_\ntags:\n  a: 1\n", 2,
     "'tags' is a list (dlctl:train.yaml:31), and here a section", "its items go in brackets: [a, b]"),
    ("callbacks/own", "defaults: [default, _self_]\nlr_monitor:\n  logging_interval: step\n", 2,
     "'callbacks.lr_monitor' has no _target_", "say what is to be built: _target_: package.module.Class"),
    ("experiment/own", "# @package _global_\nlogger:\n  wandb: true\n", 3,
     "'logger.wandb' is 'true', and builds nothing", "to choose an option, in the defaults list: - override /logger: wandb"),
    ("experiment/own", "# @package _global_\nseed: 3\ndefault:\n  - override /trainer: cpu\n", 3,
     "'default' is no defaults list", "did you mean defaults?"),
    ("experiment/own", "# @package _global_\ndefaults:\n  - overide /model: tagger\n", 3,
     "'overide' is no keyword: there are override and optional", "did you mean override?"),
    ("experiment/own", "# @package _global_\ndefaults:\n  - override /trainer: GPU\n", 3,
     "there is no option of 'trainer' 'GPU'", "did you mean trainer: gpu or trainer: cpu?"),
    ("experiment/own", '# @package _global_\ntrain: "False"\n', 2,
     "'False' is a word, and 'train' takes true or false", "without quotes: train: false"),
    ("experiment/own", "# @package _global_\ntest: yess\n", 2,
     "'yess' is a word, and 'test' takes true or false", "did you mean: test: true"),
    ("experiment/own", '# @package _global_\nseed: "12"\n', 2,
     "the seed is '12', and must be a whole number", "without quotes: seed: 12"),
    ("experiment/own", "# @package _global_\ntrainer: {precision: 61}\n", 2,
     "'61' does not fit 'trainer.precision', which takes Optional[_PRECISION_INPUT]", "did you mean 64 or 16?"),
    ("model/own", "defaults: [mnist, _self_]\nscheduler:\n  _target_: torch.optim.lr_scheduler.ExponentialLR\n  gamma: 0.9\n", 3,
     "torch.optim.lr_scheduler.ExponentialLR takes no argument 'mode', 'factor' and 'patience', left over from dlctl:model/mnist.yaml:24",
     "it takes optimizer, gamma, last_epoch"),
    ("model/own", "defaults: [mnist, _self_]\nnet: {_target_: sklearm.Net}\n", 2,
     "the package 'sklearm' is not installed", "correct the name, or install what brings sklearm"),
    ("experiment/own", "# @package _global_\na: ${oc.env:X,{a: 1}}\n", 2,
     "not YAML: a value with a colon and a space in it must be quoted", "a: ${oc.env:X,{a: 1}}"),
    ("experiment/own", "# @package _global_\nwhere: ${nowhere.where}\n", 2,
     "'where' cannot be resolved: there is no key 'nowhere.where'", "give it a value: where=VALUE"),
    ("model/own", "defaults: [mnist, _self_]\noptimizer:\n  betas: (0.9, 0.999)\n", 3,
     "'(0.9, 0.999)' does not fit 'model.optimizer.betas'", "did you mean [0.9, 0.999]?"),
    ("data/own", "defaults: [mnist_mini, _self_]\ntrain_val_test_split: 7000, 1000, 2000\n", 2,
     "'7000, 1000, 2000' does not fit 'data.train_val_test_split'", "did you mean [7000, 1000, 2000]?"),
    ("model/own", "defaults: [mnist, _self_]\n_target_: dlctl.models.mnist_module\n", 2,
     "dlctl.models.mnist_module is a module and no class", "did you mean dlctl.models.mnist_module.MNISTLitModule?"),
    ("callbacks/own", "lr: {_target_: LearningRateMonitor}\n", 1,
     "'LearningRateMonitor' is no path of a class", "did you mean lightning.pytorch.callbacks.LearningRateMonitor?"),
    ("trainer/own", "defaults: [default, _self_]\ngpus: 1\n", 2,
     "lightning.pytorch.trainer.Trainer takes no argument 'gpus'", "today that is accelerator: gpu with devices: N"),
    ("sweep", "defaults: [{sampler: tpe}, {pruner: median}]\nn_trials: 20\n", 2, "'n_trials' is read by nothing", "did you mean trials?"),
    ("sweep", "defaults: [{sampler: tpe}]\ntrials: 20\n", 1, "the config of a search chooses no pruner",
     "add to its defaults list: - pruner: OPTION (dlctl list pruner)"),
    ("pretrain", "defaults: [{model: mnist}, {trainer: cpu}, {paths: default}, _self_]\ntaks_name: x\n", 2, "'taks_name' is read by nothing", "did you mean task_name?"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "line", "said", "remedy"), MEANT, ids=[each[3][:40] for each in MEANT]
)
def test_what_is_wrong_and_what_to_do_take_a_line_each(
    dlctl: Dlctl, name: str, text: str, line: int, said: str, remedy: str
) -> None:
    write(dlctl, name, text)
    group, _, option = name.rpartition("/")
    for words in ([f"{group}={option}"], ["--all"]) if group else (["--all"],):
        lines = dlctl("check", *words, code=3).err.splitlines()
        assert sum(each.startswith("error: ") for each in lines) == 1, lines
        assert lines[0].startswith(f"error: configs/{name}.yaml:{line}: {said}")
        assert lines[1].strip() == remedy


def test_what_only_looks_like_a_mistake_is_none(dlctl: Dlctl) -> None:
    write(dlctl, "callbacks/mine", "lr:\n  _target_: lightning.pytorch.callbacks.LearningRateMonitor\n")
    write(
        dlctl,
        "experiment/own",
        "# @package _global_\ncallbacks:\n  lr:\n    logging_interval: step\n  early_stopping:\n"
        "model:\n  scheduler: null\ntrainer:\n  strategy: ddp\n  max_time:\ndefault: [1, 2]\nurl: a:b\n"
        "empty:\ntrain: yes\ntest: ${train}\nseed: '${oc.decode:\"3\"}'\nlogger:\n  csv:\n    _target_: dlctl.utils.csv_logger.CSVLogger\n",
    )
    write(dlctl, "experiment/off", "# @package _global_\ncallbacks: null\nlogger: ~\ntags: [a:b]\n")
    err = dlctl("check", "--exp", "own", code=3).err
    assert err == (
        "error: configs/experiment/own.yaml:5: 'callbacks.early_stopping' is empty here, which removes the whole section\n"
        "  indent what belongs below it; if it is to be removed: early_stopping: null\n"
    )
    assert dlctl("check", "--exp", "off").out == "no fault in 1 config\n"


def test_misspelt_root_key_is_told_and_not_what_misses_it(dlctl: Dlctl) -> None:
    write(dlctl, "train", f"{TRAIN}taks_name: x\ntain: true\n")
    for words in (["check"], ["check", "--all"], ["train", "--dry-run"]):
        err = dlctl(*words, code=3).err
        assert "${taks_name}" not in err
        if words[0] == "check":
            assert err == (
                "error: configs/train.yaml:2: 'taks_name' is read by nothing\n  did you mean task_name?\n"
                "error: configs/train.yaml:3: 'tain' is read by nothing\n  did you mean train?\n"
            )


def test_interpolations_of_hydras_own_settings_are_resolved_too(dlctl: Dlctl) -> None:
    write(
        dlctl,
        "experiment/own",
        "# @package _global_\nhydra:\n  job:\n    name: ${nowhere.name}\n    env_set:\n      A: ${paths.nodir}\n"
        "      B: ${hydra.job.override_dirname}_${hydra:runtime.cwd}_${hydra.launcher.brought}\n"
        "  output_subdir: ${where}\n  sweeper:\n    params:\n      seed: ${seeds}\n",
    )
    told = [
        "4: 'hydra.job.name' cannot be resolved: there is no key 'nowhere.name'",
        "6: 'hydra.job.env_set.A' cannot be resolved: there is no key 'paths.nodir'",
        "8: 'hydra.output_subdir' cannot be resolved: there is no key 'where'",
        "11: 'hydra.sweeper.params.seed' cannot be resolved: there is no key 'seeds'",
    ]
    for words in (["check", "--exp", "own"], ["check", "--all"], ["train", "--exp", "own"]):
        lines = dlctl(*words, code=3).err.splitlines()
        errors = [line for line in lines if line.startswith("error")]
        # A training needs nothing of what only a search reads.
        expected = told if words[0] == "check" else told[:-1]
        assert sorted(errors) == sorted(f"error: configs/experiment/own.yaml:{each}" for each in expected)


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_config_that_is_no_file_is_told_as_that(dlctl: Dlctl, kind: str) -> None:
    (dlctl.root / "configs/model").mkdir(parents=True)
    file = dlctl.root / "configs/model/mine.yaml"
    file.mkdir() if kind == "folder" else file.symlink_to("nowhere.yaml")
    reason = "is a folder and no file" if kind == "folder" else "is a link to what is not there"
    for command in ("check", "show-config", "train"):
        err = dlctl(command, "model=mine", code=3).err
        assert err == (
            "error: there is no option of 'model' 'mine'\n"
            f"  configs/model/mine.yaml {reason}\n  there are: mnist, tagger\n"
        )
    (fault,) = dlctl("check", "--all", "--json", code=3).json["faults"]
    assert fault["message"].startswith("the file cannot be read: ")


def test_config_that_nobody_may_read_is_told_with_its_name(dlctl: Dlctl) -> None:
    write(dlctl, "model/mine", "defaults: [mnist, _self_]\n")
    write(
        dlctl,
        "experiment/e",
        "# @package _global_\ndefaults:\n  - override /model: mine\ntrainer: {max_epoch: 3}\n",
    )
    (dlctl.root / "configs/model/mine.yaml").chmod(0)
    told = (
        "error: configs/model/mine.yaml:1: the file cannot be read: Permission denied\n"
        "  look at who may read it: ls -l configs/model/mine.yaml\n"
    )
    # Root may read whatever it likes, unless that right is taken from it.
    plain = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    if plain and (
        shutil.which("setpriv") is None or subprocess.run([*plain, "true"], check=False).returncode
    ):
        pytest.skip("root reads whatever it likes, and setpriv cannot take that from it")
    for words in ("show-config --exp e", "train --exp e", "check --exp e", "check --all"):
        command = [*plain, sys.executable, "-m", "dlctl", *words.split()]
        done = subprocess.run(command, cwd=dlctl.root, capture_output=True, text=True, check=False)
        assert done.returncode == 3, done.stderr
        assert told in done.stderr
        assert ("'max_epoch'" in done.stderr) == words.startswith("check")


def test_search_whose_config_chooses_nothing_is_no_fault_of_dlctl(dlctl: Dlctl) -> None:
    write(dlctl, "sweep", "trials: 3\n")
    err = dlctl("sweep", "seed=1,2", "--dry-run", code=3).err
    assert err.startswith("error: configs/sweep.yaml:1: the config of a search chooses no sampler\n")


def test_faults_of_all_kinds_are_told_at_once(dlctl: Dlctl) -> None:
    write(dlctl, "logger/mine", "csv:\n\tname: x\n")
    write(
        dlctl,
        "experiment/mine",
        "# @package _global_\ndefaults:\n  - override /data: mnst_mini\n  - override /logger: mine\n  - _self_\n"
        "trainer:\n  max_epoch: 3\n  devices: [a: 1]\ncallbacks:\n  early_stopping:\n    monitor: val/accuracy\n"
        "model:\n  optimizer: {lr: fast}\n  net: [1]\nwhere: ${nowhere.x}\nsed: 3\nckpt_path: no.ckpt\n",
    )
    for words in (["--exp", "mine"], ["--all"]):
        found = dlctl("check", *words, "--json", code=3).json["faults"]
        where = [(Path(fault["file"]).parent.name, fault["line"], fault["kind"]) for fault in found]
        assert where == [
            *[("experiment", *each) for each in [(3, "defaults"), (7, "argument"), (11, "metric"), (13, "value"),
                                                 (14, "value"), (15, "interpolation"), (16, "key"), (17, "path")]],
            ("logger", 2, "yaml"),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("_target_: lightning.pytorch.callbacks.ModelCheckpoint\nmonitor: val/acc\n", None),
        (
            "foreign:\n  _target_: dlctl.models.components.simple_dense_net.SimpleDenseNet\n",
            "configs/callbacks/mine.yaml:2: dlctl.models.components.simple_dense_net.SimpleDenseNet is not a "
            "Callback, which 'callbacks.foreign' must be",
        ),
        (
            "a:\n  - _target_: lightning.pytorch.callbacks.ModelCheckpoint\n",
            "configs/callbacks/mine.yaml:1: 'callbacks.a' is a list, of which nothing is built",
        ),
        (
            "a:\n  _target_: lightning.pytorch.callbacks.ModelCheckpoint\n  _partial_: true\n",
            "configs/callbacks/mine.yaml:3: 'callbacks.a' is a partial, and a Callback is needed",
        ),
    ],
)
def test_callbacks_that_are_none_are_reported(dlctl: Dlctl, text: str, expected: str | None) -> None:
    write(dlctl, "callbacks/mine", text)
    result = dlctl("check", "--exp", "example", "callbacks=mine", code=3 if expected else 0)
    assert (expected is None and result.err == "") or f"error: {expected}\n" in result.err


def test_trainer_plug_points_of_another_type_are_reported(dlctl: Dlctl) -> None:
    target = "{_target_: lightning.pytorch.callbacks.ModelCheckpoint}"
    result = dlctl("check", "--exp", "example", f"+trainer.profiler={target}", code=3)
    assert "ModelCheckpoint is not a Profiler, which 'trainer.profiler' must be" in result.err
