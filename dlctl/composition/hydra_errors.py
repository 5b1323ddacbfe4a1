"""What Hydra, OmegaConf or YAML raise while files are composed, in the user's terms."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.types import Override
from hydra.errors import MissingConfigException
from hydra.plugins.config_source import ConfigLoadError

from dlctl.composition import config_files
from dlctl.composition.defaults import entries, place_of
from dlctl.composition.faults import close, first_line, meant
from dlctl.composition.file_faults import broken_yaml, by_itself
from dlctl.errors import ConfigError, DlctlError, chain
from dlctl.project import Place, Project

# What Hydra says -> what is wrong and what to do; {0} and so on are the groups of the pattern.
_TEXTS = {
    r"Duplicate _self_ defined in": ("_self_ stands here a second time", "leave one out"),
    r"Multiple values for (\S+)\. To override a value use '(override .+)'": (
        "'{0}' is chosen twice",
        "choose it once; elsewhere write {1}",
    ),
    r"(\S+) appears more than once in the final defaults list": (
        "'{0}' stands in the defaults lists more than once",
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
        "{0}={1} to choose an option, +{0}={1} to add one",
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


def translated(project: Project, name: str, choices: Sequence[Override], error: Exception) -> DlctlError:
    """An error raised while composing the files.

    Args:
        project: whose configs were composed.
        name: the primary config.
        choices: the group choices of the command line.
        error: what was raised.
    """
    for each in chain(error):
        if isinstance(each, yaml.YAMLError):
            return broken_yaml(each)
        if isinstance(each, RecursionError):
            return _circle(project, name)
        if isinstance(each, ConfigLoadError) and (match := re.match(r"(.+) holds a (\w+)", str(each))):
            return ConfigError(
                f"the file holds a {match[2]}",
                hint="a config is written as key: value",
                place=Place(Path(match[1]), 1),
                topic="yaml",
            )
    if isinstance(error, MissingConfigException):
        return _missing(project, name, choices, error)
    for item in choices:
        if item.value() is None and not item.is_delete():
            return ConfigError(
                f"'{item.input_line}' chooses nothing: {item.key_or_group} is a group of configs",
                hint=f"to leave it out: ~{item.key_or_group}",
                key=item.key_or_group,
                topic="defaults",
            )
    reason = next((str(each) for each in chain(error) if str(each).strip()), type(error).__name__)
    inside, text = _inside(project, reason)
    if match := re.match(r"Could not override '([^']+)'", text):
        return _unused(project, name, match[1], inside, text)
    for pattern, (what, remedy) in _TEXTS.items():
        if match := re.search(pattern, text):
            groups = [group or "" for group in match.groups()]
            place = place_of(inside) if inside else _written(project, [match[0], *groups])
            return ConfigError(
                what.format(*groups), hint=remedy.format(*groups), place=place, topic="defaults"
            )
    files = [inside] if inside else _files(project)
    for fault in (each for file in files for each in by_itself(file) if each.topic != "package"):
        return fault
    return _mismatch(inside, error) or ConfigError(f"cannot compose '{name}': {first_line(error)}")


def _files(project: Project) -> list[Path]:
    """All config files that can be read."""
    found = [file for folder in project.folders for file in sorted(folder.rglob("*.yaml"))]
    return [file for file in found if config_files.nodes(file) is not None]


def _written(project: Project, words: Sequence[str]) -> Place | None:
    """The entry that chooses a group a second time, or whose option one of the words quotes."""
    group = words[1] if len(words) > 1 else ""
    for file in _files(project):
        for entry in entries(file):
            named = entry.name.strip("/") == group and file.parent not in project.folders
            again = named and not entry.override and "chosen" not in words[0]
            if again or any(option in words for option in entry.options or () if not option.isidentifier()):
                return Place(file, entry.line)
    return None


def _circle(project: Project, name: str) -> ConfigError:
    """Defaults lists that lead back to where they came from."""
    message, hint = "the defaults lists lead in a circle", "a config must not lead back to itself"
    for folder in project.folders:
        for start in sorted(folder.rglob("*.yaml")):
            seen, waiting = set(), [start]
            while waiting:
                file = waiting.pop()
                for entry in entries(file) if file not in seen else []:
                    for group, option in [] if entry.override else entry.wanted(folder):
                        onward = folder / group / f"{option}.yaml"
                        if onward == start:
                            place = Place(file, entry.line)
                            return ConfigError(message, hint=hint, place=place, topic="defaults")
                        waiting.append(onward)
                seen.add(file)
    return ConfigError(f"{message} from '{name}'", hint=hint, topic="defaults")


def _inside(project: Project, reason: str) -> tuple[Path | None, str]:
    """The file that an error's text names at its beginning, and the rest of the text."""
    match = re.match(r"In '?([^':]+)'?: ", reason) or re.search(
        r"(?:defined in|list in) '?([^',\s]+)", reason
    )
    if match is None:
        return None, reason
    text = reason[match.end() :] if match.start() == 0 else reason
    return _file(project, match[1]), text


