"""Whether every ``_target_`` exists and takes what it is given, read from source where that tells."""

import ast
import re
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from difflib import get_close_matches
from importlib import import_module
from io import StringIO
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from dlctl.composition import source
from dlctl.composition.annotations import Annotation, annotation
from dlctl.composition.faults import blamed, meant
from dlctl.composition.keys import Keys, at, dotted
from dlctl.composition.signatures import Signature, signature
from dlctl.errors import ConfigError, first_line
from dlctl.extras import EXTRAS

if TYPE_CHECKING:
    from dlctl.composition.compose import Composed

# The keys that instantiate takes for itself.
_MEANINGS = ("_target_", "_partial_", "_recursive_", "_convert_", "_args_")
# Where Lightning keeps what belongs to a part of a config.
_PLACES: dict[str | int, str] = {
    "callbacks": "lightning.pytorch.callbacks",
    "logger": "lightning.pytorch.loggers",
    "trainer": "lightning.pytorch",
}
# What Lightning's Trainer took once, and what does the same today.
_ONCE = {
    "gpus": "accelerator: gpu with devices: N",
    "tpu_cores": "accelerator: tpu with devices: N",
    "checkpoint_callback": "enable_checkpointing",
    "resume_from_checkpoint": "dlctl train --ckpt PATH",
    "replace_sampler_ddp": "use_distributed_sampler",
    "weights_summary": "enable_model_summary",
}
# The parts of a config that dlctl instantiates.
_OURS = ("model", "data", "datamodule", "callbacks", "logger", "trainer")


def faults(composed: "Composed", config: Any, *, imports: bool) -> Iterator[ConfigError]:
    """What is wrong with the targets of a config.

    Args:
        composed: tells where things were set.
        config: its values, resolved as far as possible.
        imports: import what its source does not tell enough about.
    """
    yield from _misspelt(composed, config, ())
    for keys, node, partial in _targets(config, (), False):
        target = node["_target_"]
        if not isinstance(target, str) or "${" in target:
            continue
        wrong = _absent(composed, keys, target, imports=imports)
        if wrong is not None:
            yield wrong
            continue
        yield from _misfits(composed, keys, node)
        if found := signature(target):
            yield from _arguments(composed, keys, node, found, partial=partial)


def _misspelt(composed: "Composed", config: Any, keys: Keys) -> Iterator[ConfigError]:
    """Keys such as ``_taget_`` and ``_target``, which Hydra would take for arguments."""
    pairs = (
        config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    )
    for key, value in pairs:
        yield from _misspelt(composed, value, (*keys, key))
        if isinstance(config, dict) and (meaning := meant_for_hydra(str(key))):
            message = f"'{dotted((*keys, key))}' means nothing to Hydra"
            yield blamed(composed, (*keys, key), message, "key", meant([meaning]), [meaning])


def meant_for_hydra(key: str) -> str | None:
    """The key with a meaning to Hydra's instantiate that somebody misspelt; None if nobody did."""
    if not key.startswith("_") or key in _MEANINGS:
        return None
    return next(iter(get_close_matches(key, _MEANINGS, n=1, cutoff=0.85)), None)


def uninstalled(target: str) -> str | None:
    """The extra of dlctl that a target needs and that is not installed."""
    extra = next((EXTRAS[part] for part in target.split(".")[:-1] if part in EXTRAS), None)
    needed = [name for name, brings in EXTRAS.items() if brings == extra]
    return extra if extra and not any(source.spec(name) for name in needed) else None


def _targets(config: Any, keys: Keys, lazy: bool) -> Iterator[tuple[Keys, dict[str, Any], bool]]:
    """Every node with a ``_target_``, the way to it, and whether more arguments come later."""
    if isinstance(config, list):
        for number, item in enumerate(config):
            yield from _targets(item, (*keys, number), lazy)
    elif isinstance(config, dict):
        inner = lazy
        if "_target_" in config:
            yield keys, config, lazy or bool(config.get("_partial_"))
            # What is not instantiated together with its parent may be given more by whoever does it.
            inner = lazy or config.get("_recursive_") is False
        for key, item in config.items():
            # What dlctl does not instantiate itself is instantiated by code that may give more.
            yield from _targets(item, (*keys, key), inner or not (keys or key in _OURS))


