"""Check all configs of a project: every file by itself, then everything that can be composed of them."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.errors import HydraException

from dlctl import redact
from dlctl.composition import check, config_files, order, repair, resolvers, store_calls
from dlctl.composition.compose import Composed, compose
from dlctl.composition.defaults import WHOLE
from dlctl.composition.file_faults import by_itself
from dlctl.composition.launched import Launched
from dlctl.errors import DlctlError
from dlctl.project import Project, shown


@dataclass
class Report:
    """What ``dlctl check`` found.

    Attributes:
        faults: each once.
        notes: what is no fault, but good to know.
        composed: how many configs were composed.
    """

    faults: list[DlctlError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    composed: int = 0


@dataclass(frozen=True)
class _Result:
    """A composition with its faults.

    Attributes:
        whole: it can be launched as it is.
        faults: what is wrong with it.
        composed: the config; None if it could not be composed.
    """

    whole: bool
    faults: list[DlctlError]
    composed: Composed | None = None

    @cached_property
    def files(self) -> frozenset[Path]:
        """What it was made of."""
        try:
            layers = self.composed.trail.layers if self.composed else []
        except (HydraException, ValueError):
            # Asked for when its mistakes are back in their place.
            return frozenset()
        return frozenset(layer.file for layer in layers if layer.file)


def launched(project: Project, overrides: Sequence[str], name: str = "train") -> Report:
    """Check what a command line launches and the files that it is made of.

    What keeps it from composing does not hide what else is wrong.
    """
    found = Launched(project, list(overrides), name)
    found.compose()
    report = Report([*found.refused, *found.faults])
    if composed := found.composed:
        report.notes, report.composed = [*check.extras(composed), *resolvers.notes(composed)], 1
        own = project.configs or project.packaged
        with config_files.replaced(found.repaired):
            report.faults += order.faults(composed)
            for file in sorted({layer.file for layer in composed.trail.layers if layer.file}):
                told = file in found.repaired or not file.is_relative_to(own)
                report.faults += () if told else by_itself(file)
    report.faults = _sorted(report.faults)
    _only_faults(report)
    return report


def everything(project: Project) -> Report:
    """Check every config of a project; of dlctl's own where the project has none."""
    root = project.configs or project.packaged
    report = Report()
    repaired: dict[Path, Any] = {}
    report.faults += repair.files(root, repaired)
    for file in sorted(root.rglob("*.yml")):
        report.notes.append(f"{shown(file)} is not read: the names of configs end in .yaml")
    results: list[_Result] = []
    with config_files.replaced(repaired):
        compositions = list(_compositions(project, root))
        report.faults += repair.defaults(project, root, [each[:2] for each in compositions])
        for name, overrides, whole in compositions:
            results.append(_composition(project, name, overrides, whole, set(repaired), report))
        results = list(_searches_with_experiments(project, compositions, results))
    for result in results:
        report.faults += [fault for fault in result.faults if not _fits_elsewhere(fault, result, results)]
    report.faults = _sorted(report.faults)
    _only_faults(report)
    report.composed = len(results)
    return report


def _compositions(project: Project, root: Path) -> Iterator[tuple[str, list[str], bool]]:
    """The primary configs, and every option of every group in its place.

    Yields:
        the primary config, overrides, and whether it can be launched as it is.
    """
    for name in sorted({"train", *(file.stem for file in root.glob("*.yaml") if file.is_file())}):
        yield name, [], True
    chosen = _choices(project)
    for file in sorted(root.rglob("*.yaml")):
        group = str(file.parent.relative_to(root))
        if group == "." or not file.is_file():
            continue
        whole = next((name for name in WHOLE if f"{group}/".startswith(f"{name}/")), None)
        if whole is not None:
            option = "/".join([*group.split("/")[1:], file.stem])
            yield "train", [f"{'' if whole in chosen else '+'}{whole}={_quoted(option)}"], True
            continue
        # A group outside of the defaults has no place of its own: whoever lists it says where it goes.
        places = [key for key in chosen if str(key).partition("@")[0] == group]
        for key in places or ([group] if group.startswith("hydra/") else []):
            yield "train", [f"{key}={_quoted(file.stem)}"], False
    # Of those that the project's code registers, the same.
    for key in chosen:
        for option in store_calls.options(project, str(key).partition("@")[0]):
            yield "train", [f"{key}={_quoted(option)}"], False


