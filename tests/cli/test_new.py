"""New projects, data sets, models, experiments and searches: what is written works."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
import torch
import yaml

from tests.conftest import QUIET, Dlctl

KINDS = {
    "data": ("image-folder", "csv", "text", "tensors"),
    "model": ("classifier", "regressor"),
}
FILES = {
    "data": ["mine/data/pets_datamodule.py", "configs/data/pets.yaml", "tests/data/test_pets_datamodule.py"],
    "model": [
        "mine/models/pets_module.py",
        "mine/models/components/pets_net.py",
        "configs/model/pets.yaml",
        "tests/models/test_pets_module.py",
    ],
}


def run_tests(root: Path, *words: str) -> None:
    """Run a project's own tests."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def mine(dlctl: Dlctl, monkeypatch: pytest.MonkeyPatch) -> Dlctl:
    """The command, in a project that it made."""
    dlctl("new", "project", "mine")
    root = dlctl.root / "mine"
    # The project of another test has the same name.
    for name in [each for each in sys.modules if each.partition(".")[0] == "mine"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.chdir(root)
    return Dlctl(root, dlctl._capture)


def test_new_project_is_whole_and_lists_what_it_wrote(
    tmp_path: Path, dlctl: Dlctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = dlctl("new", "project", "My Project")
    root = tmp_path / "My Project"
    listed = result.out.splitlines()
    assert sorted(str(tmp_path / line) for line in listed) == sorted(
        str(path) for path in root.rglob("*") if path.is_file() and ".git" not in path.relative_to(root).parts
    )
    assert {path.name for path in root.iterdir()} == {
        ".env.example", ".git", ".github", ".gitignore", ".pre-commit-config.yaml", ".project-root",
        "Makefile", "README.md", "configs", "my_project", "pyproject.toml", "tests",
    }  # fmt: skip
    assert result.err.splitlines()[:2] == ["its package is my_project", "next: cd 'My Project'"]
    assert dlctl("new", "project", "My Project").err == "all of it is there already\n"
    monkeypatch.chdir(root / "my_project")  # any folder of the project will do
    config = dlctl("show-config", "--exp", "first", "--format", "json").json
    assert config["paths"]["root_dir"] == "${oc.env:PROJECT_ROOT}"
    assert dlctl("check", "--all").code == 0


def test_what_is_new_passes_its_own_tests_and_checks(mine: Dlctl) -> None:
    for group, kinds in KINDS.items():
        for kind in kinds:
            mine("new", group, f"{kind.replace('-', '_')}_{group}", "--kind", kind)
    run_tests(mine.root)
    for command in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]):
        done = subprocess.run([sys.executable, "-m", *command], cwd=mine.root, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    report = mine("check", "--all", "--json").json
    assert report["faults"] == []
    assert any("data/csv_data.csv, which does not exist" in note for note in report["notes"])


@pytest.mark.parametrize("group", FILES)
def test_data_and_models_are_code_config_and_test(mine: Dlctl, group: str) -> None:
    dry = mine("new", group, "pets", "--dry-run")
    assert dry.out.splitlines() == FILES[group]
    assert not any((mine.root / name).exists() for name in FILES[group])
    assert mine("new", group, "pets").out == dry.out
    assert all((mine.root / name).is_file() for name in FILES[group])
    assert f"  {group}: pets" not in mine("list", group).err
    assert "pets" in mine("list", group).out


def test_new_data_says_what_it_reads_and_where(mine: Dlctl) -> None:
    for kind, told in {
        "image-folder": "Images in folders, one folder a class: data/pets/CLASS/IMAGE.png",
        "csv": "A table with a line of headings, one line a sample: data/pets.csv",
        "text": "Lines of text, each with its class: CLASS<TAB>TEXT in data/pets.tsv",
        "tensors": 'Tensors in memory: torch.save({"inputs": inputs, "targets": targets}, "data/pets.pt")',
        "conllu": "A treebank in CoNLL-U, in three files: data/pets/train.conllu, dev.conllu and test.conllu",
    }.items():
        assert mine("new", "data", "pets", "--kind", kind, "--force").err.splitlines()[-3:] == [
            f"reads: {told}",
            "next: dlctl show-config data=pets --package data",
            "then: dlctl new experiment NAME data=pets model=...",
        ]


def test_a_table_may_be_parquet(mine: Dlctl) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    pyarrow = pytest.importorskip("pyarrow")
    mine("new", "data", "tab", "--kind", "csv")
    table = {"a": list(range(40)), "b": [n % 7 / 2 for n in range(40)], "kind": ["cat", "dog"] * 20}
    parquet.write_table(pyarrow.table(table), mine.root / "tab.parquet")
    mine("new", "model", "pair", "--kind", "classifier")
    words = ("data=tab", "data.path=tab.parquet", "model=pair", "trainer.max_epochs=1", "callbacks=none")
    metrics = mine.process("train", *words, "test=true", *QUIET, "--json").json["metrics"]
    assert 0 <= metrics["test/acc"] <= 1


def test_every_data_set_trains_with_every_model_that_can(mine: Dlctl) -> None:
    mine("new", "data", "tab", "--kind", "csv")
    mine("new", "model", "line", "--kind", "regressor")
    (mine.root / "data").mkdir()
    rows = [f"{n},{n % 7},{2 * n}" for n in range(50)]
    (mine.root / "data/tab.csv").write_text("\n".join(["a,b,target", *rows]) + "\n")
    mine("new", "experiment", "both", "data=tab", "model=line", "trainer.max_epochs=2")
    config = yaml.safe_load((mine.root / "configs/experiment/both.yaml").read_text())
    assert config == {
        "defaults": [{"override /data": "tab"}, {"override /model": "line"}, "_self_"],
        "callbacks": {
            "model_checkpoint": {"monitor": "val/loss", "mode": "min"},
            "early_stopping": {"monitor": "val/loss", "mode": "min"},
        },
        "optimized_metric": "val/loss",
        "trainer": {"max_epochs": 2},
    }
    metrics = mine("train", "--exp", "both", *QUIET, "--json").json["metrics"]
    evaluated = mine("eval", "last", *QUIET, "--json").json["metrics"]
    assert evaluated["test/mae"] == metrics["test/mae"]
    mine("predict", "last", "--output", "found.csv", *QUIET)
    assert (mine.root / "found.csv").read_text().startswith("index,target,prediction\n0,")


def test_data_and_models_that_do_not_go_together_are_told_before_a_step(mine: Dlctl) -> None:
    for kind in ("csv", "tensors", "text"):
        mine("new", "data", f"odd_{kind}", "--kind", kind)
    for kind in ("classifier", "regressor"):
        mine("new", "model", f"odd_{kind}", "--kind", kind)
    (mine.root / "data").mkdir()
    rows = "".join(f"{n},{n % 3}.5,{'yn'[n % 2]}\n" for n in range(20))
    (mine.root / "data/odd_csv.csv").write_text(f"a,size,kind\n{rows}")
    (mine.root / "data/odd_text.tsv").write_text("fine\ta text\n\nfine\tanother\nfine\tthird one\n")
    torch.save({"inputs": torch.ones(9, dtype=torch.uint8), "targets": -torch.ones(9, 1)},
               mine.root / "data/odd_tensors.pt")  # fmt: skip
    none = ("callbacks=none", "optimized_metric=null")
    for words, told in {
        ("data=conllu", "model=odd_classifier"): "cannot learn ConlluDataModule",
        ("data=odd_csv", "model=tagger"): "OddCsvDataModule has none\n  treebanks have: data=conllu",
        ("data=odd_csv", "model=odd_regressor"): "the targets of OddCsvDataModule are classes",
        (
            "data=odd_csv",
            "model=odd_classifier",
            "data.target=size",
            "data.features=[a]",
        ): "the targets of OddCsvDataModule are numbers",
        ("data=odd_csv", "model=odd_classifier", "data.features=[]"): "has no column beside 'kind'",
        ("data=odd_text", "model=odd_classifier"): "has one class only, 'fine'",
    }.items():
        error = mine("train", *words, *none, *QUIET, code=3).err
        assert told in error
        assert "Traceback" not in error
    # Bytes become numbers, and a column of targets is a row of them.
    words = ("data=odd_tensors", "model=odd_regressor", "trainer.max_epochs=1", *none, *QUIET)
    assert mine("train", *words, "--json").json["status"] == "done"
    torch.save([1], mine.root / "data/odd_tensors.pt")
    assert "has no tensors 'inputs' and 'targets'" in mine("train", *words, code=3).err
    (mine.root / "data/odd_tensors.pt").write_text("text")
    assert "is no file of tensors alone" in mine("train", *words, code=3).err


def test_an_experiment_from_a_run_is_what_the_run_was(trained: Dlctl) -> None:
    trained.train(
        "--exp", "example", "model.optimizer.lr=0.005", "trainer.max_epochs=1", "trainer.min_epochs=1",
        "seed=12345", "callbacks.model_summary=null",
    )  # fmt: skip
    trained("new", "experiment", "again", "--from", "last")
    file = trained.root / "configs/experiment/again.yaml"
    config = yaml.safe_load(file.read_text())
    assert config == {
        "defaults": ["example", "_self_"],
        "model": {"optimizer": {"lr": 0.005}},
        "trainer": {"max_epochs": 1, "min_epochs": 1},
        "callbacks": {"model_summary": None},
        "extras": {"print_config": False},
    }
    again, run = (
        yaml.safe_load(trained("show-config", *words, "--format", "yaml").out)
        for words in (["--exp", "again"], ["--exp", "example", *trained_overrides(config)])
    )
    assert again == run


def trained_overrides(config: dict[str, object]) -> list[str]:
    return [
        "model.optimizer.lr=0.005", "trainer.max_epochs=1", "trainer.min_epochs=1",
        "callbacks.model_summary=null", "extras.print_config=false",
    ]  # fmt: skip


def test_new_experiment_is_also_one_word(mine: Dlctl) -> None:
    assert mine("new-experiment", "wide", "model.net.lin1_size=96").out == "configs/experiment/wide.yaml\n"
    assert mine("show-config", "--exp", "wide", "--format", "json").json["model"]["net"]["lin1_size"] == 96
    assert (
        "did you mean 'model.net.lin3_size'"
        in mine("new", "experiment", "x", "model.net.lin_size=9", code=3).err
    )
    assert not (mine.root / "configs/experiment/x.yaml").exists()


def test_a_new_search_searches(mine: Dlctl) -> None:
    mine("new", "search", "usual", "--exp", "first")
    plan = mine("sweep", "--search", "usual", "--exp", "first", "--dry-run", "--json").json
    assert plan["parameters"] == {
        "model.optimizer.lr": "tag(log, interval(0.0001, 0.01))",
        "data.batch_size": "choice(32, 64, 128)",
    }
    assert plan["metrics"] == {"val/acc_best": "maximize"}
    mine("new", "search", "sizes", "model.net.lin1_size=32,64", "seed=1,2")
    plan = mine("sweep", "--search", "sizes", "--dry-run", "--json").json
    assert plan["parameters"] == {"model.net.lin1_size": "32,64", "seed": "1,2"}


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("data", "My-Data"), "'My-Data' cannot name a data set", "e.g. my_data"),
        (("data", "class"), "'class' is a word of Python's own", "e.g. my_class"),
        (("data", "../out"), "'../out' is a path, and a data set has a name", "e.g. out"),
        (("data", "/tmp/x"), "is a path", "e.g. tmp_x"),
        (("data", "2nd"), "'2nd' cannot name a data set", "e.g. my_2nd"),
        (("data", ""), "'' cannot name a data set", "e.g. my"),
        (("data", "mnist"), "data=mnist comes with dlctl", "e.g. my_mnist"),
        (("model", "tö"), "'tö' cannot name a model", "e.g. to"),
        (
            ("model", "x", "--kind", "classifer"),
            "there is no kind 'classifer'",
            "--kind classifier, regressor",
        ),
        (("data", "x" * 300), "a name of 300 letters is too long", "80 are enough"),
        (("experiment",), "it needs a name", "dlctl new experiment NAME"),
        (("experiment", "a/b"), "'a/b' cannot name an experiment", "e.g. a_b"),
        (("experiment", "example"), "experiment=example comes with dlctl", "e.g. my_example"),
        (("experiment", "x", "--from", "nope"), "nope", "dlctl runs list"),
        (("search", "x", "nope=1,2"), "nope", ""),
        (("project", "json"), "'json' is the name of another package", "e.g. my_json"),
        (("project", ""), "the path of a project is empty", "'.' is this folder"),
        (("project", "/"), "'' gives no name to a Python package", "letters a to z"),
        (("project", "日本"), "'日本' gives no name to a Python package", "letters a to z"),
        (("project", "torch"), "'torch' is the name of another package", "e.g. my_torch"),
    ],
    ids=str,
)
def test_names_that_will_not_do_are_told_with_a_better_one(
    mine: Dlctl, words: tuple[str, ...], message: str, hint: str
) -> None:
    before = sorted(mine.root.rglob("*"))
    result = mine(
        "new", *words, code=4 if "--from" in words else 3 if "comes" in message or words[0] == "search" else 2
    )
    assert message in result.err
    assert hint in result.err
    assert "Traceback" not in result.err
    assert sorted(mine.root.rglob("*")) == before


