"""Searches as people run them: real processes, real signals, a real study."""

import csv
import json
import os
import shlex
import signal
import sqlite3
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from dlctl.sweep import forking
from tests.conftest import QUIET, Dlctl

SHORT = (
    "trainer.max_epochs=1",
    "trainer.min_epochs=1",
    "trainer.limit_train_batches=4",
    "trainer.limit_val_batches=2",
)
FAST = (*SHORT, "callbacks.model_summary=null", *QUIET)
# A storage that does not answer; without its driver installed, a setting that cannot work.
NO_SERVER = 4 if find_spec("psycopg") else 3


def trouble(kind: str, seed: int = 2) -> str:
    return f"+callbacks.trouble={{_target_:tests.helpers.Trouble,kind:{kind},seed:{seed}}}"


def diary(file: Path, pause: float = 0.0) -> str:
    return f"+callbacks.diary={{_target_:tests.helpers.Diary,file:'{file}',pause:{pause}}}"


def notes(file: Path) -> list[list[str]]:
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def wait_for(condition: Callable[[], Any], seconds: float = 150) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it never came true")


@pytest.fixture
def project(dlctl: Dlctl) -> Dlctl:
    """A project whose code is that of these tests."""
    (dlctl.root / "tests").symlink_to(Path(__file__).parents[1])
    return dlctl


@pytest.fixture
def fresh() -> None:
    """Fork trials from a new process: that of the tests before knows another user's state."""
    forking.give_up()


@pytest.mark.usefixtures("fresh")
def test_bare_sweep_searches_the_example_and_ends_with_the_best_trial(dlctl: Dlctl) -> None:
    result = dlctl("sweep", "--trials", "3", "--jobs", "2", *FAST)
    folder = next((dlctl.root / "logs/train/multiruns").iterdir())
    lines = result.out.splitlines()
    assert lines[0].split() == ["trial", "state", "val/acc_best", "lr", "batch_size", "lin1_size", "lin2_size", "lin3_size", "time"]  # fmt: skip  # noqa: E501
    assert f"sweep       logs/train/multiruns/{folder.name}" in lines
    told = [line for line in result.err.splitlines() if line.startswith("trial ")]
    assert len(told) == 3
    # The database's own files go when the process that has it open ends.
    assert {path.name for path in folder.iterdir() if not path.name.startswith("study.db-")} == {
        *"012", "best.yaml", "report.html", "study.db", "sweep.json", "trials.csv",
    }  # fmt: skip

    report = dlctl("study", "trials", "last", "--json").json
    best = report["best"][0]
    assert [trial["state"] for trial in report["trials"]] == ["complete"] * 3
    assert best["values"][0] == max(trial["values"][0] for trial in report["trials"])
    assert best["run"] in result.out
    rows = list(csv.DictReader((folder / "trials.csv").open()))
    assert [row["run"] for row in rows] == [f"{folder.name}/{number}" for number in range(3)]
    assert float(rows[best["number"]]["val/acc_best"]) == best["values"][0]
    assert yaml.safe_load((folder / "best.yaml").read_text())["best"][0]["params"] == best["params"]
    page = (folder / "report.html").read_text()
    assert "Importance" in page
    assert '<a href="1">1</a>' in page
    assert "cdn.plot.ly" not in page.replace("https://cdn.plot.ly/un/", "")

    listed = dlctl("runs", "list", "--json").json["runs"]
    assert {(run["kind"], run["status"]) for run in listed} == {("trial", "done")}
    assert not any(name.startswith("test/") for name in listed[0]["metrics"])
    assert dlctl("eval", best["run"], *QUIET, "--json").json["metrics"]["test/acc"] > 0
    with sqlite3.connect(folder / "study.db") as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)

    dlctl("study", "best", "last", "--as-experiment", "found")
    config = dlctl("show-config", "--exp", "found", "--format", "json").json
    assert config["model"]["optimizer"]["lr"] == best["params"]["model.optimizer.lr"]
    assert config["data"]["batch_size"] == best["params"]["data.batch_size"]
    assert dlctl("check", "--exp", "found").code == 0
    assert "exists already" in dlctl("study", "best", "last", "--as-experiment", "found", code=3).err


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("raises", "ValueError: a bad day"),
        ("babbles", r"ValueError: \x1b[31mred \udcff é"),
        ("aborts", "its process was killed by SIGABRT"),
        ("killed", "its process was killed by SIGKILL"),
        ("leaves", "its process ended with exit code 3"),
        ("memory", "can't allocate memory"),
        ("exits", "its process ended with exit code 0"),
        ("metric", "val/odd is nan"),
        ("absent", "the metric 'val/odd' was not logged; logged were train/acc, train/loss, val/acc"),
        ("early", "the metric 'val/odd' was not logged; logged were train/acc, train/loss, val/acc"),
    ],
)
def test_bad_trial_is_one_failed_trial(project: Dlctl, kind: str, reason: str) -> None:
    words = ("seed=1,2,3", trouble(kind), "--jobs", "2", *FAST)
    late = kind in ("metric", "absent", "early")
    words = (*words, "optimized_metric=val/odd") if late else words
    result = project("sweep", *words, "--json", code=5)
    states = [trial["state"] for trial in result.json["trials"]]
    assert sorted(states) == ["complete", "complete", "failed"]
    failed = next(trial for trial in result.json["trials"] if trial["state"] == "failed")
    assert failed["params"] == {"seed": 2}
    assert reason in failed["error"]
    told = next(line for line in result.err.splitlines() if "failed" in line)
    assert reason in told
    shown = project("runs", "show", failed["run"], "--json").json
    assert shown["status"] == ("done" if late else "failed")


