"""Overrides -> config: the one place that touches Hydra's machinery."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobRuntime, setup_globals
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from dlctl import redact
from dlctl.composition import faults, preflight
from dlctl.composition.search_path import loader
from dlctl.errors import ConfigError, DlctlError, raise_all
from dlctl.project import Project

# What an evaluation does not take over from the training.
_OF_THE_EVALUATION = ("task_name", "logger", "callbacks", "ckpt_path")


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

    @property
    def config(self) -> DictConfig:
        """A copy without the ``hydra`` node, interpolations as they were written."""
        keys = [str(key) for key in self.full if key != "hydra"]
        return OmegaConf.masked_copy(self.full, keys)

    def source(self) -> str:
        """The unresolved config as YAML, to travel with checkpoints."""
        return redact.text(OmegaConf.to_yaml(self.config))

    @property
    def choices(self) -> dict[str, Any]:
        """Group -> chosen option, as ``{"model": "mnist", ...}``."""
        return dict(OmegaConf.select(self.full, "hydra.runtime.choices") or {})

    def run_dir(self) -> Path:
        """The directory that ``hydra.run.dir`` asks for, absolute; nothing is created."""
        with _hydra_values(self.full, None):
            return Path(_resolved(self.full.hydra.run, "dir")).absolute()

    def resolve(self, output_dir: Path) -> DictConfig:
        """The config as the run uses it, every interpolation replaced by its value."""
        config = self.config
        with _hydra_values(self.full, output_dir):
            try:
                OmegaConf.resolve(config)
            except (OmegaConfBaseException, ValueError, RecursionError) as error:
                raise_all(faults.unresolvable(self, self.config, error))
        if missing := sorted(OmegaConf.missing_keys(config)):
            raise_all([faults.missing(self, key) for key in missing])
        return config

    def public(self, output_dir: Path) -> DictConfig:
        """The same to be shown and written: what comes from a secret stays ``${oc.env:NAME}``."""
        with _hidden_secrets():
            config = self.resolve(output_dir)
        tree = OmegaConf.to_container(config, resolve=False)
        public = OmegaConf.create(redact.tree(tree))
        assert isinstance(public, DictConfig)
        return public

    def logging(self, output_dir: Path) -> dict[str, Any]:
        """``hydra.job_logging``, as ``logging.config.dictConfig`` takes it."""
        full = copy.deepcopy(self.full)
        with _hydra_values(full, output_dir):
            settings = OmegaConf.to_container(full.hydra.job_logging, resolve=True)
        assert isinstance(settings, dict)
        return {str(key): value for key, value in settings.items()}

    def save(self, folder: Path) -> None:
        """Write config.yaml, overrides.yaml and hydra.yaml as Hydra leaves them in ``.hydra``."""
        folder.mkdir()
        hydra = OmegaConf.create({"hydra": self.full.hydra})
        for name, node in {
            "hydra.yaml": hydra,
            "overrides.yaml": OmegaConf.create(list(self.overrides)),
        }.items():
            (folder / name).write_text(redact.text(OmegaConf.to_yaml(node)), encoding="utf-8")
        (folder / "config.yaml").write_text(self.source(), encoding="utf-8")


def load(project: Project, folder: Path) -> Composed:
    """What ``save`` wrote, ready to be resolved again."""
    config, hydra = (OmegaConf.load(folder / file) for file in ("config.yaml", "hydra.yaml"))
    overrides = OmegaConf.to_container(OmegaConf.load(folder / "overrides.yaml"))
    assert isinstance(config, DictConfig)
    assert isinstance(hydra, DictConfig)
    assert isinstance(overrides, list)
    setup_globals()
    config["hydra"] = hydra["hydra"]
    OmegaConf.set_struct(config, True)
    return Composed(project, "train", config, tuple(map(str, overrides)))


def compose(project: Project, name: str, overrides: Sequence[str] = ()) -> Composed:
    """Compose a primary config of the project or of dlctl.

    Raises:
        ConfigError: something in the overrides or the files is wrong; all that can be known to be
            wrong is told at once.
    """
    setup_globals()
    version.setbase("1.3")
    parsed = parse(overrides)
    configs = loader(project)
    JobRuntime.instance().set("name", name)
    groups = [item for item in parsed if _chooses(configs, item)]
    lines = [_line(item) for item in groups]
    try:
        full = configs.load_configuration(name, lines, RunMode.RUN, from_shell=False)
    except Exception as error:
        raise faults.from_hydra(project, configs, name, groups, error) from error
    composed = Composed(project, name, full, tuple(overrides), tuple(lines))
    override(composed, [item for item in parsed if item not in groups])
    with open_dict(full):
        full.hydra.overrides.task = [_line(item) for item in parsed if not item.is_hydra_override()]
        full.hydra.job.override_dirname = get_overrides_dirname(
            [item for item in parsed if not item.is_hydra_override()],
            kv_sep="=",
            item_sep=",",
            exclude_keys=full.hydra.job.config.override_dirname.exclude_keys,
        )
    return composed


def override(composed: Composed, overrides: Sequence[Override]) -> None:
    """Set values in a composed config, in place, after checking each against what is there.

    Raises:
        ConfigError: unknown keys, values that do not fit; all of them at once.
    """
    found: list[DlctlError] = []
    before = copy.deepcopy(composed.full)
    for item in overrides:
        try:
            ConfigLoaderImpl._apply_overrides_to_config([item], composed.full)
        except (HydraException, OmegaConfBaseException) as error:
            found.append(faults.bad_override(composed, before, item, error))
    found += preflight.misfits(composed, before, overrides)
    raise_all(found)


def over(saved: Composed, overrides: Sequence[str]) -> Composed:
    """A saved config with new overrides on top: values are set, choices are composed as of today."""
    parsed = parse(overrides)
    configs = loader(saved.project)
    groups = [item for item in parsed if _chooses(configs, item)]
    result = Composed(
        saved.project,
        "train",
        copy.deepcopy(saved.full),
        (*saved.overrides, *overrides),
        tuple(_line(item) for item in groups),
    )
    if groups:
        _choose_again(result, parse(saved.overrides), groups, configs)
    override(result, [item for item in parsed if item not in groups])
    return result


def _choose_again(
    result: Composed, said: Sequence[Override], groups: list[Override], configs: ConfigLoaderImpl
) -> None:
    """Replace the parts of a saved config that new choices bring."""
    named = {item.key_or_group for item in groups}
    kept = [item for item in said if _chooses(configs, item) and item.key_or_group not in named]
    fresh = compose(result.project, "train", [_line(item) for item in [*kept, *groups]])
    for item in groups:
        part = _replace(result.full, fresh.full, configs, item)
        # What was said of single values then still holds, where there are such values now.
        values = [
            each
            for each in said
            if not _chooses(configs, each)
            and each.key_or_group.startswith(f"{part}.")
            and OmegaConf.select(result.full, each.key_or_group) is not None
        ]
        override(result, values)


def evaluation(
    project: Project,
    own: DictConfig | None,
    said: Sequence[str],
    overrides: Sequence[str],
    task: str,
) -> Composed:
    """The config with which a trained model is evaluated.

    Args:
        project: whose ``eval`` config gives what an evaluation needs of its own.
        own: the unresolved config of the training; None where nobody knows it any more.
        said: the overrides of the training.
        overrides: on top of all.
        task: names the folder of the new run.
    """
    if own is None:
        return compose(project, "eval", [f"task_name={task}", *overrides])
    today = compose(project, "eval", [f"task_name={task}"])
    with open_dict(today.full):
        for key in ("data", "model", "trainer"):
            today.full.pop(key, None)
        for name, node in own.items_ex(resolve=False):
            if name not in _OF_THE_EVALUATION:
                today.full[name] = node
    saved = Composed(project, "train", today.full, tuple(said))
    return replace(over(saved, overrides), overrides=tuple(overrides))


def differences(old: Composed, new: Composed) -> list[str]:
    """What differs between two configs, as ``key: old -> new``."""
    before, after = dict(faults.leaves(old.full)), dict(faults.leaves(new.full))
    return [
        f"{key}: {preflight.word(before.get(key))} -> {preflight.word(after.get(key))}"
        for key in {**before, **after}
        if before.get(key) != after.get(key) and not isinstance(after.get(key), DictConfig)
    ]


def parse(overrides: Sequence[str]) -> list[Override]:
    """Parse overrides in Hydra's grammar; every one that does not parse is told."""
    parser = OverridesParser.create()
    parsed: list[Override] = []
    found: list[DlctlError] = []
    for text in overrides:
        try:
            item = parser.parse_overrides([text])[0]
        except HydraException as error:
            found.append(faults.unparsable(text, error))
            continue
        if item.is_sweep_override():
            found.append(faults.sweep(text, item))
        parsed.append(item)
    raise_all(found)
    return parsed


