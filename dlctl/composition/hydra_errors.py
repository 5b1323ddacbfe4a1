"""What Hydra, OmegaConf or YAML raise while files are composed, in the user's terms."""

import re
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.types import Override
from hydra.errors import MissingConfigException
from hydra.plugins.config_source import ConfigLoadError
from omegaconf.errors import ConfigKeyError

from dlctl.composition import config_files, config_store
from dlctl.composition.absent import absent, no_option
from dlctl.composition.defaults import Entry, entries, place_of
from dlctl.composition.faults import close, meant
from dlctl.composition.file_faults import (
    broken_yaml,
    by_itself,
    holds_no_config,
    keywords,
    not_to_be_read,
    unreadable,
)
from dlctl.composition.reach import Reach, reach
from dlctl.errors import ConfigError, DlctlError, chain, first_line
from dlctl.project import Place, Project

_AGAIN = ("'{0}' is chosen twice", "'{0}' stands in the defaults lists more than once")
# What Hydra says -> what is wrong and what to do; {0} and so on are the groups of the pattern.
_TEXTS = {
    r"Duplicate _self_ defined in": ("_self_ stands here a second time", "leave one out"),
    r"Multiple values for (\S+)\. To override a value use '(override .+)'": (
        _AGAIN[0],
        "choose it once; elsewhere write {1}",
    ),
    r"(\S+) appears more than once in the final defaults list": (
        _AGAIN[1],
        "leave one of them out, or give it a package of its own: {0}@NAME",
    ),
    r"Override '(\S+) : (.+)' is defined before '(.+)'": (
        "'override {0}: {1}' stands before '{2}'",
        "overrides belong at the end of a defaults list",
    ),
    r"You must specify '(\S+)', e\.g, .*": (
        "'{0}' has no option",
        "choose one: {0}=OPTION (dlctl list {0})",
    ),
    r"Could not delete '(\S+)'": (
        "'{0}' is not among the defaults, so it cannot be left out",
        "dlctl show-config --defaults shows what is",
    ),
    r"hydra\.searchpath must be a list of strings\. Got: (.*)": (
        "hydra.searchpath is '{0}', and must be a list of strings",
        "hydra.searchpath: [file://folder, pkg://package.configs]",
    ),
    r"Overriding hydra\.searchpath is only supported from the primary config": (
        "only a primary config may set hydra.searchpath",
        "move it to train.yaml, or give it on the command line",
    ),
    r"Config group override must be a string or a list\. Got (\w+)": (
        "the option of a group is a word, not of type {0}",
        "dlctl list shows the groups and their options",
    ),
    r"force-add of config groups is not supported: '\+\+([^=]+)=(.*)'": (
        "'++' does not work for a group",
        "leave it out: {0}={1}; of a group that is not among the defaults yet: +{0}={1}",
    ),
    r"Default List Overrides are not allowed in the subtree.*": (
        "a config that is chosen by an interpolation may not override defaults",
        "move the override to the primary config",
    ),
    r"Defaults List interpolation is not supported in options list items": (
        "an interpolation in a list of options",
        "write one entry for each option",
    ),
    r"Error resolving interpolation '(.+)', possible interpolation keys: (.*)": (
        "the defaults list points at '{0}', which is no group chosen before",
        "there are: {1}",
    ),
    r"primary config '.*' must be a DictConfig": (
        "the primary config holds no 'key: value'",
        "a config is written as key: value",
    ),
}


def translated(
    project: Project, name: str, choices: Sequence[Override], error: Exception
) -> list[DlctlError]:
    """What is wrong where composing the files raised an error: as much of it as can be known.

    Args:
        project: whose configs were composed.
        name: the primary config.
        choices: the group choices of the command line.
        error: what was raised.
    """
    for each in chain(error):
        if isinstance(each, yaml.YAMLError):
            return [broken_yaml(each)]
        if isinstance(each, OSError) and str(each.filename).endswith(".yaml"):
            return [not_to_be_read(Path(str(each.filename)), each)]
        if isinstance(each, ConfigLoadError) and (match := re.match(r"(.+) holds a (\w+)", str(each))):
            return [holds_no_config(Path(match[1]), match[2])]
    found = reach(project, name, choices)
    if unread := [fault for file in found.files.values() for _, fault in unreadable(file)]:
        return [*unread]
    whole = [file for file in found.files.values() if not config_files.is_replaced(file)]
    if odd := [fault for file in whole for fault in keywords(file)]:
        return [*odd]
    if any(re.search("Cannot merge (Dict|List)Config with", str(each)) for each in chain(error)):
        from dlctl.composition import shapes

        if clashing := shapes.clashes(project, name, choices):
            return [*clashing]
    if any(isinstance(each, RecursionError) for each in chain(error)):
        return [_circle(name, found)]
    if name not in config_store.all_options(project, ""):
        return [_no_primary(project, name)]
    several: list[DlctlError] = [
        *_nothing(choices),
        *_added(choices, found),
        *absent(project, name, found, choices),
    ]
    if not several and isinstance(error, MissingConfigException):
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        return [no_option(project, group, option)]
    return several or [_first(name, found, error)]


def _nothing(choices: Sequence[Override]) -> list[ConfigError]:
    """Choices of the command line that choose nothing."""
    return [
        ConfigError(
            f"'{item.input_line}' chooses nothing: {item.key_or_group} is a group of configs",
            hint=f"to leave it out: ~{item.key_or_group}",
            key=item.key_or_group,
            topic="defaults",
        )
        for item in choices
        if item.value() is None and not item.is_delete()
    ]


