"""Composition errors in the user's terms: what is wrong, where, and what would be right."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, Node, OmegaConf
from omegaconf.basecontainer import BaseContainer
from omegaconf.errors import (
    GrammarParseError,
    OmegaConfBaseException,
)

from dlctl.composition import registering
from dlctl.composition.keys import Keys, at, dotted, references, walk, word
from dlctl.errors import ConfigError, DlctlError, first_line

if TYPE_CHECKING:
    from dlctl.composition.compose import Composed


# What every config of a run has at its root.
ROOTS = (
    "task_name",
    "tags",
    "train",
    "test",
    "ckpt_path",
    "weights_path",
    "weights_partial",
    "seed",
    "optimized_metric",
)


def close_keys(config: DictConfig, key: str, most: int = 2) -> dict[str, object]:
    """The keys that somebody who wrote ``key`` may have meant, with their values."""
    known = dict(leaves(config))
    parent, _, last = key.rpartition(".")
    beside = [name for name in known if name.rpartition(".")[0] == parent]
    named = {name.rpartition(".")[2]: name for name in beside}
    close = [named[name] for name in get_close_matches(last, named, n=most, cutoff=0.6)]
    if not close:
        close = get_close_matches(key, known, n=most, cutoff=0.7)
    if not close and (not parent or parent.partition(".")[0] in config):
        close = [name for name in known if name.endswith(f".{last}")][:most]
    elif not close:
        # Of a key in a section that is nowhere the end alone tells little: nowhere.name.
        close = [name for name in known if name.endswith(f".{key}")][:most]
    return {name: known[name] for name in close}


def leaves(config: DictConfig, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Every key of a config with its value, Hydra's own settings apart."""
    for name in config:
        node = config._get_node(name, validate_access=False)
        key = f"{prefix}{word(name)}"
        if key == "hydra" or not isinstance(node, Node):
            continue
        if isinstance(node, DictConfig) and not node._is_none() and not node._is_interpolation():
            yield key, node
            yield from leaves(node, f"{key}.")
        else:
            value = node._value()
            yield key, value if not isinstance(value, list) else OmegaConf.to_container(node)


def missing(composed: "Composed", key: str) -> ConfigError:
    """A value that the config leaves to the user (``???``)."""
    return ConfigError(
        f"'{key}' has no value",
        hint=f"give one: {key}=VALUE",
        key=key,
        place=composed.blame(key),
        topic="missing",
    )


def unresolvable(
    composed: "Composed", config: DictConfig, error: Exception, elsewhere: Keys = ()
) -> list[DlctlError]:
    """The interpolations that lead nowhere, in a circle, or to an unset environment variable.

    Of values that fail only because another one does, the other one is told.

    Args:
        composed: tells where things were set.
        config: its values.
        error: what was raised.
        elsewhere: the value that raised it, if that is none of the config's.
    """
    plain: Any = OmegaConf.to_container(config, resolve=False)
    failed: dict[Keys, Exception] = {}
    for keys, value in walk(plain):
        try:
            if isinstance(value, str) and "${" in value:
                registering.retried(composed.project, partial(resolve, config, keys))
        except (OmegaConfBaseException, ValueError, RecursionError) as reason:
            failed[keys] = reason
    found: list[DlctlError] = []
    for keys, why in failed.items():
        above = (other[:count] for other in _named(plain, keys) for count in range(1, len(other) + 1))
        if not any(other in failed for other in above):
            found.append(unresolved(composed, keys, why))
    for circle in _circles(plain, failed):
        last = max(circle, key=lambda keys: _age(composed, keys))
        way = " -> ".join(map(dotted, [*circle, circle[0]]))
        found.append(unresolved(composed, last, failed[last], f"it leads in a circle: {way}"))
    if match := re.search(r"Missing mandatory value: (\S+)", str(error)):
        found = [*found, missing(composed, match[1])]
    return found or [unresolved(composed, elsewhere, error)]


def resolve(config: DictConfig, keys: Keys) -> None:
    """Resolve one value; what it comes to is of no interest."""
    node: Any = config
    for key in keys[:-1]:
        node = node._get_node(key)
    node[keys[-1]]


