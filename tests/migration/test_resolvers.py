"""Resolvers that a project registers when its code is imported."""

import json
from pathlib import Path

import pytest

from tests.conftest import QUIET, Dlctl
from tests.migration.shape import put

REGISTER = (
    "from omegaconf import OmegaConf\n\nOmegaConf.register_new_resolver('{}', lambda *a: sum(map(int, a)))\n"
)
CONFIG = """\
# @package _global_
base: 3
deep:
  - {list: ["w${add:${add:1,${base}},2}"]}
model:
  net:
    width: ${add:${base},${.extra}}
    extra: 4
"""
NESTED = CONFIG.replace("    extra: 4\n", "").replace("${.extra}", "${extra}") + "extra: 4\n"


@pytest.fixture(params=["src/__init__.py", "src/utils/__init__.py", "src/utils/own/more.py", "src/train.py"])
def adds(template: Dlctl, request: pytest.FixtureRequest) -> Dlctl:
    """A project whose code registers ``add``."""
    put(template.root, request.param, REGISTER.format("add"))
    if request.param.endswith("more.py"):
        put(template.root, "src/utils/own/__init__.py", "")
    put(template.root, "configs/experiment/sums.yaml", NESTED)
    return template


def test_every_command_knows_them(adds: Dlctl) -> None:
    shown = adds("show-config", "experiment=sums", "--resolve", "--format", "json").json
    assert shown["deep"] == [{"list": ["w6"]}]
    assert shown["model"]["net"]["width"] == 7
    checked = adds("check", "experiment=sums")
    assert checked.out == "no fault in 1 config\n"
    assert checked.err.startswith("the resolver 'add' is of src/")
    assert adds("check", "--all").out.startswith("no fault in")
    assert (
        adds("train", "experiment=sums", *QUIET, "--dry-run", "--json").json["config"]["model"]["net"][
            "width"
        ]
        == 7
    )


def test_runs_and_searches_know_them(template: Dlctl) -> None:
    put(template.root, "src/utils/__init__.py", REGISTER.format("add"))
    put(template.root, "configs/experiment/sums.yaml", NESTED)
    words = ("experiment=sums", *QUIET, "--json")
    directory = Path(template.process("train", *words).json["dir"])
    assert "width: 7" in (directory / "config_resolved.yaml").read_text()
    evaluated = template.process("eval", "last", "extra=1", *QUIET, code=3)
    assert "net.layers.0.weight is [7, 3] in the checkpoint and [4, 3] here" in evaluated.err
    assert template.process("eval", "last", *QUIET, "--json").json["status"] == "done"
    resumed = template.process("train", "--resume", "last", "trainer.max_epochs=3", *QUIET, "--json").json
    assert resumed["status"] == "done"
    report = template.process("sweep", "extra=1,2", "+optimized_metric=val/acc", *words).json
    assert [trial["state"] for trial in report["trials"]] == ["complete", "complete"]


def test_run_directory_may_need_one(template: Dlctl) -> None:
    put(template.root, "src/__init__.py", REGISTER.format("add"))
    words = ("hydra.run.dir=logs/n${add:20,3}", "train=false", "test=false", *QUIET, "--json")
    assert template("train", *words).json["dir"] == str(template.root / "logs/n23")


def test_code_is_imported_only_where_a_resolver_is_unknown(template: Dlctl) -> None:
    put(template.root, "src/__init__.py", "raise SystemExit('imported')\n")
    put(template.root, "configs/experiment/sums.yaml", NESTED)
    assert template("show-config", "--resolve").err == ""
    assert "w${add:" in template("show-config", "experiment=sums", "--format", "json").out


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import faraway\n", "which cannot be imported: ModuleNotFoundError: No module named 'faraway'"),
        ("import sys\nsys.exit('no')\n", "which cannot be imported: it ends the program"),
        ("def register():\n    ", "in code that an import does not run"),
    ],
)
def test_import_that_fails_is_told_in_one_line(template: Dlctl, code: str, told: str) -> None:
    line = "OmegaConf.register_new_resolver('add', sum)\n"
    put(
        template.root,
        "src/utils/__init__.py",
        f"from omegaconf import OmegaConf\nprint('loud')\n{code}{line}",
    )
    put(template.root, "configs/experiment/sums.yaml", "# @package _global_\na: ${add:1}\n")
    number = 3 + code.count("\n")
    for words in (("train", *QUIET), ("check",), ("show-config", "--resolve")):
        result = template(*words, "experiment=sums", code=3)
        assert result.err.replace("loud\n", "") == (
            "error: configs/experiment/sums.yaml:2: 'a' cannot be resolved: there is no resolver 'add'\n"
            f"  it is registered in src/utils/__init__.py:{number}, {told}\n"
        )
        assert "loud" not in result.out


def test_resolvers_never_run_what_a_stranger_gives_them(template: Dlctl, tmp_path: Path) -> None:
    put(
        template.root,
        "src/__init__.py",
        "from omegaconf import OmegaConf\nOmegaConf.register_new_resolver('eval', eval)\n",
    )
    template("train", *QUIET)
    config = template.run_dir() / ".hydra/config.yaml"
    harm = tmp_path / "harm"
    config.write_text(
        config.read_text()
        + f"""more: '${{eval:"__import__(\\"os\\").makedirs(\\"{harm}\\", exist_ok=True)"}}'\n"""
    )
    for words in (("eval", "last"), ("predict", "last"), ("train", "--resume", "last", *QUIET)):
        assert "was made by no run of yours" in template(*words, code=4).err
    assert "leave out --resolve" in template("show-config", "--diff", "last", "--resolve", code=3).err
    assert "more" in template("show-config", "--diff", "last").out
    assert json.loads((template.run_dir() / "run.json").read_text())
    assert not harm.exists()
    template("eval", "last", "--trust-checkpoint")
    assert harm.exists()
