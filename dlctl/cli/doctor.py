"""``dlctl doctor``: what this installation is made of, what it finds here, and what is wrong with it."""

import os
import platform
import re
import shutil
import sys
import warnings
from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

import dlctl
from dlctl.cli import options, probe, render
from dlctl.cli.report import Report, size
from dlctl.errors import DlctlError, Faults, chain
from dlctl.project import MARKER, Project, shown

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from dlctl.composition.compose import Composed

# A run with a few checkpoints does not fit into less.
_LEAST = 100 * 2**20


def command(json: options.Json = False) -> None:
    """Tell what is installed, what is found here and what is wrong.

    For you, or for a bug report. The exit code is 1 if something is wrong.
    """
    report, project = Report(), Project.find()
    with render.console(stderr=True).status("importing torch and lightning"):
        imported = probe.imported()
    _versions(report, imported)
    _devices(report, imported)
    _machine(report)
    report.facts["project"] = str(project.root) if project.found else None
    report.say("project", str(project.root) if project.found else f"none: no {MARKER} above here")
    report.facts["train_config"] = {"composes": False, "error": "not tried without hydra"}
    broken = imported["hydra"]["error"] or imported["omegaconf"]["error"]
    composed, config = (None, None) if broken else _composed(report, project)
    _search_path(report, project, composed)
    _folders(report, project, config)
    _optional(report)
    problems = report.problems
    if json:
        render.as_json({"ok": not problems, "problems": problems, **report.facts})
    else:
        report.say("problems", ", ".join(each["name"] for each in problems) or "none")
        report.print()
    if problems:
        raise typer.Exit(1)


def _versions(report: Report, imported: dict[str, Any]) -> None:
    facts: dict[str, Any] = {
        "dlctl": {"version": dlctl.__version__, "path": str(Path(dlctl.__file__).parent)},
        "python": {"version": platform.python_version(), "path": sys.executable},
    }
    for name, fact in facts.items():
        report.say(name, f"{fact['version']}, {shown(fact['path'])}")
    report.say("platform", platform.platform())
    for name, package in probe.PACKAGES.items():
        error = imported[name]["error"]
        version = imported[name].get("version") or _installed(package)
        facts[name] = {"version": version, "error": error}
        told = [error] if error == "not installed" else [each for each in (version, error) if each]
        report.say(name, ", ".join(told) or "no version", _remedy(name, package, error))
    report.facts |= {"versions": facts, "platform": platform.platform()}


def _remedy(name: str, package: str, error: str | None) -> str | None:
    if error is None or error.startswith("not tried"):
        return None
    if error == "not installed":
        return f"pip install {package}"
    spec = find_spec(name)
    where = f"it lies in {shown(Path(spec.origin).parent)}\n" if spec and spec.origin else ""
    return f"{where}pip install --force-reinstall {package}\nto see more: python -c 'import {name}'"


def _installed(package: str) -> str | None:
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return None


def _devices(report: Report, imported: dict[str, Any]) -> None:
    found = report.facts["devices"] = {"cuda": [], "mps": [], "why_none": {}, **imported["devices"]}
    if error := found["error"]:
        # Not tried: then a package is at fault, and is the problem.
        tried = not error.startswith("not tried")
        report.say("cuda", error, "look at the driver: nvidia-smi" if tried else None)
        report.say("mps", error)
        return
    for name in ("cuda", "mps"):
        devices = [f"{each['name']}, {size(each['memory'])}" for each in found[name]]
        report.say(name, "; ".join(devices) or f"none: {found['why_none'][name]}")


def _machine(report: Report) -> None:
    import psutil

    total, memory = os.cpu_count(), psutil.virtual_memory()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else total
    cores, most = probe.limits()
    most = most if most and most < memory.total else None
    report.facts["cores"] = {"total": total, "usable": usable, "limit": cores}
    report.facts["memory"] = {"total": memory.total, "available": memory.available, "limit": most}
    text = str(usable) if usable == total else f"{usable} of {total}"
    report.say("cores", text + (f", the time of {cores:g} (cgroup)" if cores else ""))
    more = f", at most {size(most)} for this process (cgroup)" if most else ""
    report.say("memory", f"{size(memory.total)}, {size(memory.available)} free{more}")


def _composed(report: Report, project: Project) -> tuple["Composed | None", "DictConfig | None"]:
    """The config of a training without overrides; and with its values, as far as they are known."""
    try:
        with warnings.catch_warnings():
            # Hydra warns of folders that are not there; here they have lines of their own.
            warnings.simplefilter("ignore")
            from dlctl.composition.compose import compose

            composed = compose(project, "train")
    except Exception as error:
        _not_composed(report, error)
        return None, None
    text, config = "composes", composed.full
    try:
        config = composed.resolve(composed.run_dir())
    except Exception as error:
        # Not a fault: the command line may have to give values.
        text = f"composes, but {_first_line(error)}"
    report.facts["train_config"] = {"composes": True, "error": text.partition(", but ")[2] or None}
    report.say("train config", text)
    return composed, config


def _not_composed(report: Report, error: Exception) -> None:
    text = _first_line(error)
    report.facts["train_config"] = {"composes": False, "error": text}
    if any("You must specify" in str(each) for each in chain(error)):
        # Hydra's words; not a fault: the command line may have to choose.
        report.say("train config", f"needs a choice: {text}")
    else:
        hint = _first(error).hint if isinstance(error, DlctlError) else None
        report.say("train config", f"does not compose: {text}", hint or "more: dlctl check")


