"""Keys and interpolations that are probably misspelt."""

import re
from collections.abc import Iterator
from typing import Any

from hydra.errors import HydraException
from omegaconf import OmegaConf

from dlctl.composition import faults as told
from dlctl.composition.compose import Composed
from dlctl.composition.keys import Keys, at, dotted, references, walk
from dlctl.errors import ConfigError

# What is read at the root of the config of a training or an evaluation.
_SECTIONS = ("data", "model", "callbacks", "logger", "trainer", "paths", "extras")
_VALUES = ("task_name", "tags", "train", "test", "ckpt_path", "seed", "optimized_metric")
# $paths.x, $(paths.x) and {paths.x}, where ${paths.x} is meant.
_PLAIN = re.compile(r"\$\(?([a-zA-Z_]\w*(?:\.\w+)+)\)?|(?<!\$)\{([a-zA-Z_]\w*(?:\.\w+)+)\}")


def faults(composed: Composed, config: dict[str, Any]) -> Iterator[ConfigError]:
    """Keys that resemble others or one that is read, and text that names a key.

    Args:
        composed: the config.
        config: its values, resolved as far as possible.
    """
    yield from _strays(composed, config)
    plain: Any = OmegaConf.to_container(composed.config, resolve=False)
    if composed.name in ("train", "eval"):
        yield from _roots(composed, plain)
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


def _roots(composed: Composed, plain: dict[str, Any]) -> Iterator[ConfigError]:
    for name, value in plain.items():
        section = isinstance(value, dict)
        # Beside a value that is there another may well be called nearly the same.
        known = _SECTIONS if section else [each for each in _VALUES if each not in plain]
        close = told.close(str(name), known, cutoff=0.8)[:1] if name not in (*_SECTIONS, *_VALUES) else []
        if close and _is_primarys(composed, str(name)) and not _is_used(composed, str(name), plain):
            message = f"'{name}' is read by nothing"
            yield told.blamed(composed, (name,), message, "key", told.meant(close), close)


def _is_primarys(composed: Composed, name: str) -> bool:
    """Whether the primary config itself brings a key; those of others are compared with what they add to."""
    try:
        root, first = composed.trail.root, composed.trail.first((name,))
    except (HydraException, ValueError):
        return False
    return first is not None and first.file == root.file


def _is_used(composed: Composed, name: str, plain: dict[str, Any]) -> bool:
    """Whether the config or the project's own code names a key."""
    for keys, value in walk(plain):
        pointing = references(keys, value) if isinstance(value, str) else ()
        if any(isinstance(what, tuple) and what[:1] == (name,) for _, what in pointing):
            return True
    # Only what may be code of the project: not its data, nor an environment within its folder.
    root = composed.project.root
    folders = [each.parent for each in root.glob("*/__init__.py")] + [root / "src"]
    files = [*root.glob("*.py"), *(file for folder in folders for file in folder.rglob("*.py"))]
    word = re.compile(rf"\b{re.escape(name)}\b")
    return any(word.search(file.read_text(errors="replace")) for file in files if file.is_file())


def _strays(composed: Composed, config: dict[str, Any]) -> Iterator[ConfigError]:
    """Keys that one file adds beside a key of another that it was probably meant to change."""
    for group in ("callbacks", "logger"):
        part: Any = config.get(group)
        for name, node in part.items() if isinstance(part, dict) else ():
            if not isinstance(node, dict) or "_target_" in node or name in composed.project.options(group):
                # Experiments may say how a logger is to be, should it be chosen.
                continue
            if close := told.close(name, [other for other in part if other != name]):
                keys: Keys = (group, name)
                message = f"'{group}.{name}' has no _target_"
                yield told.blamed(composed, keys, message, "key", told.meant(close), close)
    for keys, section in _sections(config, ()):
        yield from _typos(composed, keys, section)


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
    layer = next(layer for layer in trail.layers if layer.file == place.file)
    return not layer.package and layer is not trail.root
