import csv
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dlctl.runs import store
from tests.conftest import QUIET, Dlctl, without_times

FDR = ("trainer.fast_dev_run=true",)
ONE_EPOCH = ("trainer.max_epochs=1", "trainer.min_epochs=1")


def test_example_learns_the_digits(example: dict[str, Any]) -> None:
    assert example["status"] == "done"
    assert example["metrics"]["test/acc"] >= 0.93
    assert set(example["metrics"]) == {
        f"{split}/{name}" for split in ("train", "val", "test") for name in ("loss", "acc")
    } | {"val/acc_best"}


def test_run_directory_tells_everything(trained: Dlctl, example: dict[str, Any]) -> None:
    directory = trained.root / "logs/train/runs" / example["run"]
    files = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    best = json.loads((directory / "run.json").read_text())["checkpoints"]["best"]
    assert files == {
        ".hydra/config.yaml",
        ".hydra/hydra.yaml",
        ".hydra/overrides.yaml",
        ".lock",
        "config_resolved.yaml",
        "config_tree.log",
        "run.json",
        "tags.log",
        "train.log",
        "csv/metrics.csv",
        "checkpoints/last.ckpt",
        best,
    }
    resolved = yaml.safe_load((directory / "config_resolved.yaml").read_text())
    assert resolved["model"]["net"]["lin2_size"] == 256
    assert resolved["trainer"]["max_epochs"] == 10
    assert "${" not in (directory / "config_resolved.yaml").read_text()
    assert "${paths.output_dir}" in (directory / ".hydra/config.yaml").read_text()
    assert (directory / "tags.log").read_text() == "mnist\nsimple_dense_net\n"
    assert "lin2_size: 256" in (directory / "config_tree.log").read_text()


