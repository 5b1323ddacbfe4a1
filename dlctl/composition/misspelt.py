"""Keys and interpolations that are probably misspelt."""

import re
from collections.abc import Iterator
from typing import Any

from dlctl.composition import config_files
from dlctl.composition import faults as told
from dlctl.composition.compose import Composed
from dlctl.composition.keys import Keys, at, dotted, references, walk, word
from dlctl.errors import ConfigError

# $paths.x, $(paths.x) and {paths.x}, where ${paths.x} is meant.
_PLAIN = re.compile(r"\$\(?([a-zA-Z_]\w*(?:\.\w+)+)\)?|(?<!\$)\{([a-zA-Z_]\w*(?:\.\w+)+)\}")


def faults(composed: Composed, config: dict[str, Any], plain: dict[str, Any]) -> Iterator[ConfigError]:
    """Keys that resemble others, and text that names a key.

    Args:
        composed: the config.
        config: its values, resolved as far as possible.
        plain: its values, unresolved.
    """
    yield from _strays(composed, config, plain)
    for keys, value in walk(plain):
        for text, name in _pointers(keys, value):
            if at(plain, tuple(name.split("."))) is not None:
                message = f"'{dotted(keys)}' is the text '{text}', which points at nothing"
                right = f"${{{name}}}"
                yield told.blamed(composed, keys, message, "interpolation", told.meant([right]), [right])


def _pointers(keys: Keys, value: Any) -> Iterator[tuple[str, str]]:
    """What looks like an interpolation of a key and is none: as it is written, and the key."""
    if isinstance(value, str):
        yield from ((match[0], match[1] or match[2]) for match in _PLAIN.finditer(value))
    elif value is None and re.fullmatch(r"[a-zA-Z_]\w*(\.\w+)+", str(keys[-1])):
        # In YAML that is a mapping, of the name to nothing.
        yield f"{{{keys[-1]}}}", str(keys[-1])


def _strays(composed: Composed, config: dict[str, Any], plain: dict[str, Any]) -> Iterator[ConfigError]:
    """Keys that one file adds beside a key of another that it was probably meant to change."""
    pointed = [
        each for keys, value in walk(plain) if isinstance(value, str) for each in references(keys, value)
    ]
    for group in ("callbacks", "logger"):
        part: Any = config.get(group)
        for name, node in part.items() if isinstance(part, dict) else ():
            if isinstance(node, dict) and "_target_" not in node:
                yield from _unbuilt(composed, (group, name), [other for other in part if other != name])
            elif isinstance(node, bool | str) and name in composed.project.options(group):
                message = f"'{group}.{name}' is '{word(node)}', and builds nothing"
                hint = f"to choose an option, in the defaults list: - override /{group}: {name}"
                yield told.blamed(composed, (group, name), message, "value", hint)
            elif (
                isinstance(node, bool | int | float | str)
                and "_target_" not in part
                and not any(what == (group, name) for _, what in pointed)
            ):
                message = f"'{group}.{name}' is '{word(node)}', and builds nothing"
                hint = "a node of this group is a section with a _target_"
                yield told.blamed(composed, (group, name), message, "key", hint)
    for keys, section in _sections(config, ()):
        yield from _typos(composed, keys, section)


def _unbuilt(composed: Composed, keys: Keys, beside: list[str]) -> Iterator[ConfigError]:
    """A callback or logger of which nothing is built, unless another option gives it its target.

    Experiments may say how a logger is to be, should it be chosen.
    """
    group, name = map(str, keys)
    options = composed.project.options(group)
    contents = map(config_files.values, options.values()) if name not in options else ()
    if name in options or any(
        isinstance(at(each, (name,)), dict) and "_target_" in each[name] for each in contents
    ):
        return
    close = told.close(name, beside)
    hint = told.meant(close) or "say what is to be built: _target_: package.module.Class"
    yield told.blamed(composed, keys, f"'{group}.{name}' has no _target_", "key", hint, close)


def _sections(config: dict[str, Any], keys: Keys) -> Iterator[tuple[Keys, dict[str, Any]]]:
    """The sections that nothing but the config itself gives names to."""
    if "_target_" in config or keys in (("callbacks",), ("logger",)):
        return
    yield keys, config
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _sections(value, (*keys, key))


def _typos(composed: Composed, keys: Keys, section: dict[str, Any]) -> Iterator[ConfigError]:
    """Keys that an experiment or the like adds, and that resemble one that was there before."""
    if len(section) > 200:
        return
    for name, value in section.items():
        # Names that are told apart by a number are meant to be alike.
        stem = re.sub(r"\d", "", str(name))
        others = [
            str(other)
            for other, theirs in section.items()
            if re.sub(r"\d", "", str(other)) != stem and isinstance(theirs, dict) == isinstance(value, dict)
        ]
        for other in told.close(str(name), others, cutoff=0.8)[:1]:
            if _is_younger(composed, (*keys, name), (*keys, other)):
                message = f"'{dotted((*keys, name))}' is a new key"
                yield told.blamed(composed, (*keys, name), message, "key", told.meant([other]), [other])


def _is_younger(composed: Composed, keys: Keys, other: Keys) -> bool:
    """Whether a config that lies over all others adds a key beside another one."""
    trail = composed.trail
    place, first = trail.first(keys), trail.first(other)
    if place is None or first is None or trail.rank(first) >= trail.rank(place):
        return False
    layer = next(layer for layer in trail.layers if layer.source == place.file)
    return not layer.package and layer is not trail.root
