"""What the arguments of a ``_target_`` are annotated with, read from source, never imported.

What cannot be told from source passes.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dlctl.composition.source import DEPTH, Module, follow, locate

# What a config gives: of a list only that it is one; None for null.
Scalar = bool | int | float | str | list[Any] | dict[Any, Any] | None


_CONTAINERS = ("list", "tuple", "set", "List", "Tuple", "Set")


@dataclass(frozen=True)
class Annotation:
    """The annotation of an argument and the module in which its names mean something."""

    module: Module
    node: ast.expr

    def __str__(self) -> str:
        return ast.unparse(self.node)

    def accepts(self, value: Scalar) -> bool:
        """Whether a value may be passed; True where that cannot be told."""
        return _accepts(self.module, self.node, value, DEPTH)

    def literals(self) -> list[str]:
        """The words that are allowed, where the annotation lists them."""
        return sorted(_literals(self.module, self.node, DEPTH))


def annotation(target: str, argument: str) -> Annotation | None:
    """The annotation of an argument of ``package.module.Class``; None if it has none."""
    found = locate(target)
    return _argument(*found, argument, DEPTH) if found else None


def _argument(module: Module, node: ast.AST, name: str, depth: int) -> Annotation | None:
    if isinstance(node, ast.ClassDef):
        return _class_argument(module, node, name, depth)
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    positional = [*node.args.posonlyargs, *node.args.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(node.args.defaults))
    defaults += [*node.args.defaults, *node.args.kw_defaults]
    for item, default in zip([*positional, *node.args.kwonlyargs], defaults, strict=True):
        if item.arg == name and item.annotation is not None:
            found = Annotation(module, item.annotation)
            value = default.value if isinstance(default, ast.Constant) else None
            # p: int = 0.5 is not true, whatever it was meant to say.
            untrue = isinstance(value, bool | int | float | str) and not found.accepts(value)
            return None if untrue else found
    return None


def _class_argument(module: Module, node: ast.ClassDef, name: str, depth: int) -> Annotation | None:
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return _argument(module, item, name, depth)
        field = item.target if isinstance(item, ast.AnnAssign) else None
        if isinstance(field, ast.Name) and field.id == name and is_dataclass(node):
            assert isinstance(item, ast.AnnAssign)
            return Annotation(module, item.annotation)
    for base in node.bases:
        found = follow(module, base, depth - 1)
        if found and (result := _argument(*found, name, depth - 1)):
            return result
    return None


def is_dataclass(node: ast.ClassDef) -> bool:
    """Whether a class is decorated as one."""
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)


def _accepts(module: Module, node: ast.expr, value: Scalar, depth: int) -> bool:
    if depth == 0:
        return True
    match node:
        case ast.Constant(value=str(text)):
            return _accepts(module, _expression(text), value, depth - 1)
        case ast.Constant(value=None):
            return value is None
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return any(_accepts(module, side, value, depth) for side in (left, right))
        case ast.Subscript(value=outer, slice=inner):
            return _accepts_generic(module, outer, inner, value, depth)
        case ast.Name() | ast.Attribute():
            return _accepts_name(module, node, value, depth)
    return True


def _accepts_generic(module: Module, outer: ast.expr, inner: ast.expr, value: Scalar, depth: int) -> bool:
    items = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
    match _last(outer):
        case "Optional" if value is None:
            return True
        case "Optional" | "Union":
            return any(_accepts(module, item, value, depth) for item in items)
        case "Literal":
            return any(
                item.value == value and type(item.value) is type(value)
                for item in items
                if isinstance(item, ast.Constant)
            )
        case "Annotated" | "Final":
            return _accepts(module, items[0], value, depth)
        case "list" | "List" | "tuple" | "Tuple" | "set" | "Set":
            return isinstance(value, list)
        case "dict" | "Dict" | "Mapping" | "MutableMapping":
            return isinstance(value, dict)
        case "type" | "Type" | "Callable":
            return False
        case "Sequence" | "Iterable" | "Collection":
            # A word is one of words.
            words = isinstance(value, str) and any(_accepts(module, item, "a", depth) for item in items)
            return isinstance(value, list) or words
    return True


def _accepts_name(module: Module, node: ast.expr, value: Scalar, depth: int) -> bool:
    match _last(node):
        case "bool":
            return isinstance(value, bool) or value in (0, 1)
        case "int":
            return isinstance(value, int)
        case "float":
            return isinstance(value, int | float)
        case "str" | "Path" | "PathLike":
            return isinstance(value, str)
        case "list" | "tuple" | "set" | "List" | "Tuple" | "Set" | "Sequence" | "Iterable" | "Collection":
            return isinstance(value, list) or (isinstance(value, str) and _last(node) not in _CONTAINERS)
        case "None":
            return value is None
        case "dict" | "Dict" | "Mapping":
            return isinstance(value, dict)
        case "Callable":
            return False
        case "Any" | "object":
            return True
    found = follow(module, node, depth - 1)
    if found is None:
        return True
    inner, definition = found
    if isinstance(definition, ast.Assign):
        # A TypeVar, or an alias such as _PRECISION_INPUT = Union[...].
        return isinstance(definition.value, ast.Call) or _accepts(inner, definition.value, value, depth - 1)
    return not (isinstance(definition, ast.ClassDef) and _is_opaque(inner, definition, depth - 1))


def _is_opaque(module: Module, node: ast.ClassDef, depth: int) -> bool:
    """Whether no number and no word can be an instance: an ordinary class, down to its bases."""
    if depth == 0 or any(keyword.arg == "metaclass" for keyword in node.keywords):
        # Metaclasses may answer isinstance as they like; torch.Tensor's is known not to.
        return node.name == "Tensor"
    for base in node.bases:
        found = follow(module, base, depth)
        if found is None:
            return _last(base) in ("object", "TensorBase")
        if not (isinstance(found[1], ast.ClassDef) and _is_opaque(*found, depth - 1)):  # type: ignore[arg-type]
            return False
    return True


def _literals(module: Module, node: ast.expr, depth: int) -> Iterator[str]:
    if depth == 0:
        return
    if isinstance(node, ast.Subscript) and _last(node.value) == "Literal":
        items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        yield from (i.value for i in items if isinstance(i, ast.Constant) and isinstance(i.value, str))
    elif isinstance(node, ast.Name | ast.Attribute):
        found = follow(module, node, depth - 1)
        if found and isinstance(found[1], ast.Assign):
            yield from _literals(found[0], found[1].value, depth - 1)
    else:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                yield from _literals(module, child, depth - 1)


def _last(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]


def _expression(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return ast.Name("Any")
