"""Resolvers that a project registers when its code is imported, which is done when a config names one."""

import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from omegaconf import OmegaConf
from omegaconf.errors import UnsupportedInterpolationType

from dlctl.composition.resolvers import registered
from dlctl.project import Project

T = TypeVar("T")
# Where templates keep the code that every script of theirs imports, and the script itself.
_MODULES = ("src", "src.utils", "src.train", "train")
_tried: dict[tuple[Path, str], str | None] = {}


def retried(project: Project, work: Callable[[], T]) -> T:
    """Do what resolves interpolations; once more where the project's code registers what that lacks.

    Importing the code may take seconds, so that nothing is imported as long as every resolver is known.

    Raises:
        UnsupportedInterpolationType: nobody registers it.
    """
    while True:
        try:
            return work()
        except UnsupportedInterpolationType as error:
            if not _register(project, named(error)):
                raise


def named(error: Exception) -> str:
    """The resolver that an error is about."""
    return str(error).splitlines()[0].rpartition(" ")[2]


def reason(project: Project, name: str) -> str | None:
    """Why a resolver that the project's code registers is not there; None if it registers none."""
    place = registered(project).get(name)
    if place is None:
        return None
    return f"it is registered in {place}, {why_not(project, place.file)}"


def why_not(project: Project, file: Path) -> str:
    """Why importing a file did not register what its source says."""
    error = _tried.get((project.root, module_of(project, file) or ""))
    return f"which cannot be imported: {error}" if error else "in code that an import does not run"


def _register(project: Project, name: str) -> bool:
    """Import the project's code until a resolver is known."""
    for module in _candidates(project, name) if project.found else ():
        import_once(project, module)
        if OmegaConf.has_resolver(name):
            return True
    return False


def import_once(project: Project, module: str) -> None:
    """Import a module of the project; what goes wrong is kept for ``why_not``."""
    if (project.root, module) not in _tried:
        _tried[project.root, module] = _failure(module)


def _candidates(project: Project, name: str) -> Iterator[str]:
    """The modules that may register a resolver, the likeliest first."""
    place = registered(project).get(name)
    if place and (module := module_of(project, place.file)):
        yield module
    for module in _MODULES:
        path = project.root.joinpath(*module.split("."))
        if path.is_dir() or path.with_suffix(".py").is_file():
            yield module


def module_of(project: Project, file: Path) -> str | None:
    """The name under which a file of the project is imported; None if it belongs to no package."""
    parts = file.relative_to(project.root).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    module = ".".join(parts)
    packaged = len(parts) > 1 and (parts[0] == "src" or (project.root / parts[0] / "__init__.py").is_file())
    return module if packaged or module in _MODULES or file.name == "__init__.py" else None


def _failure(module: str) -> str | None:
    """Why a module cannot be imported; None once it is."""
    try:
        # What it prints would land among the results.
        with redirect_stdout(sys.stderr):
            import_module(module)
    except SystemExit:
        return "it ends the program"
    except Exception as error:  # a module may raise anything
        return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
    return None
