"""Whether what a section builds is of the type that Lightning takes there, as far as source tells."""

import ast
import builtins
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dlctl.composition import source
from dlctl.composition.faults import blamed
from dlctl.composition.keys import Keys, at, dotted
from dlctl.errors import ConfigError

if TYPE_CHECKING:
    from dlctl.composition.compose import Composed

# Section -> the classes of Lightning of which one is needed.
_NEEDED: dict[Keys, tuple[str, ...]] = {
    ("model",): ("LightningModule",),
    ("data",): ("LightningDataModule",),
    ("datamodule",): ("LightningDataModule",),
    ("trainer",): ("Trainer",),
    ("trainer", "strategy"): ("Strategy",),
    ("trainer", "profiler"): ("Profiler",),
    ("trainer", "accelerator"): ("Accelerator",),
}
_PLUGINS = ("Precision", "CheckpointIO", "ClusterEnvironment", "LayerSync")
_GROUPS = {"callbacks": "Callback", "logger": "Logger"}
_HOMES = ("lightning.", "pytorch_lightning.", "lightning_fabric.")


def faults(composed: "Composed", config: dict[str, Any]) -> Iterator[ConfigError]:
    """Sections that build something else than what is needed, and those that nothing builds.

    Args:
        composed: tells where things were set.
        config: its values, resolved as far as possible.
    """
    if "pipeline" in config:
        return  # a pipeline of the project's own builds what it likes
    for keys, node, needed in _sections(config):
        target = node.get("_target_")
        message = None
        if node.get("_partial_") is True:
            message = f"'{dotted(keys)}' is a partial, and a {_or(needed)} is needed"
            yield blamed(composed, (*keys, "_partial_"), message, "target", "leave out _partial_")
        elif isinstance(target, str) and derives(target, needed) is False:
            message = f"{target} is not a {_or(needed)}, which '{dotted(keys)}' must be"
            hint = f"derive it from {_or(needed)} of lightning.pytorch, or look at {dotted(keys)}._target_"
            yield blamed(composed, (*keys, "_target_"), message, "target", hint)
    for group, what in _GROUPS.items():
        part = config.get(group)
        for name, node in part.items() if isinstance(part, dict) and "_target_" not in part else ():
            if isinstance(node, list):
                message = f"'{group}.{name}' is a list, of which nothing is built"
                hint = f"a {what} is a section with a _target_: give each a name of its own"
                yield blamed(composed, (group, name), message, "target", hint)
        # The Trainer gets what the group builds instead of these.
        if at(config, ("trainer", group)) not in (None, [], *([] if part else [False])):
            message = f"'trainer.{group}' is not used: the group '{group}' says what there is"
            hint = f"for none of them: {group}=none" if group == "callbacks" else "for none of them: ~logger"
            yield blamed(composed, ("trainer", group), message, "key", hint)


def _sections(config: dict[str, Any]) -> Iterator[tuple[Keys, dict[str, Any], tuple[str, ...]]]:
    """Every section that Lightning takes an object from, and the classes of which it may be."""
    for keys, needed in _NEEDED.items():
        node = at(config, keys)
        if isinstance(node, dict) and "_target_" in node:
            yield keys, node, needed
    plugins = at(config, ("trainer", "plugins"))
    for keys, node in (
        [(("trainer", "plugins", number), each) for number, each in enumerate(plugins)]
        if isinstance(plugins, list)
        else [(("trainer", "plugins"), plugins)]
    ):
        if isinstance(node, dict) and "_target_" in node:
            yield keys, node, _PLUGINS
    for group, name in _GROUPS.items():
        part = config.get(group)
        if isinstance(part, dict) and "_target_" in part:
            yield (group,), part, (name,)
        for key, node in part.items() if isinstance(part, dict) and "_target_" not in part else ():
            if isinstance(node, dict) and "_target_" in node:
                yield (group, key), node, (name,)


def derives(target: str, needed: tuple[str, ...]) -> bool | None:
    """Whether a class derives from one of some classes of Lightning; None where source does not tell."""
    try:
        found = source.locate(target)
    except SyntaxError:
        return None
    if found is None or not isinstance(found[1], ast.ClassDef):
        return None
    return _derives(*found, needed, source.DEPTH)  # type: ignore[arg-type]


def _derives(module: source.Module, node: ast.ClassDef, needed: tuple[str, ...], depth: int) -> bool | None:
    if node.name in needed and module.name.startswith(_HOMES):
        return True
    known = depth > 0 and not node.decorator_list and not _makes_others(node)
    for base in node.bases:
        base = base.value if isinstance(base, ast.Subscript) else base
        found = source.follow(module, base, source.DEPTH)
        if found is not None and isinstance(found[1], ast.ClassDef):
            answer = _derives(found[0], found[1], needed, depth - 1) if depth > 0 else None
            if answer:
                return True
            known = known and answer is False
        else:
            known = known and isinstance(base, ast.Name) and hasattr(builtins, base.id)
    return False if known else None


def _makes_others(node: ast.ClassDef) -> bool:
    """Whether calling a class may give an object of another."""
    own_new = any(isinstance(each, ast.FunctionDef) and each.name == "__new__" for each in node.body)
    return own_new or any(ast.unparse(each.value).rpartition(".")[2] != "ABCMeta" for each in node.keywords)


def _or(names: tuple[str, ...]) -> str:
    return " or ".join(names)
