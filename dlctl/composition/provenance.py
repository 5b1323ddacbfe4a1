"""Which files made a config, in which order and why, and which line or override set a value."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra._internal.defaults_list import create_defaults_list
from hydra.core.default_element import DefaultsTreeNode, GroupDefault, InputDefault
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from dlctl.composition import config_files, config_store, store_calls
from dlctl.composition.defaults import Entry, entries
from dlctl.composition.keys import Keys, dotted, word
from dlctl.composition.search_path import file_of, loader
from dlctl.project import Place, Project

# What is told of a key that is taken out, and of whoever did it there.
REMOVED, COMMAND_LINE = "(removed)", "the command line"


@dataclass(frozen=True, eq=False)
class Layer:
    """A config in the defaults tree, with what chose it.

    Attributes:
        title: as a defaults list has it: ``data: mnist_mini`` or ``model_checkpoint``.
        config: ``data/mnist_mini``; None if nothing was chosen.
        file: where it lies; None for what is kept in Python.
        registered: the call by which the project's code registers it; None for a file, and for Hydra's own.
        package: the keys below which its values go.
        asked: the entry of the defaults list that names it; None for the primary config.
        chosen: what replaced the option of that entry: an override, or the place of another entry.
        instead: the option that was replaced.
        parent: the config in whose defaults list it stands.
        parts: its own defaults in merge order, and among them itself, where its values are merged.
    """

    title: str
    config: str | None = None
    file: Path | None = None
    registered: Place | None = None
    package: Keys = ()
    asked: Place | None = None
    chosen: str | Place | None = None
    instead: str | None = None
    parent: "Layer | None" = None
    parts: list["Layer"] = field(default_factory=list, repr=False)

    @property
    def source(self) -> Path | None:
        """The file that says what it holds, YAML or Python; None for Hydra's own."""
        return self.file or (self.registered.file if self.registered else None)

    @property
    def why(self) -> str:
        """Why this config is in the game, from here up to the primary one."""
        if self.parent is None:
            return "the primary config"
        where = f"{self.title} in {self.asked}" if self.asked else self.title
        if self.chosen:
            where += f", chosen by {self.chosen}"
        return where if self.parent.parent is None else f"{where} < {self.parent.why}"


@dataclass(frozen=True)
class Step:
    """A moment in the history of a value.

    Attributes:
        key: what was set: the key itself or one above it.
        value: as it was written.
        by: the place or the override that set it.
        why: why that was in the game.
    """

    key: str
    value: str
    by: Place | str
    why: str


