"""What can be known to be wrong before torch is imported."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, Node, OmegaConf

from dlctl.composition.annotations import Annotation, annotation
from dlctl.composition.keys import word
from dlctl.errors import ConfigError, DlctlError

if TYPE_CHECKING:
    from dlctl.composition.compose import Composed


def misfits(composed: "Composed", before: DictConfig, overrides: Sequence[Override]) -> list[DlctlError]:
    """The overrides whose value cannot be passed to the argument it goes to.

    A value is refused where the annotation of the argument excludes it or, where there is none,
    where a number would become a word. null and interpolations always pass, lists and dicts unless
    a number is wanted, and ``++key=value`` insists.
    """
    found: list[DlctlError] = []
    said: set[str] = set()
    for item in overrides:
        value = item.value()
        if item.is_add() and (section := item.key_or_group.rpartition(".")[0]) not in said:
            found += _no_section(composed, section, item, _raw(before, section))
        said.add(item.key_or_group)
        if item.is_delete() or item.is_force_add() or value is None:
            continue
        if isinstance(value, dict) and "_target_" in value:
            continue
        if isinstance(value, str) and "${" in value:
            continue
        found += unfit(composed, item.key_or_group, [value], before)
    return found


def _no_section(composed: "Composed", section: str, item: Override, old: Any) -> list[DlctlError]:
    """A key that is to be added below a value, which it would replace."""
    if not isinstance(old, bool | int | float | str) or "${" in str(old) or item.is_force_add():
        return []
    message = f"'{section}' is a value and no section to add to ({present(composed, section, old)})"
    line = str(item.input_line).lstrip("+")
    return [ConfigError(message, hint=f"to replace it by a section: ++{line}", key=item.key_or_group)]


def unfit(
    composed: "Composed", key: str, values: Sequence[Any], before: DictConfig | None = None
) -> list[DlctlError]:
    """Those of some values that cannot be passed to the argument that a key goes to.

    Args:
        composed: the config.
        key: whose value it would be.
        values: words, numbers or booleans.
        before: the config as it was, if it has changed.
    """
    old = _raw(composed.full if before is None else before, key)
    wanted = expected(composed.full, key)
    number = isinstance(old, int | float) and not isinstance(old, bool)
    return [
        _misfit(composed, key, value, old, wanted)
        for value in values
        if (not _fits(wanted, value) if wanted else number and isinstance(value, str))
    ]


def _fits(wanted: Annotation, value: Any) -> bool:
    if not isinstance(value, bool | int | float | str | list | dict):
        return True
    # Of annotations that name classes and containers not all are true.
    plain = wanted.accepts(True) or wanted.accepts(7) or wanted.accepts(0.5)
    return wanted.accepts(value) or (isinstance(value, list | dict) and not plain)


def present(composed: "Composed", key: str, value: Any) -> str:
    """A key's value and where it was set: ``= 0.001, set in configs/model/mnist.yaml:6``."""
    place = composed.place(key)
    shown = [] if isinstance(value, DictConfig) else [f"= {word(value)}"]
    return ", ".join([*shown, *([f"set in {place}"] if place else [])])


def _misfit(composed: "Composed", key: str, value: Any, old: Any, expected: Annotation | None) -> ConfigError:
    wanted = f"takes {expected}" if expected else "is a number"
    close = get_close_matches(str(value), expected.literals() if expected else [], n=3, cutoff=0.5)
    suggestions = close or ([word(old)] if isinstance(old, str | int | float) else [])
    lines = []
    if close:
        lines.append(f"did you mean {' or '.join(f'{key}={each}' for each in close)}?")
        lines.append(f"it is {present(composed, key, old)[2:]}")
    elif isinstance(old, dict):
        lines.append(f"it is a section: set its values, {key}.NAME=VALUE")
    elif old is not None:
        lines.append(f"did you mean '{key}={word(old)}' ({present(composed, key, old)})?")
    lines.append(f"to insist: ++{key}={value}")
    return ConfigError(
        f"'{value}' does not fit '{key}', which {wanted}",
        hint="\n".join(lines),
        key=key,
        suggestions=suggestions,
    )


def expected(config: DictConfig, key: str) -> Annotation | None:
    """What the ``_target_`` beside a key says that it takes under that name."""
    parent, _, argument = key.rpartition(".")
    target = target_of(config, parent)
    return None if target is None or argument.startswith("_") else annotation(target, argument)


def target_of(config: DictConfig, key: str) -> str | None:
    """The ``_target_`` of a section."""
    node = OmegaConf.select(config, key, throw_on_resolution_failure=False) if key else None
    target = _raw(node, "_target_") if isinstance(node, DictConfig) else None
    return target if isinstance(target, str) else None


def _raw(config: DictConfig, key: str) -> Any:
    """A value as it stands in the config, interpolations unresolved; None if it is not there."""
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(config, parent, throw_on_resolution_failure=False) if parent else config
    if not isinstance(node, DictConfig):
        return None
    child = node._get_node(name, validate_access=False)
    return child._value() if isinstance(child, Node) else None
