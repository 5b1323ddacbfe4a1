"""What a project's own training script does beyond the usual pipeline, read from its source."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dlctl.project import Project, shown

# Where projects of the template's shape keep the function that trains.
SCRIPTS = ("src/train.py", "train.py", "src/training_pipeline.py", "src/tasks/train_task.py", "run.py")
# What dlctl instantiates itself; older projects say datamodule.
_USUAL = {"data", "datamodule", "model", "callbacks", "logger", "trainer"}
_TRAINERS_USUAL = {
    "fit": {"model", "datamodule", "ckpt_path", "weights_only"},
    "test": {"model", "datamodule", "ckpt_path", "weights_only", "verbose", "dataloaders"},
    "validate": {"model", "datamodule", "ckpt_path", "weights_only", "verbose", "dataloaders"},
}
# Calls that change the model or torch before training.
_CHANGES = {"compile", "load_from_checkpoint", "load_state_dict", "set_float32_matmul_precision"}
_PIPELINE = re.compile(r"^pipeline:", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """Something that a script does and ``dlctl train`` does not.

    Attributes:
        file: of the script.
        line: in it.
        what: the step, as ``instantiates cfg.teacher``.
        function: that does it, as ``pipeline`` takes it: ``src.train.train``.
    """

    file: Path
    line: int
    what: str
    function: str


def scripts(project: Project) -> list[Path]:
    """The training scripts of a project."""
    files = [project.root / name for name in SCRIPTS] if project.found else []
    return [file for file in files if file.is_file()]


def notes(project: Project) -> list[str]:
    """What ``dlctl check`` tells of a project's training scripts, if no config calls them."""
    found = [step for file in scripts(project) for step in skipped(project, file)]
    if not found or _calls_its_own(project):
        return []
    lines = [f"{shown(each.file)}:{each.line}: {each.what}, which dlctl train does not" for each in found]
    way = f"pipeline: {{_target_: {found[0].function}}}"
    return [*lines, f"to run that function as it is, add to configs/train.yaml: {way}"]


def _calls_its_own(project: Project) -> bool:
    files = project.configs.rglob("*.yaml") if project.configs else ()
    return any(_PIPELINE.search(file.read_text(encoding="utf-8", errors="replace")) for file in files)


def skipped(project: Project, file: Path) -> list[Step]:
    """The steps of a script that the usual pipeline does not have, in order."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8", errors="replace"))
    except (SyntaxError, ValueError):
        # That is told by whoever imports it.
        return []
    module = ".".join(file.relative_to(project.root).with_suffix("").parts)
    found = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not _is_main(node):
            function = f"{module}.{node.name}"
            found += [Step(file, line, what, function) for line, what in sorted(_steps(node))]
    return found


def _is_main(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether Hydra calls it: what it does beside training is Hydra's business."""
    return any("hydra.main" in ast.unparse(each) for each in node.decorator_list)


def _steps(function: ast.AST) -> Iterator[tuple[int, str]]:
    names = _names(function)
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    fits: dict[str, int] = {}
    for call in sorted(calls, key=lambda each: (each.lineno, each.col_offset)):
        owner, name = _called(call)
        if name.startswith("instantiate") or (name == "call" and owner.endswith("utils")):
            key = _key(call.args[0], names) if call.args else None
            if key is not None and key not in _USUAL:
                yield call.lineno, f"it instantiates cfg.{key}"
        elif owner == "trainer":
            fits[name] = fits.get(name, 0) + 1
            yield from _unusual(call, name, again=fits[name] > 1)
        elif name in _CHANGES and owner != "re":
            yield call.lineno, f"it calls {owner}.{name}"
        elif name == "Tuner":
            yield call.lineno, "it tunes before it trains"


def _unusual(call: ast.Call, name: str, *, again: bool) -> Iterator[tuple[int, str]]:
    """What is unlike the usual in a call of the trainer."""
    usual = _TRAINERS_USUAL.get(name)
    if usual is None:
        yield call.lineno, f"it calls trainer.{name}"
        return
    if again:
        yield call.lineno, f"it calls trainer.{name} once more"
    if extra := [word.arg for word in call.keywords if word.arg and word.arg not in usual]:
        yield call.lineno, f"it calls trainer.{name} with {', '.join(extra)}"


def _called(call: ast.Call) -> tuple[str, str]:
    """Of ``hydra.utils.instantiate(...)`` ``hydra.utils`` and ``instantiate``."""
    if isinstance(call.func, ast.Attribute):
        return ast.unparse(call.func.value), call.func.attr
    return "", call.func.id if isinstance(call.func, ast.Name) else ""


def _names(function: ast.AST) -> dict[str, str]:
    """The names of a function that stand for parts of the config, and the key of each part."""
    names: dict[str, str] = {}
    for node in ast.walk(function):
        targets: list[ast.expr] = []
        value: ast.expr | None = None
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.For | ast.comprehension):
            targets, value = [node.target], node.iter
            inner = value.func.value if _is_items(value) else value  # type: ignore[attr-defined]
            value = inner
        key = _key(value, names) if value is not None else None
        if key is not None:
            names |= {
                leaf.id: key for each in targets for leaf in ast.walk(each) if isinstance(leaf, ast.Name)
            }
    return names


def _is_items(node: ast.expr) -> bool:
    """Whether it is ``x.items()`` or ``x.values()``."""
    attribute = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    return attribute and node.func.attr in ("items", "values")  # type: ignore[attr-defined]


def _key(node: ast.expr, names: dict[str, str]) -> str | None:
    """The key of the config that an expression names, such as ``cfg.model`` or ``cfg.get("model")``."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.BoolOp):
        return next(filter(None, (_key(each, names) for each in node.values)), None)
    part: object = None
    inner: ast.expr | None = None
    if isinstance(node, ast.Attribute):
        inner, part = node.value, node.attr
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        inner, part = node.value, node.slice.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        first = node.args[0] if node.args else None
        inner, part = node.func.value, first.value if isinstance(first, ast.Constant) else None
    if inner is None or not isinstance(part, str):
        return None
    if isinstance(inner, ast.Name) and inner.id in ("cfg", "config", "conf"):
        return part
    before = _key(inner, names)
    return f"{before}.{part}" if before else None
