"""The words a composed config understands: its keys, what could be added to it, and values that fit.

What reads source code is imported where it is asked: the keys that are there need none of it.
"""

import re
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from dlctl import redact
from dlctl.composition.keys import word as written

# A word, and what to say about it.
Word = tuple[str, str]
# What neither a shell nor Hydra's grammar would take for something else.
_PLAIN = re.compile(r"[\w./+:%-]+")


def keys(config: DictConfig, sign: str, typed: str) -> Iterator[Word]:
    """The keys on the level of the one that is being typed, with ``.`` or ``=`` behind, and their values.

    Args:
        config: composed, not resolved.
        sign: ``+`` for what is not there yet, ``++`` for both, ``~`` for what can be removed, or nothing.
        typed: the key as far as it is typed, ``trainer.max``.
    """
    section, dot, last = typed.rpartition(".")
    parent = _section(config, section)
    if parent is None:
        return
    for name in map(str, parent):
        # _target_, _partial_ and Hydra's own settings are for those who ask for them.
        if (name.startswith("_") and not last) or (name == "hydra" and not typed):
            continue
        node, key = _raw(parent, name), f"{section}{dot}{name}"
        inner = isinstance(node, DictConfig) and not (node._is_none() or node._is_interpolation())
        if inner:
            yield f"{key}.", ""
        # Whole parts of the config are removed as the groups that brought them: ~callbacks.
        if sign == "~" and (dot or not inner):
            yield key, word(node) or ""
        elif not inner and sign in ("", "++"):
            yield f"{key}=", word(node) or ""
    if sign.startswith("+"):
        yield from ((f"{section}{dot}{name}=", "") for name in _arguments(parent) if name not in parent)


def values(config: DictConfig, key: str) -> Iterator[Word]:
    """The values that are known to fit a key: its own, true and false, words that its annotation lists."""
    from dlctl.composition import preflight

    section, _, name = key.rpartition(".")
    parent = _section(config, section)
    current = word(_raw(parent, name)) if parent is not None else None
    wanted = preflight.expected(config, key)
    # An annotation that takes true and not 7 is no number: it is a switch, perhaps among other things.
    switch = wanted is not None and wanted.accepts(True) and not wanted.accepts(7)
    found = ["true", "false"] if switch or current in ("true", "false") else []
    found += [text for text in wanted.literals() if _PLAIN.fullmatch(text)] if wanted else []
    for text in dict.fromkeys([*([current] if current else []), *found]):
        yield text, "as it is" if text == current else ""


def word(node: Any) -> str | None:
    """A node as it is written in an override; None where it would have to be quoted or is a secret."""
    value = node._value() if node is not None else {}
    if isinstance(value, list):
        items = [word(item) for item in value]
        return None if None in items else f"[{','.join(map(str, items))}]"
    text = "" if isinstance(value, dict) else written(value)
    return text if _PLAIN.fullmatch(text) and redact.text(text) == text else None


def _section(config: DictConfig, key: str) -> DictConfig | None:
    found = OmegaConf.select(config, key, throw_on_resolution_failure=False) if key else config
    return found if isinstance(found, DictConfig) else None


def _raw(config: DictConfig, name: str) -> Any:
    """A node with its interpolation, if it is one; None where there is no such node."""
    return config._get_node(name, validate_access=False)


def _arguments(section: DictConfig) -> Iterator[str]:
    """What the ``_target_`` of a section takes, as its source says."""
    from dlctl.composition.signatures import signature

    target = _raw(section, "_target_")
    if target is not None and (found := signature(str(target._value()))):
        yield from found.names
