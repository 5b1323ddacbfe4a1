"""Overrides -> config: the one place that touches Hydra's machinery."""

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.override_parser.types import Override, OverrideType
from hydra.core.utils import JobRuntime, setup_globals
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, Node, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from dlctl import redact
from dlctl.composition.kept import primary_name, read
from dlctl.composition.keys import Keys
from dlctl.composition.overrides import chooses, line_of, literal, parse, readable
from dlctl.composition.registering import retried
from dlctl.composition.resolving import hidden_secrets, hydra_values, resolved, without_collecting
from dlctl.composition.search_path import loader
from dlctl.errors import DlctlError, Faults, raise_all, several
from dlctl.project import Place, Project
from dlctl.yaml_text import read_overrides, to_yaml

if TYPE_CHECKING:
    from dlctl.composition.provenance import Trail


@dataclass(frozen=True)
class Composed:
    """A composed config, not resolved yet: it still waits for its run directory.

    Attributes:
        project: where it was composed.
        name: the primary config, ``train`` or ``eval``.
        full: the config with its ``hydra`` node and its interpolations.
        overrides: what the command line said, in order.
        groups: those of them that choose an option of a group.
    """

    project: Project
    name: str
    full: DictConfig
    overrides: tuple[str, ...]
    groups: tuple[str, ...] = ()
    # What is shown of a run in a directory, and whether no secret was hidden: it is asked for twice.
    _public: dict[Path, tuple[DictConfig, bool]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    @property
    def config(self) -> DictConfig:
        """A copy without the ``hydra`` node, interpolations as they were written."""
        keys: list[Any] = [key for key in self.full if key != "hydra"]
        return OmegaConf.masked_copy(self.full, keys)

    def plain(self) -> dict[str, Any]:
        """Its values as they were written, as Python objects."""
        found: dict[Any, Any] = {}
        for key in self.full:
            node: Any = self.full._get_node(key)
            if key != "hydra":
                inner = OmegaConf.is_config(node)
                found[key] = OmegaConf.to_container(node, resolve=False) if inner else node._value()
        return found

    def source(self) -> str:
        """The unresolved config as YAML, to travel with checkpoints."""
        return self._source

    @cached_property
    def _source(self) -> str:
        plain: Any = OmegaConf.to_container(self.full, resolve=False, enum_to_str=True)
        del plain["hydra"]
        # Before it is dumped: YAML breaks long values into lines, where a secret would not be found.
        return to_yaml(redact.tree(plain))

    @property
    def choices(self) -> dict[str, Any]:
        """Group -> chosen option, as ``{"model": "mnist", ...}``."""
        return dict(OmegaConf.select(self.full, "hydra.runtime.choices") or {})

    @cached_property
    def trail(self) -> "Trail":
        """Which files and overrides set what."""
        from dlctl.composition.provenance import Trail

        values = [item for item in parse(self.overrides) if line_of(item) not in self.groups]
        return Trail(self.project, self.name, self.groups, values)

    def place(self, key: str | Keys) -> Place | None:
        """The line of a file that set a key last, before the command line; None if no file did."""
        try:
            return self.trail.place(tuple(key.split(".")) if isinstance(key, str) else key)
        except (HydraException, ValueError):
            return None

    def blame(self, key: str | Keys) -> Place | None:
        """The line of a file that gave a key its value; None if the command line did."""
        keys = tuple(key.split(".")) if isinstance(key, str) else key
        place = self.place(keys)
        return place if place and self.trail.history(keys)[-1].by == place else None

    def run_dir(self) -> Path:
        """The directory that ``hydra.run.dir`` asks for, absolute; nothing is created."""
        with hydra_values(self.full, None):
            try:
                return Path(str(retried(self.project, lambda: self.full.hydra.run.dir))).absolute()
            except (OmegaConfBaseException, ValueError, RecursionError) as error:
                keys = ("hydra", "run", "dir")
                raise_all(_faults().unresolvable(self, self.config, error, keys))
                raise

    def resolve(self, output_dir: Path) -> DictConfig:
        """The config as the run uses it, every interpolation replaced by its value."""
        if self._public.get(output_dir, (None, False))[1]:
            return copy.deepcopy(self._public[output_dir][0])
        with hydra_values(self.full, output_dir):
            try:
                config = retried(self.project, lambda: resolved(self.config))
            except (OmegaConfBaseException, ValueError, RecursionError) as error:
                raise_all(_faults().unresolvable(self, self.config, error))
        if missing := sorted(OmegaConf.missing_keys(config)):
            raise_all([_faults().missing(self, key) for key in missing])
        return config

    def public(self, output_dir: Path) -> DictConfig:
        """The same to be shown and written: what comes from a secret stays ``${oc.env:NAME}``."""
        if output_dir not in self._public:
            with hidden_secrets() as hidden:
                public = self.resolve(output_dir)
            tree = OmegaConf.to_container(public, resolve=False)
            clean = redact.tree(tree)
            plain = not hidden and clean == tree
            self._public[output_dir] = (public if plain else OmegaConf.create(clean), plain)
        return self._public[output_dir][0]

    def logging(self, output_dir: Path) -> dict[str, Any]:
        """``hydra.job_logging``, as ``logging.config.dictConfig`` takes it."""
        with hydra_values(self.full, output_dir):
            settings = OmegaConf.to_container(self.full.hydra.job_logging, resolve=True)
        assert isinstance(settings, dict)
        return {str(key): value for key, value in settings.items()}

    def carried(self) -> dict[str, Any]:
        """What travels inside a checkpoint: the unresolved config as YAML, and the overrides."""
        return {"config": self.source(), "overrides": redact.tree(list(self.overrides))}

    def save(self, folder: Path) -> None:
        """Write config.yaml, overrides.yaml and hydra.yaml as Hydra leaves them in ``.hydra``."""
        folder.mkdir()
        hydra = OmegaConf.to_container(self.full.hydra, resolve=False, enum_to_str=True)
        for name, plain in {"hydra.yaml": {"hydra": hydra}, "overrides.yaml": list(self.overrides)}.items():
            (folder / name).write_text(to_yaml(redact.tree(plain)), encoding="utf-8")
        (folder / "config.yaml").write_text(self.source(), encoding="utf-8")


def load(project: Project, folder: Path) -> Composed:
    """What ``save`` wrote, ready to be resolved again."""
    config, hydra = read(folder / "config.yaml"), read(folder / "hydra.yaml")
    setup_globals()
    config["hydra"] = hydra["hydra"]
    OmegaConf.set_struct(config, True)
    said = tuple(read_overrides(folder / "overrides.yaml"))
    return Composed(project, primary_name(project, folder), config, said)


def compose(project: Project, name: str, overrides: Sequence[str] = ()) -> Composed:
    """Compose a primary config of the project or of dlctl.

    Raises:
        ConfigError: something in the overrides or the files is wrong; all that can be known to be
            wrong is told at once.
    """
    setup_globals()
    version.setbase("1.3")
    parsed, found = readable(overrides)
    configs = loader(project)
    groups = [item for item in parsed if chooses(configs, item)]
    values = [item for item in parsed if item not in groups]
    lines = [line_of(item) for item in groups]
    try:
        full = load_files(project, name, lines)
    except Exception as error:
        from dlctl.composition import hydra_errors, otherwise

        wrong = hydra_errors.translated(project, name, groups, error)
        found += [*wrong, *otherwise.faults(project, name, groups, values, wrong)]
        raise (found[0] if len(found) == 1 else Faults(found)) from error
    composed = Composed(project, name, full, tuple(overrides), tuple(lines))
    try:
        override(composed, values)
    except DlctlError as error:
        found += several(error)
    raise_all(found)
    own = [item for item in parsed if not item.is_hydra_override()]
    with open_dict(full):
        full.hydra.overrides.task = [literal(line_of(item)) for item in own]
        excluded = full.hydra.job.config.override_dirname.exclude_keys
        name = get_overrides_dirname(own, kv_sep="=", item_sep=",", exclude_keys=excluded)
        full.hydra.job.override_dirname = literal(name)
    return composed


def load_files(project: Project, name: str, choices: Sequence[str]) -> DictConfig:
    """Compose the files of a primary config and of the options that a command line chooses.

    Raises:
        Exception: what Hydra, OmegaConf and YAML raise.
    """
    JobRuntime.instance().set("name", name)
    with warnings.catch_warnings(), without_collecting():
        # What Hydra warns of, a search path that is not there or a missing _self_, `check` reports.
        warnings.simplefilter("ignore", UserWarning)
        return loader(project).load_configuration(name, list(choices), RunMode.RUN, from_shell=False)


def override(composed: Composed, overrides: Sequence[Override], before: DictConfig | None = None) -> None:
    """Set values in a composed config, in place, after checking each against what is there.

    Args:
        composed: is changed.
        overrides: of values.
        before: the config as it is now, if there is a copy.

    Raises:
        ConfigError: unknown keys, values that do not fit; all of them at once.
    """
    if not overrides:
        return
    from dlctl.composition import preflight

    found: list[DlctlError] = []
    refused: list[Override] = []
    before = copy.deepcopy(composed.full) if before is None else before
    for item in overrides:
        if item.key_or_group.startswith("hydra.launcher.") and item.type == OverrideType.CHANGE:
            # The settings of a launcher that dlctl does not use, and whose names it does not know.
            item.type = OverrideType.FORCE_ADD
        if item.is_delete() and item.value() is None and _is_null(composed.full, item.key_or_group):
            # Hydra takes a null for a key that is not there.
            section, _, name = item.key_or_group.rpartition(".")
            with open_dict(composed.full):
                del (OmegaConf.select(composed.full, section) if section else composed.full)[name]
            continue
        try:
            ConfigLoaderImpl._apply_overrides_to_config([item], composed.full)
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            from dlctl.composition import override_errors

            found.append(override_errors.bad_override(composed, before, item, error))
            refused.append(item)
    fitting = [item for item in overrides if item not in refused]
    raise_all([*found, *preflight.misfits(composed, before, fitting)])


def _is_null(config: DictConfig, key: str) -> bool:
    """Whether a key is there and holds null."""
    section, _, name = key.rpartition(".")
    node = OmegaConf.select(config, section, throw_on_resolution_failure=False) if section else config
    found = node._get_node(name, validate_access=False) if isinstance(node, DictConfig) else None
    return isinstance(found, Node) and found._is_none()


def _faults() -> Any:
    """What tells errors in the user's terms, imported where there is one: it takes a tenth of composing."""
    from dlctl.composition import faults

    return faults
