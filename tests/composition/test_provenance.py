"""Behind every value stands the line or the override that set it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from dlctl.composition.compose import compose
from dlctl.composition.explain import facts, plain
from dlctl.composition.keys import Keys, at, walk
from dlctl.project import Place, Project, packaged_configs

EXPERIMENTS = sorted(file.stem for file in (packaged_configs() / "experiment").glob("*.yaml"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    (tmp_path / ".project-root").touch()
    (tmp_path / "configs").mkdir()
    monkeypatch.chdir(tmp_path)
    return Project.find()


def write(project: Project, name: str, text: str) -> None:
    file = project.root / "configs" / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def holds(place: Place, keys: Keys, value: Any) -> bool:
    """Whether a line of a file says that a key has a value; read without what is tested."""
    line = place.file.read_text().splitlines()[place.line - 1].strip()
    said = yaml.safe_load(line.removeprefix("- "))
    if isinstance(said, dict):
        name = [key for key in keys if isinstance(key, str)][-1]
        said = said[name]
    if isinstance(said, list):
        said = said[int(keys[-1])]
    return bool(said == value or (said in ("{}", None) and not value))


def unexplained(project: Project, name: str, *overrides: str) -> list[str]:
    """The values whose origin does not hold them."""
    composed = compose(project, name, overrides)
    wrong = []
    for fact in facts(composed, plain(composed)):
        key = str(fact.by).lstrip("+").partition("=")[0].split(".")
        said = fact.by in overrides and [str(each) for each in fact.keys[: len(key)]] == key
        if not said and not (isinstance(fact.by, Place) and holds(fact.by, fact.keys, fact.value)):
            wrong.append(f"{fact.keys} = {fact.value!r}: {fact.by}")
    assert len(wrong) < 5, wrong
    return wrong


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_value_of_every_experiment_is_found_where_it_stands(project: Project, experiment: str) -> None:
    assert unexplained(project, "train", f"experiment={experiment}") == []


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_value_of_hydras_own_settings_is_found_where_it_stands(
    project: Project, experiment: str
) -> None:
    composed = compose(project, "train", [f"experiment={experiment}", "+hydra.job.env_set.A=b"])
    wrong, told = [], 0
    for fact in facts(composed, plain(composed, hydra=True)):
        if isinstance(fact.by, Place):
            text = fact.by.file.read_text()
            # An empty file makes an empty section, and of a text of several lines the key is on the line.
            if fact.value == {}:
                right = not yaml.safe_load(text)
            elif "\n" in str(fact.value):
                line = text.splitlines()[fact.by.line - 1]
                said = [value for _, value in walk(yaml.safe_load(text))]
                right = line.startswith(f"{fact.keys[-1]}: |") and fact.value in said
            else:
                right = holds(fact.by, fact.keys, fact.value)
            wrong += [] if right else [f"{fact.keys} = {fact.value!r}: {fact.by}"]
            told += 1
        elif fact.keys[:4] == ("hydra", "job", "env_set", "A"):
            assert fact.by == "+hydra.job.env_set.A=b"
        else:
            # What Hydra keeps in Python stands in no file.
            assert fact.by == "Hydra"
            for layer in composed.trail.layers:
                below = fact.keys[len(layer.package) :]
                if layer.file and fact.keys[: len(layer.package)] == layer.package:
                    assert at(yaml.safe_load(layer.file.read_text()), below, ...) is ...
    assert (wrong, told > 20) == ([], True)


DEBUGS = [f"debug={file.stem}" for file in sorted((packaged_configs() / "debug").glob("*.yaml"))]


@pytest.mark.parametrize("option", [*DEBUGS, "trainer=ddp", "logger=many_loggers", "callbacks=none",
                                    "hparams_search=mnist_optuna", "data=mnist"])  # fmt: skip
def test_every_value_of_other_choices_too(project: Project, option: str) -> None:
    assert unexplained(project, "train", option, "experiment=example") == []


def test_values_of_an_evaluation_too(project: Project) -> None:
    assert unexplained(project, "eval", "trainer=cpu") == []


def test_values_of_a_search_too(project: Project) -> None:
    assert unexplained(project, "sweep") == []


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_value_is_found_in_a_project_that_overrides_packaged_files(
    project: Project, experiment: str
) -> None:
    for name in (
        "model/mnist",
        "model/tagger",
        "trainer/default",
        "callbacks/early_stopping",
        "paths/default",
    ):
        text = (packaged_configs() / f"{name}.yaml").read_text()
        write(project, name, f"# Ours.\n\n{text}")
    assert unexplained(project, "train", f"experiment={experiment}") == []
    composed = compose(project, "train", [f"experiment={experiment}"])
    assert str(composed.place("trainer.accelerator")).startswith("configs/trainer/default.yaml:")


def test_values_of_the_command_line_are_named_by_their_override(project: Project) -> None:
    overrides = ["model.optimizer.lr=0.5", "+trainer.max_steps=7", "tags=[a,b]", "++extra={x: {y: 1}}"]
    assert unexplained(project, "train", "experiment=example", *overrides) == []
    composed = compose(project, "train", overrides)
    by = {fact.keys: fact.by for fact in facts(composed, plain(composed))}
    assert by["model", "optimizer", "lr"] == "model.optimizer.lr=0.5"
    assert by["tags", 1] == "tags=[a,b]"
    assert by["extra", "x", "y"] == "++extra={x: {y: 1}}"


def test_anchors_packages_nested_lists_and_null_are_followed(project: Project) -> None:
    write(project, "model/mine", "defaults:\n  - mnist\n  - part@net.extra: small\n  - _self_\n"
          "common: &common\n  a: 1\n  b: 2\nuses:\n  <<: *common\n  b: 3\n"
          "steps:\n  - {name: one, rate: 0.1}\n  - name: two\n    rate: 0.2\nscheduler: null\n")  # fmt: skip
    write(project, "model/part/small", "# @package _group_\nsize: 4\n")
    composed = compose(project, "train", ["model=mine"])
    by = {fact.keys: str(fact.by) for fact in facts(composed, plain(composed))}
    file = "configs/model/mine.yaml"
    assert by["model", "uses", "a"] == f"{file}:6"
    assert by["model", "uses", "b"] == f"{file}:10"
    assert by["model", "steps", 0, "rate"] == f"{file}:12"
    assert by["model", "steps", 1, "rate"] == f"{file}:14"
    assert by["model", "scheduler"] == f"{file}:15"
    assert by["model", "net", "extra", "size"] == "configs/model/part/small.yaml:2"
    assert by["model", "net", "lin1_size"].startswith("dlctl:model/mnist.yaml:")


def test_history_names_every_file_in_order_and_why_it_is_in_the_game(project: Project) -> None:
    write(project, "experiment/mine", "# @package _global_\ndefaults:\n  - example\n"
          "  - override /trainer: cpu\n  - _self_\nmodel:\n  optimizer:\n    lr: 0.1\n")  # fmt: skip
    composed = compose(project, "train", ["experiment=mine", "model.optimizer.lr=0.7"])
    steps = composed.trail.history(("model", "optimizer", "lr"))
    assert [step.value for step in steps] == ["0.001", "0.002", "0.1", "0.7"]
    assert [str(step.by).rpartition(":")[0] for step in steps[:3]] == [
        "dlctl:model/mnist.yaml", "dlctl:experiment/example.yaml", "configs/experiment/mine.yaml",
    ]  # fmt: skip
    assert steps[1].why == (
        "example in configs/experiment/mine.yaml:3 < "
        "experiment: mine in dlctl:train.yaml:16, chosen by experiment=mine"
    )
    assert steps[3].why == "the command line"
    (accelerator,) = composed.trail.history(("trainer", "accelerator"))[-1:]
    assert "trainer: cpu in dlctl:train.yaml:10, chosen by configs/experiment/mine.yaml:4" in accelerator.why


def test_a_value_that_is_replaced_with_its_section_is_part_of_the_history(project: Project) -> None:
    write(project, "experiment/mine", "# @package _global_\nmodel:\n  scheduler: null\n")
    composed = compose(project, "train", ["experiment=mine"])
    last = composed.trail.history(("model", "scheduler", "patience"))[-1]
    assert (last.key, last.value) == ("model.scheduler", "null")


def test_search_path_of_the_command_line_is_followed(project: Project, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere/model"
    elsewhere.mkdir(parents=True)
    (elsewhere / "other.yaml").write_text("size: 3\n")
    composed = compose(project, "train", [f"hydra.searchpath=[file://{elsewhere.parent}]", "model=other"])
    assert composed.config.model.size == 3
    assert composed.trail.place(("model", "size")) == Place(elsewhere / "other.yaml", 1)