def test_manifest_holds_the_facts_of_the_run(trained: Dlctl, example: dict[str, Any]) -> None:
    facts = trained("runs", "show", example["run"], "--json").json
    assert facts["schema_version"] == 1
    assert facts["status"] == "done"
    assert facts["argv"][1:] == ["train", "--exp", "example", "--json"]
    assert facts["overrides"] == ["experiment=example"]
    assert facts["experiment"] == "example"
    assert facts["tags"] == ["mnist", "simple_dense_net"]
    assert facts["seed"] == 12345
    assert facts["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert facts["metrics"] == example["metrics"]
    assert facts["duration_s"] > 0
    assert facts["error"] is None
    assert facts["started"] < facts["ended"]
    assert set(facts["checkpoints"]["sha256"]) == {
        facts["checkpoints"]["best"],
        facts["checkpoints"]["last"],
    }


def test_metrics_table_has_one_row_an_epoch_and_one_for_the_test(
    trained: Dlctl, example: dict[str, Any]
) -> None:
    table = trained.root / "logs/train/runs" / example["run"] / "csv/metrics.csv"
    rows = list(csv.DictReader(table.open()))
    assert [row["epoch"] for row in rows] == [*map(str, range(10)), ""]
    assert all(row["train/loss"] and row["val/acc"] for row in rows[:10])
    assert float(rows[9]["train/loss"]) == example["metrics"]["train/loss"]
    assert float(rows[10]["test/acc"]) == example["metrics"]["test/acc"]


def test_progress_is_plain_lines_on_stderr_where_that_is_no_terminal(_trained_once: Path) -> None:
    lines = (_trained_once / "stderr.txt").read_text().splitlines()
    epochs = [line for line in lines if line.startswith("epoch ")]
    assert len(epochs) == 10
    assert epochs[0].startswith("epoch  1/10  train/loss 0.")
    assert not any("\x1b" in line or "\r" in line for line in lines)


def test_checkpoints_load_with_weights_only_and_carry_the_config(
    trained: Dlctl, example: dict[str, Any]
) -> None:
    for file in (trained.root / "logs/train/runs" / example["run"] / "checkpoints").iterdir():
        state = torch.load(file, weights_only=True)
        assert state["state_dict"]["net.model.0.weight"].shape == (128, 784)
        assert yaml.safe_load(state["dlctl"]["config"])["model"]["net"]["lin1_size"] == 128


def test_report_ends_with_metrics_directory_and_the_command_to_evaluate(dlctl: Dlctl) -> None:
    result = dlctl.train("--exp", "example", *ONE_EPOCH, "--seed", "1")
    names = [line.split()[0] for line in result.out.splitlines()]
    assert names == [
        *("test/acc", "test/loss", "train/acc", "train/loss", "val/acc", "val/acc_best", "val/loss"),
        *("run", "best", "evaluate"),
    ]
    assert without_times(result.out).splitlines()[-3:] == [
        "run           logs/train/runs/RUN",
        "best          logs/train/runs/RUN/checkpoints/epoch_000.ckpt",
        "evaluate      dlctl eval RUN",
    ]
    assert "\nepoch 1/1  train/loss " in result.err


def test_two_runs_of_one_second_have_two_directories(dlctl: Dlctl) -> None:
    words = ("train", *QUIET, *FDR, "hydra.run.dir=logs/train/runs/same")
    first, second = dlctl.start(*words), dlctl.start(*words)
    assert [first.wait(), second.wait()] == [0, 0]
    found = store.every(_project(dlctl))
    assert sorted(run.dir.name for run in found) == ["same", "same-1"]
    assert {run.manifest.status for run in found} == {"done"}


def test_same_seed_gives_the_same_figures(dlctl: Dlctl) -> None:
    words = (*ONE_EPOCH, "--seed", "7", "--json", "trainer.limit_train_batches=20")
    words = ("trainer.limit_train_batches=20", *words[:-1])
    first, second = dlctl.train(*words).json, dlctl.train(*words).json
    other = dlctl.train(*words, "seed=8").json
    assert first["metrics"] == second["metrics"]
    assert first["metrics"] != other["metrics"]


@pytest.mark.parametrize(
    "words",
    [
        ("~callbacks", "+x=1", "model.scheduler=null", "trainer.devices=auto"),
        ("trainer.precision=bf16-mixed",),
        ("callbacks=none", "logger=many_loggers"),
        ("data.num_workers=2", "model.compile=false", "trainer.max_epochs=2"),
        ("~logger",),
        ("test=false",),
    ],
    ids=lambda words: words[0],
)
def test_config_can_be_changed_in_every_way(dlctl: Dlctl, words: tuple[str, ...]) -> None:
    metrics = dlctl.train(*FDR, *words, "--json").json["metrics"]
    assert 0 <= metrics["val/acc"] <= 1
    assert ("test/acc" in metrics) == ("test=false" not in words)


def test_bf16_trains_on_a_cpu(dlctl: Dlctl) -> None:
    metrics = dlctl.train(*ONE_EPOCH, "trainer.precision=bf16-mixed", "--json").json["metrics"]
    assert metrics["val/acc"] > 0.8


def test_dry_run_shows_the_config_and_writes_nothing(dlctl: Dlctl) -> None:
    before = sorted(dlctl.root.rglob("*"))
    result = dlctl("train", "--exp", "example", "model.optimizer.lr=0.5", "--dry-run")
    assert yaml.safe_load(result.out)["model"]["optimizer"]["lr"] == 0.5
    assert without_times(result.err) == "would run in logs/train/runs/RUN\n"
    assert sorted(dlctl.root.rglob("*")) == before


def test_typo_is_told_before_torch_is_imported(dlctl: Dlctl) -> None:
    result = _without_torch(dlctl, "train", "trainer.max_epoch=3", "model.optimizer.lr=abc")
    assert result.returncode == 3
    assert result.stdout == "torch False\n"
    assert result.stderr == (
        "error: unknown key 'trainer.max_epoch'\n"
        "  did you mean 'trainer.max_epochs' (= 10, set in dlctl:trainer/default.yaml:9)?\n"
        "  did you mean 'trainer.min_epochs' (= 1, set in dlctl:trainer/default.yaml:8)?\n"
        "error: 'abc' does not fit 'model.optimizer.lr', which takes float | Tensor\n"
        "  did you mean 'model.optimizer.lr=0.001' "
        f"(= 0.001, set in dlctl:model/mnist.yaml:{_line('model/mnist.yaml', 'lr:')})?\n"
        "  to insist: ++model.optimizer.lr=abc\n"
    )
    assert not (dlctl.root / "logs").exists()


def test_errors_are_json_with_json(dlctl: Dlctl) -> None:
    result = dlctl("train", "trainer.max_epoch=3", "--json", code=3)
    assert result.json["error"]["kind"] == "config"
    assert result.json["error"]["key"] == "trainer.max_epoch"
    assert result.json["error"]["suggestions"] == ["trainer.max_epochs", "trainer.min_epochs"]
    assert result.err == ""


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--exp", "exmple"), 3, "there is no experiment 'exmple'\n  did you mean experiment=example?"),
        (("nonsense",), 2, "'nonsense' is not an override"),
        (("--nonsense",), 2, "No such option: --nonsense"),
        (("-m", "seed=1,2"), 2, "dlctl sweep "),
        (("seed=1,2",), 3, "to search over it: dlctl sweep seed=1,2"),
        (("--resume", "nothing"), 4, "there is no run or checkpoint 'nothing'"),
        (("--resume", "last"), 4, "there is no training run in logs yet"),
        (("--ckpt", "nothing.ckpt"), 4, "there is no checkpoint nothing.ckpt"),
        (("--resume", "last", "--ckpt", "x"), 2, "--resume and --ckpt exclude each other"),
        (("seed=-1",), 3, "the seed is '-1'"),
        (("tags=[]",), 3, "the run has no tags\n  dlctl train --tags a,b"),
        (("~model",), 3, "the config has no 'model'"),
        (("=3",), 2, "'=3' is not an override"),
        (("task_name=a/b",), 3, "cannot log as hydra.job_logging says"),
        (("hydra.run.dir=/proc/nowhere/run",), 3, "cannot make the run's directory /proc/nowhere/run"),
        (("data.batch_size=0",), 3, "batch_size must be at least 1, not 0"),
        (("trainer=gpu",), 3, "No supported gpu backend found"),
        (("+trainer.no_such_argument=1",), 3, "Trainer takes no argument 'no_such_argument'"),
        (("++trainer.no_such_argument=1",), 3, "cannot build 'trainer'"),
        (("logger=comet",), 3, "pip install 'dlctl[comet]'"),
        (("model.net._target_=no_such_package.Net",), 3, "install what brings no_such_package"),
        (("data=mnist", "data.mirrors=[]"), 4, "train-images-idx3-ubyte is not in"),
        (("callbacks.early_stopping.monitor=val/nothing",), 3, "'val/nothing' is logged nowhere"),
        (("++callbacks.early_stopping.monitor=val/nothing",), 1, "val/nothing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistake_is_told_in_one_line_with_its_exit_code(
    dlctl: Dlctl, words: tuple[str, ...], code: int, said: str
) -> None:
    result = dlctl.train("trainer.max_epochs=1", *words, code=code)
    assert said in result.err
    assert "Traceback" not in result.err
    assert result.out == ""


def test_one_tag_needs_no_list_and_a_failed_start_is_recorded(dlctl: Dlctl) -> None:
    dlctl.train(*FDR, "tags=mine", "hydra.job_logging.root.level=NOPE", code=3)
    (facts,) = dlctl("runs", "list", "--json").json["runs"]
    assert (facts["status"], facts["tags"]) == ("failed", ["mine"])
    assert facts["error"]["type"] == "ConfigError"


def test_loss_that_is_no_number_ends_the_run(dlctl: Dlctl) -> None:
    result = dlctl.train("model.optimizer.lr=1e30", "trainer.gradient_clip_val=null", code=1)
    assert "error: the loss became nan in epoch 0, batch " in result.err
    assert "try a lower learning rate" in result.err
    facts = dlctl("runs", "show", "last", "--json").json
    assert facts["status"] == "failed"
    assert facts["error"]["type"] == "RunFailed"


def test_exception_in_the_users_code_is_one_line_and_its_traceback_in_the_log(dlctl: Dlctl) -> None:
    (dlctl.root / "broken_model.py").write_text(
        "from dlctl.models.mnist_module import MNISTLitModule\n"
        "class Broken(MNISTLitModule):\n"
        "    def training_step(self, batch, batch_idx):\n"
        "        raise RuntimeError('wires crossed')\n"
    )
    words = ("model._target_=broken_model.Broken", "trainer.max_epochs=1")
    result = dlctl.train(*words, code=1)
    log = dlctl.run_dir() / "train.log"
    assert result.err.endswith(
        "error: RuntimeError: wires crossed (broken_model.py:4)\n"
        f"  the traceback is in {log.relative_to(dlctl.root)}; --traceback shows it here\n"
    )
    assert "Traceback (most recent call last)" in log.read_text()
    assert "Traceback" in dlctl.train(*words, "--traceback", code=1).err


def test_full_disk_ends_the_run_and_the_checkpoint_before_still_loads(trained: Dlctl) -> None:
    last = trained.run_dir() / "checkpoints/last.ckpt"
    before = last.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        words = ("--resume", "last", "trainer.max_epochs=12", *QUIET)
        result = trained("train", *words, code=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    errors = [line for line in result.err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert "cannot write (logs/train/runs/" in errors[0]
    assert last.read_bytes() == before
    assert not list(last.parent.glob("*.tmp"))
    assert trained("eval", "last", "--ckpt", "last", *QUIET, "--json").json["status"] == "done"


def test_secrets_are_neither_written_nor_printed(dlctl: Dlctl, monkeypatch: pytest.MonkeyPatch) -> None:
    (dlctl.root / ".env").write_text("MY_API_KEY=hunter2secret\n")
    monkeypatch.delenv("MY_API_KEY", raising=False)
    words = (
        "+a=${oc.env:MY_API_KEY}",
        "+b=hunter2secret",
        '+c="postgresql://me:letmein@127.0.0.1/db"',
    )
    result = dlctl("train", *FDR, *words)
    written = b"".join(path.read_bytes() for path in (dlctl.root / "logs").rglob("*") if path.is_file())
    for secret in ("hunter2secret", "letmein"):
        assert secret not in result.out + result.err
        assert secret.encode() not in written
    resolved = yaml.safe_load((dlctl.run_dir() / "config_resolved.yaml").read_text())
    assert resolved["a"] == resolved["b"] == "${oc.env:MY_API_KEY}"
    assert resolved["c"] == "postgresql://me:***@127.0.0.1/db"
    monkeypatch.delenv("MY_API_KEY")


def test_uncommitted_changes_are_kept_with_the_run(dlctl: Dlctl) -> None:
    def git(*words: str) -> str:
        name = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        done = subprocess.run(["git", *name, *words], cwd=dlctl.root, check=True, capture_output=True)
        return done.stdout.decode().strip()

    git("init", "-q")
    (dlctl.root / "notes.txt").write_text("one\n")
    git("add", "-A")
    git("commit", "-qm", "first")
    (dlctl.root / "notes.txt").write_text("two\n")
    dlctl.train(*FDR)
    facts = dlctl("runs", "show", "last", "--json").json
    assert facts["git"] == {"commit": git("rev-parse", "HEAD"), "dirty": True}
    assert "-one\n+two\n" in (dlctl.run_dir() / "code.patch").read_text()


def test_outside_of_a_project_the_packaged_configs_serve(dlctl: Dlctl) -> None:
    (dlctl.root / ".project-root").unlink()
    result = dlctl.train(*FDR)
    assert result.err.startswith("no project here: the packaged configs, logs in logs\n")
    assert (dlctl.root / "logs/train/runs").is_dir()


def test_projects_own_config_comes_before_the_packaged_one(dlctl: Dlctl) -> None:
    (dlctl.root / "configs/experiment").mkdir(parents=True)
    (dlctl.root / "configs/experiment/mine.yaml").write_text(
        "# @package _global_\ntags: [mine]\ndata: {batch_size: 16}\n"
    )
    (dlctl.root / "inner").mkdir()
    result = subprocess.run(
        [sys.executable, "-m", "dlctl", "train", "--exp", "mine", "--dry-run", "--json"],
        cwd=dlctl.root / "inner",
        capture_output=True,
        check=True,
    )
    config = json.loads(result.stdout)["config"]
    assert config["data"]["batch_size"] == 16
    assert config["tags"] == ["mine"]
    assert config["paths"]["root_dir"] == str(dlctl.root)


def test_start_from_a_checkpoint_goes_on_in_a_new_run(trained: Dlctl, example: dict[str, Any]) -> None:
    last = trained.root / "logs/train/runs" / example["run"] / "checkpoints/last.ckpt"
    words = ("--exp", "example", "--ckpt", str(last), "trainer.max_epochs=11", "--json")
    report = trained.train(*words).json
    assert report["run"] != example["run"]
    rows = list(csv.DictReader((Path(report["dir"]) / "csv/metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["10", ""]


def _without_torch(dlctl: Dlctl, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a command and report whether torch was imported."""
    code = (
        "import sys; from dlctl.cli import run; code = run(sys.argv[1:]);"
        " print('torch', 'torch' in sys.modules); sys.exit(code)"
    )
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, cwd=dlctl.root, capture_output=True, text=True)


def _packaged_configs() -> Path:
    from dlctl.project import packaged_configs

    return packaged_configs()


def _line(file: str, start: str) -> int:
    lines = (_packaged_configs() / file).read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if line.strip().startswith(start))


def _project(dlctl: Dlctl) -> Any:
    from dlctl.project import Project

    return Project.find(dlctl.root)


def finetune(dlctl: Dlctl, text: str) -> None:
    (dlctl.root / "configs").mkdir()
    (dlctl.root / "configs/finetune.yaml").write_text(text)


def test_another_primary_config_is_trained_resumed_and_evaluated(dlctl: Dlctl) -> None:
    finetune(dlctl, "defaults: [train, _self_]\ntask_name: finetune\nseed: 11\ntrainer:\n  max_epochs: 1\n")
    limits = ("trainer.limit_train_batches=2", "trainer.limit_val_batches=1", "trainer.limit_test_batches=1")
    run = Path(dlctl.train("--config", "finetune", *limits, "--json").json["dir"])
    saved = yaml.safe_load((run / ".hydra/config.yaml").read_text())
    assert (saved["task_name"], saved["seed"], saved["trainer"]["max_epochs"]) == ("finetune", 11, 1)
    hydra = yaml.safe_load((run / ".hydra/hydra.yaml").read_text())["hydra"]
    assert hydra["job"]["config_name"] == "finetune"
    resumed = dlctl("train", "--resume", run.name, "callbacks=none", "--dry-run", "--json").json["config"]
    assert (resumed["seed"], resumed["trainer"]["max_epochs"]) == (11, 1)
    assert "test/acc" in dlctl("eval", run.name, "--json").json["metrics"]


def test_primary_config_that_is_not_there_is_told_with_its_like(dlctl: Dlctl) -> None:
    finetune(dlctl, "defaults: [train, _self_]\n")
    for command in ("train", "debug", "check"):
        assert "finetune" in dlctl(command, "--config", "finetun", code=3).err
    assert "exclude each other" in dlctl("train", "--resume", "last", "--config", "finetune", code=2).err


def test_check_reads_the_primary_config_that_is_named(dlctl: Dlctl) -> None:
    finetune(dlctl, "defaults: [train, _self_]\ntrainer:\n  max_epoch: 1\n")
    dlctl("check")
    found = dlctl("check", "--config", "finetune", code=3).err
    assert "configs/finetune.yaml:3: lightning.pytorch.trainer.Trainer takes no argument 'max_epoch'" in found