def _absent(composed: "Composed", keys: Keys, target: str, *, imports: bool) -> ConfigError | None:
    """A target that is not there; those of an extra that is not installed are let pass."""
    try:
        absent = source.absent(target)
    except SyntaxError as error:
        return _no_target(composed, keys, f"{error.filename}:{error.lineno}: {error.msg}")
    found = source.locate(target) if absent is None else None
    if found and isinstance(found[1], ast.Module):
        return _no_target(composed, keys, f"{target} is a module and no class", *_inside(target))
    if absent is None:
        wrong = _cannot_import(target) if imports and found is None else None
        return _no_target(composed, keys, wrong[0], suggestions=wrong[1]) if wrong else None
    if uninstalled(target):
        return None
    if "." not in target:
        return _no_target(composed, keys, f"'{target}' is no path of a class", *_in_full(keys, target))
    close = get_close_matches(absent.name, absent.known, n=2, cutoff=0.6 if absent.inside else 0.9)
    before = f"{absent.inside}." if absent.inside else ""
    rest = target.removeprefix(f"{before}{absent.name}")
    full = [f"{before}{name}{rest}" for name in close]
    if absent.inside:
        message = f"there is no '{absent.name}' in {absent.inside}"
        return _no_target(composed, keys, message, suggestions=full)
    # What brings a package is not always called like it: sklearn, cv2.
    hint = meant(full) or f"correct the name, or install what brings {absent.name}"
    message = f"there is no package '{absent.name}' (of {target})"
    if not full:
        message = f"the package '{absent.name}' is not installed"
    return blamed(composed, (*keys, "_target_"), message, "package" if not full else "target", hint, full)


def _inside(target: str) -> tuple[str, list[str]]:
    """What to write for a module: the class in it that is called most like it."""
    module = source.parsed(target)
    body = module.tree.body if module else ()
    classes = {each.name.lower(): f"{target}.{each.name}" for each in body if isinstance(each, ast.ClassDef)}
    name = target.rpartition(".")[2].replace("_", "")
    found = [classes[each] for each in get_close_matches(name, classes, n=1, cutoff=0)]
    return meant(found) or "write it in full: package.module.Class", found


def _in_full(keys: Keys, name: str) -> tuple[str, list[str]]:
    """What to write for a class without its module; where Lightning has one of the name, that."""
    full = f"{_PLACES[keys[0]]}.{name}" if keys and keys[0] in _PLACES else None
    if full and source.absent(full) is None:
        return f"did you mean {full}?", [full]
    return "write it in full: package.module.Class", []


def _no_target(
    composed: "Composed", keys: Keys, message: str, hint: str | None = None, suggestions: Sequence[str] = ()
) -> ConfigError:
    hint = hint or meant(suggestions) or "correct the name, or the module that it names"
    return blamed(composed, (*keys, "_target_"), message, "target", hint, suggestions)


def _cannot_import(target: str) -> tuple[str, list[str]] | None:
    """Why a target cannot be imported, where that is so, and what may have been meant."""
    parts = target.split(".")
    for count in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:count])
        if source.spec(name) is None:
            continue
        try:
            # What a module prints would land among the results.
            with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                found: Any = import_module(name)
        except SystemExit:
            return f"{target} cannot be imported: {name} ends the program", []
        except Exception as error:  # a module may raise anything
            return f"{target} cannot be imported: {type(error).__name__}: {first_line(error)}", []
        for part in parts[count:]:
            if not hasattr(found, part):
                before, _, rest = target.partition(f"{name}.{part}")
                close = get_close_matches(part, dir(found), n=2, cutoff=0.6)
                return f"there is no '{part}' in {name}", [f"{before}{name}.{each}{rest}" for each in close]
            found, name = getattr(found, part), f"{name}.{part}"
        return None
    return None


def _misfits(composed: "Composed", keys: Keys, node: dict[str, Any]) -> Iterator[ConfigError]:
    """What is no number where one is wanted, broken ones for whole ones, words near those that are allowed.

    Python does not hold anybody to annotations, and not all are true: of others nothing is said.
    """
    for name, value in node.items():
        given = isinstance(value, list) or (isinstance(value, str) and "${" not in value and value != "???")
        given = given or (isinstance(value, int | float) and not isinstance(value, bool))
        wanted = annotation(node["_target_"], name) if given and not str(name).startswith("_") else None
        nothing = wanted is not None and value == "None" and wanted.accepts(None)
        if wanted is None or (wanted.accepts(value) and not nothing) or _points(composed, (*keys, name)):
            continue
        number, close = _is_number(wanted), ["null"] if nothing else _close(value, wanted)
        known = number or close or _as_list(value, wanted)
        place = composed.blame((*keys, name)) if known else None
        # Without a place the command line set it, and overrides have been looked at one by one.
        if place is not None:
            key = dotted((*keys, name))
            message = f"'{value}' does not fit '{key}', which takes {wanted}"
            hint = meant(close) if nothing else remedy(value, wanted)
            yield blamed(composed, (*keys, name), message, "value", hint, close)


