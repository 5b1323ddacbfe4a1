"""The arguments that classes and functions take, read from source, never imported."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from dlctl.composition import source
from dlctl.composition.annotations import is_dataclass
from dlctl.composition.source import DEPTH, Module, follow

# Decorators that leave a function's arguments as they are.
_PRESERVING = {"staticmethod", "classmethod", "abstractmethod", "override", "final", "no_grad", "cache"}
_PRESERVING |= {"dataclass", "runtime_checkable", "total_ordering"}


@dataclass(frozen=True)
class Signature:
    """The arguments of a callable.

    Attributes:
        names: in order, and whether each must be given.
        open: whether any further name is taken (``**kwargs``).
    """

    names: dict[str, bool]
    open: bool = False


def signature(target: str) -> Signature | None:
    """The arguments of a class or function; None where its source does not tell."""
    try:
        found = source.locate(target)
    except SyntaxError:
        return None
    if found is None:
        return None
    module, node = found
    if isinstance(node, ast.ClassDef):
        return _of_class(module, node, DEPTH)
    if isinstance(node, ast.FunctionDef):
        return _of_method(module, node) if _in_class(target) else _of_function(module, node, skip=0)
    return None


def _in_class(target: str) -> bool:
    owner = source.locate(target.rpartition(".")[0])
    return owner is not None and isinstance(owner[1], ast.ClassDef)


def _of_method(module: Module, node: ast.FunctionDef) -> Signature | None:
    """The arguments of a method that is called on its class; None where that would need an instance."""
    kinds = {_name(each) for each in node.decorator_list}
    if not kinds & {"classmethod", "staticmethod"}:
        return None
    return _of_function(module, node, skip=int("classmethod" in kinds))


def _of_class(module: Module, node: ast.ClassDef, depth: int) -> Signature | None:
    if depth == 0 or any(keyword.arg == "metaclass" for keyword in node.keywords):
        return None
    if not all(_preserves(module, each) for each in node.decorator_list):
        return None
    for name in ("__init__", "__new__"):
        for item in node.body:
            if isinstance(item, ast.FunctionDef) and item.name == name:
                return _of_function(module, item, skip=1)
    bases = [each for each in node.bases if _name(each) not in ("object", "ABC", "Protocol", "Generic")]
    if is_dataclass(node) or "NamedTuple" in map(_name, bases):
        return _of_fields(module, node, bases, depth)
    for base in bases:
        found = follow(module, base.value if isinstance(base, ast.Subscript) else base, DEPTH)
        if found is None or not isinstance(found[1], ast.ClassDef):
            return None
        inherited = _of_class(found[0], found[1], depth - 1)
        if inherited is None or inherited.names or inherited.open:
            return inherited
    return Signature({})


def _of_fields(module: Module, node: ast.ClassDef, bases: Sequence[ast.expr], depth: int) -> Signature | None:
    """The arguments of a dataclass: its annotated fields after those of its bases."""
    names: dict[str, bool] = {}
    for base in reversed(bases):
        if _name(base) == "NamedTuple":
            continue
        found = follow(module, base, DEPTH)
        if found is None or not isinstance(found[1], ast.ClassDef):
            return None
        inherited = _of_class(found[0], found[1], depth - 1)
        if inherited is None:
            return None
        names |= inherited.names
    for item in node.body:
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            continue
        if "ClassVar" in ast.unparse(item.annotation):
            continue
        text = ast.unparse(item.value) if item.value else ""
        if "init=False" in text:
            continue
        plain = "field(" in text and "default" not in text
        names[item.target.id] = item.value is None or plain
    return Signature(names)


def _of_function(module: Module, node: ast.FunctionDef, *, skip: int) -> Signature | None:
    """The arguments of a function without the first ``skip``."""
    if not all(_preserves(module, each) for each in node.decorator_list):
        return None
    positional = [*node.args.posonlyargs, *node.args.args]
    optional = len(positional) - len(node.args.defaults)
    names = {item.arg: number < optional for number, item in enumerate(positional) if number >= skip}
    for item, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        names[item.arg] = default is None
    return Signature(names, node.args.kwarg is not None)


def _preserves(module: Module, decorator: ast.expr) -> bool:
    """Whether a decorator leaves the arguments as they are: it is known to, or wraps by functools."""
    function = decorator.func if isinstance(decorator, ast.Call) else decorator
    if _name(function) in _PRESERVING:
        return True
    found = follow(module, function, DEPTH)
    return found is not None and "wraps(" in ast.unparse(found[1])


def _name(node: ast.expr) -> str:
    outer = node.value if isinstance(node, ast.Subscript) else node
    return ast.unparse(outer).rpartition(".")[2]
