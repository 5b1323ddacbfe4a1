"""Composition errors in the user's terms: what is wrong, where, and what would be right."""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, Node, OmegaConf
from omegaconf.basecontainer import BaseContainer
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    GrammarParseError,
    OmegaConfBaseException,
)

from dlctl.composition import preflight, registering, signatures
from dlctl.composition.keys import Keys, at, dotted, references, walk, word
from dlctl.composition.preflight import present
from dlctl.errors import ConfigError, DlctlError

if TYPE_CHECKING:
    from dlctl.composition.compose import Composed


def unparsable(text: str, error: Exception) -> ConfigError:
    """An override that Hydra's grammar does not accept."""
    key, _, value = text.partition("=")
    reason = first_line(error)
    hint = "write it as key=value, +key=value to add a key or ~key to remove one"
    if match := re.fullmatch(r"(.+)\[(\d+)\](.*)", key):
        hint = f"an item of a list: {match[1]}.{match[2]}{match[3]}={value}"
    elif value.startswith("~"):
        hint = f"no shell makes a home of ~ there: {key}=$HOME{value[1:]}"
    elif value.count("'") % 2 or value.count('"') % 2:
        hint = f"close the quotes; if the sign belongs to the value: {_quoted(key, value)}"
    elif any(value.count(one) != value.count(other) for one, other in ("[]", "{}", "()")):
        hint = "close the brackets, or quote the value if they belong to it"
    elif match := re.search(r"\b(interval|range)\(", value):
        hint = f"{match[1]} takes numbers: {key}={match[1]}(1,10)"
    elif any(sign in value for sign in "=#:{}()[] "):
        hint = f"quote the value, and the whole for the shell: {_quoted(key, value)}"
    said = "" if reason.startswith(("LexerNoViableAlt", "Error parsing override")) else f": {reason}"
    return ConfigError(f"cannot read the override '{text}'{said}", hint=hint, key=key)


def _quoted(key: str, value: str) -> str:
    """An override as it has to be typed for its value to be one text."""
    return shlex.quote('{}="{}"'.format(key, value.replace('"', '\\"')))


def sweep(text: str, item: Override) -> ConfigError:
    """Sweep syntax where one value is needed."""
    key, _, value = text.partition("=")
    hint = f"to search over it: dlctl sweep '{text}'"
    if "(" not in value:
        hint += f"\nfor a list: {key}=[{value}]"
    return ConfigError(
        f"'{text}' names several values, and one run takes one", hint=hint, key=item.key_or_group
    )


def bad_override(composed: "Composed", before: DictConfig, item: Override, error: Exception) -> DlctlError:
    """An override of a key that is not there, or of one that cannot take it."""
    key = item.key_or_group
    cause = error.__cause__ or error.__context__ or error
    if isinstance(cause, GrammarParseError):
        message = f"the interpolation in '{item.input_line}' cannot be read: {first_line(cause)}"
        return ConfigError(message, hint="an interpolation is written ${section.key}", key=key)
    if item.is_delete():
        there = dict(leaves(before))
        if "=" in (item.input_line or "") and key in there:
            message = f"'{item.input_line}' removes nothing: '{key}' is {word(there[key])}"
            return ConfigError(message, hint=f"to remove it whatever it is: ~{key}", key=key)
        return _unknown(composed, before, key, hint=None)
    if isinstance(cause, ConfigAttributeError | ConfigKeyError):
        if isinstance(item.value(), dict) and str(cause.full_key).startswith(f"{key}."):
            return _unknown(composed, before, str(cause.full_key), hint=None)
        line = (item.input_line or "").lstrip("+~")
        return _unknown(composed, before, key, hint=f"to add a new key: +{line}")
    if item.is_add():
        now = present(composed, key, OmegaConf.select(before, key))
        return ConfigError(
            f"'{key}' exists already ({now})",
            hint=f"to change it, leave out the +: {(item.input_line or '')[1:]}",
            key=key,
        )
    parent = key.rpartition(".")[0] or key
    hint = f"dlctl show-config --package {parent} shows what it is"
    return ConfigError(f"cannot set '{key}': {first_line(cause)}", hint=hint, key=key)


def _unknown(composed: "Composed", before: DictConfig, key: str, hint: str | None) -> ConfigError:
    """A key that is not there; adding it is advised where nothing is known against it."""
    parent, _, last = key.rpartition(".")
    target = preflight.target_of(before, parent)
    takes = signatures.signature(target) if target else None
    if takes and last in takes.names and hint:
        return ConfigError(f"'{key}' is not in the config yet; {target} takes it", hint=hint, key=key)
    if key.startswith("hydra."):
        near = [f"hydra.{each}" for each in _hydras(composed, key.removeprefix("hydra."))]
        return ConfigError(
            f"unknown key '{key}'",
            hint=meant(near) or "dlctl show-config --package hydra shows what there is",
            key=key,
            suggestions=near,
        )
    known = close_keys(before, key)
    lines = [f"did you mean '{name}' ({present(composed, name, value)})?" for name, value in known.items()]
    section = OmegaConf.select(before, parent, throw_on_resolution_failure=False) if parent else before
    refused = (takes and not takes.open) or not OmegaConf.is_dict(section)
    if not lines and hint and not (refused and section is not None):
        lines = [hint]
    if not lines and takes:
        lines = [f"{target} takes {', '.join(takes.names)}"]
    return ConfigError(
        f"unknown key '{key}'",
        hint="\n".join(lines) or "dlctl show-config shows what there is",
        key=key,
        suggestions=list(known),
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
    if not close:
        close = [name for name in known if name.endswith(f".{last}")][:most]
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
        if not any(other in failed for other in _named(plain, keys)):
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
        suggestions = _hydras(composed, match[1])
        text = f"Hydra has no '{match[1]}'"
        hint = meant([f"${{hydra:{each}}}" for each in suggestions]) or "dlctl show-config --package hydra"
    elif match := re.match(r"Interpolation key '(.+)' not found", text):
        suggestions = list(close_keys(composed.full, match[1]))
        text = f"there is no key '{match[1]}'"
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


def _hydras(composed: "Composed", key: str) -> list[str]:
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
    """The known names that somebody who wrote ``name`` may have meant."""
    return get_close_matches(name, list(known), n=2, cutoff=cutoff)


def first_line(error: BaseException) -> str:
    """The first line of an error's text; its type where it has none."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
