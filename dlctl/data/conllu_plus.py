"""CoNLL-U Plus for the rules: treebanks whose first line names their columns."""

import re
from collections.abc import Sequence

from dlctl.data.conllu_cells import COLUMNS, Id, Span
from dlctl.data.conllu_level1 import Found
from dlctl.data.conllu_reading import NO_NAMES

_MORE = re.compile(r"[A-Z0-9_-]+(?::[A-Z0-9_-]+)+")
# What breaks no rule stands in for a column that a treebank does not have.
_INSTEAD = {"UPOS": "X", "DEPREL": "dep", "DEPS": "0:root"}


def check_names(names: Sequence[str]) -> list[Found]:
    """What is wrong with the names of the columns, in the first line."""
    found: list[Found] = []
    if not names:
        found.append((1, None, "global-columns", NO_NAMES))
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            found.append((1, name, "global-columns", f"the column {name} is named twice"))
        elif name not in COLUMNS and _MORE.fullmatch(name) is None:
            message = f"expected a column of CoNLL-U or NAMESPACE:NAME in capitals, found {name!r}"
            found.append((1, name, "global-columns", message))
    return found


def ten_cells(rows: Sequence[Sequence[str]], names: Sequence[str], ids: Sequence[Id]) -> list[list[str]]:
    """Rows with the ten columns of CoNLL-U; what is marked as known to be empty is just empty."""
    at = {name: names.index(name) for name in COLUMNS if name in names}
    table = []
    for id_, row in zip(ids, rows, strict=True):
        cells = [row[at[name]] if name in at else _instead(name, id_) for name in COLUMNS]
        # In the first three, * is a text like any other.
        table.append(cells[:3] + ["_" if cell == "*" else cell for cell in cells[3:]])
    return table


def _instead(name: str, id_: Id) -> str:
    if isinstance(id_, Span):
        return "_"
    if name == "DEPS" or isinstance(id_, int):
        return ("0" if id_ == 1 else "1") if name == "HEAD" else _INSTEAD.get(name, "_")
    return "_"
