"""The names that the body of a module or class binds, and what defines each, as far as source tells."""

import ast
from collections.abc import Iterator, Sequence

# What a name stands for that is bound, but to what is only known when the code has run.
UNKNOWN = ast.Pass()
_Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


def bound(body: Sequence[ast.stmt]) -> tuple[dict[str, ast.AST], list[ast.ImportFrom]]:
    """The names of a body, and its ``from ... import *``.

    Of several definitions one behind the other the last counts. Of those under ``if``, ``try`` and
    the like it is not known which.
    """
    names: dict[str, ast.AST] = {}
    stars: list[ast.ImportFrom] = []
    for node, straight in _statements(body, straight=True):
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            stars.append(node)
            continue
        for name, what in _bindings(node):
            names[name] = what if straight or name not in names else UNKNOWN
    return names, stars


def _statements(body: Sequence[ast.AST], *, straight: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Statements, those within others too, and whether each is certain to run."""
    for node in body:
        yield node, straight
        if not isinstance(node, _Definition):
            for block in _BLOCKS:
                yield from _statements(getattr(node, block, ()), straight=False)


def _bindings(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """The names that a statement itself binds."""
    match node:
        case ast.ClassDef():
            yield node.name, node
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            if not any("overload" in ast.unparse(each) for each in node.decorator_list):
                yield node.name, node
        case ast.ImportFrom():
            yield from ((alias.asname or alias.name, node) for alias in node.names)
        case ast.Import():
            yield from ((alias.asname or alias.name.partition(".")[0], node) for alias in node.names)
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            yield name, node
        case _:
            yield from ((name, UNKNOWN) for name in _stored(node))


def _stored(node: ast.AST) -> Iterator[str]:
    """The names that a statement sets in passing: ``a, b = ...``, ``for a in``, ``with b as c``."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
        yield node.name
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from _stored(child)
        elif isinstance(child, ast.match_case):
            yield from _stored(child.pattern)
