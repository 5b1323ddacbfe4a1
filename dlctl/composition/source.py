"""Find the definition behind a dotted name by parsing files; nothing is imported.

Importing torch to learn that a learning rate is a float would cost seconds; parsing the files on
the way to it costs milliseconds.
"""

import ast
import importlib.machinery
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dlctl.composition.bindings import UNKNOWN, bound

# How many imports, aliases and base classes are followed before giving up.
DEPTH = 12


@dataclass(frozen=True, eq=False)
class Module:
    """A parsed source file, and the names it defines at its top level."""

    name: str
    path: Path
    tree: ast.Module
    names: dict[str, ast.AST]
    stars: tuple[ast.ImportFrom, ...]

    @property
    def dynamic(self) -> bool:
        """Whether it may define names that its top level does not show."""
        text = self.path.read_text(encoding="utf-8", errors="replace")
        return "__getattr__" in self.names or "globals()" in text or "sys.modules[" in text


@dataclass(frozen=True)
class Absent:
    """A part of a dotted path that is certainly not there.

    Attributes:
        name: the part.
        inside: the module or class it is looked for in; empty for a package.
        known: what there is instead.
    """

    name: str
    inside: str
    known: tuple[str, ...] = ()


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


def absent(target: str) -> Absent | None:
    """The part of a dotted path that is not there; None if it is there or that cannot be told.

    Raises:
        SyntaxError: a module on the way cannot be parsed.
    """
    parts = target.split(".")
    if spec(parts[0]) is None:
        return Absent(parts[0], "", tuple(module.name for module in pkgutil.iter_modules()))
    count = max(n for n in range(1, len(parts) + 1) if spec(".".join(parts[:n])))
    if count == len(parts):
        return None
    inside, name = ".".join(parts[:count]), parts[count]
    module = parsed(inside)
    if module is None:
        where = spec(inside)
        nowhere = where is not None and where.origin is None
        return Absent(name, inside, tuple(_submodules(inside))) if nowhere else None
    names = _names(module, DEPTH)
    if names is None or name not in names:
        return None if names is None else Absent(name, inside, (*names, *_submodules(inside)))
    found = _walk(module, [name], DEPTH)
    if count + 1 < len(parts) and found and isinstance(found[1], ast.ClassDef):
        known = _members(found[0], found[1])
        if known is not None and parts[count + 1] not in known:
            return Absent(parts[count + 1], f"{inside}.{name}", tuple(known))
    return None


def _members(module: Module, node: ast.ClassDef) -> list[str] | None:
    """The attributes of a class; None if its source does not tell all of them."""
    if node.bases or node.keywords or node.decorator_list:
        return None
    own, stars = bound(node.body)
    for each in ast.walk(module.tree):
        # Class.attribute = ...
        match each:
            case ast.Attribute(value=ast.Name(id=node.name), ctx=ast.Store()):
                return None
            case ast.Call(func=ast.Name(id="setattr")):
                return None
    return None if stars else [*own, *dir(type)]


def _names(module: Module, depth: int) -> set[str] | None:
    """All names of a module; None if its source does not tell."""
    if depth == 0 or module.dynamic:
        return None
    names = set(module.names)
    for star in module.stars:
        source = source_of(module, star)
        more = _names(source, depth - 1) if source else None
        if more is None:
            return None
        names |= more
    return names


def _submodules(package: str) -> Iterator[str]:
    found = spec(package)
    for folder in folders(found) if found else []:
        for item in Path(folder).iterdir():
            if item.suffix == ".py" or (item.is_dir() and item.name.isidentifier()):
                yield item.stem


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
            found = member(inner, node, part, depth - 1)
        else:
            return None
    return found


def member(module: Module, node: ast.ClassDef, name: str, depth: int) -> tuple[Module, ast.AST] | None:
    """What a class, or the first of its bases that has it, binds to a name."""
    if depth <= 0:
        return None
    own, _ = bound(node.body)
    if name in own:
        return module, own[name]
    for base in node.bases:
        found = follow(module, base.value if isinstance(base, ast.Subscript) else base, depth)
        if found is None or not isinstance(found[1], ast.ClassDef):
            return None
        if inherited := member(found[0], found[1], name, depth - 1):
            return inherited
    return None


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
    source = source_of(module, node)
    if source is None:
        return None
    # A package that imports its own part: `from torch import nn` in torch/__init__.py.
    found = _lookup(source, name, depth - 1) if source is not module else None
    inner = None if found else _module(f"{source.name}.{name}")
    return (inner, ast.Module([], [])) if inner else found


def source_of(module: Module, node: ast.ImportFrom) -> Module | None:
    """The module that a ``from ... import`` imports from."""
    return _module(imported_from(module, node))


def imported_from(module: Module, node: ast.ImportFrom) -> str:
    """The full name of the module that a ``from ... import`` imports from."""
    base = node.module or ""
    if not node.level:
        return base
    package = module.name if module.path.name == "__init__.py" else module.name.rpartition(".")[0]
    for _ in range(node.level - 1):
        package = package.rpartition(".")[0]
    return f"{package}.{base}".rstrip(".")


def spec(name: str) -> importlib.machinery.ModuleSpec | None:
    """Where a module lies; its parent packages are looked at, never executed."""
    return _spec(name, tuple(sys.path))


@lru_cache(maxsize=4096)
def _spec(name: str, path: tuple[str, ...]) -> importlib.machinery.ModuleSpec | None:
    head, *rest = name.split(".")
    try:
        # Of a package without a dot in its name nothing is imported; an editable install may hook in here.
        found = importlib.util.find_spec(head)
        for count in range(len(rest)):
            if found is None:
                return None
            found = _inner(".".join([head, *rest[: count + 1]]), folders(found))
    except (ImportError, ValueError):
        return None
    return found


def _inner(name: str, inside: list[str]) -> importlib.machinery.ModuleSpec | None:
    """A module in the folders of its package."""
    try:
        return importlib.machinery.PathFinder.find_spec(name, inside)
    except KeyError:
        # A folder without __init__.py: Python looks for its package among what is imported.
        found = importlib.machinery.ModuleSpec(name, None, is_package=True)
        last = name.rpartition(".")[2]
        found.submodule_search_locations = [str(Path(folder, last)) for folder in inside]
        return found


def folders(found: importlib.machinery.ModuleSpec) -> list[str]:
    """Where the modules of a package lie; a namespace package would ask sys.modules for its parent."""
    places = found.submodule_search_locations
    return list(getattr(places, "_path", places) or [])


def parsed(name: str) -> Module | None:
    """A module's definitions; None if it is not there or not written in Python.

    Raises:
        SyntaxError: it cannot be parsed.
    """
    found = spec(name)
    if found is None or not found.origin or not found.origin.endswith(".py"):
        return None
    path = Path(found.origin)
    try:
        return _parsed(name, path, path.stat().st_mtime_ns)
    except OSError:
        return None


@lru_cache(maxsize=1024)
def _parsed(name: str, path: Path, modified: int) -> Module:
    text = path.read_bytes()
    tree = ast.parse(text, str(path))
    names, stars = bound(tree.body)
    for node in ast.walk(tree) if b"global " in text else ():
        if isinstance(node, ast.Global):
            names |= dict.fromkeys(node.names, UNKNOWN)
    return Module(name, path, tree, names, tuple(stars))


def _module(name: str) -> Module | None:
    try:
        return parsed(name)
    except SyntaxError:
        return None
