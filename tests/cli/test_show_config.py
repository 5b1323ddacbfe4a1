"""``dlctl show-config`` shows the composed config and where everything in it comes from."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import PLAIN, Dlctl


def test_in_a_pipe_it_is_yaml_that_loads_again(dlctl: Dlctl) -> None:
    config = yaml.safe_load(dlctl("show-config", "--exp", "example").out)
    assert config["model"]["optimizer"]["lr"] == 0.002
    assert config["paths"]["data_dir"] == "${paths.root_dir}/data/"
    assert "hydra" not in config
    assert dlctl("show-config", "--exp", "example", "--format", "json").json == config


def test_resolved_values_keep_secrets(dlctl: Dlctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMET_API_KEY", "hunter2hunter2")
    result = dlctl("show-config", "logger=comet", "--resolve", "--origin")
    assert "hunter2" not in result.out + result.err
    config = yaml.safe_load(result.out)
    assert config["paths"]["data_dir"] == f"{dlctl.root}/data/"
    assert config["logger"]["comet"]["api_key"].startswith("${oc.env:COMET_API_KEY")


def test_part_of_the_config(dlctl: Dlctl) -> None:
    assert dlctl("show-config", "--package", "model.optimizer", "model.optimizer.lr=0.5").out == (
        "_target_: torch.optim.Adam\n_partial_: true\nlr: 0.5\nweight_decay: 0.0\nfused: true\n"
    )
    assert dlctl("show-config", "--package", "seed").out == "null\n"
    assert yaml.safe_load(dlctl("show-config", "--package", "hydra.run").out)["dir"].startswith("${paths")
    result = dlctl("show-config", "--package", "model.optimiser", code=3)
    assert result.err == "error: unknown key 'model.optimiser'\n  did you mean model.optimizer?\n"


def test_config_of_an_evaluation_and_unknown_ones(dlctl: Dlctl) -> None:
    config = yaml.safe_load(dlctl("show-config", "--config", "eval").out)
    assert config["task_name"] == "eval"
    assert "experiment" not in config
    assert (
        "there is no config 'evil'\n  did you mean eval?"
        in dlctl("show-config", "--config", "evil", code=3).err
    )


def test_origin_stands_behind_every_value_and_the_yaml_still_loads(dlctl: Dlctl) -> None:
    (dlctl.root / "configs/experiment").mkdir(parents=True)
    (dlctl.root / "configs/experiment/mine.yaml").write_text(
        "# @package _global_\ndefaults: [example]\nseed: 7\nnotes: |-\n  two\n  lines\nlong: "
        + "word " * 40
        + "\n"
    )
    words = ("show-config", "--exp", "mine", "trainer.max_epochs=3")
    result = dlctl(*words, "--origin")
    assert yaml.safe_load(result.out) == yaml.safe_load(dlctl(*words).out)
    lines = {
        line.partition("#")[0].strip(): line.partition("#")[2].strip() for line in result.out.splitlines()
    }
    assert lines["seed: 7"] == "configs/experiment/mine.yaml:3"
    assert lines["max_epochs: 3"] == "trainer.max_epochs=3"
    assert lines["lr: 0.002"].startswith("dlctl:experiment/example.yaml:")
    assert lines["lines'"] == "configs/experiment/mine.yaml:4"
    assert lines["log_dir: ${paths.root_dir}/logs/"].endswith(
        f"-> paths.root_dir (dlctl:paths/default.yaml:4) = {dlctl.root}/logs/"
    )
    assert lines["root_dir: ${oc.env:PROJECT_ROOT}"].endswith(f"-> $PROJECT_ROOT = {dlctl.root}")
    assert "dlctl: is " in result.err


def test_origin_as_json_names_files_lines_and_overrides(dlctl: Dlctl) -> None:
    found = dlctl("show-config", "--exp", "example", "seed=3", "--origin", "--format", "json").json
    assert found["seed"] == {"value": 3, "override": "seed=3"}
    rate = found["model.optimizer.lr"]
    assert rate["packaged"] is True
    assert "lr: 0.002" in Path(rate["file"]).read_text().splitlines()[rate["line"] - 1]
    points = found["callbacks.model_checkpoint.dirpath"]["points_to"]
    assert [point["key"] for point in points] == ["paths.output_dir"]


def test_origin_of_what_cannot_be_resolved_is_shown_all_the_same(dlctl: Dlctl) -> None:
    assert "seed=${nowhere.to}" in dlctl("show-config", "seed=${nowhere.to}", "--origin").out
    assert (
        "there is no key 'nowhere.to'" in dlctl("show-config", "seed=${nowhere.to}", "--resolve", code=3).err
    )


def test_history_of_a_value(dlctl: Dlctl) -> None:
    words = ("show-config", "--exp", "example", "model.optimizer.lr=0.1", "--history", "model.optimizer.lr")
    lines = dlctl(*words).out.splitlines()
    assert lines[0] == "model.optimizer.lr: 0.1"
    assert lines[1].startswith("  1. 0.001  dlctl:model/mnist.yaml:")
    assert lines[2] == ("     model: mnist in dlctl:train.yaml:7, chosen by dlctl:experiment/example.yaml:7")
    assert lines[3].startswith("  2. 0.002  dlctl:experiment/example.yaml:")
    assert lines[4] == "     experiment: example in dlctl:train.yaml:16, chosen by experiment=example"
    assert lines[5:] == ["  3. 0.1  model.optimizer.lr=0.1", "     the command line"]
    found = dlctl(*words, "--format", "json").json
    assert (found["schema_version"], found["value"], len(found["history"])) == (1, 0.1, 3)
    error = dlctl("show-config", "--history", "model.optimizer.lrr", code=3).err
    assert error == "error: unknown key 'model.optimizer.lrr'\n  did you mean model.optimizer.lr?\n"


def test_history_of_what_is_removed_ends_with_the_removal(dlctl: Dlctl) -> None:
    assert dlctl("show-config", "~model.scheduler", "--history", "model.scheduler.patience").out == (
        "model.scheduler.patience: (removed)\n"
        "  1. 10  dlctl:model/mnist.yaml:26\n"
        "     model: mnist in dlctl:train.yaml:7\n"
        "  2. model.scheduler: (removed)  ~model.scheduler\n"
        "     the command line\n"
    )
    found = dlctl("show-config", "~seed", "--history", "seed", "--format", "json").json
    assert (found["value"], found["removed"]) == (None, True)
    assert [step["value"] for step in found["history"]] == ["null", "(removed)"]
    assert found["history"][1]["override"] == "~seed"
    lines = dlctl(
        "show-config", "~callbacks", "--history", "callbacks.early_stopping.patience"
    ).out.splitlines()
    assert lines[0] == "callbacks.early_stopping.patience: (removed)"
    assert lines[1].startswith("  1. 3  dlctl:callbacks/early_stopping.yaml:")
    assert lines[-2:] == ["  3. callbacks: (removed)  ~callbacks", "     the command line"]
    for key in ("callbacks.nothing", "defaults", "seed"):
        words = ["~callbacks", "--history", key] if key != "seed" else ["--history", "sed"]
        assert "unknown key" in dlctl("show-config", *words, code=3).err


def test_history_names_the_config_that_removed_a_part(dlctl: Dlctl) -> None:
    file = dlctl.root / "configs/experiment/bare.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(
        "# @package _global_\ndefaults:\n  - override /callbacks: null\nmodel:\n  scheduler: null\n"
    )
    words = ("show-config", "--exp", "bare", "--history")
    why = "     experiment: bare in dlctl:train.yaml:16, chosen by experiment=bare"
    lines = dlctl(*words, "callbacks.early_stopping.patience").out.splitlines()
    assert lines[-2:] == ["  3. callbacks: (removed)  configs/experiment/bare.yaml:3", why]
    assert not [line for line in lines if "callbacks=default" in line]
    lines = dlctl(*words, "model.scheduler.patience").out.splitlines()
    assert lines[-2:] == ["  2. model.scheduler: null  configs/experiment/bare.yaml:5", why]


def test_history_of_a_section_names_what_is_removed_from_it(dlctl: Dlctl) -> None:
    lines = dlctl("show-config", "~model.net.lin1_size", "--history", "model.net").out.splitlines()
    assert lines[0] == "model.net: "
    assert lines[-2:] == [
        "  2. model.net.lin1_size: (removed)  ~model.net.lin1_size",
        "     the command line",
    ]
    origin = dlctl("show-config", "+own.a=1", "~own.a", "--origin", "--package", "own").out
    assert origin == "{}  # ~own.a\n"


def test_defaults_tree_says_what_was_overridden_and_by_what(dlctl: Dlctl) -> None:
    lines = dlctl("show-config", "--exp", "mnist", "trainer=cpu", "--defaults").out.splitlines()
    assert lines[0] == "train  dlctl:train.yaml"
    assert (
        "├── data: mnist  dlctl:data/mnist.yaml  <- dlctl:experiment/mnist.yaml:7, instead of mnist_mini"
        in lines
    )
    assert "├── trainer: cpu  dlctl:trainer/cpu.yaml  <- trainer=cpu, instead of default" in lines
    assert "│   ├── default  dlctl:trainer/default.yaml" in lines
    assert "├── paths: default  dlctl:paths/default.yaml" in lines
    assert "├── local: default  not there" in lines
    root = dlctl("show-config", "--exp", "mnist", "--defaults", "--format", "json").json["defaults"]
    (data,) = [part for part in root["defaults"] if part != "_self_" and part["name"] == "data: mnist"]
    assert data["instead_of"] == "mnist_mini"


def test_difference_from_an_experiment_and_from_a_run(trained: Dlctl) -> None:
    lines = trained(
        "show-config", "--exp", "mnist", "--diff", "example", "--package", "data"
    ).out.splitlines()
    assert "data_dir: null -> ${paths.data_dir}" in [line.removeprefix("data.") for line in lines]
    result = trained("show-config", "--exp", "example", "--diff", "last")
    assert (result.out, result.err) == ("", "no difference from last\n")
    assert trained("show-config", "--exp", "example", "--diff", "last", "seed=1", "+new=[a,b]").out == (
        "seed: 12345 -> 1\nnew: (none) -> [a, b]\n"
    )
    found = trained("show-config", "--exp", "example", "--diff", "last", "seed=1", "--format", "json").json
    assert found["differences"] == [{"key": "seed", "old": 12345, "new": 1}]
    assert trained("show-config", "--diff", "exmple", code=4).err == (
        "error: there is no experiment and no run 'exmple'\n  did you mean example?\n"
    )
    run = trained.run_dir().name
    assert f"  did you mean {run}?" in trained("show-config", "--diff", f"{run}-7", code=4).err
    assert trained("show-config", "--diff", "nothing", code=4).err == (
        "error: there is no experiment and no run 'nothing'\n"
        "  dlctl list experiment and dlctl runs list show what there is\n"
    )


def test_ways_of_explaining_exclude_each_other(dlctl: Dlctl) -> None:
    assert "exclude each other" in dlctl("show-config", "--origin", "--defaults", code=2).err


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal_it_is_a_tree(dlctl: Dlctl, columns: int) -> None:
    shown = _at_a_terminal(dlctl, columns, "show-config", "--package", "model", "--origin")
    assert "├── optimizer: " in shown
    assert "lr: 0.001  dlctl:model/mnist.yaml:17" in shown
    assert max(map(len, shown.splitlines())) <= columns


LONG = (
    "# @package _global_\ndefaults:\n  - example\n  - override /trainer: cpu\n  - _self_\n"
    "notes: A sentence that somebody wrote about this experiment and why it was done, longer than any line.\n"
    "lines: |\n  one\n  two\n"
    "model: {optimizer: {lr: 0.1}}\n"
)


def test_long_lines_break_between_their_parts_on_a_terminal(dlctl: Dlctl) -> None:
    (dlctl.root / "configs/experiment").mkdir(parents=True)
    (dlctl.root / "configs/experiment/mine.yaml").write_text(LONG)
    words = ("show-config", "--exp", "mine")
    shown = _at_a_terminal(dlctl, 80, *words, "--defaults")
    assert (
        "├── data: mnist_mini  dlctl:data/mnist_mini.yaml\n│       <- dlctl:experiment/example.yaml:6\n"
    ) in shown
    assert (
        "├── trainer: cpu  dlctl:trainer/cpu.yaml  <- configs/experiment/mine.yaml:4,\n"
        "│       instead of default\n"
    ) in shown
    shown = _at_a_terminal(dlctl, 80, *words, "--origin", "--package", "trainer")
    assert (
        "├── _target_: lightning.pytorch.trainer.Trainer  dlctl:trainer/default.yaml:4\n"
        "├── default_root_dir: ${paths.output_dir}  dlctl:trainer/default.yaml:6\n"
        "│       -> paths.output_dir (dlctl:paths/default.yaml:11)\n"
        "│       ="
    ) in shown
    assert _at_a_terminal(dlctl, 80, *words, "--diff", "example") == (
        "model.optimizer.lr: 0.002 -> 0.1\n"
        "trainer.accelerator: auto -> cpu\n"
        "trainer.devices: auto -> 1\n"
        "notes: (none)\n"
        "    -> A sentence that somebody wrote about this experiment and why it was done,\n"
        "    longer than any line.\n"
        'lines: (none) -> "one\\ntwo\\n"\n'
    )
    assert _at_a_terminal(dlctl, 80, *words, "--history", "notes") == (
        "notes: A sentence that somebody wrote about this experiment and why it was done,\n"
        "     longer than any line.\n"
        "  1. A sentence that somebody wrote about this experiment and why it was done,\n"
        "     longer than any line.  configs/experiment/mine.yaml:6\n"
        "     experiment: mine in dlctl:train.yaml:16, chosen by experiment=mine\n"
    )
    # Wide enough for the sentence, and in a pipe, nothing is broken.
    sentence = (
        "A sentence that somebody wrote about this experiment and why it was done, longer than any line."
    )
    line = f"notes: (none) -> {sentence}"
    assert line in _at_a_terminal(dlctl, 120, *words, "--diff", "example").splitlines()
    assert line in dlctl(*words, "--diff", "example").out.splitlines()
    assert dlctl(*words, "--diff", "example", "--package", "notes").out == f"{line}\n"


def test_messages_break_between_words_on_a_terminal_and_stay_indented(dlctl: Dlctl) -> None:
    shown = _at_a_terminal(dlctl, 60, "check", "model.optimizer.lr=abc", code=3)
    assert shown == (
        "error: 'abc' does not fit 'model.optimizer.lr', which takes\n"
        "    float | Tensor\n"
        "  did you mean 'model.optimizer.lr=0.001' (= 0.001, set in\n"
        "    dlctl:model/mnist.yaml:17)?\n"
        "  to insist: ++model.optimizer.lr=abc\n"
        "1 fault in 1 config\n"
    )


def test_origin_of_hydras_own_settings_names_its_files_shortly(dlctl: Dlctl) -> None:
    result = dlctl("show-config", "--package", "hydra.help.app_name", "--origin")
    assert result.out == "${hydra.job.name}  # hydra:help/default.yaml:2 -> hydra.job.name\n"
    assert result.err == "hydra: is conf/hydra in the package hydra\n"


def _at_a_terminal(dlctl: Dlctl, columns: int, *words: str, code: int = 0) -> str:
    """What a command prints to a pseudo-terminal without colours."""
    ours, theirs = pty.openpty()
    env = {**os.environ, **PLAIN, "COLUMNS": str(columns), "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-m", "dlctl", *words], cwd=dlctl.root, env=env, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:
        pass  # the other end is closed
    os.close(ours)
    assert process.wait() == code
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).replace("\r\n", "\n")


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with packages like Hydra's plugins: found by Hydra, and broken if anybody imports them."""
    folder = tmp_path_factory.mktemp("plugins")
    for name in ("hydra_optuna_sweeper", "hydra_colorlog", "hydra_submitit_launcher"):
        package = folder / "hydra_plugins" / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    return folder


