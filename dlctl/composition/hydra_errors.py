"""What Hydra, OmegaConf or YAML raise while files are composed, in the user's terms."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.types import Override
from hydra.errors import MissingConfigException
from omegaconf import grammar_parser
from omegaconf.errors import GrammarParseError

from dlctl.composition import config_files
from dlctl.composition.defaults import entries, place_of
from dlctl.composition.faults import close, first_line, meant
from dlctl.composition.keys import Keys, dotted, walk
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
    r"Invalid defaults list .*\(got (.+)\)": (
        "defaults is a {0}, and must be a list",
        "defaults:\n  - model: mnist\n  - _self_",
    ),
    r"Too many keys in default item (.+)": (
        "an entry of the defaults list names several groups: {0}",
        "one group an entry: - group: option",
    ),
    r"Missing group name in (.+)": ("an entry of the defaults list is empty", "- group: option"),
    r"Unsupported (?:item value|type) in defaults : (\w+)": (
        "an entry of the defaults list is of type {0}",
        "write '- group: option' with an option in quotes, or '- name'",
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
    r"Could not load .*|(.*) holds neither a mapping nor a list": (
        "the file holds neither a mapping nor a list",
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
            return ConfigError(
                f"the defaults lists of '{name}' lead in a circle",
                hint="a config must not name itself, nor one that leads back to it",
                topic="defaults",
            )
    if any(isinstance(each, GrammarParseError) for each in chain(error)):
        for folder in project.folders:
            for file in sorted(folder.rglob("*.yaml")):
                for _, fault in unreadable(file):
                    return fault
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
    line = text.strip().splitlines()[0]
    for pattern, (what, remedy) in _TEXTS.items():
        if match := re.search(pattern, text):
            groups = [group or "" for group in match.groups()]
            place = place_of(inside) if inside else None
            return ConfigError(
                what.format(*groups), hint=remedy.format(*groups), place=place, topic="defaults"
            )
    return _mismatch(project, name, inside, error) or ConfigError(f"cannot compose '{name}': {line}")


def broken_yaml(error: yaml.YAMLError) -> ConfigError:
    """A file that is not YAML: the place, the line itself and a caret below what is wrong."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or first_line(error)
    if mark is None or not Path(mark.name).is_file():
        file = Path(str(getattr(error, "name", "")))
        where = Place(file, 1) if file.is_file() else None
        return ConfigError(f"not YAML: {problem}", place=where, topic="yaml")
    lines = config_files.text(Path(mark.name)).splitlines()
    number, column = mark.line, mark.column
    while number and (number >= len(lines) or not lines[number].strip()):
        # What is missing at the end of the file is missing behind the last thing in it.
        number -= 1
        column = len(lines[number]) if number < len(lines) else 0
    line = lines[number].replace("\t", " ") if lines else ""
    return ConfigError(
        f"not YAML: {problem}",
        hint=f"{line}\n{' ' * column}^",
        place=Place(Path(mark.name), number + 1),
        topic="yaml",
    )


def unreadable(file: Path) -> Iterator[tuple[Keys, ConfigError]]:
    """The interpolations of a file that cannot be read, and the way down to each."""
    for keys, value in walk(config_files.values(file)):
        if not isinstance(value, str) or "${" not in value:
            continue
        try:
            grammar_parser.parse(value)
        except GrammarParseError as error:
            found = config_files.find(config_files.nodes(file), keys)
            reason = first_line(error)
            yield (
                keys,
                ConfigError(
                    f"the interpolation '{value}' cannot be read: {reason}",
                    hint="an interpolation is written ${section.key}",
                    key=dotted(keys),
                    place=Place(file, found[1] if found else 1),
                    topic="interpolation",
                ),
            )


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
        similar = close(group, groups(project))
        hint = meant(similar) or f"there are: {', '.join(groups(project))}"
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


def groups(project: Project) -> list[str]:
    """The groups of configs, sorted."""
    found = {
        str(file.parent.relative_to(folder)) for folder in project.folders for file in folder.rglob("*.yaml")
    }
    return sorted(found - {"."})


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


def _mismatch(project: Project, name: str, inside: Path | None, error: Exception) -> ConfigError | None:
    """A value that does not fit Hydra's own settings, or one written as an interpolation that is none."""
    for each in chain(error):
        text = str(each)
        key = next(iter(re.findall(r"full_key: (\S+)", text)), None)
        if key is None:
            continue
        reason = first_line(each)
        if "raised while composing" in reason:
            reason = next((line for line in text.splitlines()[1:] if line.strip()), reason)
        found: Any = None
        if inside:
            keys = tuple(key.split("."))
            tree = config_files.nodes(inside)
            found = config_files.find(tree, keys) or config_files.find(tree, keys[-1:])
        place = Place(inside, found[1]) if inside and found else None
        return ConfigError(f"'{key}': {reason}", key=key, place=place, topic="value")
    return None
