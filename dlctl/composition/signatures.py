"""What the arguments of a ``_target_`` are annotated with, read from source, never imported.

Importing torch to learn that a learning rate is a float would cost seconds; parsing the one file
costs milliseconds. What cannot be told from source passes.
"""

import ast
import importlib.machinery
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
Scalar = bool | int | float | str
_DEPTH = 12


@dataclass(frozen=True)
class Module:
    """A parsed source file, and the names it defines at its top level."""

    name: str
    path: Path
    names: dict[str, ast.AST]
    stars: tuple[ast.ImportFrom, ...]


@dataclass(frozen=True)
class Annotation:
    """The annotation of an argument and the module in which its names mean something."""

    module: Module
    node: ast.expr

    def __str__(self) -> str:
        return ast.unparse(self.node)

    def accepts(self, value: Scalar) -> bool:
        """Whether a value may be passed; True where that cannot be told."""
        return _accepts(self.module, self.node, value, _DEPTH)

    def literals(self) -> list[str]:
        """The words that are allowed, where the annotation lists them."""
        return sorted(_literals(self.module, self.node, _DEPTH))


def annotation(target: str, argument: str) -> Annotation | None:
    """The annotation of an argument of ``package.module.Class``; None if it has none."""
    found = _locate(target)
    return _argument(*found, argument, _DEPTH) if found else None


def _argument(module: Module, node: ast.AST, name: str, depth: int) -> Annotation | None:
    if isinstance(node, ast.ClassDef):
        return _class_argument(module, node, name, depth)
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    for item in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
        if item.arg == name and item.annotation is not None:
            return Annotation(module, item.annotation)
    return None


def _class_argument(module: Module, node: ast.ClassDef, name: str, depth: int) -> Annotation | None:
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return _argument(module, item, name, depth)
        field = item.target if isinstance(item, ast.AnnAssign) else None
        if isinstance(field, ast.Name) and field.id == name and _is_dataclass(node):
            assert isinstance(item, ast.AnnAssign)
            return Annotation(module, item.annotation)
    for base in node.bases:
        found = _follow(module, base, depth - 1)
        if found and (result := _argument(*found, name, depth - 1)):
            return result
    return None


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)


def _accepts(module: Module, node: ast.expr, value: Scalar, depth: int) -> bool:
    if depth == 0:
        return True
    match node:
        case ast.Constant(value=str(text)):
            return _accepts(module, _expression(text), value, depth - 1)
        case ast.Constant(value=None):
            return False
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
        case "list" | "List" | "dict" | "Dict" | "tuple" | "Tuple" | "set" | "Set" | "type":
            return False
        case "Type" | "Callable" | "Mapping" | "MutableMapping":
            return False
        case "Sequence" | "Iterable" | "Collection":
            return isinstance(value, str)
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
        case "None" | "list" | "dict" | "tuple" | "set" | "List" | "Dict" | "Callable":
            return False
        case "Any" | "object":
            return True
    found = _follow(module, node, depth - 1)
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
        found = _follow(module, base, depth)
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
        found = _follow(module, node, depth - 1)
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


def _follow(module: Module, node: ast.expr, depth: int) -> tuple[Module, ast.AST] | None:
    """The definition that a name in a module's annotations stands for."""
    if depth <= 0 or not isinstance(node, ast.Name | ast.Attribute):
        return None
    head, *rest = ast.unparse(node).split(".")
    return _walk(module, [head, *rest], depth)


def _locate(target: str) -> tuple[Module, ast.AST] | None:
    """The definition behind a dotted path, as far down as there are modules."""
    parts = target.split(".")
    for count in range(len(parts) - 1, 0, -1):
        if module := _module(".".join(parts[:count])):
            return _walk(module, parts[count:], _DEPTH)
    return None


def _walk(module: Module, parts: list[str], depth: int) -> tuple[Module, ast.AST] | None:
    """Look a dotted name up in a module, through its imports."""
    found = _lookup(module, parts[0], depth)
    for part in parts[1:]:
        if found is None:
            return None
        inner, node = found
        if isinstance(node, ast.Module):
            found = _lookup(inner, part, depth - 1)
        elif isinstance(node, ast.ClassDef):
            named = (item for item in node.body if isinstance(item, Definition) and item.name == part)
            item = next(named, None)
            found = (inner, item) if item else None
        else:
            return None
    return found


def _lookup(module: Module, name: str, depth: int) -> tuple[Module, ast.AST] | None:
    if depth <= 0:
        return None
    node = module.names.get(name)
    if isinstance(node, ast.ImportFrom):
        original = next(a.name for a in node.names if (a.asname or a.name) == name)
        return _imported(module, node, original, depth)
    if isinstance(node, ast.Import):
        alias = next(a for a in node.names if (a.asname or a.name.partition(".")[0]) == name)
        target = _module(alias.name if alias.asname else name)
        return (target, ast.Module([], [])) if target else None
    if node is not None:
        return module, node
    for star in module.stars:
        if found := _imported(module, star, name, depth):
            return found
    submodule = _module(f"{module.name}.{name}")
    return (submodule, ast.Module([], [])) if submodule else None


def _imported(module: Module, node: ast.ImportFrom, name: str, depth: int) -> tuple[Module, ast.AST] | None:
    base = node.module or ""
    if node.level:
        package = module.name if module.path.name == "__init__.py" else module.name.rpartition(".")[0]
        for _ in range(node.level - 1):
            package = package.rpartition(".")[0]
        base = f"{package}.{base}".rstrip(".")
    source = _module(base)
    return _lookup(source, name, depth - 1) if source else None


@lru_cache(maxsize=256)
def _module(name: str) -> Module | None:
    """Find and parse a module; its parent packages are looked at, never executed."""
    search: list[str] | None = None
    spec = None
    for count in range(1, name.count(".") + 2):
        part = ".".join(name.split(".")[:count])
        try:
            spec = importlib.machinery.PathFinder.find_spec(part, search)
        except (ImportError, ValueError):
            return None
        if spec is None:
            return None
        search = list(spec.submodule_search_locations or [])
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    path = Path(spec.origin)
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError):
        return None
    names: dict[str, ast.AST] = {}
    stars: list[ast.ImportFrom] = []
    for node in _statements(tree.body):
        _bind(node, names, stars)
    return Module(name, path, names, tuple(stars))


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Top-level statements, those under ``if`` and ``try`` too."""
    for node in body:
        yield node
        for field in ("body", "orelse", "finalbody"):
            if isinstance(node, ast.If | ast.Try):
                yield from _statements(getattr(node, field, []))


def _bind(node: ast.stmt, names: dict[str, ast.AST], stars: list[ast.ImportFrom]) -> None:
    match node:
        case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
            names.setdefault(node.name, node)
        case ast.ImportFrom(names=[ast.alias(name="*")]):
            stars.append(node)
        case ast.ImportFrom() | ast.Import():
            for alias in node.names:
                bound = alias.asname or (
                    alias.name.partition(".")[0] if isinstance(node, ast.Import) else alias.name
                )
                names.setdefault(bound, node)
        case ast.Assign(targets=[ast.Name(id=bound)]):
            names.setdefault(bound, node)