def test_projects_that_choose_plugins_compose_without_them_and_the_same_with_them(
    dlctl: Dlctl, plugins: Path
) -> None:
    configs = dlctl.root / "configs"
    for folder in ("hydra", "experiment"):
        (configs / folder).mkdir(parents=True)
    (configs / "hydra/default.yaml").write_text(
        "defaults:\n  - override hydra_logging: colorlog\n  - override job_logging: colorlog\n"
        "run:\n  dir: ${paths.log_dir}/${task_name}/runs/${now:%Y-%m-%d}_${now:%H-%M-%S}\n"
        "job_logging:\n  handlers:\n    file:\n      filename: ${hydra.runtime.output_dir}/${task_name}.log\n"
    )
    (configs / "experiment/slurm.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /hydra/sweeper: optuna\n"
        "  - override /hydra/launcher: submitit_slurm\n"
        "hydra:\n  launcher:\n    partition: gpu\n  sweeper:\n    n_trials: 5\n"
    )
    words = ("show-config", "--exp", "slurm", "--package", "hydra", "hydra.launcher.qos=high")
    env = {**os.environ, **PLAIN}
    without = dlctl.process(*words, env=env).out
    found = yaml.safe_load(without)
    assert found["launcher"] == {"partition": "gpu", "qos": "high"}
    assert found["sweeper"]["n_trials"] == 5
    assert found["job_logging"]["formatters"]["colorlog"]
    assert dlctl.process(*words, env={**env, "PYTHONPATH": str(plugins)}).out == without
    assert dlctl("check", "--exp", "slurm").out == "no fault in 1 config\n"
    assert json.loads(dlctl("check", "--all", "--json").out)["faults"] == []


