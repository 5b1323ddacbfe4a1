"""Overrides of the command line, read in Hydra's grammar."""

import re
from collections.abc import Sequence

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import grammar_parser
from omegaconf.errors import GrammarParseError

from dlctl.errors import DlctlError, raise_all


def parse(overrides: Sequence[str], sweeps: ConfigLoaderImpl | None = None) -> list[Override]:
    """Parse overrides in Hydra's grammar.

    Args:
        overrides: as they were written.
        sweeps: allows several values, and finds the options that a glob names.

    Raises:
        ConfigError: some do not parse, or name several values; all of them at once.
    """
    parsed, found = readable(overrides, sweeps)
    raise_all(found)
    return parsed


def readable(
    overrides: Sequence[str], sweeps: ConfigLoaderImpl | None = None
) -> tuple[list[Override], list[DlctlError]]:
    """Those overrides that Hydra's grammar can read as one value each, and what is wrong with the others."""
    parser = OverridesParser.create(config_loader=sweeps)
    parsed: list[Override] = []
    found: list[DlctlError] = []
    for text in overrides:
        try:
            item = parser.parse_overrides([text])[0]
        except HydraException as error:
            from dlctl.composition import override_errors

            found.append(override_errors.unparsable(text, error))
            continue
        if item.is_sweep_override() and sweeps is None:
            from dlctl.composition import override_errors

            found.append(override_errors.sweep(text, item))
        else:
            parsed.append(item)
    return parsed, found


def literal(text: str) -> str:
    """An override as a value of a config, which takes no broken interpolation: escaped, it is none."""
    try:
        grammar_parser.parse(text)
        return text
    except GrammarParseError:
        return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)


def line_of(item: Override) -> str:
    """An override as it was written."""
    assert item.input_line is not None
    return item.input_line


def chooses(configs: ConfigLoaderImpl, item: Override) -> bool:
    """Whether an override picks an option of a group, by Hydra's own rule."""
    if item.key_or_group == "hydra.searchpath":
        return True
    group = configs.repository.group_exists(item.key_or_group)
    return group and not isinstance(item.value(), dict)
