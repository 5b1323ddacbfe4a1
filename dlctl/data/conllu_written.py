"""Values as the text of cells; what no reader would read as it is cannot be written."""

import re
from collections.abc import Callable
from typing import Any

from dlctl.data.conllu_cells import (
    FEATURE,
    NUMBER,
    Deps,
    Feats,
    Misc,
    dependency_order,
    read_deps,
    read_feats,
    read_head,
    read_id,
    read_misc,
)

_HEAD = re.compile(rf"0|{NUMBER}")
_DEPENDENCY = re.compile(rf"(?:0|{NUMBER}|(?:0|{NUMBER})\.{NUMBER}):[^|]+")


def blank_line(before: bytes) -> bytes:
    """What must stand between two sentences, where the first was the last of a file that ended too soon.

    A line of blanks is blank too, and all ends of lines end one: what was read is written as it was.
    """
    if before.endswith(b"\n\n"):
        return b""
    last = before.splitlines(keepends=True)[-1]
    return b"\n" * (2 - last.endswith((b"\n", b"\r")) - is_blank(last))


def is_blank(raw: bytes) -> bool:
    """Whether a line has nothing but blanks, of which Unicode has many."""
    return not raw.strip() or (not raw.isascii() and not raw.decode(errors="replace").strip())


def feats_text(feats: Feats) -> str:
    """Features as they are written: sorted by name whatever its case.

    Raises:
        ValueError: one that no reader would read as it is.
    """
    items = [(feats[name], f"{name}={feats[name]}") for name in sorted(feats, key=str.lower)]
    return "|".join(_if(_fit(of) and FEATURE.fullmatch(item), item, "FEATS") for of, item in items) or "_"


def deps_text(deps: Deps) -> str:
    """Enhanced dependencies as they are written: sorted by head, then by relation.

    Raises:
        ValueError: one that no reader would read as it is.
    """
    items = [f"{head}:{relation}" for head, relation in sorted(deps, key=dependency_order)]
    return "|".join(_if(_DEPENDENCY.fullmatch(item), item, "DEPS") for item in items) or "_"


def misc_text(misc: Misc) -> str:
    """Items of MISC as they are written, in the order they have.

    Raises:
        ValueError: one that no reader would read as it is.
    """
    items = [
        _if(
            "=" not in key and "|" not in f"{key}{each}" and (each is None or _fit(each)),
            key if each is None else f"{key}={each}",
            "MISC",
        )
        for key, value in misc.items()
        for each in (value if value and isinstance(value, list) else [value])
    ]
    return _if(items != ["_"], "|".join(items) if items else "_", "MISC")


def head_text(head: int | None) -> str:
    """A head as it is written.

    Raises:
        ValueError: no id of a word, nor 0.
    """
    return "_" if head is None else _if(_HEAD.fullmatch(str(head)), str(head), "HEAD")


def _fit(value: object) -> bool:
    """Whether a value is its text: a number is taken for one, what is nothing is not."""
    return isinstance(value, str | int)


def _if(fits: object, text: str, column: str) -> str:
    if not fits:
        raise ValueError(f"{text!r} cannot stand in {column}")
    return text


# Column -> how its cells are read and written; those of the other columns stay text.
TYPED: dict[str, tuple[Callable[[str], Any], Callable[[Any], str]]] = {
    "ID": (read_id, str),
    "FEATS": (read_feats, feats_text),
    "HEAD": (read_head, head_text),
    "DEPS": (read_deps, deps_text),
    "MISC": (read_misc, misc_text),
}
