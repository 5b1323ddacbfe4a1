"""Who may import whom, and what is light."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dlctl

PACKAGE = Path(dlctl.__file__).parent
HEAVY = {"torch", "lightning", "hydra", "omegaconf", "optuna", "plotly", "questionary", "torchvision"}
# Left may import right; everything may import the modules that `imports` leaves out, and the package itself.
ALLOWED = {
    "cli": {"sweep", "pipeline", "scaffold", "composition", "runs", "migration", "project", "utils", "data"},
    "scaffold": {"composition", "runs", "project"},
    "sweep": {"pipeline", "composition", "runs", "project"},
    "pipeline": {"runs", "utils", "project"},
    "composition": {"project"},
    "runs": {"project"},
    "migration": {"project"},
    "data": {"utils"},
    "models": {"utils"},
    "utils": set(),
    "project": set(),
}


def imports(file: Path) -> set[str]:
    """The parts of dlctl that a file imports, outside of TYPE_CHECKING."""
    tree = ast.parse(file.read_text())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "dlctl":
            names = [node.module] if node.module != "dlctl" else [f"dlctl.{a.name}" for a in node.names]
            found |= {str(name).split(".")[1] for name in names}
    return found - {"errors", "extras", "files", "redact", "terminal", "yaml_text", "__version__"}


@pytest.mark.parametrize("part", ALLOWED)
def test_parts_import_only_what_they_may(part: str) -> None:
    files = [*(PACKAGE / part).rglob("*.py"), *PACKAGE.glob(f"{part}.py")]
    assert files
    for file in files:
        assert imports(file) <= ALLOWED[part] | {part}, file


@pytest.mark.parametrize(
    ("words", "light"),
    [
        ("--help", HEAVY | {"yaml", "rootutils", "pydantic"}),
        ("train --help", HEAVY | {"yaml"}),
        ("--version", HEAVY | {"yaml"}),
        ("train nonsense", HEAVY),
        ("runs list", HEAVY | {"pydantic"}),
        ("runs show last", HEAVY),
        ("train --dry-run --exp example", HEAVY - {"hydra", "omegaconf"}),
        ("debug fdr --dry-run", HEAVY - {"hydra", "omegaconf"}),
        ("train --exp exmple", HEAVY - {"hydra", "omegaconf"}),
        ("eval last", HEAVY),
        ("show-config --exp example --origin", HEAVY - {"hydra", "omegaconf"}),
        ("check --exp example", HEAVY - {"hydra", "omegaconf"}),
        ("sweep --dry-run", HEAVY - {"hydra", "omegaconf"}),
        ("sweep seed=1,2 nope=3", HEAVY - {"hydra", "omegaconf"}),
        ("study status", HEAVY),
        ("list", HEAVY - {"hydra", "omegaconf"}),
        ("new --help", HEAVY | {"yaml"}),
        ("new data mine --dry-run", HEAVY),
        ("new experiment mine --dry-run", HEAVY - {"hydra", "omegaconf"}),
        ("doctor --help", HEAVY | {"yaml"}),
        ("parse-conllu --help", HEAVY | {"yaml"}),
        ("parse-conllu nothing.conllu", HEAVY | {"yaml", "pydantic", "pyarrow"}),
    ],
)
def test_what_does_not_train_imports_nothing_heavy(words: str, light: set[str], tmp_path: Path) -> None:
    (tmp_path / ".project-root").touch()
    code = (
        "import sys; from dlctl.cli import run; run(sys.argv[1:]);"
        "print('\\n@', *(name for name in sys.modules if '.' not in name))"
    )
    command = [sys.executable, "-c", code, *words.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.rpartition("@")[2].split())
    assert "typer" in loaded
    assert not loaded & light


def test_commands_know_no_data_but_treebanks() -> None:
    for file in (PACKAGE / "cli").rglob("*.py"):
        nodes = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
        data = {str(node.module) for node in nodes if str(node.module).startswith("dlctl.data")}
        assert all(name.startswith("dlctl.data.conllu_") for name in data), file
        assert "dlctl.data.conllu_datamodule" not in data


def test_summaries_of_the_help_are_those_of_the_commands() -> None:
    import typer

    from dlctl.cli import COMMANDS, application

    ready: Any = typer.main.get_command(application(list(COMMANDS)))
    for name, (_, summary) in COMMANDS.items():
        assert " ".join(ready.commands[name].help.split("\n\n")[0].split()) == summary
