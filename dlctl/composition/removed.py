"""The history of a key that is not in the config any more: a config or the command line removed it."""

import re
from collections.abc import Iterable, Iterator

from dlctl.composition.compose import Composed
from dlctl.composition.keys import Keys, dotted
from dlctl.composition.provenance import COMMAND_LINE, REMOVED, Layer, Step, Trail


def history(composed: Composed, key: str) -> tuple[Keys, list[Step]] | None:
    """Everything that set a value, and last what removed it; None if there never was one.

    Args:
        composed: a config that does not have the key.
        key: as people write it.
    """
    keys = tuple(int(part) if part.isdigit() else part for part in re.findall(r"[^./\[\]]+", key))
    if not keys or "defaults" in keys:
        return None
    gone = next((layer for layer in _layers(composed.trail.roots) if _brought(layer, keys)), None)
    steps = composed.trail.history(keys) if gone is None else _with(composed, gone).history(keys)
    if not any(step.key == dotted(keys) for step in steps):
        return None
    return keys, [*steps, _removal(composed, gone)] if gone else steps


def _layers(layers: Iterable[Layer]) -> Iterator[Layer]:
    for layer in layers:
        yield layer
        yield from _layers(part for part in layer.parts if part is not layer)


def _brought(layer: Layer, keys: Keys) -> bool:
    """Whether a part of the config lacks a key because no option is chosen for it."""
    count = len(layer.package)
    return bool(layer.chosen and layer.source is None and count and keys[:count] == layer.package)


def _with(composed: Composed, gone: Layer) -> Trail:
    """The files as they would be in the game with the part that was removed."""
    groups = [line for line in composed.groups if line != gone.chosen]
    group = gone.title.partition(":")[0]
    restored = [f"{group}={gone.instead}"] if gone.instead and not isinstance(gone.chosen, str) else []
    return Trail(composed.project, composed.name, groups, restored=restored)


def _removal(composed: Composed, gone: Layer) -> Step:
    assert gone.chosen
    files = {layer.file: layer.why for layer in composed.trail.layers}
    why = COMMAND_LINE if isinstance(gone.chosen, str) else files.get(gone.chosen.file, gone.why)
    return Step(dotted(gone.package), REMOVED, gone.chosen, why)
