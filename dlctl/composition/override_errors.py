"""Overrides that cannot be read or applied, in the user's terms."""

import re
import shlex
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, GrammarParseError

from dlctl.composition import preflight, signatures
from dlctl.composition.faults import close, close_keys, hydras, leaves, meant
from dlctl.composition.keys import word
from dlctl.composition.preflight import present
from dlctl.errors import ConfigError, DlctlError, first_line

if TYPE_CHECKING:
    from dlctl.composition.compose import Composed


def unparsable(text: str, error: Exception) -> ConfigError:
    """An override that Hydra's grammar does not accept."""
    key, _, value = text.partition("=")
    reason = first_line(error)
    hint = "write it as key=value, +key=value to add a key or ~key to remove one"
    if match := re.fullmatch(r"(.+)\[(\d+)\](.*)", key):
        hint = f"an item of a list: {match[1]}.{match[2]}{match[3]}={value}"
    elif not key.isascii():
        hint = "the command line takes keys of ASCII letters only: set it in a config file"
    elif value.startswith("~"):
        hint = f"no shell makes a home of ~ there: {key}=$HOME{value[1:]}"
    elif value.count("'") % 2 or value.count('"') % 2:
        hint = f"close the quotes; if the sign belongs to the value: {_quoted(key, value)}"
    elif any(value.count(one) != value.count(other) for one, other in ("[]", "{}", "()")):
        hint = "close the brackets, or quote the value if they belong to it"
    elif match := re.search(r"\b(interval|range)\(", value):
        hint = f"{match[1]} takes numbers: {key}={match[1]}(1,10)"
    elif not value.isascii() and value.startswith(("[", "{")):
        hint = f"quote what is not ASCII, and the whole for the shell: {_quoted_inside(key, value)}"
    elif any(sign in value for sign in "=#:{}()[] ") or not value.isascii():
        hint = f"quote the value, and the whole for the shell: {_quoted(key, value)}"
    said = "" if reason.startswith(("LexerNoViableAlt", "Error parsing override")) else f": {reason}"
    return ConfigError(f"cannot read the override '{text}'{said}", hint=hint, key=key)


def _quoted(key: str, value: str) -> str:
    """An override as it has to be typed for its value to be one text."""
    return shlex.quote('{}="{}"'.format(key, value.replace('"', '\\"')))


def _quoted_inside(key: str, value: str) -> str:
    """An override of a list or section as it has to be typed, with quotes around what is not ASCII."""
    quoted = re.sub(r"""[^\s,:"'\[\]{}]*[^\x00-\x7f][^\s,:"'\[\]{}]*""", r'"\g<0>"', value)
    return shlex.quote(f"{key}={quoted}")


def sweep(text: str, item: Override) -> ConfigError:
    """Sweep syntax where one value is needed."""
    key, _, value = text.partition("=")
    hint = f"to search over it: dlctl sweep {shlex.quote(text)}"
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
    if OmegaConf.is_list(OmegaConf.select(before, key.rpartition(".")[0] or key)):
        return _no_item(before, item)
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


def _no_item(before: DictConfig, item: Override) -> ConfigError:
    """An item that a list does not have; lists grow by being written anew."""
    name, _, number = item.key_or_group.rpartition(".")
    items: Any = OmegaConf.to_container(OmegaConf.select(before, name), resolve=False)
    count = f"{len(items)} item{'' if len(items) == 1 else 's'}"
    message = f"cannot set '{item.key_or_group}': '{name}' is a list of {count}"
    message += ", counted from 0" if number.isdigit() else f" and has no '{number}'"
    whole = [*items, item.value()]
    plain = all(isinstance(each, int | float) or re.fullmatch(r"[\w./-]+", str(each)) for each in whole)
    text = ",".join(map(word, whole)) if plain else "..."
    return ConfigError(message, hint=f"write the list anew: {name}=[{text}]", key=item.key_or_group)


def _unknown(composed: "Composed", before: DictConfig, key: str, hint: str | None) -> ConfigError:
    """A key that is not there; adding it is advised where nothing is known against it."""
    parent, _, last = key.rpartition(".")
    target = preflight.target_of(before, parent)
    takes = signatures.signature(target) if target else None
    if takes and last in takes.names and hint:
        return ConfigError(f"'{key}' is not in the config yet; {target} takes it", hint=hint, key=key)
    if key.startswith("hydra."):
        near = [f"hydra.{each}" for each in hydras(composed, key.removeprefix("hydra."))]
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
        written = (hint or "").partition("=")[2] or "VALUE"
        add = [f"+{parent}.{name}={written}" for name in close(last, takes.names)]
        lines = [meant(add) or f"{target} takes {', '.join(takes.names)}"]
    return ConfigError(
        f"unknown key '{key}'",
        hint="\n".join(lines) or "dlctl show-config shows what there is",
        key=key,
        suggestions=list(known),
    )
