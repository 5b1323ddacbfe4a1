"""``check --all`` finds every planted mistake at its line and nothing else."""

# ruff: noqa: E501 - a table

import shutil
from pathlib import Path

import pytest

from dlctl.composition import survey
from dlctl.project import Project, packaged_configs

# The kind of mistake, a file, what stands there, the mistake in its place, its topic and what is said about it.
MISTAKES = [
    ("argument", "model/mnist.yaml", "lin2_size: 128", "lin2_sze: 128", "argument", "takes no argument 'lin2_sze'"),
    ("argument", "trainer/ddp.yaml", "num_nodes: 1", "num_node: 1", "argument", "takes no argument 'num_node'"),
    ("argument", "debug/overfit.yaml", "overfit_batches: 3", "overfit_batch: 3", "argument", "takes no argument 'overfit_batch'"),
    ("class", "model/mnist.yaml", "scheduler.ReduceLROnPlateau", "scheduler.ReduceLROnPlato", "target", "no 'ReduceLROnPlato' in"),
    ("module", "data/mnist.yaml", "mnist_datamodule.M", "mnist_datamodul.M", "target", "no 'mnist_datamodul' in dlctl.data"),
    ("package", "callbacks/model_summary.yaml", "_target_: lightning.", "_target_: lightnin.", "target", "no package 'lightnin'"),
    ("word for a number", "data/mnist_mini.yaml", "num_workers: 0", "num_workers: few", "value", "'few' does not fit 'data.num_workers'"),
    ("word for a switch", "model/mnist.yaml", "compile: false", "compile: fasle", "value", "'fasle' does not fit 'model.compile'"),
    ("list for a number", "trainer/cpu.yaml", "devices: 1", "devices: 1\nmax_epochs: [10]", "value", "'[10]' does not fit 'trainer.max_epochs'"),
    ("float for an int", "model/tagger.yaml", "layers: 1", "layers: 1.5", "value", "'1.5' does not fit 'model.net.layers', which takes int"),
    ("None for null", "data/mnist_mini.yaml", "augment: null", "augment: None", "value", "'None' does not fit 'data.augment'"),
    ("monitored metric", "callbacks/default.yaml", "monitor: val/acc\n  patience", "monitor: val/accuracy\n  patience", "metric", "'val/accuracy'"),
    ("mode", "callbacks/default.yaml", "mode: max\n  save", "mode: maxx\n  save", "value", "'maxx' does not fit 'callbacks.model_checkpoint.mode'"),
    ("missing argument", "model/tagger.yaml", "_target_: torch.optim.lr_scheduler.ExponentialLR\n  _partial_: true", "_target_: torch.optim.lr_scheduler.ExponentialLR", "missing", "ExponentialLR needs 'optimizer'"),
    ("key of instantiate", "logger/comet.yaml", "_target_:", "_taget_:", "key", "'logger.comet._taget_' means nothing to Hydra"),
    ("brackets", "callbacks/none.yaml", "{}", "{", "yaml", "not YAML"),
    ("tab", "trainer/mps.yaml", "devices: 1", "\tdevices: 1", "yaml", "a tab indents this line"),
    ("duplicate key", "trainer/gpu.yaml", "devices: 1", "devices: 1\ndevices: 2", "yaml", "duplicate key devices"),
    ("no mapping", "sampler/grid.yaml", "_target_: optuna", "- optuna", "yaml", "the file holds a list"),
    ("key without a name", "trainer/ddp_sim.yaml", "devices: 2", "null: 2", "key", "'null' is no name of a key"),
    ("interpolation to no key", "logger/csv.yaml", "${paths.output_dir}", "${paths.outputdir}", "interpolation", "no key 'paths.outputdir'"),
    ("resolver", "logger/wandb.yaml", "${tags}", "${tagz:x}", "interpolation", "no resolver 'tagz'"),
    ("open interpolation", "logger/mlflow.yaml", "${task_name}", "${task_name", "interpolation", "'${task_name' cannot be read"),
    ("variable", "debug/profiler.yaml", "${paths.output_dir}", "${oc.env:NO_SUCH_VARIABLE}", "interpolation", "NO_SUCH_VARIABLE is not set"),
    ("circle", "paths/default.yaml", "log_dir: ${paths.root_dir}", "log_dir: ${paths.log_dir}", "interpolation", "in a circle"),
    ("interpolation without braces", "logger/tensorboard.yaml", "save_dir: ${paths.output_dir}/", "save_dir: $paths.output_dir/", "interpolation", "is the text '$paths.output_dir'"),
    ("interpolation without $", "logger/aim.yaml", "repo: ${paths.log_dir}/aim", "repo: '{paths.log_dir}/aim'", "interpolation", "is the text '{paths.log_dir}'"),
    ("interpolation as a mapping", "callbacks/default.yaml", "dirpath: ${paths.output_dir}/checkpoints", "dirpath: {paths.output_dir}", "interpolation", "is the text '{paths.output_dir}'"),
    ("option", "logger/many_loggers.yaml", "  - tensorboard", "  - tensorbord", "defaults", "no option of 'logger' 'tensorbord'"),
    ("group", "experiment/mnist.yaml", "override /data: mnist", "override /dta: mnist", "defaults", "no group 'dta'"),
    ("second _self_", "trainer/cpu.yaml", "  - _self_", "  - _self_\n  - _self_", "defaults", "_self_ stands here a second time"),
    ("shape of an entry", "trainer/fsdp.yaml", "  - _self_", "  - _self_\n  - 3", "defaults", "'3' is no name of a config"),
    ("package of a file", "debug/fdr.yaml", "@package _global_", "@package _globl_", "package", "no package '_globl_'"),
    ("no package of a file", "experiment/tagger_ewt.yaml", "# @package _global_", "# A treebank.", "package", "goes below 'experiment'"),
    ("root key of an experiment", "experiment/example.yaml", "seed: 12345", "sed: 12345", "key", "'sed' is a new key"),
    ("section of an experiment", "experiment/tagger.yaml", "trainer:\n", "trainr:\n", "key", "'trainr' is a new key"),
    ("name of a callback", "experiment/example.yaml", "data:\n", "callbacks:\n  early_stoping:\n    patience: 3\ndata:\n", "key", "'callbacks.early_stoping' has no _target_"),
    ("root key", "eval.yaml", "ckpt_path: null", "ckpt_pth: null", "key", "'ckpt_pth' is read by nothing"),
    ("root section", "eval.yaml", "seed: null", "seed: null\ntrainr:\n  max_epochs: 1", "key", "'trainr' is read by nothing"),
    ("searched key", "hparams_search/mnist_optuna.yaml", "lin1_size: choice", "lin1size: choice", "key", "'model.net.lin1size', which is not in"),
    ("search space", "hparams_search/mnist_optuna.yaml", "interval(0.0001, 0.1)", "interval(0.0001, 0.1", "value", "is no search space"),
    ("choice of a search", "hparams_search/mnist_optuna.yaml", "batch_size: choice(32", "batch_size: choice(many", "value", "'many' does not fit 'data.batch_size'"),
    ("direction", "hparams_search/mnist_optuna.yaml", "direction: maximize", "direction: maximise", "value", "cannot 'maximise'"),
    ("path", "train.yaml", "ckpt_path: null", "ckpt_path: missing.ckpt", "path", "missing.ckpt, which does not exist"),
    ("optimized metric", "train.yaml", "optimized_metric: val/acc_best", "optimized_metric: val/acc_bst", "metric", "'val/acc_bst'"),
]  # fmt: skip
# Where a mistake is noticed at another line than the one on which it begins.
NOTICED = {
    "devices: 1\ndevices: 2": "devices: 2",
    "  - _self_\n  - _self_": "_self_\n\naccelerator",
    "  - _self_\n  - 3": "  - 3",
    "devices: 1\nmax_epochs: [10]": "max_epochs: [10]",
    "callbacks:\n  early_stoping:\n    patience: 3\ndata:\n": "  early_stoping:",
    "- optuna": "# All combinations",
    "seed: null\ntrainr:\n  max_epochs: 1": "trainr:",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a copy of all configs."""
    (tmp_path / ".project-root").touch()
    shutil.copytree(packaged_configs(), tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    return Project.find()


def _line(text: str, wrong: str) -> int:
    """The line, from 1, on which a mistake is noticed."""
    return text[: text.index(NOTICED.get(wrong, wrong))].count("\n") + 1


def test_every_planted_mistake_is_found_at_its_line_and_nothing_else(project: Project) -> None:
    assert len({kind for kind, *_ in MISTAKES}) > 40
    planted = []
    for _, file, right, wrong, _, _ in MISTAKES:
        path = project.root / "configs" / file
        text = path.read_text()
        assert right in text, (file, right)
        path.write_text(text.replace(right, wrong, 1))
    for _, file, _, wrong, topic, said in MISTAKES:
        text = (project.root / "configs" / file).read_text()
        planted.append((f"configs/{file}:{_line(text, wrong)}", topic, said))
    report = survey.everything(project)
    found = [(str(fault.place), fault.topic, fault.message) for fault in report.faults]
    for place, topic, said in planted:
        matching = [each for each in found if each[:2] == (place, topic) and said in each[2]]
        assert matching, (place, topic, said, [each for each in found if place.partition(":")[0] in each[0]])
        # One that is about a model is told of each model that it concerns.
        found = [each for each in found if each not in matching]
    assert found == []


def test_the_configs_that_come_with_dlctl_have_no_fault(project: Project) -> None:
    report = survey.everything(project)
    assert [(str(fault.place), fault.message) for fault in report.faults] == []
    assert report.composed > 35


def test_a_projects_own_configs_are_checked_and_not_those_of_dlctl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".project-root").touch()
    (tmp_path / "configs/model").mkdir(parents=True)
    (tmp_path / "configs/model/small.yaml").write_text("_target_: dlctl.models.mnist_module.MNISTLitModule\n")
    monkeypatch.chdir(tmp_path)
    report = survey.everything(Project.find())
    (fault,) = report.faults
    assert (str(fault.place), fault.topic) == ("configs/model/small.yaml:1", "missing")
    assert "needs 'net' and 'optimizer'" in fault.message
    assert report.composed == 2


def test_what_an_option_lacks_but_its_experiment_gives_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = tmp_path / "configs"
    for folder in ("model", "experiment"):
        (configs / folder).mkdir(parents=True)
    (tmp_path / ".project-root").touch()
    (configs / "model/sized.yaml").write_text(
        "defaults: [mnist, _self_]\nnet:\n  output_size: ${data.num_classes}\n"
    )
    monkeypatch.chdir(tmp_path)
    project = Project.find()
    (fault,) = survey.everything(project).faults
    assert fault.message.endswith("there is no key 'data.num_classes'")
    (configs / "experiment/sized.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /model: sized\ndata:\n  num_classes: 10\n"
    )
    faults = [fault.message for fault in survey.everything(project).faults]
    assert faults == ["dlctl.data.mnist_datamodule.MNISTDataModule takes no argument 'num_classes'"]