def _line(item: Override) -> str:
    assert item.input_line is not None
    return item.input_line


def _chooses(configs: ConfigLoaderImpl, item: Override) -> bool:
    """Whether an override picks an option of a group, by Hydra's own rule."""
    if item.key_or_group == "hydra.searchpath":
        return True
    group = configs.repository.group_exists(item.key_or_group)
    return group and not isinstance(item.value(), dict)


def _replace(full: DictConfig, fresh: DictConfig, configs: ConfigLoaderImpl, item: Override) -> str:
    """Put the part that a choice brought into the saved config; the part's key."""
    package: str = item.package or item.key_or_group.replace("/", ".")
    header = configs.repository.load_config(f"{item.key_or_group}/{item.value()}")
    if header is not None and header.header.get("package") == "_global_":
        hydra = full.hydra
        with open_dict(full):
            full.merge_with(fresh)
            full.hydra = hydra
        return ""
    node = OmegaConf.select(fresh, package)
    if package not in ("", "hydra"):
        OmegaConf.update(full, package, node, merge=False, force_add=True)
    return package


@contextmanager
def _hydra_values(full: DictConfig, output_dir: Path | None) -> Iterator[None]:
    """Let ``${hydra:...}`` read from a config for a moment.

    Hydra's own way is a global HydraConfig. Lightning's launchers rewrite the command line of
    their children where that is set, so it must not outlive the resolving: here it is never set.
    """
    config = copy.deepcopy(full)
    with open_dict(config):
        if output_dir is not None:
            config.hydra.runtime.output_dir = str(output_dir)
        for key, value in {"num": 0, "id": "0"}.items():
            if OmegaConf.is_missing(config.hydra.job, key):
                config.hydra.job[key] = value
    OmegaConf.register_new_resolver(
        "hydra", lambda path: OmegaConf.select(config, f"hydra.{path}"), replace=True
    )
    try:
        yield
    finally:
        setup_globals()


@contextmanager
def _hidden_secrets() -> Iterator[None]:
    """Let ``${oc.env:SECRET}`` resolve to itself."""
    from omegaconf.resolvers import oc

    def env(name: str, *default: Any) -> Any:
        if redact.is_secret_name(name):
            return f"${{oc.env:{','.join(map(str, (name, *default)))}}}"
        return oc.env(name, *default)

    OmegaConf.register_new_resolver("oc.env", env, replace=True)
    try:
        yield
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)


def _resolved(node: DictConfig, key: str) -> str:
    try:
        return str(node[key])
    except OmegaConfBaseException as error:
        raise ConfigError(
            f"hydra.run.{key} cannot be resolved: {str(error).splitlines()[0]}",
            key=f"hydra.run.{key}",
        ) from error
