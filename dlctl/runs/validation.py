"""Read a JSON file into a dataclass and check every value against its annotation.

An annotation ``Annotated[dict[str, Any], SomeTypedDict]`` is checked as the ``TypedDict``.
"""

import json
import stat
from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

T = TypeVar("T")

# A manifest has some kilobytes. Reading gigabytes, or a FIFO, would stop a listing of all runs.
_LARGEST = 32 * 2**20
# Far below the recursion limit, which every later walk over the values would meet.
_DEEPEST = 30
_NAMES = {dict: "an object", list: "a list", str: "a string", bool: "true or false", NoneType: "null"}


def read(file: Path, kind: type[T], **given: Any) -> T:
    """An instance of a dataclass from a JSON object; unknown keys are skipped.

    Args:
        file: read whole.
        kind: the dataclass.
        given: fields that the file does not hold.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
        ValueError: it is not JSON, or a value is missing or has the wrong type.
    """
    state = file.stat()
    if not stat.S_ISREG(state.st_mode):
        raise ValueError("it is not a regular file")
    if state.st_size > _LARGEST:
        raise ValueError(f"it is larger than {_LARGEST // 2**20} MiB")
    try:
        values = _limited(json.loads(file.read_text(encoding="utf-8")), _DEEPEST)
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 (byte {error.start})") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(values, dict):
        raise ValueError(f"it holds {_name(values)}, not an object")
    hints = _hints(kind)  # type: ignore[arg-type]
    for each in fields(kind):  # type: ignore[arg-type]
        if each.name in given:
            continue
        if each.name in values:
            _check(values[each.name], hints[each.name], each.name)
            given[each.name] = values[each.name]
        elif each.default is MISSING and each.default_factory is MISSING:
            raise ValueError(f"it lacks '{each.name}'")
    return kind(**given)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _limited(value: Any, depth: int) -> Any:
    """The value with NaN and infinity as None; ValueError if it is nested too deeply."""
    if not depth:
        raise ValueError("it is nested too deeply")
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return None
    if isinstance(value, dict):
        return {key: _limited(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_limited(item, depth - 1) for item in value]
    return value


def _check(value: Any, kind: Any, where: str) -> None:
    """Raise ValueError unless a JSON value has the type that an annotation names."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return
    if origin is Annotated:
        _check(value, inner[1], where)
        return
    if origin in (Union, UnionType):
        # One type or null.
        if value is not None:
            _check(value, next(each for each in inner if each is not NoneType), where)
        return
    if origin is Literal:
        if value not in inner:
            raise ValueError(f"'{where}' is {_name(value)}, not one of {', '.join(map(str, inner))}")
        return
    if kind is float:
        # An integer beyond what a float holds could not be printed as one.
        good = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**1000
    elif kind is int:
        good = isinstance(value, int) and not isinstance(value, bool)
    else:
        good = isinstance(value, dict if is_typeddict(kind) else origin or kind)
    if not good:
        expected = (
            "a number" if kind in (int, float) else _NAMES[dict if is_typeddict(kind) else origin or kind]
        )
        raise ValueError(f"'{where}' is {_name(value)}, not {expected}")
    if is_typeddict(kind):
        _check_keys(value, kind, where)
    elif origin is dict:
        for key, item in value.items():
            _check(item, inner[1], f"{where}.{key}")
    elif origin is list:
        for number, item in enumerate(value):
            _check(item, inner[0], f"{where}[{number}]")


def _check_keys(value: Mapping[str, Any], kind: Any, where: str) -> None:
    for key, inner in _hints(kind).items():
        if key in value:
            _check(value[key], inner, f"{where}.{key}")
        elif key in kind.__required_keys__:
            raise ValueError(f"'{where}' lacks '{key}'")


def _name(value: Any) -> str:
    """A value in a message: its type, or itself where it is short."""
    if isinstance(value, str) and len(value) <= 40:
        return repr(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value}" if len(str(value)) <= 40 else "a huge number"
    return _NAMES.get(type(value), type(value).__name__)
