"""Where the project lies and what belongs to it."""

import os
from dataclasses import dataclass
from pathlib import Path

MARKER = ".project-root"
# What a project without a marker has: those of lightning-hydra-template's older versions.
_PRIMARY = "configs/train.yaml"
# Where the user's own state is kept: a project's .env must not say that.
_USERS = ("HOME", "XDG_STATE_HOME")


@dataclass(frozen=True)
class Project:
    """A folder with a ``.project-root`` file or a ``configs/train.yaml``, or else the current folder.

    Attributes:
        root: absolute path of the project's folder.
        found: whether there is a project; outside of one the packaged configs serve alone.
        configs: the project's own configs, where it has any.
        packaged: the configs that come with dlctl.
    """

    root: Path
    found: bool
    configs: Path | None
    packaged: Path

    @classmethod
    def find(cls, start: Path | None = None) -> "Project":
        """Find the project around a folder (the current one) and make it ready for use.

        Sets PROJECT_ROOT, loads ``.env`` and puts the root on ``sys.path``, so that
        ``_target_: mypackage.Model`` is found without installing the project.
        """
        import rootutils

        start = (start or Path.cwd()).resolve()
        around = [start, *start.parents]
        marked = (next((f for f in around if (f / mark).is_file()), None) for mark in (MARKER, _PRIMARY))
        root = next(filter(None, marked), None)
        found, root = root is not None, root or start
        if found:
            _check_dotenv(root / ".env")
        users = {name: os.environ.get(name) for name in _USERS}
        rootutils.set_root(root, dotenv=found, pythonpath=found)
        for name, value in users.items():
            if value is None:
                os.environ.pop(name, None)
        configs = root / "configs"
        return cls(root, found, configs if found and configs.is_dir() else None, packaged_configs())

    @property
    def logs(self) -> Path:
        """Where runs are written unless the config says otherwise."""
        return self.root / "logs"

    @property
    def folders(self) -> list[Path]:
        """The folders a config is looked for in, first match wins."""
        own = [self.configs] if self.configs and self.configs != self.packaged else []
        return [*own, self.packaged]

    def owns(self, file: Path) -> bool:
        """Whether a config file is the project's own, and not one that comes with dlctl."""
        return self.configs is not None and file.is_relative_to(self.configs)

    @property
    def groups(self) -> list[str]:
        """The groups of configs, project and packaged ones together, sorted."""
        files = (file.relative_to(folder) for folder in self.folders for file in folder.rglob("*.yaml"))
        return sorted({file.parent.as_posix() for file in files} - {"."})

    def options(self, group: str) -> dict[str, Path]:
        """The options of a group, project and packaged ones together, sorted, and the file of each.

        Those in folders are named as they are chosen: ``ablation/small``.
        """
        found: dict[str, Path] = {}
        # Below the primary configs and Hydra's own there are groups, and no options.
        pattern = "*.yaml" if group in ("", "hydra") else "**/*.yaml"
        for folder in reversed(self.folders):
            files = (file for file in (folder / group).glob(pattern) if file.is_file())
            found |= {file.relative_to(folder / group).with_suffix("").as_posix(): file for file in files}
        return dict(sorted(found.items()))


def _check_dotenv(file: Path) -> None:
    """Raise ConfigError for a file of environment variables that cannot be read."""
    from dlctl.errors import ConfigError

    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"cannot read {shown(file)}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{shown(file)}:{line}: byte {error.object[error.start]:#04x} is not UTF-8",
            hint="save the file as UTF-8",
        ) from None
    if "\0" in text:
        raise ConfigError(f"{shown(file)} holds a null byte", hint="save the file as UTF-8")


# Where Hydra keeps its own configs, in its package.
HYDRA = "conf/hydra"


@dataclass(frozen=True)
class Place:
    """A line, printed as ``configs/train.yaml:7``; of dlctl's own configs as ``dlctl:train.yaml:7``.

    Those of Hydra are ``hydra:help/default.yaml:2``.
    """

    file: Path
    line: int

    def __str__(self) -> str:
        packaged = packaged_configs()
        if self.file.is_relative_to(packaged) and not packaged.is_relative_to(Path.cwd()):
            return f"dlctl:{self.file.relative_to(packaged)}:{self.line}"
        if f"/hydra/{HYDRA}/" in self.file.as_posix():
            return f"hydra:{self.file.as_posix().rpartition(f'/{HYDRA}/')[2]}:{self.line}"
        return f"{shown(self.file)}:{self.line}"


def packaged_configs() -> Path:
    """The configs that come with dlctl: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).parent
    # An editable install keeps a stale copy inside site-packages: look for the checkout first.
    if (package.parent / MARKER).is_file():
        return package.parent / "configs"
    return package / "configs"


def shown(path: Path | str) -> str:
    """A path as it is printed: relative to the current folder where it lies below it."""
    absolute = os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links the user made
    here = Path.cwd()
    if Path(absolute).is_relative_to(here):
        return os.path.relpath(absolute, here)
    return absolute
