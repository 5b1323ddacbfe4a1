"""Names of what is new: which will do, and the reason and a better one for those that will not."""

import keyword
import re
import sys
import tomllib
import unicodedata
from importlib.machinery import PathFinder

from dlctl.errors import ConfigError, UsageError
from dlctl.project import Project, shown

_LONGEST = 80


def refuse_bad(name: str, what: str) -> None:
    """Insist that a name is one of a Python module.

    Args:
        name: as the user typed it.
        what: is to be called so, for the message.

    Raises:
        UsageError: it is not.
    """
    _refuse_long(name)
    better = snake(name)
    hint = f"e.g. {better}" if better != name else "small letters, digits and _: e.g. my_data"
    if "/" in name or "\\" in name or name.startswith("."):
        raise UsageError(f"'{name}' is a path, and a {what} has a name", hint=hint)
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise UsageError(f"'{name}' is a word of Python's own", hint=f"e.g. my_{name}")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UsageError(f"'{name}' cannot name a {what}: it becomes the name of a Python module", hint=hint)


def refuse_bad_config(name: str, what: str) -> None:
    """Insist that a name is one of a config, which may have dashes.

    Raises:
        UsageError: it is not.
    """
    _refuse_long(name)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name) or name == "null":
        hint = f"letters, digits, - and _: e.g. {snake(name)}"
        raise UsageError(f"'{name}' cannot name {what}", hint=hint)


def refuse_taken(project: Project, group: str, name: str) -> None:
    """Insist that no config that comes with dlctl has this name, which a new one would hide.

    Raises:
        ConfigError: one has.
    """
    file = project.packaged / group / f"{name}.yaml"
    if project.configs != project.packaged and file.is_file():
        raise ConfigError(f"{group}={name} comes with dlctl", hint=f"choose another name: e.g. my_{name}")


def snake(text: str) -> str:
    """The nearest name of a Python module: ``My-Data 2`` -> ``my_data_2``."""
    text = unicodedata.normalize("NFKD", text)
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    words = re.findall(r"[A-Za-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text))
    found = "_".join(words).lower()
    if not found or found[0].isdigit():
        found = f"my_{found}".rstrip("_")
    return f"my_{found}" if keyword.iskeyword(found) else found


def camel(name: str) -> str:
    """The name of a class: ``my_data`` -> ``MyData``."""
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def refuse_bad_package(name: str) -> None:
    """Insist that a package of this name hides no other.

    Raises:
        UsageError: it would.
    """
    refuse_bad(name, "project")
    installed = [folder for folder in sys.path if "site-packages" in folder]
    known = name in sys.stdlib_module_names or name in ("configs", "tests", "logs", "data")
    if known or PathFinder.find_spec(name, installed) is not None:
        raise UsageError(
            f"'{name}' is the name of another package, which this one would hide", hint=f"e.g. my_{name}"
        )


def package_of(project: Project) -> str:
    """The package into which code goes: of ``[tool.dlctl] package``, else the only one there is.

    Raises:
        ConfigError: nothing tells.
    """
    file = project.root / "pyproject.toml"
    try:
        settings = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{shown(file)} cannot be read: {error}") from error
    found = settings.get("tool", {}).get("dlctl", {}).get("package")
    hint = f'[tool.dlctl] package = "NAME" in {shown(file)}'
    if found is not None:
        if not isinstance(found, str) or not found.isidentifier():
            raise ConfigError(f"'{found}' cannot be the project's package", hint=hint)
        return found
    packages = sorted(
        each.parent.name for each in project.root.glob("*/__init__.py") if each.parent.name != "tests"
    )
    if len(packages) != 1:
        told = ", ".join(packages) or "none"
        raise ConfigError(f"which package does code go into? There is {told}", hint=hint)
    return packages[0]


def _refuse_long(name: str) -> None:
    if len(name) > _LONGEST:
        raise UsageError(f"a name of {len(name)} letters is too long", hint=f"{_LONGEST} are enough")
