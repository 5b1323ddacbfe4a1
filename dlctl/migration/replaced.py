"""What dlctl replaces in a project that was cloned from the template: files, requirements, command lines."""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dlctl.migration import commands, steps
from dlctl.project import Place, Project

# What the template's own helpers are called, and where dlctl keeps what is left of them.
_HELPERS = {
    "instantiate_callbacks": "dlctl.utils.instantiators",
    "instantiate_loggers": "dlctl.utils.instantiators",
    "log_hyperparameters": "dlctl.utils.logging_utils",
    "RankedLogger": "dlctl.utils.pylogger",
    "get_pylogger": "dlctl.utils.pylogger",
    "get_logger": "dlctl.utils.pylogger",
    "print_config_tree": "dlctl.utils.rich_utils",
    "print_config": "dlctl.utils.rich_utils",
    "enforce_tags": "dlctl.utils.rich_utils",
    "extras": "dlctl train",
    "task_wrapper": "dlctl train",
    "get_metric_value": "dlctl train",
    "close_loggers": "dlctl train",
    "save_file": "dlctl train",
    "empty": "dlctl train",
    "finish": "dlctl train",
}
_BROUGHT = (
    "hydra-core|hydra-colorlog|hydra-optuna-sweeper|hydra-joblib-launcher|hydra-submitit-launcher|colorlog|"
    "lightning|torch|torchvision|torchmetrics|rootutils|pyrootutils|rich|optuna|python-dotenv|omegaconf"
)
_REQUIREMENTS = ("requirements*.txt", "requirements/*.txt", "environment*.y*ml", "setup.py", "pyproject.toml")
_TEXTS = (
    *("*.md", "*.rst", "docs/**/*.md", "docs/**/*.rst", "*.ipynb", "notebooks/**/*.ipynb"),
    *("Makefile", "makefile", "justfile", "Dockerfile*", ".github/workflows/*.y*ml", ".gitlab-ci.yml"),
    *("*.sh", "*.sbatch", "*.slurm", "scripts/**/*"),
)
_SUFFIXES = (".sh", ".bash", ".sbatch", ".slurm", ".md", ".txt", "")


@dataclass(frozen=True)
class File:
    """A file that is not needed any more.

    Attributes:
        file: where it lies.
        by: what replaces it.
        used: where code that stays imports it.
    """

    file: Path
    by: str
    used: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Line:
    """A line that is not needed any more, or another one now.

    Attributes:
        place: where it begins.
        old: as it is.
        new: what it is under dlctl; empty if nothing.
        notes: what of it is not carried over.
    """

    place: Place
    old: str
    new: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Replaced:
    """Everything that dlctl replaces.

    Attributes:
        shaped: whether the project has the template's shape at all.
        kept: what keeps a training script from being replaced.
    """

    shaped: bool
    files: list[File] = field(default_factory=list)
    requirements: list[Line] = field(default_factory=list)
    commands: list[Line] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def replaced(project: Project) -> Replaced:
    """Look through a project; nothing is imported and nothing changed."""
    scripts = [file for file in steps.scripts(project) if "hydra.main" in _read(file)]
    if project.configs is None or not (project.configs / "train.yaml").is_file() or not scripts:
        return Replaced(shaped=False)
    return Replaced(
        True,
        _files(project, scripts),
        list(_requirements(project.root)),
        list(_commands(project.root)),
        steps.notes(project),
    )


def _files(project: Project, scripts: list[Path]) -> list[File]:
    found = [File(file, "dlctl train") for file in scripts if not steps.skipped(project, file)]
    evals = (script.with_name("eval.py") for script in scripts)
    found += [File(file, "dlctl eval") for file in dict.fromkeys(evals) if file.is_file()]
    folders = dict.fromkeys(script.parent / "utils" for script in scripts)
    for file in sorted(file for folder in folders for file in folder.glob("*.py")):
        if by := _helpers(file):
            found.append(File(file, by))
    gone = {each.file for each in found}
    stays = [file for file in _sources(project.root) if file not in gone]
    return [File(each.file, each.by, tuple(_imports(project.root, each.file, stays))) for each in found]


def _helpers(file: Path) -> str | None:
    """What replaces a file of the template's helpers; None if it holds anything else."""
    try:
        body = ast.parse(_read(file)).body
    except (SyntaxError, ValueError):
        return None
    names = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    others = [node for node in body if isinstance(node, ast.AsyncFunctionDef | ast.For | ast.While)]
    if not names or others or not set(names) <= {*_HELPERS}:
        return None
    return ", ".join(dict.fromkeys(_HELPERS[name] for name in names))


def _sources(root: Path) -> Iterator[Path]:
    yield from sorted(root.glob("*.py"))
    for folder in sorted(root.iterdir()):
        hidden = folder.name.startswith(".") or folder.name in ("logs", "data", "venv", "env")
        if folder.is_dir() and not hidden and not (folder / "pyvenv.cfg").exists():
            yield from sorted(folder.rglob("*.py"))


def _imports(root: Path, file: Path, others: list[Path]) -> Iterator[Place]:
    module = ".".join(file.relative_to(root).with_suffix("").parts)
    pattern = re.compile(rf"^\s*(?:from|import)\s+{re.escape(module)}\b", re.MULTILINE)
    for other in others:
        for match in pattern.finditer(text := _read(other)):
            start = match.start() + len(match[0]) - len(match[0].lstrip())
            yield Place(other, text[:start].count("\n") + 1)


def _requirements(root: Path) -> Iterator[Line]:
    """The lines that ask for what dlctl brings."""
    name = re.compile(rf"^[\s\-\"']*({_BROUGHT})(?![\w-])[^#]*", re.IGNORECASE)
    for file in (file for pattern in _REQUIREMENTS for file in sorted(root.glob(pattern))):
        for number, line in enumerate(_read(file).splitlines(), 1):
            if match := name.match(line):
                yield Line(Place(file, number), match[0].strip(" \t-,\"'"))


def _commands(root: Path) -> Iterator[Line]:
    """The lines that run the template's scripts, one with its continuations."""
    files = dict.fromkeys(file for pattern in _TEXTS for file in sorted(root.glob(pattern)) if file.is_file())
    for file in files:
        if file.is_relative_to(root / "scripts") and file.suffix not in _SUFFIXES:
            continue
        for number, line in _joined(_lines(file)):
            if found := commands.translated(line):
                yield Line(Place(file, number), found.old, found.new, found.notes)


def _lines(file: Path) -> list[tuple[int, str]]:
    """The lines of a file; of a notebook those of its cells."""
    lines = list(enumerate(_read(file).splitlines(), 1))
    if file.suffix != ".ipynb":
        return lines
    found = []
    for number, line in lines:
        try:
            cell = json.loads(line.strip().rstrip(","))
        except ValueError:
            continue
        if isinstance(cell, str):
            found.append((number, cell.rstrip("\n")))
    return found


def _joined(lines: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Lines with those that they go on in."""
    start, whole = 0, ""
    for number, line in lines:
        start, whole = (start, f"{whole} {line.strip()}") if whole else (number, line)
        if line.rstrip().endswith("\\"):
            whole = whole.rstrip().removesuffix("\\").rstrip()
            continue
        yield start, whole
        whole = ""
    if whole:
        yield start, whole


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
