"""Structured configs that a project's code registers in Hydra's ConfigStore."""

import sys
from textwrap import dedent

import pytest

from tests.conftest import QUIET, Dlctl
from tests.migration.shape import put

SCHEMA = """
    from dataclasses import dataclass
    from typing import Optional

    from hydra.core.config_store import ConfigStore

    @dataclass
    class Net:
        _target_: str = "dlctl.models.components.simple_dense_net.SimpleDenseNet"
        input_size: int = 784
        lin1_size: int = 8
        lin2_size: int = 8
        lin3_size: int = 8
        output_size: int = 10

    @dataclass
    class Server:
        host: str = "localhost"
        port: int = 3306

    @dataclass
    class Root:
        extra: int = 4

    store = ConfigStore.instance()
    store.store(group="net", name="typed", node=Net, package="model.net")
    store.store(group="db", name="server", node=Server)
    store.store("root_schema", Root)
    for name in ("first", "second"):
        store.store(group="loop", name=name, node=Server(port=1))
"""


def configs(dlctl: Dlctl, **files: str) -> None:
    for name, text in files.items():
        put(dlctl.root, f"configs/{name.replace('__', '/')}.yaml", dedent(text))


@pytest.fixture
def typed(dlctl: Dlctl) -> Dlctl:
    """A project whose package registers configs in a module of its own."""
    put(dlctl.root, "src/__init__.py", "")
    put(dlctl.root, "src/schema.py", dedent(SCHEMA))
    configs(
        dlctl,
        experiment__typed="""\
            # @package _global_
            defaults:
              - example
              - /net: typed
              - _self_
            model: {net: {lin1_size: 9}}
            """,
        db__mysql="""\
            defaults: [server, _self_]
            port: 5
            """,
        finetune="""\
            defaults: [train, root_schema, _self_]
            extra: 5
            """,
    )
    return dlctl


def test_options_of_the_store_are_chosen_like_files(typed: Dlctl) -> None:
    net = typed("show-config", "--exp", "typed", "--package", "model.net", "--format", "json").json
    assert (net["lin1_size"], net["lin2_size"], net["output_size"]) == (9, 8, 10)
    words = ("show-config", "--format", "json", "--package", "db")
    assert typed(*words, "+db=server").json == {"host": "localhost", "port": 3306}
    assert typed(*words, "+db=mysql", "db.host=far").json == {"host": "far", "port": 5}
    assert typed(*words[:3], "--package", "loop", "+loop=second").json["port"] == 1
    assert typed(*words[:3], "--config", "finetune", "--package", "extra").json == 5
    assert typed("check", "--exp", "typed").out == "no fault in 1 config\n"
    assert typed("check", "--all").out.startswith("no fault in")


def test_runs_of_them_are_resumed_and_evaluated(typed: Dlctl) -> None:
    words = ("model.net.lin2_size=7", "trainer.max_epochs=1", *QUIET, "--json")
    typed("train", "--exp", "typed", *words)
    assert "lin2_size: 7" in (typed.run_dir() / "config_resolved.yaml").read_text()
    assert typed("train", "--resume", "last", "trainer.max_epochs=2", "--json").json["status"] == "done"
    evaluated = typed("eval", "last", "--json").json
    assert evaluated["metrics"]["test/acc"] > 0.1


def test_searches_choose_them(typed: Dlctl) -> None:
    configs(typed, net__plain="# @package model.net\nlin1_size: 5\n")
    found = typed("sweep", "--exp", "typed", "net=plain,typed", "--dry-run", "--json").json
    assert found["trials"] == 2
    assert "no option of 'net' 'typd'" in typed("sweep", "--exp", "typed", "net=plain,typd", code=3).err


def test_values_are_checked_against_the_types(typed: Dlctl) -> None:
    result = typed("show-config", "+db=mysql", "db.port=far", code=3)
    assert "cannot set 'db.port': Value 'far' of type 'str' could not be converted to Integer" in result.err
    configs(typed, db__mysql="defaults: [server, _self_]\nprot: 5\n")
    result = typed("check", "+db=mysql", code=3)
    assert result.err == (
        "error: configs/db/mysql.yaml:2: 'db.prot': Key 'prot' not in 'Server'\n  did you mean port?\n"
    )


def test_file_is_validated_by_the_schema_of_its_name_as_in_hydra(typed: Dlctl) -> None:
    configs(typed, db__server="port: 7\n")
    found = typed("show-config", "+db=server", "--package", "db", "--format", "json").json
    assert found == {"host": "localhost", "port": 7}


def test_origins_name_the_call_that_registers(typed: Dlctl) -> None:
    line = (
        dedent(SCHEMA)
        .splitlines()
        .index('store.store(group="net", name="typed", node=Net, package="model.net")')
    )
    words = ("show-config", "--exp", "typed", "--package", "model.net")
    found = typed(*words, "--origin", "--format", "json").json["model.net.lin2_size"]
    assert (found["file"], found["line"]) == (str(typed.root / "src/schema.py"), line + 1)
    history = typed("show-config", "--exp", "typed", "--history", "model.net.lin1_size", "--format", "json")
    assert [step["value"] for step in history.json["history"]][-2:] == ["8", "9"]


def test_lists_and_completion_know_them_without_importing(
    typed: Dlctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert typed("list", "net", "--json").json["groups"]["net"][0]["name"] == "typed"
    from dlctl.cli import complete
    from dlctl.project import Project

    assert dict(complete._options(Project.find(), "db")).keys() == {"mysql", "server"}
    assert "src" not in sys.modules


def test_code_is_imported_only_where_a_config_names_what_it_registers(typed: Dlctl) -> None:
    put(typed.root, "src/schema.py", dedent(SCHEMA) + "raise SystemExit('imported')\n")
    assert "src.schema" not in sys.modules
    typed("show-config", "--exp", "example", "seed=3", "data.batch_size=3", "model=mnist")
    typed("check", "--exp", "example")
    assert "src" not in sys.modules


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import faraway", "which cannot be imported: ModuleNotFoundError: No module named 'faraway'"),
        ("def later():", "in code that an import does not run"),
    ],
)
def test_failed_import_is_reported_in_one_line(dlctl: Dlctl, code: str, message: str) -> None:
    put(dlctl.root, "src/__init__.py", "")
    text = f"from hydra.core.config_store import ConfigStore\n{code}\n"
    indent = "    " if code.endswith(":") else ""
    put(dlctl.root, "src/schema.py", f"{text}{indent}ConfigStore.instance().store('typed', {{}}, 'model')\n")
    result = dlctl("train", "model=typed", code=3)
    assert result.err.splitlines()[:2] == [
        "error: there is no option of 'model' 'typed'",
        f"  it is registered in src/schema.py:3, {message}",
    ]