def test_trial_without_one_of_several_metrics_is_one_failed_trial(project: Dlctl) -> None:
    words = ("seed=1,2,3", trouble("absent"), "optimized_metric=[val/acc,val/odd]", *FAST)
    result = project("sweep", *words, "--json", code=5)
    trials = result.json["trials"]
    assert [trial["state"] for trial in trials] == ["complete", "failed", "complete"]
    assert "the metric 'val/odd' was not logged" in trials[1]["error"]
    assert [trial["values"][1] for trial in trials if trial["values"]] == [1.0, 1.0]


@pytest.mark.parametrize("choice", ["seed=2,1,3", "tags=[a],[b]"])
def test_first_trial_without_the_metric_ends_a_search_of_numbers_only(project: Dlctl, choice: str) -> None:
    more = () if choice.startswith("seed") else ("seed=2",)
    words = (choice, *more, trouble("absent"), "optimized_metric=val/odd", *FAST, "--study", "s")
    if more:
        # The trials may run different code: each is tried.
        trials = project("sweep", *words, "--json", code=5).json["trials"]
        assert [trial["state"] for trial in trials] == ["failed", "failed"]
        return
    err = project("sweep", *words, code=3).err
    assert "the metric 'val/odd' is logged nowhere: the first trial ended without it" in err
    assert [trial["state"] for trial in project("study", "trials", "s", "--json").json["trials"]] == [
        "failed"
    ]
    # Whoever knows better goes on.
    again = err.splitlines()[-1].strip()
    assert again.startswith("to try the others anyway: dlctl sweep ")
    trials = project(*shlex.split(again.partition(": dlctl ")[2]), "--json", code=5).json["trials"]
    assert [trial["state"] for trial in trials] == ["failed", "complete", "complete"]


