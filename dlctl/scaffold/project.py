"""A new project: a folder with a package, configs, tests and what surrounds them."""

import re
import shutil
import subprocess
import unicodedata
from pathlib import Path

from dlctl import __version__
from dlctl.errors import DlctlError, UsageError
from dlctl.project import MARKER
from dlctl.scaffold import names
from dlctl.scaffold.render import TEMPLATES, render
from dlctl.scaffold.writing import File

_PACKAGES = ("", "data", "models", "models/components")


def project(root: Path) -> list[File]:
    """The files of a new project, named after its folder.

    Raises:
        UsageError: that name cannot be a package's, or hides another package.
    """
    package = package_name(root)
    names.refuse_bad_package(package)
    values = {"package": package, "title": package.replace("_", "-"), "version": __version__}
    folder = TEMPLATES / "project"
    found = [File(root / MARKER, "# dlctl takes the folder that this file lies in for the project.\n")]
    for template in sorted(path for path in folder.rglob("*.jinja") if path.is_file()):
        name = template.relative_to(TEMPLATES).as_posix().removesuffix(".jinja")
        # Named so that no tool takes the templates of dot files for its own.
        target = name.removeprefix("project/").replace("dot.", ".")
        found.append(File(root / target, render(name, **values)))
    found += [File(root / package / part / "__init__.py", "") for part in _PACKAGES]
    return found


def package_name(root: Path) -> str:
    """The name of the package of a project in a folder.

    Raises:
        UsageError: the folder's name gives none.
    """
    if not re.search("[A-Za-z]", unicodedata.normalize("NFKD", root.name)):
        raise UsageError(
            f"'{root.name}' gives no name to a Python package", hint="name a folder with letters a to z"
        )
    return names.snake(root.name)


def start_repository(root: Path) -> None:
    """Make the folder a git repository, unless it lies in one or git is not there.

    Raises:
        DlctlError: git could not.
    """
    git = shutil.which("git")
    if git is None or any((folder / ".git").exists() for folder in (root, *root.parents)):
        return
    done = subprocess.run(
        [git, "-c", "init.defaultBranch=main", "init", "--quiet", str(root)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise DlctlError(
            f"git init failed: {done.stderr.strip()}", hint="nothing was kept of the new project"
        )
