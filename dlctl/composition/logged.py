"""Which metrics the code behind a config logs, read from source."""

import ast
import builtins
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product
from math import prod

from dlctl.composition import source
from dlctl.composition.source import DEPTH, Module, follow

# What logs nothing under a name of its own, or is not looked into.
_LIBRARIES = {"lightning", "pytorch_lightning", "torch", "torchmetrics", "torchvision", "optuna", "rich"}
_LIBRARIES |= sys.stdlib_module_names
# What stands for anything: a name that the source does not tell.
_ANY = ".+"
# How many modules of a project are read, and how far a name is followed from call to call.
_MODULES = 100
_FAR = 4
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
    patterns = frozenset(pattern for each in modules for pattern in _Reader(each.tree).patterns())
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


class _Reader:
    """Reads the names under which a module logs.

    Args:
        tree: its source.
    """

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._calls = list(_calls(tree, None))
        self._called: dict[str, list[tuple[_Function | None, ast.Call]]] = defaultdict(list)
        for caller, call in self._calls:
            self._called[_name_of(call)].append((caller, call))
        self._known: dict[tuple[int, str], list[str]] = {}

    def patterns(self) -> Iterator[str]:
        """Every name, as a pattern."""
        if any(_gives_itself_away(node) for node in ast.walk(self._tree) if isinstance(node, ast.ClassDef)):
            yield _ANY
        for function, call in self._calls:
            if not isinstance(call.func, ast.Attribute):
                continue
            values = {keyword.arg: keyword.value for keyword in call.keywords}
            if call.func.attr == "log" and (len(call.args) + len(call.keywords)) > 1:
                name = call.args[0] if call.args else values.get("name")
                yield from self._texts(function, name, _FAR) if name is not None else (_ANY,)
            elif call.func.attr == "log_dict":
                names = call.args[0] if call.args else values.get("dictionary")
                yield from self._keys(function, names) if names is not None else (_ANY,)

    def _keys(self, function: _Function | None, node: ast.expr) -> Iterator[str]:
        """The keys of a dictionary."""
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if key is None:
                    yield from self._keys(function, value)
                else:
                    yield from self._texts(function, key, _FAR)
        elif isinstance(node, ast.DictComp):
            yield from self._texts(function, node.key, _FAR)
        elif isinstance(node, ast.Name) and function is not None and (found := _assigned(function, node.id)):
            for each in found:
                # What is made of itself tells nothing new: logs = {**logs, ...}.
                if not any(isinstance(inner, ast.Name) and inner.id == node.id for inner in ast.walk(each)):
                    yield from self._keys(function, each)
                else:
                    yield _ANY
            for statement in ast.walk(function):
                match statement:
                    case ast.Assign(targets=[ast.Subscript(ast.Name(id=name), key)]) if name == node.id:
                        yield from self._texts(function, key, _FAR)
                    case ast.Call(func=ast.Attribute(ast.Name(id=name), "update")) if name == node.id:
                        yield _ANY
        else:
            yield _ANY

    def _texts(self, function: _Function | None, node: ast.expr, far: int) -> list[str]:
        """The texts that an expression may come to, as patterns."""
        match node:
            case ast.Constant(value=str(text)):
                return [re.escape(text)]
            case ast.JoinedStr(values=parts):
                return _joined([self._texts(function, part, far) for part in parts])
            case ast.FormattedValue(value=value):
                return self._texts(function, value, far)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return _joined([self._texts(function, side, far) for side in (left, right)])
            case ast.IfExp(body=body, orelse=other):
                return [text for side in (body, other) for text in self._texts(function, side, far)]
            case ast.Name(id=name) if function is not None and far:
                known = self._known.get((id(function), name))
                if known is None:
                    # A name that leads back to itself may be anything.
                    self._known[id(function), name] = [_ANY]
                    known = self._known[id(function), name] = self._of_name(function, name, far - 1)
                return known
        return [_ANY]

    def _of_name(self, function: _Function, name: str, far: int) -> list[str]:
        """The texts that a variable or parameter of a function may hold."""
        positional = [item.arg for item in (*function.args.posonlyargs, *function.args.args)]
        if name in positional or name in [item.arg for item in function.args.kwonlyargs]:
            return self._of_parameter(function, name, positional, far)
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
                for item in self._tree.body
                if isinstance(item, ast.Assign)
                and any(isinstance(each, ast.Name) and each.id == name for each in item.targets)
            ]
        return [text for each in assigned for text in self._texts(function, each, far)] or [_ANY]

    def _of_parameter(self, function: _Function, name: str, names: list[str], far: int) -> list[str]:
        """The texts that the calls of a function in its own module pass to a parameter."""
        found: list[str] = []
        position = names.index(name) if name in names else None
        for caller, call in self._called[function.name]:
            given: ast.expr | None = next((each.value for each in call.keywords if each.arg == name), None)
            if given is None and position is not None:
                bound = isinstance(call.func, ast.Attribute) and names[0] == "self"
                own = position - 1 if bound else position
                given = call.args[own] if own < len(call.args) else None
            found += [_ANY] if given is None else self._texts(caller, given, far)
        return list(dict.fromkeys(found)) or [_ANY]


def _joined(parts: list[list[str]]) -> list[str]:
    """Every combination of texts one behind the other; anything, where these are too many."""
    if prod(map(len, parts)) > 1000:
        return [_ANY]
    return ["".join(each) for each in product(*parts)]


def _name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else str(getattr(call.func, "id", ""))


def _gives_itself_away(node: ast.ClassDef) -> bool:
    """Whether a LightningModule passes itself to other code, which may log in its name."""
    if not any(isinstance(item, _Function) and item.name.endswith("_step") for item in node.body):
        return False
    called = set()
    for _, call in _calls(node, None):
        values = [*call.args, *(keyword.value for keyword in call.keywords)]
        function = ast.unparse(call.func)
        known = function in dir(builtins) or function.startswith("super(")
        if not known and any(isinstance(each, ast.Name) and each.id == "self" for each in values):
            return True
        if function in ("self.log", "self.log_dict"):
            called.add(id(call.func))
            if any(isinstance(each, ast.Starred) for each in call.args) or None in [
                k.arg for k in call.keywords
            ]:
                return True
    uses = (each for each in ast.walk(node) if isinstance(each, ast.Attribute))
    return any(ast.unparse(each) in ("self.log", "self.log_dict") and id(each) not in called for each in uses)


def _calls(node: ast.AST, function: _Function | None) -> Iterator[tuple[_Function | None, ast.Call]]:
    """Every call, with the function it is in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield function, child
        yield from _calls(child, child if isinstance(child, _Function) else function)


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
