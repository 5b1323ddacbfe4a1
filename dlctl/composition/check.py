"""Everything that can be known to be wrong with a config without training."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from dlctl.composition import (
    config_files,
    config_store,
    explain,
    misspelt,
    plug_points,
    preflight,
    roots,
    settings,
    shapes,
    signatures,
    source,
    targets,
)
from dlctl.composition import faults as told
from dlctl.composition.compose import Composed
from dlctl.composition.defaults import WHOLE
from dlctl.composition.file_faults import names_package, unpackaged
from dlctl.composition.keys import Keys, at, dotted, walk
from dlctl.composition.logged import Logged
from dlctl.composition.overrides import parse
from dlctl.errors import ConfigError, DlctlError, first_line, several
from dlctl.project import shown

# Keys whose value is a file that is read: ckpt_path, vocab_file, but not log_path or output_file.
_READ = re.compile(r"(^|_)(path|file)$")
_WRITTEN = re.compile(r"(^|_)(out|output|log|save|cache|export|result|report|tmp|temp|target|dest|filename)")


def faults(composed: Composed, *, imports: bool = True, searched: bool = False) -> list[DlctlError]:
    """What is wrong with a config; everything at once.

    Args:
        composed: the config.
        imports: import targets whose source does not tell enough, and look at those settings of Hydra too
            that only other commands read.
        searched: a search is going to ask for the metrics.
    """
    try:
        # With secrets: nothing of it is kept, and messages lose them when they are printed.
        resolved = composed.resolve(composed.run_dir())
        config: Any = OmegaConf.to_container(resolved)
        found: list[DlctlError] = []
    except DlctlError as error:
        # The rest of the config can be looked at nevertheless.
        found = several(error)
        config = explain.plain(composed)
    plain = composed.plain()
    found += settings.faults(composed, others=imports)
    found += _unpackaged(composed)
    found += targets.faults(composed, config, imports=imports)
    found += plug_points.faults(composed, config)
    found += _metrics(composed, config, searched)
    found += _modes(composed, config)
    found += _paths(composed, config)
    found += _search(composed)
    found += misspelt.faults(composed, config, plain)
    found += shapes.faults(composed, plain)
    wrong = list(roots.faults(composed, plain))
    known = {fault.key for fault in found if fault.topic == "key"}
    found = [*_led_astray(found, wrong), *(fault for fault in wrong if fault.key not in known)]
    # Whoever writes ++key=value insists.
    insisted = {item.key_or_group for item in parse(composed.overrides) if item.is_force_add()}
    return [fault for fault in found if fault.key not in insisted]


def _led_astray(found: list[DlctlError], roots: Sequence[DlctlError]) -> list[DlctlError]:
    """Faults without the interpolations that find no key only because it is misspelt."""
    missed = [f"there is no key '{name}'" for fault in roots for name in fault.suggestions]
    return [fault for fault in found if not fault.message.endswith(tuple(missed))]


def extras(composed: Composed) -> list[str]:
    """Notes on targets whose package comes with an extra that is not installed."""
    found = {}
    for keys, value in walk(composed.plain()):
        if keys[-1] == "_target_" and isinstance(value, str) and (extra := targets.uninstalled(value)):
            place = composed.blame(keys)
            where = f"{place}: " if place else ""
            found[value] = f"{where}{value} needs an extra: pip install 'dlctl[{extra}]'"
    return list(found.values())


def _metrics(composed: Composed, config: dict[str, Any], searched: bool) -> Iterator[ConfigError]:
    """Metrics that callbacks and searches name and no code logs."""
    model = config.get("model")
    target = model.get("_target_") if isinstance(model, dict) else None
    if not isinstance(target, str) or not _is_there(target):
        return
    callbacks = walk({"callbacks": config.get("callbacks")})
    logged = Logged([target, *(str(value) for keys, value in callbacks if keys[-1] == "_target_")])
    for keys, name in _named(composed, config):
        if name in logged or not (searched or _matters(composed, keys)):
            continue
        names = logged.names
        close = told.close(name, names)
        message = f"the metric '{name}' is logged nowhere in the code of {target}"
        hint = told.meant(close) or f"it logs {', '.join(names) or 'nothing'}"
        yield told.blamed(composed, keys, message, "metric", hint, close)


def _modes(composed: Composed, config: dict[str, Any]) -> Iterator[ConfigError]:
    """Directions in which no callback of Lightning watches a metric; its annotations take any word."""
    callbacks = config.get("callbacks")
    sections: dict[Keys, Any] = {("callbacks",): callbacks}
    if isinstance(callbacks, dict) and "_target_" not in callbacks:
        sections = {("callbacks", name): node for name, node in callbacks.items()}
    for section, node in sections.items():
        mode = node.get("mode") if isinstance(node, dict) and "monitor" in node else None
        target = str(node.get("_target_")) if mode is not None else ""
        watches = target.startswith(("lightning.", "pytorch_lightning."))
        if watches and mode not in ("min", "max", "???") and "${" not in str(mode):
            keys: Keys = (*section, "mode")
            close = told.close(str(mode), ("min", "max"), cutoff=0.5)
            message = f"'{mode}' does not fit '{dotted(keys)}', which takes min or max"
            yield told.blamed(composed, keys, message, "value", told.meant(close), close)


def _unpackaged(composed: Composed) -> Iterator[ConfigError]:
    """Experiments and the like whose values go below ``experiment``, where nothing reads them."""
    for group in WHOLE:
        option = composed.choices.get(group)
        files = [folder / group / f"{option}.yaml" for folder in composed.project.folders]
        file = next((file for file in files if file.is_file()), None)
        if file is None or names_package(file):
            continue
        content = config_files.values(file) or {}
        own = [key for key in content if key != "defaults"]
        sections = [key for key in own if isinstance(content[key], dict)]
        # Who wants them there gives them names of their own.
        known = [key for key in sections if isinstance(composed.full.get(key), DictConfig)]
        if known or (own and set(own) <= set(composed.full)):
            yield unpackaged(file, group)


def _is_there(target: str) -> bool:
    """Whether there is code to read; where not, that is the fault."""
    try:
        return source.absent(target) is None
    except SyntaxError:
        return False


def _named(composed: Composed, config: dict[str, Any]) -> Iterator[tuple[Keys, str]]:
    """Where metrics are named, and each name."""
    for keys, value in walk({"callbacks": config.get("callbacks")}):
        if not isinstance(value, str) or "${" in value or value == "???":
            continue
        if keys[-1] == "monitor" and value not in ("epoch", "step"):
            yield keys, value
    names = config.get("optimized_metric")
    for name in names if isinstance(names, list) else [names]:
        if isinstance(name, str) and "${" not in name:
            yield ("optimized_metric",), name


def _matters(composed: Composed, keys: Keys) -> bool:
    """Whether somebody is going to ask for a metric: dlctl's own default is asked for in a search only."""
    if keys != ("optimized_metric",) or composed.choices.get("hparams_search"):
        return True
    place = composed.blame(keys)
    return place is None or composed.project.owns(place.file)


