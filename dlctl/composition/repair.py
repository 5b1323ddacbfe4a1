"""Configs with their own mistakes taken out, so that one mistake does not hide the next."""

import copy
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from dlctl.composition import config_files
from dlctl.composition.absent import absent, no_option
from dlctl.composition.defaults import entries, misshapen
from dlctl.composition.file_faults import broken_yaml, by_itself, holds_no_config, not_to_be_read, unreadable
from dlctl.composition.keys import at
from dlctl.composition.overrides import parse
from dlctl.composition.reach import reach, repository_of
from dlctl.errors import DlctlError
from dlctl.project import Project

# What is missing may be missing only because of a file that could not be read.
ABSENCE = {"missing", "key", "metric"}


def files(root: Path, repaired: dict[Path, Any]) -> Iterator[DlctlError]:
    """What is wrong with every file by itself.

    Args:
        root: a folder of configs.
        repaired: takes what to go on with in the place of a file that has such faults.
    """
    for file in sorted(root.rglob("*.yaml")):
        found, content = one_file(file)
        yield from found
        if content is not None:
            repaired[file] = content


def defaults(
    project: Project, root: Path, compositions: Iterable[tuple[str, list[str]]]
) -> Iterator[DlctlError]:
    """What defaults lists ask for and what is not there.

    An entry that another one overrides asks for nothing.

    Args:
        project: whose configs.
        root: the folder whose files are looked at.
        compositions: primary configs and the choices with which each is composed.
    """
    in_play: set[Path] = set()
    found: list[DlctlError] = []
    gone = _gone(project, root)
    for name, overrides in compositions if gone else ():
        choices = parse(overrides)
        asked = reach(project, name, choices)
        in_play |= set(asked.files.values())
        found += absent(project, name, asked, choices)
    found += [fault for file, fault in gone if file not in in_play]
    yield from (fault for fault in found if fault.place and fault.place.file.is_relative_to(root))


def _gone(project: Project, root: Path) -> list[tuple[Path, DlctlError]]:
    """The entries whose configs are not there whatever they mean; perhaps nobody asks for them."""
    configs = repository_of(project, "train")
    found: list[tuple[Path, DlctlError]] = []
    for file in sorted(root.rglob("*.yaml")):
        inside = file.relative_to(root).with_suffix("").as_posix()
        for entry in entries(file):
            for names in entry.asks(inside):
                if not any(map(configs.config_exists, names)):
                    group, _, option = names[0].rpartition("/")
                    found.append((file, no_option(project, group, option, entry)))
    return found


def one_file(file: Path) -> tuple[list[DlctlError], Any]:
    """What is wrong with a file by itself, and what to go on with in its place; None if that is needless."""
    try:
        content = config_files.values(file)
    except yaml.YAMLError as error:
        return [broken_yaml(error)], {}
    except OSError as error:
        return [not_to_be_read(file, error)], {}
    if not isinstance(content, dict | None):
        return [holds_no_config(file, type(content).__name__)], {}
    repaired = _named(copy.deepcopy(content))
    for keys, _ in unreadable(file):
        at(repaired, keys[:-1])[keys[-1]] = None
    wrong = {line for line, *_ in misshapen(file)}
    _leave_out(repaired, file, wrong)
    return [*by_itself(file)], None if repaired == content else repaired


def _named(value: Any) -> Any:
    """A config without the keys that have no name."""
    if isinstance(value, dict):
        return {key: _named(inner) for key, inner in value.items() if key is not None}
    return [_named(inner) for inner in value] if isinstance(value, list) else value


def _leave_out(content: Any, file: Path, lines: Iterable[int]) -> None:
    """Leave those entries out of a defaults list that stand on some lines, and all but one ``_self_``."""
    listed = (content or {}).get("defaults")
    if listed is None:
        return
    kept: list[Any] = []
    for item, entry in zip(listed if isinstance(listed, list) else [], entries(file), strict=False):
        if entry.line not in lines and not (item == "_self_" and item in kept):
            kept.append(item)
    content["defaults"] = kept