def _added(choices: Sequence[Override], found: Reach) -> list[ConfigError]:
    """Choices of the command line that are to be added, of groups that have one already."""
    listed = {path for config, entry in found.entries() if not entry.override for path in entry.paths(config)}
    return [
        ConfigError(
            f"'{item.key_or_group}' is chosen already",
            hint=f"to choose another option, leave out the +: {str(item.input_line)[1:]}",
            key=item.key_or_group,
            topic="defaults",
        )
        for item in choices
        if item.is_add() and item.package is None and item.key_or_group in listed
    ]


def _first(name: str, found: Reach, error: Exception) -> ConfigError:
    """What Hydra says, in the user's terms."""
    reason = next((str(each) for each in chain(error) if str(each).strip()), type(error).__name__)
    inside, text = _inside(found, reason)
    for pattern, (what, remedy) in _TEXTS.items():
        if match := re.search(pattern, text):
            groups = [group or "" for group in match.groups()]
            entry = None if inside or "'++" in match[0] else _entry(found, name, groups[0], match[0])
            place = _of_entry(inside, groups) if inside else Place(entry.file, entry.line) if entry else None
            hint = remedy.format(*groups)
            if what in _AGAIN and entry and entry.file != found.files.get(name) and entry.options:
                hint = f"to replace what {name} chose: - override /{groups[0]}: {entry.written}"
            return ConfigError(what.format(*groups), hint=hint, place=place, topic="defaults")
    for file in [inside] if inside else found.files.values():
        for fault in by_itself(file):
            if fault.topic in ("defaults", "key"):
                return fault
    return _mismatch(inside, error) or ConfigError(f"cannot compose '{name}': {first_line(error)}")


def _of_entry(file: Path, groups: Sequence[str]) -> Place:
    """The entry of a defaults list that overrides what a text names; the list where none does."""
    named = (groups[0] if groups else "").partition("@")[0]
    for entry in entries(file):
        if entry.override and named.endswith(entry.name.strip("/")) and entry.written == groups[1]:
            return Place(file, entry.line)
    return place_of(file)


def _entry(found: Reach, name: str, group: str, text: str) -> Entry | None:
    """The entry that leaves a group open, chooses it once more, or chooses by an interpolation."""
    group = group.partition("@")[0]
    if text.startswith("You must specify"):
        named = (e for c, e in found.entries() if group in e.paths(c) and "???" in (e.options or ()))
        return next(named, None)
    choosing = [(c, e) for c, e in found.entries() if not e.override]
    again = [
        (c, e) for c, e in choosing if group in e.paths(c) or (group in (e.options or ()) and "$" in group)
    ]
    elsewhere = [entry for config, entry in again if config != name]
    return next(iter(elsewhere), again[-1][1] if again else None)


def _circle(name: str, found: Reach) -> ConfigError:
    """Defaults lists that lead back to where they came from."""
    message, hint = "the defaults lists lead in a circle", "a config must not lead back to itself"
    for start in found.files:
        seen, waiting = set(), [start]
        while waiting:
            inside = waiting.pop()
            for entry in entries(found.files[inside]) if inside not in seen else []:
                for config in [] if entry.override else sum(entry.asks(inside), ()):
                    if config == start:
                        place = Place(entry.file, entry.line)
                        return ConfigError(message, hint=hint, place=place, topic="defaults")
                    waiting += [config] if config in found.files else []
            seen.add(inside)
    return ConfigError(f"{message} from '{name}'", hint=hint, topic="defaults")


def _inside(found: Reach, reason: str) -> tuple[Path | None, str]:
    """The file that an error's text names at its beginning, and the rest of the text."""
    match = re.match(r"In '?([^':]+)'?: ", reason) or re.search(
        r"(?:defined in|list in) '?([^',\s]+)", reason
    )
    if match is None:
        return None, reason
    text = reason[match.end() :] if match.start() == 0 else reason
    return found.files.get(match[1]), text


def _no_primary(project: Project, name: str) -> ConfigError:
    known = config_store.all_options(project, "")
    similar = close(name, known)
    hint = meant(similar) or f"there are: {', '.join(known)}"
    return ConfigError(f"there is no config '{name}'", hint=hint, suggestions=similar, topic="defaults")


def _mismatch(inside: Path | None, error: Exception) -> ConfigError | None:
    """A value that does not fit Hydra's own settings."""
    for each in chain(error):
        lines = [line.strip() for line in str(each).splitlines() if line.strip()]
        composing = len(lines) > 1 and "raised while composing" in lines[0]
        reason = lines[1] if composing else lines[0] if lines else ""
        key = next(iter(re.findall(r"full_key: (\S+)", str(each))), None)
        if key is None and composing and inside:
            hint = "dlctl show-config --defaults shows what it is merged with"
            return ConfigError(reason, hint=hint, place=Place(inside, 1), topic="value")
        if key is None:
            continue
        found: Any = None
        if inside:
            tree, keys = config_files.nodes(inside), tuple(key.split("."))
            ways = [keys[start:count] for start in range(len(keys)) for count in range(len(keys), start, -1)]
            found = next(filter(None, (config_files.find(tree, way) for way in ways)), None)
        place = Place(inside, found[1]) if inside and found else None
        hint = f"dlctl show-config --package {key.rpartition('.')[0]} shows what there is"
        typed = (cause for cause in chain(error) if isinstance(cause, ConfigKeyError))
        if (unknown := next(typed, None)) and is_dataclass(unknown.object_type):
            known = [field.name for field in fields(unknown.object_type)]
            hint = meant(close(str(unknown.key), known)) or f"it takes {', '.join(known)}"
        if match := re.match(r"hydra\.(launcher|sweeper)\.", key):
            hint = f"choose one that takes it, in the defaults list: - override /hydra/{match[1]}: OPTION"
        return ConfigError(f"'{key}': {reason}", hint=hint, key=key, place=place, topic="value")
    return None