def remedy(value: Any, wanted: Annotation) -> str:
    """What to write for a value that does not fit."""
    if close := _close(value, wanted):
        same = isinstance(value, str) and close[0] == value.lower()
        return f"without quotes: {close[0]}" if same else f"did you mean {' or '.join(close)}?"
    if listed := _as_list(value, wanted):
        return f"did you mean {listed}?"
    with suppress(ValueError, TypeError, OverflowError):
        number = float(value)
        right = int(number) if number.is_integer() and wanted.accepts(7) else number
        if wanted.accepts(right):
            return f"did you mean {right}?" if isinstance(value, float) else f"without quotes: {right}"
    return "write a number" if _is_number(wanted) else f"write what is one of {wanted}"


def _as_list(value: Any, wanted: Annotation) -> str | None:
    """The numbers of ``(0.9, 0.999)``, which YAML takes for a word, as a list; None if a list will not do."""
    numbers = isinstance(value, str) and re.fullmatch(r"\(?\s*([\d.e-]+(?:\s*,\s*[\d.e-]+)+),?\s*\)?", value)
    return f"[{numbers[1]}]" if numbers and wanted.accepts([1]) else None


def _is_number(wanted: Annotation) -> bool:
    return wanted.accepts(7) or wanted.accepts(0.5)


def _close(value: Any, wanted: Annotation) -> list[str]:
    """The words that are allowed and that somebody may have meant."""
    switch = ["true", "false"] if wanted.accepts(True) and not wanted.accepts(7) else []
    return get_close_matches(str(value), [*wanted.literals(), *switch], n=3, cutoff=0.5)


def _points(composed: "Composed", keys: Keys) -> bool:
    """Whether a value comes from elsewhere, where it is told if it is wrong."""
    return "${" in str(at(OmegaConf.to_container(composed.full, resolve=False), keys))


def _arguments(
    composed: "Composed", keys: Keys, node: dict[str, Any], found: Signature, *, partial: bool
) -> Iterator[ConfigError]:
    """Arguments that the target does not know, and those that it lacks."""
    target, given = node["_target_"], [str(name) for name in node if not _is_hydras(str(name))]
    unknown = [name for name in given if not (name in found.names or found.open or meant_for_hydra(name))]
    # The Trainer's forty arguments would hide the message.
    takes = f"it takes {', '.join(found.names)}" if 0 < len(found.names) <= 12 else None
    left = [name for name in unknown if _is_left_over(composed, keys, name)]
    if left:
        message = (
            f"{target} takes no argument {_and(left)}, left over from {composed.blame((*keys, left[0]))}"
        )
        gone = " ".join(f"~{dotted((*keys, name))}" for name in left)
        hint = f"sections are merged: start from an option without it, or remove it: {gone}"
        yield blamed(
            composed, (*keys, "_target_"), message, "argument", f"{takes}\n{hint}" if takes else hint
        )
    for name in [each for each in unknown if each not in left]:
        close = get_close_matches(name, found.names, n=2, cutoff=0.6)
        message = f"{target} takes no argument '{name}'"
        once = f"today that is {_ONCE[name]}" if name in _ONCE and target.endswith("Trainer") else None
        hint = once or meant(close) or takes or "leave it out"
        if (
            keys in (("callbacks",), ("logger",))
            and isinstance(node[name], dict)
            and "_target_" in node[name]
        ):
            hint = (
                f"to have it beside {target}, give that a name: {keys[0]}: {{NAME: {{_target_: {target}}}}}"
            )
        yield blamed(composed, (*keys, name), message, "argument", hint, close)
    args = node.get("_args_")
    filled = {*given, *list(found.names)[: len(args) if isinstance(args, list) else 0]}
    lacking = [name for name, needed in found.names.items() if needed and name not in filled]
    # A misspelt argument is told as that, and not also as one that is missing.
    lacking = [name for name in lacking if not get_close_matches(name, unknown, n=1, cutoff=0.6)]
    if lacking and not partial:
        hint = f"give a value: {lacking[0]}: VALUE; or, if code gives it later, _partial_: true"
        message = f"{target} needs {_and(lacking)}"
        yield blamed(composed, (*keys, "_target_"), message, "missing", hint, lacking)


def _is_left_over(composed: "Composed", keys: Keys, name: str) -> bool:
    """Whether an argument was given to another target, which a later file has replaced."""
    argument, target = composed.blame((*keys, name)), composed.blame((*keys, "_target_"))
    if argument is None or target is None:
        return False
    return composed.trail.rank(argument) < composed.trail.rank(target)


def _is_hydras(name: str) -> bool:
    return name.startswith("_") and name.endswith("_")


def _and(names: Sequence[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