def _file(project: Project, config: str) -> Path | None:
    files = (folder / f"{config}.yaml" for folder in project.folders)
    return next((file for file in files if file.is_file()), None)


def _missing(
    project: Project, name: str, choices: Sequence[Override], error: MissingConfigException
) -> ConfigError:
    """A config that somebody asks for and that is not there."""
    group, _, option = str(error.missing_cfg_file or "").rpartition("/")
    if not group:
        known = project.options("")
        similar = close(option, known)
        hint = meant(similar) or f"there are: {', '.join(known)}"
        return ConfigError(f"there is no config '{option}'", hint=hint, suggestions=similar, topic="defaults")
    asked_here = any(item.key_or_group == group and item.value() == option for item in choices)
    place = None if asked_here else _asked(project, group, option)
    return no_option(project, group, option, place)


def no_option(project: Project, group: str, option: str, place: Place | None) -> ConfigError:
    """An option that its group does not have."""
    known = list(project.options(group))
    if not known:
        similar = close(group, project.groups)
        hint = meant(similar) or f"there are: {', '.join(project.groups)}"
        return ConfigError(
            f"there is no group '{group}'",
            hint=hint,
            key=group,
            suggestions=similar,
            place=place,
            topic="defaults",
        )
    similar = close(option, known, cutoff=0.5)
    label = "experiment" if group == "experiment" else f"option of '{group}'"
    sign = ": " if place else "="
    lines = [meant([f"{group}{sign}{each}" for each in similar]), f"there are: {', '.join(known)}"]
    return ConfigError(
        f"there is no {label} '{option}'",
        hint="\n".join(filter(None, lines)),
        key=group,
        suggestions=similar,
        place=place,
        topic="defaults",
    )


def _asked(project: Project, group: str, option: str) -> Place | None:
    """The entry of a defaults list that asks for an option."""
    for folder in project.folders:
        for file in sorted(folder.rglob("*.yaml")):
            for entry in entries(file):
                if (group, option) in entry.wanted(folder):
                    return Place(file, entry.line)
    return None


def _unused(project: Project, name: str, group: str, inside: Path | None, text: str) -> ConfigError:
    """An option for a group that is not among the defaults."""
    listed = [match.strip(" ?") for match in re.findall(r"override (?:one of )?(.+)\?", text)]
    place = None
    if inside:
        for entry in entries(inside):
            if entry.override and entry.name.strip("/") == group:
                place = Place(inside, entry.line)
    options = ", ".join(project.options(group.partition("@")[0])) or "none"
    hint = meant(listed) or f"to add it: +{group}=OPTION (options: {options})"
    if place:
        hint = meant(listed) or f"without 'override' it is added: - {group}: OPTION"
    return ConfigError(
        f"'{group}' is not among the defaults of '{name}'",
        hint=hint,
        key=group,
        place=place,
        topic="defaults",
    )


def _mismatch(inside: Path | None, error: Exception) -> ConfigError | None:
    """A value that does not fit Hydra's own settings."""
    for each in chain(error):
        lines = [line.strip() for line in str(each).splitlines() if line.strip()]
        composing = len(lines) > 1 and "raised while composing" in lines[0]
        reason = lines[1] if composing else lines[0] if lines else ""
        key = next(iter(re.findall(r"full_key: (\S+)", str(each))), None)
        if key is None and composing and inside:
            return ConfigError(reason, place=Place(inside, 1), topic="value")
        if key is None:
            continue
        found: Any = None
        if inside:
            tree, keys = config_files.nodes(inside), tuple(key.split("."))
            ways = [keys[start:count] for start in range(len(keys)) for count in range(len(keys), start, -1)]
            found = next(filter(None, (config_files.find(tree, way) for way in ways)), None)
        place = Place(inside, found[1]) if inside and found else None
        return ConfigError(f"'{key}': {reason}", key=key, place=place, topic="value")
    return None