def _paths(composed: Composed, config: dict[str, Any]) -> Iterator[ConfigError]:
    """Files that are to be read and folders of configs, where they are not there."""
    for number, folder in enumerate(OmegaConf.select(composed.full, "hydra.searchpath") or []):
        path = Path(str(folder).removeprefix("file://"))
        if "://" not in str(folder).removeprefix("file://") and not path.is_dir():
            keys: Keys = ("hydra", "searchpath", number)
            message = f"hydra.searchpath names {shown(path)}, which is no folder"
            hint = "a folder is written file://path/to/configs, one in a package pkg://package.configs"
            yield told.blamed(composed, keys, message, "path", hint)
    for keys, value in walk(config):
        name = next((str(key) for key in reversed(keys) if not isinstance(key, int)), "")
        if not isinstance(value, str) or "${" in value or value == "???" or not value:
            continue
        if value.startswith("file://"):
            path = Path(value.removeprefix("file://"))
        elif name in ("root_dir", "work_dir") or (_READ.search(name) and not _WRITTEN.search(name)):
            path = Path(value)
        else:
            continue
        section = at(config, keys[:-1])
        if isinstance(section, dict) and str(section.get("_target_")).startswith("hydra."):
            # hydra.utils.get_class and the like: the path is that of a name.
            continue
        if keys == ("weights_path",) and not path.suffix:
            continue  # the name of a run
        remote = "://" in value.removeprefix("file://")
        if remote or path.exists() or (composed.project.root / path).exists():
            continue
        message = f"'{dotted(keys)}' names {shown(path)}, which does not exist"
        hint = "paths are relative to the folder in which dlctl is started"
        hint = "make it, or correct the path" if path.is_absolute() else hint
        # Data need not lie on every machine that checks the configs.
        topic = "data" if _is_data(config, path) else "path"
        yield told.blamed(composed, keys, message, topic, hint)


