"""Which metrics the code behind a config logs, read from source."""

import ast
import builtins
import re
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product

from dlctl.composition import source
from dlctl.composition.source import DEPTH, Module, follow

# What logs nothing under a name of its own, or is not looked into.
_LIBRARIES = {"lightning", "pytorch_lightning", "torch", "torchmetrics", "torchvision", "optuna"}
_LIBRARIES |= sys.stdlib_module_names
# What stands for anything: a name that the source does not tell.
_ANY = ".+"
# How many modules of a project are read.
_MODULES = 100
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Logged:
    """The names under which code logs.

    Args:
        targets: the ``_target_`` paths of a config; those of libraries are passed over.
    """

    def __init__(self, targets: Sequence[str]) -> None:
        self._patterns: set[str] = set()
        for target in targets:
            self._patterns |= _of_target(target)

    def __contains__(self, name: str) -> bool:
        """Whether a name is logged, or that cannot be told."""
        # Lightning adds these to what is logged per step and per epoch, or for several loaders.
        plain = re.sub(r"(_step|_epoch)?(/dataloader_idx_\d+)?$", "", name)
        return any(re.fullmatch(each, text) for each in self._patterns for text in (name, plain))

    @property
    def names(self) -> list[str]:
        """Those of the names that are known in full, sorted."""
        return sorted(re.sub(r"\\(.)", r"\1", each) for each in self._patterns if ".+" not in each)


def _of_target(target: str) -> frozenset[str]:
    """Patterns of the names logged by the module of a class and by what it builds on."""
    if target.partition(".")[0] in _LIBRARIES:
        return frozenset()
    try:
        # What is not there logs nothing, and that it is not there is told elsewhere.
        if source.absent(target):
            return frozenset()
        found = source.locate(target)
    except SyntaxError:
        found = None
    if found is None or isinstance(found[1], ast.Module):
        return frozenset({_ANY})
    return _of_all(found[0])


@lru_cache(maxsize=256)
def _of_all(module: Module) -> frozenset[str]:
    modules, whole = _modules(module)
    patterns = frozenset(pattern for each in modules for pattern in _patterns(each.tree))
    return patterns if whole else patterns | {_ANY}


def _modules(module: Module) -> tuple[list[Module], bool]:
    """A module with those that its classes extend and those of its package that it imports, and so on.

    Returns:
        the modules, and whether that is all of them.
    """
    package = module.name.partition(".")[0]
    waiting, seen, whole = [module], {module.name: module}, True
    while waiting:
        current = waiting.pop()
        found: list[Module] = []
        for each in ast.walk(current.tree):
            if isinstance(each, ast.ClassDef):
                bases = [_base(current, base) for base in each.bases]
                whole = whole and None not in bases
                found += [base for base in bases if base]
            elif isinstance(each, ast.ImportFrom):
                own = source.imported_from(current, each).partition(".")[0] == package
                inner = source.source_of(current, each) if own else None
                found += [inner] if inner else []
        for inner in found:
            if inner.name not in seen and inner.name.partition(".")[0] not in _LIBRARIES:
                seen[inner.name] = inner
                waiting.append(inner)
        if len(seen) > _MODULES:
            return list(seen.values()), False
    return list(seen.values()), whole


def _base(module: Module, base: ast.expr) -> Module | None:
    """The module in which a base class is defined; None if that cannot be told."""
    outer = base.value if isinstance(base, ast.Subscript) else base
    found = follow(module, outer, DEPTH)
    if found is None:
        return module if ast.unparse(outer) in dir(builtins) else None
    return found[0]