def _quoted(option: str) -> str:
    """An option as an override takes it: 1, null and a,b are words only in quotes."""
    plain = re.fullmatch(r"[A-Za-z_][\w./-]*", option) and option not in (
        "null",
        "true",
        "false",
        "inf",
        "nan",
    )
    return option if plain else f'"{option}"'


def _choices(project: Project) -> dict[str, Any]:
    """What the train config chooses, if need be once its mistakes are put right."""
    train = Launched(project, [])
    train.compose()
    return train.composed.choices if train.composed else {}


def _composition(
    project: Project, name: str, overrides: list[str], whole: bool, broken: set[Path], report: Report
) -> _Result:
    """Compose a config and check it."""
    launched = Launched(project, list(overrides), name)
    launched.compose()
    for fault in launched.refused:
        if fault.place is None:
            fault.message += f" (in {' '.join([name, *overrides])})"
    if launched.composed is None:
        return _Result(whole, launched.refused)
    report.notes += [*check.extras(launched.composed), *resolvers.notes(launched.composed)]
    result = _Result(whole, [], launched.composed)
    with config_files.replaced(launched.repaired):
        if broken:
            # What they would have said is not known. To ask for the files of all configs takes long.
            launched.forget(broken & result.files)
        found = [*launched.faults, *order.faults(launched.composed)]
    # What an option or an evaluation leaves open is given by whoever chooses it.
    if not whole or name != "train":
        found = [fault for fault in found if fault.topic != "missing" or " needs " in fault.message]
    result.faults[:] = [*launched.refused, *found]
    return result


def _searches_with_experiments(
    project: Project, compositions: Sequence[tuple[str, list[str], bool]], results: Sequence[_Result]
) -> Iterator[_Result]:
    """Of a search that is made for an experiment only what is wrong with it in each of them."""
    chosen = [(overrides[0].lstrip("+") if overrides else "", overrides) for _, overrides, _ in compositions]
    experiments = [overrides for text, overrides in chosen if text.startswith("experiment=")]
    for (text, overrides), result in zip(chosen, results, strict=True):
        found = result.faults
        for experiment in experiments if text.startswith("hparams_search=") else ():
            if not found:
                break
            try:
                composed = compose(project, "train", [*experiment, *overrides])
            except DlctlError:
                continue
            there = set(map(_identity, check.faults(composed)))
            found = [fault for fault in found if _identity(fault) in there]
        result.faults[:] = found
        yield result


def _fits_elsewhere(fault: DlctlError, result: _Result, results: Iterable[_Result]) -> bool:
    """Whether a fault of an option in its place is none where the option is used as it is meant."""
    if result.whole or fault.place is None:
        return False
    return any(
        other.whole
        and fault.place.file in other.files
        and _identity(fault) not in map(_identity, other.faults)
        for other in results
    )


def _identity(fault: DlctlError) -> tuple[Any, ...]:
    if fault.topic == "package" and not fault.suggestions:
        # Not installed: once is enough, however often it is named.
        return (fault.topic, fault.message)
    return (str(fault.place or fault.key), fault.topic, fault.message)


def _sorted(faults: Iterable[DlctlError]) -> list[DlctlError]:
    """Each fault once, by file and line."""

    def where(fault: DlctlError) -> tuple[str, int]:
        return (str(fault.place.file), fault.place.line) if fault.place else ("", 0)

    once: dict[tuple[Any, ...], DlctlError] = {}
    for fault in sorted(faults, key=where):
        once.setdefault(_identity(fault), fault)
    return list(once.values())


def _only_faults(report: Report) -> None:
    """Make notes of what is no fault of the configs.

    A secret of this machine, such as a tracker's key, is not set; data is fetched or put there later.
    """
    kept = []
    for fault in report.faults:
        where = f"{fault.place}: " if fault.place else ""
        variable = re.search(r"the environment variable (\S+) is not set", fault.message)
        if variable and redact.is_secret_name(variable[1]):
            report.notes.append(f"{where}needs the environment variable {variable[1]}")
        elif fault.topic == "data":
            report.notes.append(f"{where}{fault.message}")
        else:
            kept.append(fault)
    report.faults = kept
    report.notes = list(dict.fromkeys(report.notes))
