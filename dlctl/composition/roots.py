"""The keys at the root of a config: those that are read, what they take, and others that resemble them."""

import re
from collections.abc import Iterator
from typing import Any

from hydra.errors import HydraException
from omegaconf import OmegaConf

from dlctl.composition import faults as told
from dlctl.composition.compose import Composed
from dlctl.composition.defaults import place_of
from dlctl.composition.durations import parse_duration
from dlctl.composition.keys import references, walk
from dlctl.errors import ConfigError

# What is read at the root of the config of a training or an evaluation, and of a search.
_SECTIONS = ("data", "model", "callbacks", "logger", "trainer", "paths", "extras")
_SEARCH = (
    ("sampler", "pruner"),
    (
        *("experiment", "search", "trials", "jobs", "timeout", "trial_timeout", "direction", "keep_going"),
        *("storage", "study"),
    ),
)


def faults(composed: Composed, plain: dict[str, Any]) -> Iterator[ConfigError]:
    """Keys that nothing reads and that resemble one that is read, and values that nobody can read.

    Args:
        composed: the config.
        plain: its values, unresolved.
    """
    if composed.name == "sweep":
        yield from _misspelt(composed, plain, *_SEARCH)
        yield from lacking(composed)
        yield from _durations(composed, plain)
    elif composed.name in ("train", "eval") or {"model", "trainer"} & plain.keys():
        # The primary configs of a project's own scripts have what they build in common with ours.
        yield from _misspelt(composed, plain, _SECTIONS, told.ROOTS)
    if composed.name in ("train", "eval") and "pipeline" not in plain:
        yield from _values(composed, plain)


def lacking(composed: Composed) -> Iterator[ConfigError]:
    """What the config of a search needs and does not choose."""
    for part in _SEARCH[0]:
        if not OmegaConf.is_dict(composed.full.get(part)):
            file = composed.project.options("").get(composed.name)
            yield ConfigError(
                f"the config of a search chooses no {part}",
                hint=f"add to its defaults list: - {part}: OPTION (dlctl list {part})",
                key=part,
                place=place_of(file) if file else None,
                topic="section",
            )


def _durations(composed: Composed, plain: dict[str, Any]) -> Iterator[ConfigError]:
    """Limits of time that are no durations."""
    for name in ("timeout", "trial_timeout"):
        value = plain.get(name)
        if value is None or "${" in str(value) or value == "???":
            continue
        try:
            parse_duration(value)
        except ValueError as error:
            yield told.blamed(composed, (name,), f"{error}", "value", f"{name}: 2h, 90m, 1h30m or 45s")


def _misspelt(
    composed: Composed, plain: dict[str, Any], sections: tuple[str, ...], values: tuple[str, ...]
) -> Iterator[ConfigError]:
    for name, value in plain.items():
        section = isinstance(value, dict)
        # Beside a value that is there another may well be called nearly the same.
        absent = [each for each in (*values, *sections) if each not in plain]
        known = sections if section else absent
        close = told.close(str(name), known, cutoff=0.75)[:1] if name not in (*sections, *values) else []
        if close and _is_whole(composed, str(name)) and not _is_used(composed, str(name), plain):
            message = f"'{name}' is read by nothing"
            yield told.blamed(composed, (name,), message, "key", told.meant(close), close)


def _is_whole(composed: Composed, name: str) -> bool:
    """Whether the primary config brings a key, or one that is about all of it, such as an experiment."""
    try:
        first = composed.trail.first((name,))
        layers = composed.trail.layers
    except (HydraException, ValueError):
        return False
    return any(first is not None and layer.source == first.file and not layer.package for layer in layers)


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


def _values(composed: Composed, plain: dict[str, Any]) -> Iterator[ConfigError]:
    """Switches that are words, which Python takes for true, and seeds that are no whole numbers."""
    for name in ("train", "test"):
        value = plain.get(name)
        if isinstance(value, str) and "${" not in value and value != "???":
            close = told.close(value.lower(), ("true", "false", "yes", "no", "on", "off"), cutoff=0.5)
            right = ["false" if each in ("false", "no", "off") else "true" for each in close[:1]]
            message = f"'{value}' is a word, and '{name}' takes true or false"
            sure = close[:1] == [value.lower()]
            hint = f"{'without quotes' if sure else 'did you mean'}: {name}: {right[0]}" if right else None
            hint = hint or f"write {name}: true or {name}: false"
            yield told.blamed(composed, (name,), message, "value", hint, right)
    seed = plain.get("seed")
    pointing = isinstance(seed, str) and ("${" in seed or seed == "???")
    if seed is not None and not pointing and (isinstance(seed, bool) or not isinstance(seed, int)):
        number = str(seed).removesuffix(".0")
        hint = f"without quotes: seed: {number}" if number.isdigit() else "a whole number: seed: 1"
        message = f"the seed is '{seed}', and must be a whole number"
        yield told.blamed(composed, ("seed",), message, "value", hint)
