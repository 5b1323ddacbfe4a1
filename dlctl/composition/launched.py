"""What a command line launches: its faults, and those that show once what does not compose is put right."""

import copy
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlctl.composition import check, config_files, config_store, repair
from dlctl.composition.compose import Composed, compose
from dlctl.composition.defaults import WHOLE, Entry, entries
from dlctl.composition.keys import at, word
from dlctl.errors import DlctlError, several
from dlctl.project import Place, Project

# Every round mends a file or leaves out overrides.
_ROUNDS = 20


@dataclass
class Launched:
    """What could be composed of a command line.

    Attributes:
        project: whose configs.
        lines: overrides.
        name: the primary config.
        composed: the config, perhaps with mistakes taken out; None if there is none to look at.
        refused: what kept it from composing.
        faults: what is wrong with what was composed.
        repaired: what was put in the place of files.
        lost: the parts of the config of which it is not known what they would have been; "" is all of it.
    """

    project: Project
    lines: list[str]
    name: str = "train"
    composed: Composed | None = None
    refused: list[DlctlError] = field(default_factory=list)
    faults: list[DlctlError] = field(default_factory=list)
    repaired: dict[Path, Any] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)

    def compose(self) -> None:
        """Compose, put right what keeps it from composing, and again."""
        for _ in range(_ROUNDS):
            with config_files.replaced(dict(self.repaired)):
                try:
                    self.composed = compose(self.project, self.name, self.lines)
                    self.faults = self._sure(check.faults(self.composed))
                    return
                except DlctlError as error:
                    found = several(error)
            self.refused += self._sure(found)
            mended = [self._put_right(fault) for fault in found]
            if not any(mended):
                return

    def forget(self, files: Iterable[Path]) -> None:
        """Leave those faults out that may follow from files of which not all could be read."""
        for file in files:
            whole = config_files.values(file) != {}
            self.lost.add("" if whole else _part(self.project, file))
        self.faults = self._sure(self.faults)

    def _put_right(self, fault: DlctlError) -> bool:
        """Whether something could be done about a fault."""
        if fault.place is None:
            return self._override(fault)
        if fault.place.file in self.repaired or not (found := repair.one_file(fault.place.file))[0]:
            return self._line(fault, fault.place)
        self.refused += found[0]
        if found[1] == {}:
            self.lost.add(_part(self.project, fault.place.file))
        if found[1] is not None:
            self.repaired[fault.place.file] = found[1]
        return found[1] is not None or self._line(fault, fault.place)

    def _line(self, fault: DlctlError, place: Place) -> bool:
        """Put the line right that a fault is about."""
        if fault.topic == "defaults":
            return self._entry(fault, place)
        return fault.topic == "value" and self._key(place)

    def _override(self, fault: DlctlError) -> bool:
        """Choose what was probably meant; leave other overrides out."""
        lines = []
        for line in self.lines:
            key = re.split("=", line.lstrip("+~"))[0]
            if key != fault.key:
                lines.append(line)
            elif fault.topic == "defaults":
                # Of an experiment that is not there nothing is known.
                whole = key in WHOLE and len(fault.suggestions) != 1
                self.lost |= {"" if whole else key} if len(fault.suggestions) != 1 else set()
                lines += [f"{key}={fault.suggestions[0]}"] if fault.suggestions and not whole else []
        changed, self.lines = lines != self.lines, lines
        return changed

    def _entry(self, fault: DlctlError, place: Place) -> bool:
        """Put the option that was probably meant into a defaults list, or leave the entry out."""
        content = self.repaired.get(place.file) or config_files.values(place.file)
        content = copy.deepcopy(content)
        listed = content.get("defaults") if isinstance(content, dict) else None
        named = [each for each in entries(place.file) if each.line == place.line]
        for number, item in enumerate(listed if isinstance(listed, list) else []):
            entry = next((each for each in named if _writes(item, each)), None)
            if entry is None or (len(named) > 1 and fault.key and fault.key not in entry.name):
                continue
            similar = fault.suggestions if fault.key and fault.key in entry.name else ()
            assert listed is not None
            listed[number : number + 1] = self._meant(item, str(fault.key), similar[0]) if similar else []
            if len(similar) != 1:
                name = entry.name.strip("/") if entry.options is not None else str(fault.key)
                self.lost.add("" if name.partition("/")[0] in WHOLE else name)
            self.repaired[place.file] = content
            return True
        return False

    def _meant(self, item: Any, group: str, similar: str) -> list[Any]:
        """An entry with the option, or the group, that was probably meant; none of several options."""
        key, option = next(iter(item.items())) if isinstance(item, dict) else (None, None)
        if key is None or isinstance(option, list):
            return []
        known = config_store.all_options(self.project, group)
        return [{key: similar}] if known else [{key.replace(group, similar): option}]

    def _key(self, place: Place) -> bool:
        """Leave a key out whose value does not fit."""
        content = self.repaired.get(place.file) or config_files.values(place.file)
        keys = config_files.on_line(place.file, place.line)
        content = copy.deepcopy(content)
        if not keys or keys[0] == "defaults" or not isinstance(at(content, keys[:-1]), dict):
            return False
        self.repaired[place.file] = content
        return at(content, keys[:-1]).pop(keys[-1], None) is not None

    def _sure(self, faults: Sequence[DlctlError]) -> list[DlctlError]:
        """Those faults that do not follow from what is lost."""
        return [fault for fault in faults if not self._doubtful(fault)]

    def _doubtful(self, fault: DlctlError) -> bool:
        vague = fault.topic in repair.ABSENCE or "there is no key" in fault.message or fault.place is None
        if "" in self.lost and vague:
            return True
        if fault.topic == "metric" and self.lost & {"model", "callbacks"}:
            return True
        said = f"{fault.key} {fault.message}"
        return any(re.search(rf"(?<![\w.]){re.escape(part)}(?!\w)", said) for part in self.lost if part)


def _writes(item: Any, entry: Entry) -> bool:
    """Whether an item of a defaults list is what an entry was read from."""
    key, given = next(iter(item.items())) if isinstance(item, dict) and item else (item, ...)
    options = None if given is ... else tuple(map(word, given if isinstance(given, list) else [given]))
    return (str(key).split() or [""])[-1].partition("@")[0] == entry.name and options == entry.options


def _part(project: Project, file: Path) -> str:
    """The part of the config that a file makes; "" where it may be all."""
    folder = next((each for each in project.folders if file.is_relative_to(each)), None)
    group = file.relative_to(folder).parent.as_posix() if folder else "."
    return "" if group == "." or group.partition("/")[0] in WHOLE else group
