"""``check --all`` finds every planted mistake at its line and nothing else."""

# ruff: noqa: E501 - a table

import shutil
from pathlib import Path

import pytest

from dlctl.composition import survey
from dlctl.project import Project, packaged_configs

# A file, what stands there, the mistake in its place, the kind of the fault and what is said about it.
MISTAKES = [
    ("model/mnist.yaml", "lin2_size: 128", "lin2_sze: 128", "argument", "takes no argument 'lin2_sze'"),
    ("model/mnist.yaml", "scheduler.ReduceLROnPlateau", "scheduler.ReduceLROnPlato", "target", "no 'ReduceLROnPlato' in"),
    ("data/mnist.yaml", "mnist_datamodule.M", "mnist_datamodul.M", "target", "no 'mnist_datamodul' in dlctl.data"),
    ("data/mnist_mini.yaml", "num_workers: 0", "num_workers: few", "value", "'few' does not fit 'data.num_workers'"),
    ("callbacks/default.yaml", "monitor: val/acc\n  patience", "monitor: val/accuracy\n  patience", "metric", "'val/accuracy'"),
    ("callbacks/none.yaml", "{}", "{", "yaml", "not YAML"),
    ("callbacks/model_summary.yaml", "_target_: lightning.", "_target_: lightnin.", "target", "no package 'lightnin'"),
    ("logger/csv.yaml", "${paths.output_dir}", "${paths.outputdir}", "interpolation", "no key 'paths.outputdir'"),
    ("logger/wandb.yaml", "${tags}", "${tagz:x}", "interpolation", "no resolver 'tagz'"),
    ("logger/mlflow.yaml", "${task_name}", "${task_name", "interpolation", "'${task_name' cannot be read"),
    ("logger/many_loggers.yaml", "  - tensorboard", "  - tensorbord", "defaults", "no option of 'logger' 'tensorbord'"),
    ("trainer/ddp.yaml", "num_nodes: 1", "num_node: 1", "argument", "takes no argument 'num_node'"),
    ("trainer/gpu.yaml", "devices: 1", "devices: 1\ndevices: 2", "yaml", "duplicate key devices"),
    ("trainer/mps.yaml", "  - _self_", "  - _self_\n  - _self_", "defaults", "_self_ stands here a second time"),
    ("debug/fdr.yaml", "@package _global_", "@package _globl_", "package", "no package '_globl_'"),
    ("debug/overfit.yaml", "overfit_batches: 3", "overfit_batch: 3", "argument", "takes no argument 'overfit_batch'"),
    ("debug/profiler.yaml", "${paths.output_dir}", "${oc.env:NO_SUCH_VARIABLE}", "interpolation", "NO_SUCH_VARIABLE is not set"),
    ("experiment/example.yaml", "seed: 12345", "sed: 12345", "key", "'sed' is a new key"),
    ("experiment/mnist.yaml", "override /data: mnist", "override /dta: mnist", "defaults", "no group 'dta'"),
    ("hparams_search/mnist_optuna.yaml", "lin1_size: choice", "lin1size: choice", "key", "'model.net.lin1size', which is not in"),
    ("hparams_search/mnist_optuna.yaml", "interval(0.0001, 0.1)", "interval(0.0001, 0.1", "value", "is no search space"),
    ("hparams_search/mnist_optuna.yaml", "direction: maximize", "direction: maximise", "value", "cannot 'maximise'"),
    ("train.yaml", "ckpt_path: null", "ckpt_path: missing.ckpt", "path", "missing.ckpt, which does not exist"),
    ("train.yaml", "optimized_metric: val/acc_best", "optimized_metric: val/acc_bst", "metric", "'val/acc_bst'"),
    ("paths/default.yaml", "log_dir: ${paths.root_dir}", "log_dir: ${paths.log_dir}", "interpolation", "in a circle"),
    ("eval.yaml", "trainer: default", "trainer: defalt", "defaults", "no option of 'trainer' 'defalt'"),
]  # fmt: skip
# Where a mistake is noticed at another line than the one that changed.
NOTICED = {"trainer/gpu.yaml": "devices: 2"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a copy of all configs."""
    (tmp_path / ".project-root").touch()
    shutil.copytree(packaged_configs(), tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    return Project.find()


def _line(file: str, text: str, start: str) -> int:
    """The line, from 1, on which something begins."""
    wanted = NOTICED.get(file, start)
    offset = text.index(wanted)
    if file == "trainer/mps.yaml":
        offset = text.index(wanted, offset + 1)
    return text[:offset].count("\n") + 1


def test_every_planted_mistake_is_found_at_its_line_and_nothing_else(project: Project) -> None:
    planted = []
    for file, right, wrong, _, _ in MISTAKES:
        path = project.root / "configs" / file
        text = path.read_text()
        assert right in text, (file, right)
        path.write_text(text.replace(right, wrong, 1))
    for file, _, wrong, kind, said in MISTAKES:
        path = project.root / "configs" / file
        start = "  - _self_" if file == "trainer/mps.yaml" else wrong
        planted.append((f"configs/{file}:{_line(file, path.read_text(), start)}", kind, said))
    report = survey.everything(project)
    found = [(str(fault.place), fault.topic, fault.message) for fault in report.faults]
    for place, kind, said in planted:
        matching = [each for each in found if each[:2] == (place, kind) and said in each[2]]
        assert matching, (place, kind, said, [each for each in found if place.partition(":")[0] in each[0]])
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
