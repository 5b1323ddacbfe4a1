"""Sections that a file replaces by something else: by nothing, a word or a list.

Hydra takes a section that nothing is indented below for null, which removes it without a word.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from dlctl.composition import config_files
from dlctl.composition.compose import Composed
from dlctl.composition.keys import Keys, dotted, walk
from dlctl.composition.overrides import line_of
from dlctl.composition.provenance import Layer, Trail
from dlctl.errors import ConfigError
from dlctl.project import Place, Project

_SECTION, _LIST, _EMPTY, _WORD = "a section", "a list", "empty", "a word"
# lin1_size:64, where a space is missing, but not https://...; and size = 3.
_UNSPACED = re.compile(r"([A-Za-z_]\w*)(?::(?=[^\s/:])|\s*=\s*)([^:=]+)")


class Said(NamedTuple):
    """What a file says of a key."""

    kind: str
    place: Place
    value: str


def faults(composed: Composed, plain: dict[str, Any]) -> Iterator[ConfigError]:
    """Sections that are empty or a word by mistake.

    Args:
        composed: the config.
        plain: its values, unresolved.
    """
    empty, groups = _empty(composed.project), composed.choices
    for keys, value in walk(plain, lists=False):
        group = len(keys) == 1 and keys[0] in groups
        word = isinstance(value, str) and "${" not in value and (group or _UNSPACED.fullmatch(value))
        if (word or (value is None and keys[-1] in empty)) and composed.blame(keys) is not None:
            yield from _replaced(composed, keys)


def _replaced(composed: Composed, keys: Keys) -> Iterator[ConfigError]:
    """A section whose last word on itself is that it is none."""
    said = list(_said(composed.trail.layers, keys))
    if not said or said[-1].kind not in (_EMPTY, _WORD) or said[-1].place != composed.blame(keys):
        return
    if not any(each.kind == _SECTION for each in said[:-1]):
        return
    key, (kind, place, value) = dotted(keys), said[-1]
    message = f"'{key}' is empty here, which removes the whole section"
    hint = f"indent what belongs below it; if it is to be removed: {keys[-1]}: null"
    if kind == _WORD:
        message, hint = (
            f"'{key}' is a section, and here the word '{value}'",
            "its values go below it, indented",
        )
        if match := _UNSPACED.fullmatch(value):
            hint = f"a colon and a space belong between them: {match[1]}: {match[2]}"
        elif value in composed.project.options(key):
            hint = f"to choose an option, in the defaults list: - override /{key}: {value}"
    yield ConfigError(message, hint=hint, key=key, place=place, topic="value")


def clashes(project: Project, name: str, choices: Sequence[Override]) -> list[ConfigError]:
    """The lists that stand where other files have a section, and the reverse: Hydra joins none of them.

    Args:
        project: whose configs were to be composed.
        name: the primary config.
        choices: the group choices of the command line.
    """
    try:
        layers = Trail(project, name, [line_of(item) for item in choices]).layers
    except (HydraException, ValueError):
        return []
    found: dict[Place, ConfigError] = {}
    for layer in layers:
        for keys in _all(layer):
            kinds = [each for each in _said(layers, keys) if each.kind in (_SECTION, _LIST)]
            for before, after in pairwise(kinds):
                if before.kind != after.kind:
                    message = f"'{dotted(keys)}' is {before.kind} ({before.place}), and here {after.kind}"
                    section = before.kind == _SECTION
                    hint = (
                        "its values go below it, without dashes"
                        if section
                        else "its items go in brackets: [a, b]"
                    )
                    place = after.place
                    found.setdefault(
                        place, ConfigError(message, hint=hint, key=dotted(keys), place=place, topic="value")
                    )
    return list(found.values())


def _said(layers: Sequence[Layer], keys: Keys) -> Iterator[Said]:
    """What each file says of a key itself."""
    for layer in layers:
        count = len(layer.package)
        if layer.file is None or keys[:count] != layer.package[: len(keys)]:
            continue
        if len(keys) <= count:
            yield Said(_SECTION, Place(layer.file, 1), "")
            continue
        found = config_files.find(config_files.nodes(layer.file), keys[count:])
        if found and found[0] == len(keys) - count:
            yield Said(_kind(found[2]), Place(layer.file, found[1]), str(found[2].value))


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return _SECTION
    if isinstance(node, yaml.SequenceNode):
        return _LIST
    plain = isinstance(node, yaml.ScalarNode) and not node.style
    return _EMPTY if plain and node.value == "" else _WORD


def _all(layer: Layer) -> Iterator[Keys]:
    """The lists of a file and whatever holds others: the ways down to them."""
    content = config_files.values(layer.file) if layer.file else None
    waiting: list[tuple[Keys, Any]] = [(layer.package, content)]
    while waiting:
        keys, value = waiting.pop()
        for key, inner in value.items() if isinstance(value, dict) else ():
            if isinstance(inner, dict | list) and (*keys, key) != ("defaults",):
                yield (*keys, key)
                waiting.append(((*keys, key), inner))


def _empty(project: Project) -> frozenset[str]:
    """The names of the keys that a file of the project leaves empty."""
    files = project.configs.rglob("*.yaml") if project.configs else ()
    return frozenset().union(*(_empty_of(file, file.stat().st_mtime_ns) for file in files if file.is_file()))


@lru_cache(maxsize=1024)
def _empty_of(file: Path, _: int) -> frozenset[str]:
    def look(node: yaml.Node | None) -> Iterator[str]:
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(value, yaml.ScalarNode) and _kind(value) == _EMPTY:
                yield str(key.value)
            yield from look(value)

    return frozenset(look(config_files.nodes(file)))
