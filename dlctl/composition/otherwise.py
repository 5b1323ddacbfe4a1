"""What else is wrong with a command line that chooses what is not there."""

import copy
from collections.abc import Mapping, Sequence
from itertools import product

from hydra.core.override_parser.types import Override

from dlctl.composition.compose import Composed, load_files, override
from dlctl.composition.defaults import WHOLE
from dlctl.composition.overrides import line_of
from dlctl.errors import DlctlError, several
from dlctl.project import Project


def faults(
    project: Project,
    name: str,
    choices: Sequence[Override],
    values: Sequence[Override],
    known: Sequence[DlctlError],
) -> list[DlctlError]:
    """The values that are wrong even if the choices are put right.

    Args:
        project: whose configs were to be composed.
        name: the primary config.
        choices: the options that the command line chooses.
        values: the values it sets.
        known: what is wrong with the choices; nothing else is said where a file is at fault.
    """
    wrong = {fault.key: fault for fault in known if fault.place is None}
    if not values or any(fault.place for fault in known):
        return []
    # Of a choice with several likely meanings that is said which holds for each of them.
    likely = {key: fault.suggestions for key, fault in wrong.items() if len(fault.suggestions) > 1}
    ways = [dict(zip(likely, options, strict=True)) for options in product(*likely.values())]
    found = [_values(project, name, choices, values, wrong, way) for way in ways]
    return [fault for fault in found[0] if all(fault.key in map(_key, others) for others in found)]


def _key(fault: DlctlError) -> str | None:
    return fault.key


def _values(
    project: Project,
    name: str,
    choices: Sequence[Override],
    values: Sequence[Override],
    wrong: Mapping[str | None, DlctlError],
    meant: Mapping[str | None, str],
) -> list[DlctlError]:
    """What is wrong with the values where the choices are what they were probably meant to be."""
    lines, unsure = _put_right(choices, wrong, meant)
    if any(group in WHOLE for group in unsure):
        return []
    sure = [item for item in values if item.key_or_group.partition(".")[0] not in unsure]
    try:
        full = load_files(project, name, lines)
    except Exception:  # told already, or not to be told apart from it
        return []
    try:
        override(Composed(project, name, full, tuple(lines), tuple(lines)), copy.deepcopy(sure))
    except DlctlError as error:
        return several(error)
    return []


def _put_right(
    choices: Sequence[Override], wrong: Mapping[str | None, DlctlError], meant: Mapping[str | None, str]
) -> tuple[list[str], set[str]]:
    """Choices as they were probably meant, and the groups of those of which that is not known."""
    lines: list[str] = []
    unsure: set[str] = set()
    for item in choices:
        fault = wrong.get(item.key_or_group)
        if fault is None:
            lines.append(line_of(item))
        elif fault.suggestions:
            option = meant.get(item.key_or_group, fault.suggestions[0])
            lines.append(f"{item.key_or_group}={option}")
        else:
            # What was meant is not known, and so neither what it would have brought.
            unsure.add(item.key_or_group)
    return lines, unsure