class Trail:
    """How a config came about.

    Args:
        project: whose configs are read.
        name: the primary config.
        groups: the group choices of the command line.
        values: the other overrides of the command line.
        restored: choices put in the place of those that removed a part; nobody made them.

    Raises:
        HydraException, ValueError: the defaults lists do not fit together.
    """

    def __init__(
        self,
        project: Project,
        name: str,
        groups: Sequence[str] = (),
        values: Sequence[Override] = (),
        restored: Sequence[str] = (),
    ) -> None:
        self._project = project
        configs = loader(project)
        with warnings.catch_warnings(), config_files.outlined():
            # Composing has been silent about the same.
            warnings.simplefilter("ignore", UserWarning)
            parsed, self._repository = configs._parse_overrides_and_create_caching_repo(
                name, [*groups, *restored]
            )
            found = create_defaults_list(
                self._repository, name, parsed, prepend_hydra=True, skip_missing=False
            )
        self._overrides = found.overrides
        self._groups = list(groups)
        self._values = list(values)
        self.layers: list[Layer] = []
        self.roots = [self._layer(child, None) for child in found.defaults_tree.children or []]

    @property
    def root(self) -> Layer:
        """The primary config; the one before it is Hydra's own."""
        return self.roots[-1]

    def history(self, keys: Keys, *, below: bool = False) -> list[Step]:
        """Everything that set a value, the one that won last.

        Args:
            keys: the way down to it.
            below: of a section also what the command line removed from it.
        """
        steps = [step for layer in self.layers if (step := self._in_file(layer, keys))]
        # A ??? that comes later leaves a value as it is.
        steps = [step for number, step in enumerate(steps) if number == 0 or step.value != "???"]
        return steps + [step for item in self._values if (step := _in_override(item, keys, below))]

    def place(self, keys: Keys) -> Place | None:
        """The line of a file that set a value last, before the command line."""
        steps = [step for layer in self.layers if (step := self._in_file(layer, keys))]
        given = [step.by for step in steps if step.value != "???"] or [step.by for step in steps]
        return given[-1] if given and isinstance(given[-1], Place) else None

    def first(self, keys: Keys) -> Place | None:
        """The line of a file that set a value first."""
        return next(self._places(keys, self.layers), None)

    def _places(self, keys: Keys, layers: Iterable[Layer]) -> Iterator[Place]:
        for layer in layers:
            if step := self._in_file(layer, keys):
                assert isinstance(step.by, Place)
                yield step.by

    def step(self, layer: Layer, keys: Keys) -> Step | None:
        """What a config says about a key, or about one above it."""
        return self._in_file(layer, keys)

    def rank(self, place: Place) -> int:
        """Where a file comes in the order of merging: what comes later wins."""
        ranks = [number for number, layer in enumerate(self.layers) if layer.source == place.file]
        return max(ranks, default=-1)

    def _in_file(self, layer: Layer, keys: Keys) -> Step | None:
        count = len(layer.package)
        by = Place(layer.file, 1) if layer.file else layer.registered
        if by is None or tuple(map(str, keys[:count])) != layer.package[: len(keys)]:
            return None
        if len(keys) <= count:
            # The file as a whole is what makes the section.
            return Step(dotted(keys), f"the section of {layer.title}", by, layer.why)
        if layer.file is None:
            stored = config_store.value(str(layer.config), keys[count:])
            return Step(dotted(keys[: count + stored[0]]), stored[1], by, layer.why) if stored else None
        found = config_files.find(config_files.nodes(layer.file), keys[count:])
        if found is None:
            return None
        depth, line, node = found
        key = dotted(keys[: count + depth])
        return Step(key, config_files.written(node), Place(layer.file, line), layer.why)

    def _layer(self, part: DefaultsTreeNode | InputDefault, parent: Layer | None) -> Layer:
        """A part of the defaults tree, and in ``self.layers`` the configs in their merge order."""
        node = part.node if isinstance(part, DefaultsTreeNode) else part
        config = node.get_config_path() if node.get_name() is not None else None
        entry = _entry(parent.file, node) if parent else None
        chosen = self._chosen(node)
        there = config is not None and not node.is_deleted()
        file = file_of(self._repository, config) if config and there else None
        layer = Layer(
            title=_title(node),
            config=config,
            file=file,
            registered=store_calls.place(self._project, config) if config and there and not file else None,
            package=_package(node.get_final_package()),
            asked=Place(entry.file, entry.line) if entry else None,
            chosen=chosen,
            instead=entry.written if entry and chosen else None,
            parent=parent,
        )
        for child in (part.children or []) if isinstance(part, DefaultsTreeNode) else []:
            if isinstance(child, InputDefault) and child.is_self():
                self.layers.append(layer)
                layer.parts.append(layer)
            else:
                layer.parts.append(self._layer(child, layer))
        if layer not in layer.parts:
            self.layers.append(layer)
        return layer

    def _chosen(self, node: InputDefault) -> str | Place | None:
        if not isinstance(node, GroupDefault):
            return None
        key = node.get_override_key()
        if node.external_append or node.is_deleted():
            return next((text for text in self._groups if text.lstrip("+~").startswith(key)), None)
        known = self._overrides.override_metadata.get(key)
        if known is None or not node.config_name_overridden:
            return None
        if known.external_override:
            return next((text for text in reversed(self._groups) if text.startswith(f"{key}=")), None)
        file = file_of(self._repository, known.containing_config_path or "")
        for entry in entries(file) if file else []:
            if entry.override and entry.name.strip("/") == key:
                return Place(entry.file, entry.line)
        return known.containing_config_path


def _entry(file: Path | None, node: InputDefault) -> Entry | None:
    """The entry of a file's defaults list that asks for a config."""
    name = str(node.group if isinstance(node, GroupDefault) else getattr(node, "path", ""))
    for entry in entries(file) if file else []:
        # A list of options becomes one config each: callbacks: [default, rich] asks for callbacks/default.
        several = len(entry.options or ()) > 1 and name.rpartition("/")[0] == entry.name
        if entry.name == name or several:
            return entry
    return None


def _title(node: InputDefault) -> str:
    if isinstance(node, GroupDefault):
        name = node.get_name()
        return f"{node.get_override_key()}: {name if name is not None else 'null'}"
    return str(getattr(node, "path", ""))


def _package(package: str) -> Keys:
    return () if package in ("", "_global_") else tuple(package.split("."))


def _in_override(item: Override, keys: Keys, below: bool) -> Step | None:
    """What an override says about a key: of the key itself, of one above it, or that one below is removed."""
    own, names = tuple(item.key_or_group.split(".")), tuple(map(word, keys))
    if below and item.is_delete() and own[: len(names)] == names:
        return Step(item.key_or_group, REMOVED, str(item.input_line), COMMAND_LINE)
    if names[: len(own)] != own:
        return None
    value: Any = None if item.is_delete() else item.value()
    for key in keys[len(own) :]:
        if isinstance(value, dict) and key not in value:
            return None
        if isinstance(value, dict) or (isinstance(value, list) and key in range(len(value))):
            value = value[key]  # type: ignore[index]
    shown = REMOVED if item.is_delete() else _shown(value)
    return Step(item.key_or_group, shown, str(item.input_line), COMMAND_LINE)


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return str(OmegaConf.to_container(OmegaConf.create(value)))
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
