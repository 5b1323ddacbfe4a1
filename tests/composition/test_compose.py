"""Every config composes, and every mistake in one is told in the user's terms."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from dlctl.composition.compose import compose, load
from dlctl.composition.reuse import differences, over
from dlctl.composition.source import locate
from dlctl.errors import ConfigError, DlctlError, Faults
from dlctl.project import Project, packaged_configs

GROUPS = sorted(
    str(folder.relative_to(packaged_configs()))
    for folder in packaged_configs().iterdir()
    if folder.is_dir() and folder.name not in ("hydra", "local")
)
OPTIONS = [
    f"{folder}={file.stem}"
    for folder in GROUPS
    for file in sorted((packaged_configs() / folder).glob("*.yaml"))
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    (tmp_path / ".project-root").touch()
    (tmp_path / "configs").mkdir()
    monkeypatch.chdir(tmp_path)
    return Project.find()


def faults(project: Project, *overrides: str) -> list[DlctlError]:
    """What is wrong, whether in composing or in resolving."""

    def work() -> None:
        composed = compose(project, "train", overrides)
        composed.resolve(composed.run_dir())

    with pytest.raises(DlctlError) as caught:
        work()
    assert caught.value.exit_code == 3
    return list(caught.value.faults) if isinstance(caught.value, Faults) else [caught.value]


def fault(project: Project, *overrides: str) -> str:
    (found,) = faults(project, *overrides)
    where = f"{found.place}: " if found.place else ""
    return "\n".join([where + found.message, *([found.hint] if found.hint else [])])


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes_resolves_and_names_targets_that_exist(
    project: Project, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if option == "callbacks=early_stopping":
        option = "+callbacks.early_stopping.monitor=x " + option
    names = ["train"] if option.startswith(("experiment", "debug", "hparams")) else ["train", "eval"]
    names = ["sweep"] if option.startswith(("sampler", "pruner")) else names
    for name in names:
        words = [word.replace("+callbacks", "++callbacks") for word in option.split()]
        composed = compose(project, name, words)
        config = composed.resolve(composed.run_dir())
        for target in _targets(OmegaConf.to_container(config)):
            package = target.partition(".")[0]
            assert locate(target) is not None or package == "aim", target


def _targets(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["_target_"]] if "_target_" in node else []
        return own + [target for value in node.values() for target in _targets(value)]
    if isinstance(node, list):
        return [target for value in node for target in _targets(value)]
    return []


def test_every_packaged_config_says_what_it_is_for() -> None:
    for file in packaged_configs().rglob("*.yaml"):
        lines = [line for line in file.read_text().splitlines() if not line.startswith("# @package")]
        assert lines[0].startswith("# "), file


def test_example_is_the_net_and_the_length_that_are_promised(project: Project) -> None:
    config = compose(project, "train", ["experiment=example"]).config
    net = config.model.net
    assert [net[f"{name}_size"] for name in ("input", "lin1", "lin2", "lin3", "output")] == [
        *(784, 128, 256, 64, 10)
    ]
    assert config.trainer.max_epochs == 10
    full = compose(project, "train", ["experiment=mnist"]).config
    assert list(full.data.train_val_test_split) == [55_000, 5_000, 10_000]
    assert (full.seed, full.model) == (12345, config.model)


def test_value_that_is_right_passes(project: Project) -> None:
    for override in (
        "trainer.devices=auto",
        "trainer.devices=2",
        "trainer.devices=[0,1]",
        "trainer.precision=bf16-mixed",
        "model.scheduler=null",
        "model.optimizer.lr=null",
        "model.optimizer.lr=1",
        "model.optimizer.lr=${oc.env:LR,0.1}",
        "++model.optimizer.lr=abc",
        "++trainer.max_epoch=3",
        "+model.optimizer.amsgrad=true",
        "callbacks.model_checkpoint.save_last=link",
        "callbacks.early_stopping.monitor=val/loss",
        "data.train_val_test_split=[1,2,3]",
        "trainer.max_epochs=true",
        "task_name=mine",
        "ckpt_path=/a/b.ckpt",
        "~callbacks.early_stopping",
        "hydra.run.dir=/tmp/somewhere",
    ):
        compose(project, "train", [override])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("trainer.max_epochs=abc", "'abc' does not fit 'trainer.max_epochs', which takes Optional[int]"),
        ("trainer.max_epochs=3.5", "'3.5' does not fit 'trainer.max_epochs'"),
        ("trainer.precision=bf16-mixd", "did you mean trainer.precision=bf16-mixed"),
        ("data.batch_size=many", "did you mean 'data.batch_size=64'"),
        ("model.optimizer.fused=perhaps", "which takes bool | None"),
        ("model.scheduler.mode=lowest", "which takes Literal['min', 'max']"),
        ("trainer.gradient_clip_val=big", "does not fit 'trainer.gradient_clip_val'"),
    ],
)
def test_value_that_the_annotation_excludes_is_refused(project: Project, override: str, said: str) -> None:
    assert said in fault(project, override)


def test_without_an_annotation_a_number_does_not_become_a_word(project: Project) -> None:
    (project.root / "configs/experiment").mkdir()
    (project.root / "configs/experiment/mine.yaml").write_text("# @package _global_\nbudget: 3\nname: a\n")
    known = ("experiment=mine",)
    assert "'three' does not fit 'budget', which is a number" in fault(project, *known, "budget=three")
    compose(project, "train", [*known, "budget=4.5", "name=3"])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("modle=mnist", "unknown key 'modle'\ndid you mean 'model'"),
        ("trainer.acelerator=cpu", "did you mean 'trainer.accelerator' (= auto, set in "),
        ("max_epochs=3", "did you mean 'trainer.max_epochs' (= 10"),
        ("~trainer.max_epoch", "unknown key 'trainer.max_epoch'"),
        ("+trainer.max_epochs=3", "'trainer.max_epochs' exists already"),
        ("trainer.max_steps=5", "is not in the config yet; lightning.pytorch.trainer.Trainer takes it\n"
         "to add a new key: +trainer.max_steps=5"),
        ("model=mnst", "there is no option of 'model' 'mnst'\ndid you mean model=mnist?\nthere are: mnist"),
        ("model=null", "'model=null' chooses nothing: model is a group of configs\nto leave it out: ~model"),
        ("a=b=c", "cannot read the override 'a=b=c'"),
        ("seed=range(1,3)", "to search over it: dlctl sweep 'seed=range(1,3)'"),
        ("model.optimizer.lr=1,2", "for a list: model.optimizer.lr=[1,2]"),
        ("callbacks=early_stopping", "yaml:6: 'callbacks.early_stopping.monitor' has no value"),
        ("seed=${oc.env:NO_SUCH_VARIABLE}", "the environment variable NO_SUCH_VARIABLE is not set"),
        ("task_name=${task_name}", "it leads in a circle: task_name -> task_name"),
        ("seed=${no.such.key}", "'seed' cannot be resolved"),
    ],
)  # fmt: skip
def test_mistake_is_told_in_the_users_terms(project: Project, override: str, said: str) -> None:
    assert said in fault(project, override)


def test_all_faults_are_told_at_once(project: Project) -> None:
    words = ("trainer.max_epoch=1", "model.optimizer.lr=abc", "data.batchsize=3")
    assert [found.key for found in faults(project, *words)] == [
        "trainer.max_epoch",
        "data.batchsize",
        "model.optimizer.lr",
    ]


def test_broken_yaml_is_shown_with_its_line_and_a_caret(project: Project) -> None:
    file = project.root / "configs/model"
    file.mkdir()
    (file / "bad.yaml").write_text("a: 1\nb: [1, 2\nc: 3\n")
    told = fault(project, "model=bad")
    assert told.startswith("configs/model/bad.yaml:3: ")
    assert told.splitlines()[-2:] == ["c: 3", " ^"]


def test_projects_file_comes_first_and_is_named(project: Project) -> None:
    (project.root / "configs/model").mkdir()
    text = (project.packaged / "model/mnist.yaml").read_text().replace("lr: 0.001", "lr: 0.125")
    (project.root / "configs/model/mnist.yaml").write_text(text)
    assert compose(project, "train").config.model.optimizer.lr == 0.125
    assert "(= 0.125, set in configs/model/mnist.yaml:" in fault(project, "model.optimizer.lr=abc")
    assert list(project.options("model")) == ["mnist", "tagger"]


def test_saved_config_loads_on_its_own_and_takes_values_and_choices(project: Project, tmp_path: Path) -> None:
    composed = compose(project, "train", ["experiment=example", "trainer.max_epochs=7"])
    composed.save(tmp_path / "hydra")
    saved = load(project, tmp_path / "hydra")
    assert saved.resolve(tmp_path) == composed.resolve(tmp_path)
    new = over(saved, ["trainer=ddp_sim", "model.optimizer.lr=0.5"])
    config = new.resolve(tmp_path)
    assert (config.trainer.strategy, config.trainer.max_epochs) == ("ddp_spawn", 7)
    assert config.model.optimizer.lr == 0.5
    assert "model.optimizer.lr: 0.002 -> 0.5" in differences(saved, new)
    with pytest.raises(ConfigError, match="unknown key"):
        over(saved, ["trainer.max_epoch=3"])


@pytest.mark.parametrize("override", [
    '+x="${oc.decode:\\"{a: 1}\\"}"', "+x='${oc.decode:\\'[1]\\'}'",
    'tags=["${oc.decode:\\"{a: 1}\\"}"]', "+x=${seed}",
])  # fmt: skip
def test_override_with_quotes_within_an_interpolation_is_kept_as_it_was_written(
    project: Project, tmp_path: Path, override: str
) -> None:
    composed = compose(project, "train", [override])
    composed.resolve(composed.run_dir())
    composed.save(tmp_path / "hydra")
    saved = load(project, tmp_path / "hydra")
    assert saved.overrides == (override,)
    assert over(saved, ["seed=3"]).resolve(tmp_path).seed == 3
    node = composed.full.hydra.overrides
    if "decode" in override:
        assert list(node.task) == [override]
