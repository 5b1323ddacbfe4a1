"""Projects in lightning-hydra-template's shape, plain and with each quirk, under dlctl unmodified."""

from pathlib import Path

import pytest

from tests.conftest import QUIET, Dlctl
from tests.migration import shape
from tests.migration.shape import put


@pytest.mark.parametrize(
    ("data", "marker"), [("data", ".project-root"), ("datamodule", ".git"), ("datamodule", None)]
)
def test_every_command_works_with_only_cd(
    dlctl: Dlctl, data: str, marker: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (dlctl.root / ".project-root").unlink()
    shape.write(dlctl.root, data=data, marker=marker)
    if data == "datamodule":
        # Wherever one is in the project.
        monkeypatch.chdir(dlctl.root / "src")

    assert dlctl("check").out == "no fault in 1 config\n"
    assert dlctl("check", "--all").err == ""
    assert dlctl("list", data).out.splitlines()[0] == data
    assert dlctl("show-config", "experiment=study/wide/deep", "--package", "model.net").out == (
        "_target_: src.models.parts.net.ToyNet\nwidth: 16\n"
    )
    report = dlctl("train", "experiment=example", *QUIET, "--json").json
    assert Path(report["dir"]).parent == dlctl.root / "logs/train/runs"
    assert report["metrics"]["test/acc"] > 0.5
    evaluated = dlctl("eval", "last", "--json").json
    assert evaluated["metrics"]["test/acc"] == pytest.approx(report["metrics"]["test/acc"])
    rows = dlctl("predict", "last", "--json").json["rows"]
    assert rows == 64
    resumed = dlctl("train", "--resume", "last", "trainer.max_epochs=3", *QUIET, "--json").json
    assert resumed["dir"] == report["dir"]
    listed = dlctl("runs", "list", "--json").json["runs"]
    assert sorted(run["kind"] for run in listed) == ["eval", "predict", "train"]


@pytest.mark.parametrize("name", ["default", "fdr"])
def test_debug(template: Dlctl, name: str) -> None:
    report = template("debug", name, *QUIET, "--json").json
    assert Path(report["dir"]).parent == template.root / "logs/debug/runs"
    assert report["metrics"]["train/loss"] > 0


@pytest.mark.parametrize(
    "words", [("--search", "toy_optuna"), ("hparams_search=toy_optuna", "experiment=example")]
)
def test_search_as_it_was_written_for_hydras_plugin(template: Dlctl, words: tuple[str, ...]) -> None:
    report = template.process("sweep", *words, *QUIET, "--json").json
    assert [trial["state"] for trial in report["trials"]] == ["complete", "complete"]
    assert {*report["best"][0]["params"]} == {"model.optimizer.lr", "model.net.width"}


def test_checkpoint_that_the_template_left_to_the_command_line(template: Dlctl) -> None:
    report = template("train", *QUIET, "--json").json
    best = next(Path(report["dir"]).glob("checkpoints/epoch_*.ckpt"))
    moved = best.rename(template.root / "moved.ckpt")
    tested = template("eval", "ckpt_path=moved.ckpt", "--json").json["metrics"]["test/acc"]
    assert tested == pytest.approx(report["metrics"]["test/acc"])
    assert template("train", "train=False", f"ckpt_path={moved.name}", *QUIET, "--json").json["metrics"]


def test_variables_of_the_old_template(template: Dlctl) -> None:
    put(template.root, "configs/local/default.yaml", "# @package _global_\nmine: ${hydra:job.num}\n")
    put(
        template.root,
        "configs/experiment/old.yaml",
        "# @package _global_\noriginal_work_dir: ${hydra:runtime.cwd}\n"
        "data:\n  data_dir: ${original_work_dir}/data/\n",
    )
    config = template("show-config", "experiment=old", "--resolve", "--format", "json").json
    assert config["original_work_dir"] == str(template.root)
    assert config["data"]["data_dir"] == f"{template.root}/data/"
    assert config["mine"] == 0


def test_groups_at_packages(template: Dlctl) -> None:
    put(
        template.root,
        "configs/experiment/distil.yaml",
        "# @package _global_\ndefaults: [/model@teacher: toy, _self_]\nteacher:\n  net:\n    width: 32\n",
    )
    config = template("show-config", "experiment=distil", "--format", "json").json
    assert (config["teacher"]["net"]["width"], config["model"]["net"]["width"]) == (32, 4)
    assert template("check", "experiment=distil").out == "no fault in 1 config\n"


def test_targets_that_are_not_installed_compose_and_are_named(template: Dlctl) -> None:
    put(template.root, "configs/model/far.yaml", "_target_: faraway.nets.Net\nsize: 3\n")
    assert template("show-config", "model=far", "--resolve", "--package", "model").out == (
        "_target_: faraway.nets.Net\nsize: 3\n"
    )
    result = template("check", "model=far", code=3)
    assert result.err == (
        "error: configs/model/far.yaml:1: the package 'faraway' is not installed\n"
        "  correct the name, or install what brings faraway\n"
    )
    assert "the package 'faraway' is not installed" in template("train", "model=far", code=3).err


@pytest.mark.parametrize("launcher", ["submitit_slurm", "joblib", "ray"])
def test_launchers_of_plugins(template: Dlctl, launcher: str) -> None:
    put(
        template.root,
        "configs/experiment/cluster.yaml",
        f"# @package _global_\ndefaults:\n  - override /hydra/launcher: {launcher}\n  - _self_\n"
        "hydra:\n  launcher:\n    n_jobs: 4\n",
    )
    assert template("check", "experiment=cluster").out == "no fault in 1 config\n"
    shown = template("show-config", "experiment=cluster", "--package", "hydra.launcher").out
    assert shown == "n_jobs: 4\n"


@pytest.mark.parametrize(("said", "compiled"), [("compile=true", True), ("compile=false", False)])
def test_whole_model_is_compiled_as_older_templates_ask_for_it(
    template: Dlctl, monkeypatch: pytest.MonkeyPatch, said: str, compiled: bool
) -> None:
    seen = []
    # The compiler itself takes minutes.
    monkeypatch.setattr("torch.compile", lambda model: seen.append(model) or model)
    template("train", said, "+trainer.fast_dev_run=true", *QUIET)
    assert [type(model).__name__ for model in seen] == ["ToyModule"] * compiled
