"""Resolvers that a project registers in its own code, found in source."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from dlctl.composition.keys import references, walk
from dlctl.composition.store_calls import own_folder
from dlctl.project import Place, Project

if TYPE_CHECKING:
    from dlctl.composition.compose import Composed

_REGISTERED = re.compile(r"""register_(?:new_)?resolver\(\s*(?:name\s*=\s*)?["']([^"']+)["']""")
_BUILT_IN = ("oc.", "hydra", "now")


def registered(project: Project) -> dict[str, Place]:
    """The names of resolvers, and where the code of a project registers each."""
    found: dict[str, Place] = {}
    for file in _sources(project.root) if project.found else ():
        text = file.read_text(encoding="utf-8", errors="replace")
        for match in _REGISTERED.finditer(text) if "resolver" in text else ():
            found.setdefault(match[1], Place(file, text[: match.start()].count("\n") + 1))
    return found


def notes(composed: "Composed") -> list[str]:
    """What a config leaves to resolvers of the project, each named once."""
    used: set[str] = set()
    for keys, value in walk(composed.plain()):
        if isinstance(value, str) and "${" in value:
            used |= {name for name, _ in references(keys, value)}
    used = {name for name in used if not name.startswith(_BUILT_IN) and OmegaConf.has_resolver(name)}
    found = registered(composed.project) if used else {}
    return [f"the resolver '{name}' is of {found[name]}" for name in sorted(used & {*found})]


def _sources(folder: Path) -> Iterator[Path]:
    """The Python files of a project, those of its virtual environments and runs apart."""
    for item in sorted(folder.iterdir()):
        if item.is_file() and item.suffix == ".py":
            yield item
        elif item.is_dir() and not item.is_symlink() and own_folder(item):
            yield from _sources(item)