def test_explanations_print_no_secrets_and_stay_one_line(
    dlctl: Dlctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", "hunter2hunter2")
    words = ("show-config", "+my=hunter2hunter2", "+url=http://ann:hunter3@host/", "+all=${model.net}")
    for way in (("--origin",), ("--history", "my"), ("--history", "url"), ("--origin", "--format", "json")):
        out = dlctl(*words, *way).out
        assert "hunter2" not in out
        assert "hunter3" not in out
    assert yaml.safe_load(dlctl(*words, "--origin").out) == yaml.safe_load(dlctl(*words).out)


def test_json_has_no_infinity(dlctl: Dlctl) -> None:
    assert json.loads(dlctl("show-config", "+x=inf", "--package", "x", "--format", "json").out) is None


def test_later_question_marks_leave_a_value_and_its_origin_alone(dlctl: Dlctl) -> None:
    (dlctl.root / "configs/experiment").mkdir(parents=True)
    (dlctl.root / "configs/experiment/q.yaml").write_text("# @package _global_\ndata:\n  batch_size: ???\n")
    found = dlctl("show-config", "--exp", "q", "--package", "data.batch_size", "--origin")
    assert "dlctl:data/mnist_mini.yaml" in found.out


ODD = """# @package _global_
my:
  l:
    - a
    - b: 2
yes: 5
3: three
classes: {0: cat, true: dog}
1.5: x
"""


def test_every_kind_of_key_has_its_origin(dlctl: Dlctl) -> None:
    (dlctl.root / "configs/experiment").mkdir(parents=True)
    (dlctl.root / "configs/experiment/odd.yaml").write_text(ODD)
    out = dlctl("show-config", "--exp", "odd", "--origin").out
    lines = [line.split() for line in out[out.index("my:") :].splitlines()]
    assert [(line[0], line[-1].rpartition(":")[2]) for line in lines if "#" in line] == [
        *(("-", "4"), ("-", "5"), ("true:", "6"), ("3:", "7"), ("0:", "8"), ("true:", "8"), ("1.5:", "9")),
    ]


@pytest.mark.parametrize(
    ("key", "name", "value", "line"),
    [
        ("my.l[0]", "my.l[0]", "a", 4),
        ("my.l.0", "my.l[0]", "a", 4),
        ("my.l[1].b", "my.l[1].b", "2", 5),
        ("my.l.1.b", "my.l[1].b", "2", 5),
        ("true", "true", "5", 6),
        ("3", "3", "three", 7),
        ("classes.0", "classes[0]", "cat", 8),
        ("classes[0]", "classes[0]", "cat", 8),
        ("classes.true", "classes.true", "dog", 8),
        ("1.5", "1.5", "x", 9),
    ],
)
def test_history_takes_every_kind_of_key(dlctl: Dlctl, key: str, name: str, value: str, line: int) -> None:
    (dlctl.root / "configs/experiment").mkdir(parents=True)
    (dlctl.root / "configs/experiment/odd.yaml").write_text(ODD)
    out = dlctl("show-config", "--exp", "odd", "--history", key).out
    assert out.startswith(f"{name}: {value}\n")
    assert f"configs/experiment/odd.yaml:{line}\n" in out


def test_history_of_an_item_that_is_not_there(dlctl: Dlctl) -> None:
    assert "unknown key 'tags[7]'" in dlctl("show-config", "--history", "tags[7]", code=3).err


def test_search_path_that_is_not_there_is_no_warning(dlctl: Dlctl, recwarn: pytest.WarningsRecorder) -> None:
    dlctl("show-config", "hydra.searchpath=[/nowhere]", "--origin")
    dlctl("check", "hydra.searchpath=[/nowhere]", code=3)
    assert not recwarn.list


@pytest.mark.parametrize(
    "value",
    [
        '${oc.decode:"{a: 1}"}',
        "${oc.create:{a: 1}}",
        '${oc.decode:"[1, {}]"}',
        "${oc.create:{a: {b: 2}}}",
        "${oc.select:a.b,{x: ${seed}}}",
    ],
)
def test_braces_of_an_argument_do_not_hide_what_is_pointed_at(dlctl: Dlctl, value: str) -> None:
    (dlctl.root / "configs/experiment").mkdir(parents=True)
    text = f"# @package _global_\nmine: '{value}'\nenv: '${{oc.env:NOT_SET,{{a: {{b: 1}}}}}}'\n"
    (dlctl.root / "configs/experiment/mine.yaml").write_text(text)
    shown = dlctl("show-config", "--exp", "mine", "--origin").out
    inner = "seed (dlctl:train.yaml:46), " if "seed" in value else ""
    assert f"configs/experiment/mine.yaml:2 -> {inner}{value[2:-1]}" in shown
    assert "configs/experiment/mine.yaml:3 -> $NOT_SET = " in shown