def _patterns(tree: ast.Module) -> Iterator[str]:
    if any(_gives_itself_away(node) for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        yield _ANY
    for function, call in _calls(tree, None):
        if not isinstance(call.func, ast.Attribute):
            continue
        values = {keyword.arg: keyword.value for keyword in call.keywords}
        if call.func.attr == "log" and (len(call.args) + len(call.keywords)) > 1:
            name = call.args[0] if call.args else values.get("name")
            if name is not None:
                yield from _texts(tree, function, name, DEPTH)
        elif call.func.attr == "log_dict":
            names = call.args[0] if call.args else values.get("dictionary")
            if names is not None:
                yield from _keys(tree, function, names)


def _gives_itself_away(node: ast.ClassDef) -> bool:
    """Whether a LightningModule passes itself to other code, which may log in its name."""
    if not any(isinstance(item, _Function) and item.name.endswith("_step") for item in node.body):
        return False
    for _, call in _calls(node, None):
        if any(isinstance(each, ast.Name) and each.id == "self" for each in call.args):
            function = ast.unparse(call.func)
            if function not in dir(builtins) and not function.startswith("super("):
                return True
    return False


def _calls(node: ast.AST, function: _Function | None) -> Iterator[tuple[_Function | None, ast.Call]]:
    """Every call, with the function it is in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield function, child
        yield from _calls(child, child if isinstance(child, _Function) else function)


def _keys(tree: ast.Module, function: _Function | None, node: ast.expr) -> Iterator[str]:
    """The keys of a dictionary."""
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                yield from _keys(tree, function, value)
            else:
                yield from _texts(tree, function, key, DEPTH)
    elif isinstance(node, ast.DictComp):
        yield from _texts(tree, function, node.key, DEPTH)
    elif isinstance(node, ast.Name) and function is not None:
        assigned = _assigned(function, node.id)
        if not assigned:
            yield _ANY
        for each in assigned:
            yield from _keys(tree, function, each)
        for statement in ast.walk(function):
            match statement:
                case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name), slice=key)]) if (
                    name == node.id
                ):
                    yield from _texts(tree, function, key, DEPTH)
    else:
        yield _ANY


def _texts(tree: ast.Module, function: _Function | None, node: ast.expr, depth: int) -> list[str]:
    """The texts that an expression may come to, as patterns."""
    if depth == 0:
        return [_ANY]
    match node:
        case ast.Constant(value=str(text)):
            return [re.escape(text)]
        case ast.JoinedStr(values=parts):
            found = [_texts(tree, function, part, depth - 1) for part in parts]
            return ["".join(each) for each in product(*found)]
        case ast.FormattedValue(value=value):
            return _texts(tree, function, value, depth - 1)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            sides = (_texts(tree, function, side, depth - 1) for side in (left, right))
            return ["".join(each) for each in product(*sides)]
        case ast.IfExp(body=body, orelse=other):
            return [text for side in (body, other) for text in _texts(tree, function, side, depth - 1)]
        case ast.Name(id=name) if function is not None:
            return _of_name(tree, function, name, depth - 1)
    return [_ANY]


def _of_name(tree: ast.Module, function: _Function, name: str, depth: int) -> list[str]:
    """The texts that a variable or parameter of a function may hold."""
    positional = [*function.args.posonlyargs, *function.args.args]
    names = [item.arg for item in positional]
    if name in names or name in [item.arg for item in function.args.kwonlyargs]:
        return _of_parameter(tree, function, name, names, depth)
    assigned = _assigned(function, name)
    for each in ast.walk(function):
        loops = isinstance(each, ast.For | ast.comprehension)
        if loops and isinstance(each.target, ast.Name) and each.target.id == name:  # type: ignore[attr-defined]
            over = each.iter  # type: ignore[attr-defined]
            if not isinstance(over, ast.Tuple | ast.List):
                return [_ANY]
            assigned += over.elts
    if not assigned:
        assigned = [
            item.value
            for item in tree.body
            if isinstance(item, ast.Assign)
            and any(isinstance(each, ast.Name) and each.id == name for each in item.targets)
        ]
    return [text for each in assigned for text in _texts(tree, function, each, depth)] or [_ANY]


def _of_parameter(
    tree: ast.Module, function: _Function, name: str, names: list[str], depth: int
) -> list[str]:
    """The texts that the calls of a function in its own module pass to a parameter."""
    found: list[str] = []
    position = names.index(name) if name in names else None
    for caller, call in _calls(tree, None):
        called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if called != function.name:
            continue
        given: ast.expr | None = next((each.value for each in call.keywords if each.arg == name), None)
        if given is None and position is not None:
            own = position - 1 if isinstance(call.func, ast.Attribute) and names[0] == "self" else position
            given = call.args[own] if own < len(call.args) else None
        if given is None:
            found.append(_ANY)
        else:
            found += _texts(tree, caller, given, depth)
    return found or [_ANY]


def _assigned(function: _Function, name: str) -> list[ast.expr]:
    """What is assigned to a variable in a function."""
    found: list[ast.expr] = []
    for each in ast.walk(function):
        match each:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                found.append(value)
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value) if target == name:
                found.append(value)
            case ast.AugAssign(target=ast.Name(id=target)) if target == name:
                found.append(each.value)
    return found
