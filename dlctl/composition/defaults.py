"""The defaults lists of config files, as they are written."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dlctl.composition import config_files
from dlctl.project import Place

# Groups whose options are whole configs, launched as they are; other options are parts of one.
WHOLE = ("experiment", "debug", "hparams_search")


@dataclass(frozen=True)
class Entry:
    """An entry of a defaults list.

    Attributes:
        file: where it stands.
        line: from 1.
        name: the group, or the config where no option is named, without keywords and package.
        options: the options, as they are written; None for a config, which has none.
        override: it replaces what another list chose.
        optional: it may be missing.
    """

    file: Path
    line: int
    name: str
    options: tuple[str, ...] | None
    override: bool = False
    optional: bool = False

    @property
    def written(self) -> str:
        """The option or options on one line."""
        options = self.options or ()
        return options[0] if len(options) == 1 else f"[{', '.join(options)}]"

    def asks(self, inside: str) -> list[tuple[str, ...]]:
        """The configs that must exist for this entry to work, each with the names it may go by.

        Hydra counts from the group of the config in which the entry stands. For ``experiment/sub/mine``
        that may be ``experiment`` or ``experiment/sub``, as whoever chose it wrote it.

        Args:
            inside: the config in which the entry stands.
        """
        if self.optional or self.name == "_self_" or "${" in self.name:
            return []
        known = [option for option in self.options or () if option not in ("null", "???")]
        below = [f"/{option}" for option in known if "${" not in option] if self.options is not None else [""]
        return [tuple(f"{path}{option}" for path in self.paths(inside)) for option in below]

    def paths(self, inside: str) -> tuple[str, ...]:
        """What its name may mean: that of a group, or of a config where no option is named."""
        folders = inside.split("/")[:-1]
        bases = ["/".join(folders[:count]) for count in range(len(folders), 0, -1)] or [""]
        bases = [""] if self.name.startswith("/") else bases
        return tuple(f"{base}/{self.name.strip('/')}".lstrip("/") for base in bases)


def entries(file: Path) -> list[Entry]:
    """The defaults list of a file; empty if it has none or is broken."""
    found = config_files.find(config_files.nodes(file), ("defaults",))
    if found is None or not isinstance(found[2], yaml.SequenceNode):
        return []
    listed: list[Entry] = []
    for node in found[2].value:
        pairs: Any = node.value if isinstance(node, yaml.MappingNode) else [(node, None)]
        for key, value in pairs:
            *keywords, name = str(key.value).split() or [""]
            options = value.value if isinstance(value, yaml.SequenceNode) else [value]
            listed.append(
                Entry(
                    file,
                    node.start_mark.line + 1,
                    name.partition("@")[0],
                    tuple(str(each.value) or "null" for each in options) if value is not None else None,
                    "override" in keywords,
                    "optional" in keywords,
                )
            )
    return listed


def misshapen(file: Path) -> Iterator[tuple[int, str, str | None]]:
    """The line of every entry that Hydra cannot take, what is wrong, and the word that is no keyword."""
    found = config_files.find(config_files.nodes(file), ("defaults",))
    if found is None:
        return
    _, line, node = found
    if not isinstance(node, yaml.SequenceNode):
        yield line, "defaults must be a list", None
        return
    for item in node.value:
        line = item.start_mark.line + 1
        named = item.value[0][0] if isinstance(item, yaml.MappingNode) and item.value else item
        *keywords, _ = str(named.value).split() or [""]
        if odd := [each for each in keywords if each not in ("override", "optional")]:
            yield line, f"'{odd[0]}' is no keyword: there are override and optional", odd[0]
        elif isinstance(item, yaml.ScalarNode) and not _is_word(item):
            yield line, f"'{item.value}' is no name of a config", None
        elif isinstance(item, yaml.SequenceNode):
            yield line, "a list within the list", None
        elif isinstance(item, yaml.MappingNode) and len(item.value) != 1:
            count = "no group" if not item.value else "several groups"
            yield line, f"an entry of the defaults list names {count}", None
        elif isinstance(item, yaml.MappingNode):
            option = item.value[0][1]
            options = option.value if isinstance(option, yaml.SequenceNode) else [option]
            wrong = [each for each in options if not (_is_word(each) or each.tag.endswith(":null"))]
            if wrong:
                yield line, f"the option '{config_files.written(wrong[0])}' is no word", None


def _is_word(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag.endswith(":str")


def place_of(file: Path) -> Place:
    """Where the defaults list of a file begins."""
    found = config_files.find(config_files.nodes(file), ("defaults",))
    return Place(file, found[1] if found else 1)