def _named(plain: Any, keys: Keys) -> list[Keys]:
    """The other values that the interpolations of a value name."""
    return [what for _, what in references(keys, str(at(plain, keys))) if isinstance(what, tuple)]


def _circles(plain: Any, failed: Mapping[Keys, Exception]) -> list[list[Keys]]:
    """Values that point at one another, each circle once."""
    circles: list[list[Keys]] = []
    for start in failed:
        way, keys = [start], start
        while True:
            onward = next((other for other in _named(plain, keys) if other in failed), None)
            if onward is None or onward in way:
                break
            way.append(onward)
            keys = onward
        if onward == start and not any(start in circle for circle in circles):
            circles.append(way)
    return circles


def _age(composed: "Composed", keys: Keys) -> tuple[int, int]:
    """What was set later is larger."""
    place = composed.place(keys)
    return (composed.trail.rank(place), place.line) if place else (-1, 0)


def unresolved(composed: "Composed", keys: Keys, error: Exception, reason: str | None = None) -> ConfigError:
    """A value whose interpolation fails, in the user's terms."""
    key, suggestions = dotted(keys), []
    text = reason or re.sub(r"^\w+ raised while resolving interpolation: ", "", first_line(error))
    hint = f"give it a value: {'.'.join(map(word, keys))}=VALUE"
    if match := re.search(r"Environment variable '(.+)' not found", text):
        text = f"the environment variable {match[1]} is not set"
        hint = f"set it, here or in .env, or give a default: ${{oc.env:{match[1]},VALUE}}"
    elif match := re.search(r"Interpolation key 'hydra:(.+)' not found", text):
        suggestions = hydras(composed, match[1])
        text = f"Hydra has no '{match[1]}'"
        hint = meant([f"${{hydra:{each}}}" for each in suggestions]) or "dlctl show-config --package hydra"
    elif match := re.match(r"Interpolation key '(.+)' not found", text):
        # Neither itself, nor a misspelt name of what dlctl reads under its own.
        suggestions = [each for each in close_keys(composed.full, match[1]) if each != key]
        suggestions = [] if match[1] in ROOTS else suggestions
        text = f"there is no key '{match[1]}'"
        hint = f"give it a value: {match[1]}: VALUE" if match[1] in ROOTS else hint
        hint = meant([f"${{{each}}}" for each in suggestions]) or hint
    elif match := re.match(r"Unsupported interpolation type (.+)", text):
        known = [name for name in BaseContainer._resolvers if name != "hydra"]
        suggestions = close(match[1], known)
        text = f"there is no resolver '{match[1]}'"
        there = meant(suggestions) or f"there are {', '.join(known)}"
        hint = registering.reason(composed.project, match[1]) or there
    elif isinstance(error, GrammarParseError):
        text, hint = f"it cannot be read: {text}", "an interpolation is written ${section.key}"
    message = f"'{key}' cannot be resolved: {text}"
    return blamed(composed, keys, message, "interpolation", hint, suggestions)


def hydras(composed: "Composed", key: str) -> list[str]:
    """Hydra's own settings that somebody who wrote ``key`` may have meant."""
    hydra: Any = OmegaConf.to_container(composed.full.hydra, resolve=False)
    return close(key, [dotted(keys) for keys, _ in walk(hydra, lists=False)])


def blamed(
    composed: "Composed",
    keys: Keys,
    message: str,
    topic: str,
    hint: str | None = None,
    suggestions: Sequence[str] = (),
) -> ConfigError:
    """A fault of the line that gave a key its value."""
    key, place = dotted(keys), composed.blame(keys)
    return ConfigError(message, hint=hint, key=key, suggestions=suggestions, place=place, topic=topic)


def meant(names: Sequence[str]) -> str | None:
    """The question whether one of some names was meant; None without names."""
    return f"did you mean {' or '.join(names)}?" if names else None


def close(name: str, known: Iterable[str], cutoff: float = 0.6) -> list[str]:
    """The known names that somebody who wrote ``name`` may have meant, whatever their case."""
    names = list(known)
    found = get_close_matches(name, names, n=2, cutoff=cutoff)
    lower = {each.lower(): each for each in names}
    return found or [lower[each] for each in get_close_matches(name.lower(), lower, n=2, cutoff=cutoff)]