def test_files_that_are_there_are_shown_before_they_are_overwritten(mine: Dlctl) -> None:
    mine("new", "data", "pets", "--kind", "csv")
    config = mine.root / "configs/data/pets.yaml"
    own = config.read_text().replace("batch_size: 64", "batch_size: 8")
    config.write_text(own)
    error = mine("new", "data", "pets", "--kind", "csv", code=3).err
    assert error.splitlines()[0] == "error: configs/data/pets.yaml exists already"
    assert config.read_text() == own
    assert "configs/data/pets.yaml  (exists)" in mine("new", "data", "pets", "--kind", "csv", "--dry-run").out
    shown = mine("new", "data", "pets", "--kind", "csv", "--force").err
    assert "-batch_size: 8 # over all devices\n+batch_size: 64 # over all devices" in shown
    assert "batch_size: 64" in config.read_text()


def test_what_was_written_is_taken_back_when_a_step_fails(mine: Dlctl) -> None:
    # Not even root can make a file in what is a file itself.
    shutil.rmtree(mine.root / "tests")
    (mine.root / "tests").write_text("")
    before = sorted(mine.root.rglob("*"))
    mine("new", "data", "pets", code=1)
    assert sorted(mine.root.rglob("*")) == before


def test_nothing_is_written_through_a_link_that_leads_out_of_the_project(mine: Dlctl, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (mine.root / "configs/data").symlink_to(tmp_path / "elsewhere")
    assert "leads out of the project" in mine("new", "data", "pets", code=3).err
    assert not list((tmp_path / "elsewhere").iterdir())


def test_outside_a_project_only_projects_are_made(
    tmp_path: Path, dlctl: Dlctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    error = dlctl("new", "data", "pets", code=2).err
    assert error == "error: there is no project here\n  dlctl new project PATH makes one\n"


def terminal(root: Path, *words: str) -> "pexpect.spawn[str]":
    env = {**os.environ, "TERM": "xterm"}
    env.pop("NO_COLOR")
    command = ["-m", "dlctl", "new", *words]
    return pexpect.spawn(
        sys.executable, command, cwd=str(root), env=env, encoding="utf-8", timeout=60, dimensions=(30, 90)
    )


def test_what_is_not_given_is_asked_for_at_a_terminal(mine: Dlctl) -> None:
    asked = terminal(mine.root, "data")
    asked.expect("What is its name")
    asked.send("pets\r")
    asked.expect("What kind of data is it")
    asked.expect("tensors in memory")
    asked.send("\x1b[B\r")  # one down
    asked.expect("next: ")
    asked.expect(pexpect.EOF)
    assert "read_table" in (mine.root / "mine/data/pets_datamodule.py").read_text()

    asked = terminal(mine.root, "experiment", "mixed", "model=mnist")
    asked.expect("Which data")
    asked.expect("pets")
    asked.send("\x1b[B\r")  # one below the usual one
    asked.expect("next: ")
    asked.expect(pexpect.EOF)
    assert "override /data: pets" in (mine.root / "configs/experiment/mixed.yaml").read_text()


def test_who_gives_up_at_a_question_gets_nothing(mine: Dlctl) -> None:
    asked = terminal(mine.root, "model", "pets")
    asked.expect("What does it do")
    asked.expect("tag to every word")
    asked.send("\x03")
    asked.expect(pexpect.EOF)
    asked.close()
    assert asked.exitstatus == 130
    assert not (mine.root / "configs/model").exists()


def test_yes_asks_nothing(mine: Dlctl) -> None:
    asked = terminal(mine.root, "model", "pets", "--yes")
    asked.expect("next: ")
    asked.expect(pexpect.EOF)
    assert "cross_entropy" in (mine.root / "mine/models/pets_module.py").read_text()
