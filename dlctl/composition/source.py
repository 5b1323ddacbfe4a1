"""Find the definition behind a dotted name by parsing files; nothing is imported.

Importing torch to learn that a learning rate is a float would cost seconds; parsing the files on
the way to it costs milliseconds.
"""

import ast
import importlib.machinery
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
# How many imports, aliases and base classes are followed before giving up.
DEPTH = 12


@dataclass(frozen=True)
class Module:
    """A parsed source file, and the names it defines at its top level."""

    name: str
    path: Path
    names: dict[str, ast.AST]
    stars: tuple[ast.ImportFrom, ...]


def follow(module: Module, node: ast.expr, depth: int) -> tuple[Module, ast.AST] | None:
    """The definition that a name in a module's annotations stands for."""
    if depth <= 0 or not isinstance(node, ast.Name | ast.Attribute):
        return None
    head, *rest = ast.unparse(node).split(".")
    return _walk(module, [head, *rest], depth)


def locate(target: str) -> tuple[Module, ast.AST] | None:
    """The definition behind a dotted path, as far down as there are modules."""
    parts = target.split(".")
    for count in range(len(parts) - 1, 0, -1):
        if module := _module(".".join(parts[:count])):
            return _walk(module, parts[count:], DEPTH)
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