def _first_line(error: Exception) -> str:
    if not isinstance(error, DlctlError):
        return f"{type(error).__name__}: {error}".strip().splitlines()[0]
    first = _first(error)
    place = f"{first.place}: " if first.place else ""
    return f"{place}{first.message}".splitlines()[0]


def _first(error: DlctlError) -> DlctlError:
    return error.faults[0] if isinstance(error, Faults) else error


def _search_path(report: Report, project: Project, composed: "Composed | None") -> None:
    """The folders in which configs are looked for, in Hydra's order: the first match wins."""
    report.facts["config_path"] = []
    hydras = probe.folder_of("hydra.conf")
    _searched(report, "hydra configs", hydras, "pip install --force-reinstall hydra-core")
    own = project.root / "configs"
    if project.found and own != project.packaged:
        # A project needs none, but what has the name has to be of use.
        remedy = "it has to be a folder that you may read" if os.path.lexists(own) else None
        _searched(report, "own configs", own, remedy)
    _searched(report, "dlctl configs", project.packaged, "pip install --force-reinstall dlctl")
    for source in composed.full.hydra.runtime.config_sources if composed else ():
        if source.provider.startswith("hydra.searchpath"):
            place = Path(source.path) if source.schema == "file" else probe.folder_of(source.path)
            _searched(report, "more configs", place, f"hydra.searchpath names {source.path}")


def _searched(report: Report, whose: str, folder: Path | None, remedy: str | None) -> None:
    there = folder is not None and _is_folder(folder) and os.access(folder, os.R_OK | os.X_OK)
    path = str(folder) if folder else None
    report.facts["config_path"].append({"name": whose, "path": path, "exists": there})
    if there:
        report.say(whose, f"{shown(str(path))}, exists")
        return
    taken = folder is not None and os.path.lexists(folder)
    state = "is not a folder that can be read" if taken else "does not exist"
    if remedy is None:
        state += ", and need not"
    report.say(whose, f"{shown(path)}, {state}" if path else state, remedy)


def _is_folder(path: Path) -> bool:
    with suppress(OSError):
        # Which it raises where a folder on the way may not be entered.
        return path.is_dir()
    return False


def _folders(report: Report, project: Project, config: "DictConfig | None") -> None:
    """Where data and runs go: whether they can, and how much room there is."""
    report.facts["folders"] = {}
    folder: Path | str
    for name, key, folder in (
        ("data", "paths.data_dir", project.root / "data"),
        ("log", "paths.log_dir", project.logs),
    ):
        if config is not None:
            from omegaconf import OmegaConf

            value = OmegaConf.select(config, key, throw_on_resolution_failure=False)
            folder = value if isinstance(value, str) else folder
        if "://" in str(folder):
            report.say(f"{name} folder", f"{folder}, not on this machine")
        else:
            report.facts["folders"][name] = _folder(report, name, key, Path(folder).absolute())


def _folder(report: Report, name: str, key: str, path: Path) -> dict[str, Any]:
    # What is not there yet is made, and has to be made in this one.
    there = next(each for each in (path, *path.parents) if os.path.lexists(each))
    blocked = not _is_folder(there)
    writable = not blocked and os.access(there, os.W_OK | os.X_OK)
    free = None
    with suppress(OSError):
        free = shutil.disk_usage(there).free
    exists = there == path and not blocked
    text = f"{shown(path)}, {'exists' if exists else 'does not exist yet'}"
    remedy = f"{key}=FOLDER names another"
    if blocked:
        text = shown(path) if there == path else f"{text}: {shown(there)}"
        report.say(f"{name} folder", f"{text} is not a folder", f"move that away; {remedy}")
    elif not writable:
        # Data may well be shared and read only.
        above = "the folder above it" if there == path.parent else shown(there)
        text += ", not writable" if exists else f": {above} is not writable"
        report.say(f"{name} folder", text, remedy if name == "log" else None)
    else:
        full = name == "log" and free is not None and free < _LEAST
        room = f", {size(free)} free" if free is not None else ""
        report.say(f"{name} folder", f"{text}, writable{room}", f"make room; {remedy}" if full else None)
    return {"path": str(path), "exists": exists, "writable": writable, "free": free}


def _optional(report: Report) -> None:
    """What dlctl can do without: the packages of its extras, and plugins of Hydra."""
    report.facts["extras"] = {}
    with suppress(metadata.PackageNotFoundError):
        for line in metadata.requires("dlctl") or ():
            match = re.match(r"([\w.-]+).*\bextra == ['\"]([\w.-]+)['\"]", line)
            if not match or match[2] in ("all", "dev"):
                continue
            package, extra = match.groups()
            version = _installed(package)
            report.facts["extras"][extra] = {"package": package, "version": version}
            absent = f"not installed (optional): pip install 'dlctl[{extra}]'"
            report.say(f"extra {extra}", version or absent)
    names = probe.hydra_plugins()
    report.facts["hydra_plugins"] = names
    needless = "dlctl needs none and loads none"
    report.say("hydra plugins", f"{', '.join(names)} ({needless})" if names else f"none ({needless})")
