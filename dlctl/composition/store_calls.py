"""Calls of ``ConfigStore.store`` in the source of a project: what importing it registers."""

import ast
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dlctl.project import Place, Project

# Folders of a project in which there is no code of its own, by name or by what lies in them.
_FOREIGN = {"node_modules", "site-packages", "__pycache__"}


@dataclass(frozen=True)
class Registration:
    """A call of ``ConfigStore.store`` in the source of a project.

    Attributes:
        group: with slashes; empty for a primary config, None where the source does not tell.
        name: of the option; None where the source does not tell.
        place: the call.
    """

    group: str | None
    name: str | None
    place: Place

    @property
    def path(self) -> str | None:
        """``group/name``, or None where the source does not tell all of it."""
        if self.group is None or self.name is None:
            return None
        return f"{self.group}/{self.name}".lstrip("/")

    def may_be(self, path: str) -> bool:
        """Whether it may register ``group/name``."""
        group, _, name = path.rpartition("/")
        return self.group in (None, group) and self.name in (None, name)

    def may_have(self, group: str) -> bool:
        """Whether it may make a group, or a group around it."""
        return self.group is None or f"{self.group}/".startswith(f"{group}/")


def registrations(project: Project) -> list[Registration]:
    """What the source of a project's packages registers, in the order of files and lines."""
    found: list[Registration] = []
    for file in _sources(project) if project.found else ():
        with suppress(OSError):
            found += _registered_in(file, file.stat().st_mtime_ns)
    return found


def options(project: Project, group: str) -> dict[str, Place]:
    """The names that the source registers in a group, and where."""
    found = {each.name: each.place for each in registrations(project) if each.group == group and each.name}
    return dict(sorted(found.items()))


def groups(project: Project) -> list[str]:
    """The groups that the source names, sorted."""
    return sorted({each.group for each in registrations(project) if each.group})


def place(project: Project, path: str) -> Place | None:
    """Where the source registers ``group/name``, exactly or perhaps."""
    found = registrations(project)
    exact = (each.place for each in found if each.path == path)
    return next(exact, None) or next((each.place for each in found if each.may_be(path)), None)


def own_folder(folder: Path) -> bool:
    """Whether a folder can hold code of the project: no virtual environment, no run, nothing hidden."""
    marks = (folder / name for name in ("pyvenv.cfg", "run.json"))
    return folder.name[0] != "." and folder.name not in _FOREIGN and not any(map(Path.exists, marks))


def _sources(project: Project) -> Iterator[Path]:
    """The Python files that can be imported: those of packages in the project's folder, and scripts there."""
    for item in sorted(project.root.iterdir()):
        if item.is_file() and item.suffix == ".py":
            yield item
        elif item.name not in ("test", "tests") and (item.name == "src" or (item / "__init__.py").is_file()):
            yield from _package(item)


def _package(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if own_folder(Path(parent, name)))
        yield from (Path(parent, name) for name in sorted(files) if name.endswith(".py"))


@lru_cache(maxsize=4096)
def _registered_in(file: Path, modified: int) -> tuple[Registration, ...]:
    """The calls of ``store`` in a file that names the ConfigStore."""
    text = file.read_bytes()
    if b"ConfigStore" not in text:
        return ()
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return ()
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    found = [_registration(file, node) for node in calls if _is_store(node.func)]
    return tuple(sorted(found, key=lambda each: each.place.line))


def _is_store(function: ast.expr) -> bool:
    return isinstance(function, ast.Attribute) and function.attr == "store"


def _registration(file: Path, call: ast.Call) -> Registration:
    given = dict(zip(("name", "node", "group"), call.args, strict=False))
    given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    unknown = any(keyword.arg is None for keyword in call.keywords)
    group: str | None = None if unknown else ""
    if "group" in given:
        group = _text(given["group"])
    name = _text(given["name"]) if "name" in given else None
    return Registration(group, name and name.removesuffix(".yaml"), Place(file, call.lineno))


def _text(node: ast.expr) -> str | None:
    """A string of the source; the empty one for None, and None for what only running it tells."""
    if isinstance(node, ast.Constant) and node.value is None:
        return ""
    return node.value.strip("/") if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