def _is_data(config: dict[str, Any], path: Path) -> bool:
    """Whether a file lies below ``paths.data_dir``."""
    folder = at(config, ("paths", "data_dir"))
    return isinstance(folder, str) and path.absolute().is_relative_to(Path(folder).absolute())


def _search(composed: Composed) -> Iterator[ConfigError]:
    """Parameters of a search that are not in the config, and spaces that are none."""
    sweeper: Any = OmegaConf.to_container(composed.full.hydra.sweeper, resolve=False) or {}
    directions = sweeper.get("direction")
    for direction in directions if isinstance(directions, list) else [directions]:
        if direction not in (None, "minimize", "maximize"):
            keys: Keys = ("hydra", "sweeper", "direction")
            yield told.blamed(
                composed, keys, f"a search cannot '{direction}'", "value", "write minimize or maximize"
            )
    sampler = {"hydra": {"sweeper": {k: sweeper.get(k) for k in ("sampler", "pruner") if k in sweeper}}}
    yield from targets.faults(composed, sampler, imports=False)
    for key, space in (sweeper.get("params") or {}).items():
        keys = ("hydra", "sweeper", "params", key)
        name = str(key).lstrip("+")
        if not str(key).startswith("+") and not known(composed, name):
            close = list(told.close_keys(composed.full, name))
            message = f"the search varies '{name}', which is not in the config"
            yield told.blamed(composed, keys, message, "key", told.meant(close), close)
        yield from _space(composed, keys, name, space)


def _space(composed: Composed, keys: Keys, name: str, space: Any) -> Iterator[ConfigError]:
    if not isinstance(space, str):
        return
    try:
        item = OverridesParser.create().parse_overrides([f"{name}={space}"])[0]
    except HydraException as error:
        message = f"'{space}' is no search space: {first_line(error)}"
        hint = "for instance 32,64 or choice(32,64), interval(0.1,1), range(1,5), tag(log,interval(1e-4,0.1))"
        yield told.blamed(composed, keys, message, "value", hint)
        return
    value = item.value()
    if isinstance(value, IntervalSweep) and (value.start or 0) >= (value.end or 0):
        message = f"the interval '{space}' has its ends the wrong way round"
        yield told.blamed(composed, keys, message, "value", "write the smaller number first")
    wanted = preflight.expected(composed.full, name)
    choices: Any = item.sweep_iterator() if wanted and item.is_choice_sweep() else ()
    for choice in choices:
        if isinstance(choice, bool | int | float | str) and wanted and not wanted.accepts(choice):
            message = f"'{choice}' does not fit '{name}', which takes {wanted}"
            yield told.blamed(composed, keys, message, "value", targets.remedy(choice, wanted))


def known(composed: Composed, name: str) -> bool:
    """Whether a search can set a name: a key of the config, or a group."""
    if name in composed.choices or config_store.all_options(composed.project, name):
        return True
    parent, _, last = name.rpartition(".")
    node: Any = composed.full
    if parent:
        node = OmegaConf.select(composed.full, parent, throw_on_resolution_failure=False)
    if not OmegaConf.is_dict(node):
        return False
    takes = signatures.signature(str(node.get("_target_"))) if "_target_" in node else None
    # Where the config misspells an argument, that is the mistake, and not the search.
    misspelt = (
        takes and last in takes.names and told.close(last, [str(k) for k in node if k not in takes.names])
    )
    return last in node or bool(misspelt)