@pytest.mark.parametrize("kind", ["waits", "hangs", "computes"])
def test_trial_that_takes_too_long_is_one_failed_trial(
    project: Dlctl, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("dlctl.sweep.worker._GRACE", 1.0)
    words = ("sweep", "seed=1,2,3", trouble(kind), "--trial-timeout", "3s", "--study", "s", *FAST, "--json")
    report = project(*words, code=5).json
    assert [trial["state"] for trial in report["trials"]] == ["complete", "failed", "complete"]
    assert report["trials"][1]["error"] == "trial timed out after 3 s (--trial-timeout)"
    shown = project("runs", "show", "s/1", "--json").json
    assert (shown["status"], shown["error"]["message"]) == ("failed", report["trials"][1]["error"])
    if kind != "waits":
        pids = [int(word) for word in (project.root / "hanging").read_text().split()]
        wait_for(lambda: not any(map(psutil.pid_exists, pids)), 5)
    # It has failed, and is not tried again.
    assert project(*words, code=5).json["trials"] == report["trials"]


def test_check_knows_the_limits_of_time(dlctl: Dlctl) -> None:
    file = dlctl.root / "configs/sweep.yaml"
    file.parent.mkdir()
    head = "defaults: [{sampler: tpe}, {pruner: median}]\n"
    file.write_text(f"{head}timeout: 2h\ntrial_timeout: 90\n")
    dlctl("check", "--all")
    file.write_text(f"{head}timeout: 2h\ntrial_timeout: later\n")
    err = dlctl("check", "--all", code=3).err
    assert err.startswith("error: configs/sweep.yaml:3: invalid duration 'later'\n  trial_timeout: 2h, ")
    file.write_text(f"{head}timeout: 2h\ntrial_timout: 3s\n")
    assert "did you mean trial_timeout?" in dlctl("check", "--all", code=3).err


def test_fail_fast_stops_at_the_first_failure(project: Dlctl) -> None:
    words = ("seed=2,1,3", trouble("raises"), "--fail-fast", *FAST)
    report = project("sweep", *words, "--json", code=5).json
    assert [trial["state"] for trial in report["trials"]] == ["failed"]


def test_trials_run_at_once_and_share_the_cores(project: Dlctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    file = project.root / "diary"
    project("sweep", "seed=1,2,3,4", diary(file, 1.0), "--jobs", "2", *FAST)
    lines = notes(file)
    start = {line[1]: float(line[2]) for line in lines if line[0] == "start"}
    end = {line[1]: float(line[2]) for line in lines if line[0] == "end"}
    assert len(start) == len(end) == 4
    overlaps = [(a, b) for a in start for b in start if a < b and start[a] < end[b] and start[b] < end[a]]
    assert overlaps
    cores = len(psutil.Process().cpu_affinity())
    assert {int(line[4]) for line in lines} == {max(1, cores // 2)}


def test_all_combinations_pairs_and_searches(dlctl: Dlctl) -> None:
    grid = dlctl("sweep", "data.batch_size=16,32", "seed=range(1,4)", "--dry-run", "--json").json
    assert (grid["mode"], grid["trials"]) == ("grid", 6)
    pairs = dlctl("sweep", "data.batch_size=16,32", "seed=1,2", "--zip", "--dry-run", "--json").json
    assert (pairs["mode"], pairs["trials"]) == ("zip", 2)
    words = ("model.optimizer.lr=tag(log,interval(1e-4,1e-1))", "data.batch_size=16,32")
    assert dlctl("sweep", *words, "--dry-run", "--json").json["mode"] == "search"
    both = dlctl("sweep", "--search", "mnist_optuna", "data.batch_size=16,32", "--dry-run", "--json").json
    assert both["parameters"]["data.batch_size"] == "16,32"
    assert both["parameters"]["model.optimizer.lr"] == "interval(0.0001, 0.1)"
    glob = dlctl("sweep", "experiment=glob(*)", "--dry-run", "--json").json
    assert glob["trials"] == 4
    assert not (dlctl.root / "logs").exists()


def test_intervals_of_whole_numbers_give_whole_numbers(dlctl: Dlctl) -> None:
    words = ("data.batch_size=interval(16,64)", "model.optimizer.lr=interval(0,1)", "seed=int(interval(1,9))")
    report = dlctl(
        "sweep", *words, "model.net.lin1_size=range(32,65,16)", "--trials", "2", *FAST, "--json"
    ).json
    for trial in report["trials"]:
        assert [type(value) for value in trial["params"].values()] == [int, float, int, int]
        assert trial["params"]["model.net.lin1_size"] in (32, 48, 64)


def test_choices_of_groups_are_composed_for_each_trial(dlctl: Dlctl) -> None:
    folder = dlctl.root / "configs/model"
    folder.mkdir(parents=True)
    (folder / "wide.yaml").write_text("# Wider.\ndefaults:\n  - mnist\n  - _self_\nnet:\n  lin1_size: 96\n")
    report = dlctl("sweep", "model=mnist,wide", "model.optimizer.lr=0.01,0.02", *FAST, "--json").json
    assert [trial["params"] for trial in report["trials"]] == [
        {"model": model, "model.optimizer.lr": lr} for model in ("mnist", "wide") for lr in (0.01, 0.02)
    ]
    sizes = []
    for number in range(4):
        config = yaml.safe_load((Path(report["dir"]) / str(number) / "config_resolved.yaml").read_text())
        sizes.append((config["model"]["net"]["lin1_size"], config["model"]["optimizer"]["lr"]))
    assert sizes == [(64, 0.01), (64, 0.02), (96, 0.01), (96, 0.02)]


def test_same_seed_gives_the_same_trials(dlctl: Dlctl) -> None:
    words = ("--exp", "example", "model.optimizer.lr=tag(log,interval(1e-4,1e-1))", "data.batch_size=16,32")
    one, other = (dlctl("sweep", *words, "--trials", "3", *FAST, "--json").json for _ in range(2))
    assert one["study"] != other["study"]
    for name in ("params", "values"):
        assert [trial[name] for trial in one["trials"]] == [trial[name] for trial in other["trials"]]
    assert len({trial["params"]["model.optimizer.lr"] for trial in one["trials"]}) == 3


def test_pruned_trial_stops_at_the_epoch_of_the_pruner(dlctl: Dlctl) -> None:
    (dlctl.root / "configs/pruner").mkdir(parents=True)
    (dlctl.root / "configs/pruner/strict.yaml").write_text(
        "# Wants more than there can be.\n_target_: optuna.pruners.ThresholdPruner\nlower: 2.0\n"
        "n_warmup_steps: 2\n"
    )
    words = ("model.optimizer.lr=interval(0.001,0.01)", "trainer.max_epochs=5", "--pruner", "strict")
    report = dlctl("sweep", *FAST, *words, "--trials", "2", "--json").json
    assert [trial["state"] for trial in report["trials"]] == ["pruned", "pruned"]
    assert report["best"] == []
    directory = Path(report["dir"]) / "0"
    assert json.loads((directory / "run.json").read_text())["status"] == "pruned"
    assert len(list(csv.DictReader((directory / "csv/metrics.csv").open()))) == 2


def test_several_metrics_have_several_best_trials(dlctl: Dlctl) -> None:
    words = (
        "optimized_metric=[val/acc,val/loss]",
        "direction=[maximize,minimize]",
        "model.optimizer.lr=interval(0.001,0.1)",
    )
    report = dlctl("sweep", *FAST, *words, "--sampler", "nsgaii", "--trials", "3", "--json").json
    assert all(len(trial["values"]) == 2 for trial in report["trials"])
    assert 1 <= len(report["best"]) <= 3


def test_modules_with_loaders_of_unknown_length_are_searched(project: Dlctl) -> None:
    words = (
        "model._target_=tests.helpers.OwnLoaders",
        "~data",
        "model.optimizer.lr=0.01,0.0",
        "--study",
        "a b",
    )
    # A process of its own: the one that trials are forked from keeps the environment of an earlier test.
    report = project.process("sweep", *words, *FAST, "--json").json
    assert [trial["state"] for trial in report["trials"]] == ["complete", "complete"]
    best = report["best"][0]
    facts = project("eval", best["run"], "--split", "val", "--json", "trainer.limit_val_batches=2").json
    assert [facts["metrics"]["val/acc"]] == best["values"]


def test_search_whose_database_was_deleted_says_so(project: Dlctl) -> None:
    file = project.root / "diary"
    process = project.start("sweep", "seed=1,2", diary(file, 2.0), "--study", "s", *FAST)
    wait_for(lambda: notes(file))
    database = project.root / "logs/train/multiruns/s/study.db"
    database.unlink()
    out, err = process.communicate(timeout=150)
    assert process.returncode == 4, err
    assert "study.db was deleted while the search ran" in err
    # What was found is reported none the less.
    assert "complete" in out
    assert len((database.parent / "trials.csv").read_text().splitlines()) == 3


def test_searches_written_for_hydras_plugin_work_as_they_are(dlctl: Dlctl) -> None:
    folder = dlctl.root / "configs/hparams_search"
    folder.mkdir(parents=True)
    (folder / "old.yaml").write_text(OLD)
    words = ("--exp", "example", "--search", "old")
    plan = dlctl("sweep", *words, "--dry-run", "--json").json
    assert (plan["study"], plan["trials"], plan["metrics"]) == ("mine", 2, {"val/loss": "minimize"})
    report = dlctl("sweep", *words, *FAST, "--json").json
    assert report["study"] == "mine"
    assert len(report["trials"]) == 2
    assert Path(dlctl.root / "mine.db").is_file()


OLD = """# @package _global_
# As the template has it.
defaults:
  - override /hydra/sweeper: optuna

optimized_metric: "val/loss"

hydra:
  mode: "MULTIRUN"
  sweeper:
    _target_: hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper
    storage: sqlite:///mine.db
    study_name: mine
    n_jobs: 1
    direction: minimize
    n_trials: 2
    sampler:
      _target_: optuna.samplers.TPESampler
      seed: 1234
      n_startup_trials: 10
    params:
      model.optimizer.lr: interval(0.0001, 0.1)
      data.batch_size: choice(32, 64, 128, 256)
"""


def test_older_searches_work_and_what_they_leave_open_is_as_dlctl_says(dlctl: Dlctl) -> None:
    folder = dlctl.root / "configs/hparams_search"
    folder.mkdir(parents=True)
    (folder / "older.yaml").write_text(OLDER)
    plan = dlctl("sweep", "--exp", "example", "--search", "older", "--dry-run").out
    assert "metric               maximize val/acc_best" in plan
    assert "trials               20, 1 at once" in plan
    assert "sampler              optuna.samplers.RandomSampler" in plan
    words = ("--exp", "example", "--search", "older", "--trials", "1", *FAST, "--json")
    params = dlctl("sweep", *words).json["trials"][0]["params"]
    assert params["model.net.lin1_size"] in (64, 96, 128)
    assert isinstance(params["model.net.lin1_size"], int)
    assert params["data.batch_size"] in (32, 64)
    assert 0.0001 <= params["model.optimizer.lr"] <= 0.1


OLDER = """# @package _global_
# As the template had it once.
defaults:
  - override /hydra/sweeper: optuna
  - override /hydra/sweeper/sampler: random

hydra:
  sweeper:
    search_space:
      model.net.lin1_size: {type: int, low: 64, high: 128, step: 32}
      data.batch_size: {type: categorical, choices: [32, 64]}
      model.optimizer.lr: {type: float, low: 0.0001, high: 0.1, log: true}
"""


GRID = """# @package _global_
# All combinations, as the template's projects ask for them.
defaults:
  - override /hydra/sweeper: optuna
{more}
optimized_metric: val/acc
hydra:
  mode: MULTIRUN
  sweeper:
    _target_: hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper
    direction: maximize
    n_trials: {trials}
{sampler}
    params:
      data.batch_size: choice(16, 32)
      model.net.lin1_size: {values}
"""
TARGET = "    sampler:\n      _target_: optuna.samplers.GridSampler\n      _partial_: true"


@pytest.mark.parametrize(
    ("more", "sampler"),
    [("  - override /hydra/sweeper/sampler: grid", ""), ("", TARGET)],
    ids=["group", "target"],
)
def test_grid_of_hydras_plugin_is_all_combinations(dlctl: Dlctl, more: str, sampler: str) -> None:
    file = dlctl.root / "configs/hparams_search/grid.yaml"
    file.parent.mkdir(parents=True)
    words = ("sweep", "--exp", "example", "--search", "grid", "--dry-run")
    for trials, found in ((20, 4), (3, 3)):
        file.write_text(GRID.format(more=more, sampler=sampler, trials=trials, values="choice(64, 128)"))
        plan = dlctl(*words, "--json").json
        assert (plan["mode"], plan["trials"]) == ("grid", found)
    file.write_text(GRID.format(more=more, sampler=sampler, trials=3, values="interval(64, 128)"))
    err = dlctl(*words, code=3).err
    assert err.startswith("error: a grid takes lists, and 'model.net.lin1_size' is an interval")


FULL = """# @package _global_
# All that Hydra's plugin once passed on to Optuna's sampler.
defaults:
  - override /hydra/sweeper: optuna

optimized_metric: "val/acc_best"

hydra:
  sweeper:
    _target_: hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper
    storage: null
    n_jobs: 1
    direction: maximize
    n_trials: 2
    sampler:
      _target_: optuna.samplers.TPESampler
      seed: 12345
      consider_prior: true
      prior_weight: 1.0
      consider_magic_clip: true
      consider_endpoints: false
      n_startup_trials: 10
      n_ei_candidates: 24
      multivariate: false
      warn_independent_sampling: true
    search_space:
      data.batch_size: {type: categorical, choices: [32, 64]}
      model.optimizer.lr: {type: float, low: 0.0001, high: 0.2}
"""


def test_settings_that_optuna_has_no_more_use_for_are_no_trouble(dlctl: Dlctl) -> None:
    folder = dlctl.root / "configs/hparams_search"
    folder.mkdir(parents=True)
    (folder / "full.yaml").write_text(FULL)
    result = dlctl("sweep", "--exp", "example", "--search", "full", *FAST)
    assert "Warning" not in result.err
    assert result.out.count("complete") == 2


@pytest.mark.parametrize("sampler", ["random", "qmc", "nsgaii", "cmaes", "gp"])
@pytest.mark.slow
def test_every_sampler_searches(dlctl: Dlctl, sampler: str) -> None:
    for package in {"qmc": ["scipy"], "gp": ["scipy"], "cmaes": ["cmaes"]}.get(sampler, []):
        pytest.importorskip(package)
    words = ("model.optimizer.lr=interval(0.001,0.1)", "data.batch_size=16,32", "--sampler", sampler)
    report = dlctl("sweep", *words, "--trials", "2", *FAST, "--json").json
    assert [trial["state"] for trial in report["trials"]] == ["complete"] * 2
    assert len({trial["params"]["model.optimizer.lr"] for trial in report["trials"]}) == 2


@pytest.mark.parametrize("pruner", ["halving", "hyperband", "median", "none", "patient", "percentile"])
@pytest.mark.slow
def test_every_pruner_prunes_or_not(dlctl: Dlctl, pruner: str) -> None:
    words = ("model.optimizer.lr=interval(0.001,0.1)", "--pruner", pruner, "--trials", "2")
    report = dlctl("sweep", *words, *FAST, "trainer.max_epochs=3", "--json").json
    assert {trial["state"] for trial in report["trials"]} <= {"complete", "pruned"}
    assert "complete" in {trial["state"] for trial in report["trials"]}


@pytest.mark.skipif(find_spec("cmaes") is not None, reason="cmaes is installed")
def test_sampler_without_its_package_is_told_before_the_first_trial(dlctl: Dlctl) -> None:
    words = ("model.optimizer.lr=interval(0.001,0.1)", "--sampler", "cmaes", "--dry-run")
    assert "needs the package cmaes\n  pip install cmaes" in dlctl("sweep", *words, code=3).err


def test_two_signals_at_once_end_a_search_that_has_just_begun(project: Dlctl) -> None:
    process = project.start("sweep", "seed=1,2,3", "--jobs", "2", *FAST, start_new_session=True)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("study ")
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    out, err = process.communicate(timeout=150)
    assert process.returncode == 130, err
    assert "Traceback" not in out + err
    assert err.splitlines()[-1].startswith("to go on: dlctl sweep seed=1,2,3")
    assert project("study", "status", "last", "--json").json["status"] == "interrupted"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("model.optimizer.lrr=interval(0,1)",), 3, "'model.optimizer.lrr', which is not in the config"),
        (("model.optimizer.lr=interval(0.1,abc)",), 3, "interval takes numbers"),
        (("model.optimizer.lr=interval(1,0.1)",), 3, "has its ends the wrong way round"),
        (("model.optimizer.lr=interval(0.1,0.1)",), 3, "is a single value"),
        (("model.optimizer.lr=tag(log,interval(0,1))",), 3, "cannot be logarithmic"),
        (("model.optimizer.lr=abc,def",), 3, "'abc' does not fit 'model.optimizer.lr'"),
        (("model=mnist,mnits",), 3, "mnits"),
        (("seed=1,2", "optimized_metric=val/accc"), 3, "the metric 'val/accc' is logged nowhere"),
        (("seed=1,2", "data.batch_size=1,2,3", "--zip"), 3, "--zip needs lists of one length"),
        (("seed=1,2", "--storage", "postgresql://me:hunter22@127.0.0.1:1/x"), NO_SERVER, "cannot be reached"),
        (("seed=1,2", "--sampler", "nope"), 3, "nope"),
        (("seed=1,2", "--timeout", "soon"), 2, "invalid duration 'soon' for --timeout"),
        (("seed=1,2", "--trial-timeout", "0s"), 2, "invalid duration '0s' for --trial-timeout"),
        (("seed=1,2", "trial_timeout=later"), 2, "invalid duration 'later' for --trial-timeout"),
        (("seed=1,2", "--study", "../x"), 2, "cannot name a study"),
        (("seed=1,2", "--study=-x"), 2, "'-x' cannot name a study"),
        (("seed=1,2", "--study", "a\nb"), 2, "'a\\nb' cannot name a study"),
        (("optimized_metric=val/loss,val/acc",), 2, "cannot differ between trials"),
        (("seed=1,2", "direction=[minimize,maximize]"), 3, "direction is"),
        (("seed=1,2", "direction=maximise"), 3, "did you mean maximize?"),
        (
            ("seed=1,2", "--dry-run", "--storage", "postgresql://me:hunter22@127.0.0.1:1/x"),
            NO_SERVER,
            "cannot be reached",
        ),
        (("seed=1,2", "--dry-run", "--storage", "sqlite:///nowhere/x.db"), 3, "cannot be reached"),
    ],
    ids=str,
)
def test_wrong_input_is_told_before_the_first_trial(
    dlctl: Dlctl, words: tuple[str, ...], code: int, message: str
) -> None:
    result = dlctl("sweep", *words, code=code)
    assert message in result.err
    assert "hunter22" not in result.err + result.out
    assert "Traceback" not in result.err
    assert not list(dlctl.root.rglob("run.json"))


def test_study_of_another_space_is_left_alone(dlctl: Dlctl) -> None:
    dlctl("sweep", "seed=1,2", "--study", "s", *FAST)
    result = dlctl("sweep", "seed=1,3", "--study", "s", *FAST, code=3)
    assert "there is a study 's' already, and it searches something else" in result.err
    assert "seed is 1,2 there and 1,3 here" in result.err


def test_metric_that_is_not_logged_is_told_after_the_first_trial(project: Dlctl) -> None:
    words = ("seed=1,2,3", "model._target_=tests.helpers.Odd", "optimized_metric=val/later", *FAST)
    result = project("sweep", *words, code=3)
    assert "the metric 'val/later' is logged nowhere" in result.err
    assert len(list(project.root.rglob("run.json"))) == 1


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_signal_stops_the_trials_and_the_same_command_goes_on(project: Dlctl, name: str, code: int) -> None:
    file = project.root / "diary"
    words = ("sweep", "seed=1,2,3,4", diary(file, 3.0), "--jobs", "2", "data.num_workers=1", *FAST)
    process = project.start(*words, start_new_session=True)
    wait_for(lambda: len([line for line in notes(file) if line[0] == "start"]) >= 2)
    started = {child.pid for child in psutil.Process(process.pid).children(recursive=True)}
    assert len(started) >= 6  # a process that forks, a tracker, two trials, and the loaders of each
    # To the whole process group, as a terminal and schedulers do.
    os.killpg(process.pid, getattr(signal, name))
    _, err = process.communicate(timeout=150)
    assert process.returncode == code, err
    assert "Traceback" not in err
    wait_for(lambda: not any(map(psutil.pid_exists, started)), 10)
    assert f"{name} stopped the search in" in err
    assert err.splitlines()[-1].startswith("to go on: dlctl sweep seed=1,2,3,4")
    assert dlctl_states(project) == []
    report = project("sweep", *words[1:], "--json").json
    assert sorted(trial["params"]["seed"] for trial in report["trials"]) == [1, 2, 3, 4]
    assert {trial["state"] for trial in report["trials"]} == {"complete"}
    statuses = sorted(run["status"] for run in project("runs", "list", "--json").json["runs"])
    assert statuses == ["done"] * 4 + ["interrupted"] * 2


def dlctl_states(project: Dlctl) -> list[str]:
    return [trial["state"] for trial in project("study", "trials", "last", "--json").json["trials"]]


@pytest.mark.parametrize("space", ["seed=1,2,3,4,5", "seed=interval(1,1000)"])
def test_killed_sweep_ends_with_exactly_its_trials(project: Dlctl, space: str) -> None:
    file = project.root / "diary"
    words = ("sweep", space, diary(file, 0.5), "--jobs", "2", "--trials", "5", *FAST)
    for count in (1, 3):
        process = project.start(*words)
        wait_for(lambda count=count: len([line for line in notes(file) if line[0] == "end"]) >= count)
        process.kill()
        process.wait()
        pids = {int(line[1]) for line in notes(file)}
        wait_for(lambda pids=pids: not any(psutil.pid_exists(pid) for pid in pids), 5)
    before = {row["number"]: row for row in project("study", "trials", "last", "--json").json["trials"]}
    report = project("sweep", *words[1:], "--json").json
    assert [trial["state"] for trial in report["trials"]] == ["complete"] * 5
    assert len({trial["params"]["seed"] for trial in report["trials"]}) == 5
    for number, row in before.items():
        assert next(trial for trial in report["trials"] if trial["number"] == number) == row
    started = [line[3] for line in notes(file) if line[0] == "start"]
    ended = [line[3] for line in notes(file) if line[0] == "end"]
    # Whatever was begun has been finished: no values were lost.
    assert set(started) == {str(trial["params"]["seed"]) for trial in report["trials"]}
    assert len(ended) <= 9  # each of two kills may have come between an end and its being told
    assert len(list((project.root / "logs/train/multiruns").iterdir())) == 1


def meeting(folder: Path) -> str:
    return f"+callbacks.meeting={{_target_:tests.helpers.Meeting,folder:'{folder}'}}"


def test_two_sweeps_of_one_study_share_its_trials(project: Dlctl) -> None:
    file, folder = project.root / "diary", project.root / "meeting"
    space = ("seed=interval(1,100000)", diary(file), meeting(folder), "--trials", "6", "--jobs", "2")
    both = [project.start("sweep", *space, "--study", "s", *FAST) for _ in range(2)]
    for process in both:
        _, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
    assert len(list(folder.iterdir())) == 2
    report = project("study", "trials", "s", "--json").json
    assert project("study", "status", "s", "--json").json["status"] == "done"
    assert [trial["state"] for trial in report["trials"]] == ["complete"] * 6
    assert len(notes(file)) == 12


def test_stopped_study_starts_no_more_trials(project: Dlctl) -> None:
    file = project.root / "diary"
    words = ("sweep", "seed=1,2,3,4", diary(file, 2.0), *FAST)
    process = project.start(*words)
    wait_for(lambda: notes(file))
    project("study", "stop", "last")
    _, err = process.communicate(timeout=150)
    assert process.returncode == 0, err
    assert dlctl_states(project) == ["complete"]
    assert project("study", "status", "last", "--json").json["status"] == "stopped"


def test_time_is_up_for_new_trials(project: Dlctl) -> None:
    file = project.root / "diary"
    report = project("sweep", "seed=1,2,3,4", diary(file, 1.0), "--timeout", "1s", *FAST, "--json").json
    assert len(report["trials"]) < 4


@pytest.mark.usefixtures("fresh")
def test_best_trial_is_tested_at_the_end(dlctl: Dlctl) -> None:
    report = dlctl("sweep", "seed=1,2", "--test-best", *FAST, "--json").json
    assert report["test"]["evaluated"] == report["best"][0]["run"]
    assert report["test"]["metrics"]["test/acc"] > 0


def test_journal_file_holds_a_study(dlctl: Dlctl) -> None:
    report = dlctl("sweep", "seed=1,2", "--storage", "study.journal", *FAST, "--json").json
    assert len(report["trials"]) == 2
    assert (dlctl.root / "study.journal").is_file()
    assert len(dlctl("study", "trials", "last", "--json").json["trials"]) == 2
