"""A primary config that does not say where it comes among its defaults, where that decides a value."""

from collections.abc import Iterator

from hydra.errors import HydraException

from dlctl.composition import config_files
from dlctl.composition.compose import Composed
from dlctl.composition.defaults import entries, place_of
from dlctl.composition.keys import dotted, walk
from dlctl.composition.provenance import Layer, Step
from dlctl.errors import ConfigError


def faults(composed: Composed) -> Iterator[ConfigError]:
    """A primary config without ``_self_`` that wins over a config of its list, such as an experiment.

    Hydra lets a file without ``_self_`` come last. Of others that is what everybody means, and of a
    primary one it warns: before 1.1 it came first.
    """
    files = (folder / f"{composed.name}.yaml" for folder in composed.project.folders)
    file = next((each for each in files if each.is_file()), None)
    listed = [entry for entry in entries(file) if not entry.override] if file else []
    # The trail costs as much as half of composing: only of those that leave the question open.
    if not file or not listed or any(entry.name == "_self_" for entry in listed):
        return
    try:
        root = composed.trail.root
    except (HydraException, ValueError):
        return
    for key, other in _contested(composed, root):
        yield ConfigError(
            "the defaults list does not say where the file itself comes: it comes last, "
            f"and its '{key}' wins over that of {other.by}",
            hint="add '- _self_', at the beginning if the configs in the list are to win",
            suggestions=["- _self_"],
            place=place_of(file),
            topic="defaults",
        )
        return


def _contested(composed: Composed, root: Layer) -> Iterator[tuple[str, Step]]:
    """The keys that the primary config and one of its list set to different values, and the other's step."""
    content = config_files.values(root.file) if root.file else None
    values = {key: value for key, value in (content or {}).items() if key != "defaults"}
    for keys, _ in walk(values, lists=False):
        own = composed.trail.step(root, keys)
        for part in _below(root):
            other = composed.trail.step(part, keys)
            if own and other and other.value != own.value:
                yield dotted(keys), other


def _below(layer: Layer) -> Iterator[Layer]:
    for part in layer.parts:
        if part is not layer:
            yield part
            yield from _below(part)
