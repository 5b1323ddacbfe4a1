"""Level 2 of the rules of CoNLL-U on a sentence's rows: references, the tree, cells, the enhanced graph.

Each function appends to a list what it finds: the line, the column, the rule and what is wrong.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from dlctl.data.conllu_cells import COLUMNS, Empty, Id, Span
from dlctl.data.conllu_checks import (
    DEPREL,
    DEPS_ORDER,
    DEPS_RELATIONS,
    FEATS,
    MISC,
    PAIRS,
    UPOS,
    Fault,
    short,
)
from dlctl.data.conllu_level1 import Found

_HEAD = re.compile(r"0|[1-9][0-9]*")
_EHEAD = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[1-9][0-9]*)?")
_AT = {name: position for position, name in enumerate(COLUMNS)}
_UPOS, _XPOS, _FEATS, _HEADS, _DEPREL, _DEPS, _MISC = range(3, 10)


class Rows(NamedTuple):
    """A sentence whose ids are in order.

    Attributes:
        comments: the lines before the rows.
        ids: of all rows.
        cells: the ten cells of every row.
        first: the number of the first row's line.
        spaced: whether forms and spaces after them are known, and the text can be compared.
    """

    comments: Sequence[str]
    ids: Sequence[Id]
    cells: Sequence[Sequence[str]]
    first: int
    spaced: bool = True

    def numbered(self) -> Iterator[tuple[int, Id, Sequence[str]]]:
        """The line, the id and the cells of every row."""
        yield from zip(range(self.first, self.first + len(self.ids)), self.ids, self.cells, strict=True)


def unreached(heads: Mapping[str, Iterable[str]]) -> list[str]:
    """The nodes, given with their heads, to which no way leads from 0."""
    children: dict[str, list[str]] = {}
    for node, above in heads.items():
        for head in above:
            children.setdefault(head, []).append(node)
    reached, rest = {"0"}, ["0"]
    while rest:
        for child in children.get(rest.pop(), ()):
            if child not in reached:
                reached.add(child)
                rest.append(child)
    return [node for node in heads if node not in reached]


def check_references(rows: Rows, found: list[Found]) -> bool:
    """That all heads are ids of the sentence."""
    before = len(found)
    known = {"0", *(cells[0] for _, id_, cells in rows.numbered() if not isinstance(id_, Span))}
    for number, id_, cells in rows.numbered():
        if isinstance(id_, Span):
            continue
        if not isinstance(id_, Empty):
            head = cells[_HEADS]
            if _HEAD.fullmatch(head) is None:
                message = f"expected the id of a word or 0, found {short(head)!r}"
                found.append((number, "HEAD", "invalid-head", message))
            if head not in known:
                found.append((number, "HEAD", "unknown-head", f"there is no word {short(head)!r}"))
        pairs = PAIRS[cells[_DEPS]]
        if pairs is None:
            message = f"expected HEAD:RELATION|HEAD:RELATION, found {short(cells[_DEPS])!r}"
            found.append((number, "DEPS", "invalid-deps", message))
        for head, _ in pairs or ():
            if _EHEAD.fullmatch(head) is None:
                message = f"expected the id of a word or empty node or 0, found {short(head)!r}"
                found.append((number, "DEPS", "invalid-ehead", message))
            if head not in known:
                message = f"there is no word or empty node {short(head)!r}"
                found.append((number, "DEPS", "unknown-ehead", message))
    return len(found) == before


def check_tree(rows: Rows, found: list[Found]) -> bool:
    """That the words make up one tree."""
    heads = {}
    for number, id_, cells in rows.numbered():
        if isinstance(id_, int):
            if cells[_HEADS] == cells[0]:
                found.append((number, "HEAD", "head-self-loop", f"word {id_} is its own head"))
                return False
            heads[cells[0]] = (cells[_HEADS],)
    roots = [node for node, head in heads.items() if head == ("0",)]
    if len(roots) > 1:
        message = f"expected one word with HEAD 0, found {_listed(roots)}"
        found.append((rows.first, "HEAD", "multiple-roots", message))
        return False
    lost = unreached(heads)
    if lost:
        message = f"no tree: no way leads from the root to {_listed(lost)}"
        found.append((rows.first, "HEAD", "non-tree", message))
    return not lost


def _listed(nodes: Sequence[str]) -> str:
    return ", ".join(nodes[:10]) + (f" and {len(nodes) - 10} more" if len(nodes) > 10 else "")


def check_cells(rows: Rows, found: list[Found]) -> bool:
    """The cells one by one; whether all features can be read."""
    before = len(found)
    for number, id_, cells in rows.numbered():
        if isinstance(id_, Span):
            _check_multiword(number, cells, found)
        else:
            if isinstance(id_, Empty):
                _check_empty(number, cells, found)
            _check_upos(number, id_, cells, found)
            if not cells[_XPOS]:
                found.append((number, "XPOS", "empty-string-in-xpos", "XPOS is empty; an unknown value is _"))
            _add(found, number, "FEATS", FEATS[cells[_FEATS]])
            if isinstance(id_, int):
                _add(found, number, "DEPREL", DEPREL[cells[_DEPREL]])
            _check_deps(number, cells, found)
        _add(found, number, "MISC", MISC[cells[_MISC]])
    return all(rule != "invalid-feature" for _, _, rule, _ in found[before:])


def _add(found: list[Found], number: int, column: str, faults: Iterable[Fault]) -> None:
    for rule, message in faults:
        found.append((number, column, rule, message))


def _check_multiword(number: int, cells: Sequence[str], found: list[Found]) -> None:
    for name in COLUMNS[2:9]:
        cell = cells[_AT[name]]
        if cell != "_" and (name, cell) != ("FEATS", "Typo=Yes"):
            message = f"expected _ in {name} of a multiword token, found {short(cell)!r}"
            found.append((number, name, "mwt-nonempty-field", message))


def _check_empty(number: int, cells: Sequence[str], found: list[Found]) -> None:
    for name in ("HEAD", "DEPREL"):
        cell = cells[_AT[name]]
        if cell != "_":
            message = f"expected _ in {name} of an empty node, found {short(cell)!r}"
            found.append((number, name, "empty-node-nonempty-field", message))


def _check_upos(number: int, id_: Id, cells: Sequence[str], found: list[Found]) -> None:
    upos = cells[_UPOS]
    if upos not in UPOS and not (upos == "_" and isinstance(id_, Empty)):
        message = f"expected one of the 17 tags like NOUN, found {short(upos)!r}"
        found.append((number, "UPOS", "unknown-upos", message))


def _check_deps(number: int, cells: Sequence[str], found: list[Found]) -> None:
    deps = cells[_DEPS]
    if deps == "_":
        return
    _add(found, number, "DEPS", DEPS_ORDER[deps])
    if any(head == cells[0] for head, _ in PAIRS[deps] or ()):
        found.append((number, "DEPS", "deps-self-loop", f"{cells[0]} is its own head in DEPS"))
    _add(found, number, "DEPS", DEPS_RELATIONS[deps])


def is_enhanced(rows: Rows) -> bool:
    """Whether a sentence has an enhanced graph."""
    return any(
        isinstance(id_, Empty) or (cells[_DEPS] != "_" and not isinstance(id_, Span))
        for _, id_, cells in rows.numbered()
    )


def check_graph(rows: Rows, found: list[Found]) -> None:
    """That a way leads from 0 to every node of the enhanced graph, if there is one."""
    if not is_enhanced(rows):
        return
    nodes = [(number, cells) for number, id_, cells in rows.numbered() if not isinstance(id_, Span)]
    heads = {cells[0]: [head for head, _ in PAIRS[cells[_DEPS]] or ()] for _, cells in nodes}
    lost = sorted(unreached(heads))
    if lost:
        # The first in the order of texts, as udtools has it: 10 before 9.
        number = next(number for number, cells in nodes if cells[0] == lost[0])
        message = f"no way leads from the root of the enhanced graph to {_listed(lost)}"
        found.append((number, "DEPS", "unconnected-egraph", message))
