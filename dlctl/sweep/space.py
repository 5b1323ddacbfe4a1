"""Hydra's sweep syntax -> what trials differ in: every combination of lists, or a space to search."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil, prod
from typing import Any, Literal

from hydra.core.override_parser.types import IntervalSweep, Override, QuotedString, RangeSweep

from dlctl.errors import ConfigError, raise_all

Mode = Literal["grid", "zip", "search"]
Params = dict[str, Any]


@dataclass(frozen=True)
class Parameter:
    """One thing that trials differ in.

    Attributes:
        key: as an override names it: ``model.optimizer.lr``, ``+new.key``, ``model@teacher``.
        text: the values or the interval as they were written.
        choices: value -> the same as an override takes it; empty for an interval. The values are the words of
            the override where some are equal to Python and to Optuna, and not to a config: true, 1, 1.0.
        plain: the values as Python has them.
        low: the lower end of an interval, or the first number of a range.
        high: the upper end, included.
        step: between the numbers of a range; None for an interval.
        log: whether an interval is searched on a logarithmic scale.
        doubles: values that were written more than once.
    """

    key: str
    text: str
    choices: tuple[tuple[Any, str], ...] = ()
    plain: tuple[Any, ...] = ()
    low: int | float | None = None
    high: int | float | None = None
    step: int | float | None = None
    log: bool = False
    doubles: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The key without the plus signs of one that is added."""
        return self.key.lstrip("+")

    @property
    def values(self) -> list[Any]:
        """The values of a list; empty for an interval."""
        return [value for value, _ in self.choices]

    def line(self, value: Any) -> str:
        """The override that gives a trial this value."""
        for known, text in self.choices:
            if known == value:
                return f"{self.key}={text}"
        return f"{self.key}={value}"


@dataclass(frozen=True)
class Space:
    """What trials differ in, and how their values are chosen.

    Attributes:
        parameters: in the order in which they were written.
        mode: every combination of their values, the first with the first and so on, or a search.
    """

    parameters: tuple[Parameter, ...]
    mode: Mode

    @property
    def size(self) -> int | None:
        """How many combinations there are; None for a search."""
        lengths = [len(each.choices) for each in self.parameters]
        return {"grid": prod(lengths), "zip": lengths[0] if lengths else 0}.get(self.mode)

    @property
    def numeric(self) -> bool:
        """Whether trials differ in numbers only: they run the same code and log the same metrics."""
        values = [value for each in self.parameters for value in each.values]
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)

    def combination(self, number: int) -> Params:
        """The values of one combination; the last parameter varies fastest."""
        found: Params = {}
        for each in reversed(self.parameters):
            number, position = (number, number) if self.mode == "zip" else divmod(number, len(each.choices))
            found[each.name] = each.values[position]
        return {each.name: found[each.name] for each in self.parameters}

    def lines(self, params: Params) -> list[str]:
        """The overrides of a trial."""
        return [each.line(params[each.name]) for each in self.parameters if each.name in params]

    @property
    def facts(self) -> dict[str, Any]:
        """What makes two spaces the same."""
        return {"mode": self.mode, "parameters": {each.key: each.text for each in self.parameters}}


def space(items: Sequence[Override], *, zipped: bool, sampled: bool, whole: Collection[str] = ()) -> Space:
    """The space that overrides with several values span.

    Args:
        items: parsed with a config loader, so that globs find the options.
        zipped: take the first values together, then the second ones, and so on.
        whole: the keys whose intervals are of whole numbers.
        sampled: search lists too, instead of going through all combinations.

    Raises:
        ConfigError: an interval that is none, an empty list, lists of different lengths.
    """
    found: list[Parameter] = []
    faults: list[ConfigError] = []
    for item in items:
        try:
            found.append(_parameter(item, item.get_key_element() in whole))
        except ConfigError as fault:
            faults.append(fault)
    raise_all(faults)
    if not zipped:
        searched = sampled or any(not each.choices for each in found)
        return Space(tuple(found), "search" if searched else "grid")
    lengths = {each.name: len(each.choices) for each in found}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        told = ", ".join(f"{name} {length or 'an interval'}" for name, length in lengths.items())
        raise ConfigError(
            f"--zip needs lists of one length: {told}", hint="leave out --zip for all combinations"
        )
    return Space(tuple(found), "zip")


def _parameter(item: Override, whole: bool) -> Parameter:
    key, value = item.get_key_element(), item.value()
    text = (item.input_line or "").partition("=")[2]
    if isinstance(value, IntervalSweep):
        return _interval(item, key, text, value, whole)
    choices: dict[tuple[type, Any], tuple[Any, str]] = {}
    doubles: list[str] = []
    for element in _numbers(value) or item.sweep_iterator():
        plain: Any = element.text if isinstance(element, QuotedString) else element
        word = Override._get_value_element_as_str(element)
        # Optuna keeps plain values only; lists and dicts go by what an override says of them.
        plain = plain if plain is None or isinstance(plain, bool | int | float | str) else word
        if (type(plain), plain) in choices:
            doubles.append(word)
        choices.setdefault((type(plain), plain), (plain, word))
    if not choices:
        raise ConfigError(
            f"'{key}={text}' names no value", key=item.key_or_group, hint="dlctl list shows options"
        )
    listed = tuple(choices.values())
    plain_values = tuple(plain for plain, _ in listed)
    if len(set(plain_values)) < len(listed):
        listed = tuple((word, word) for _, word in listed)
    if isinstance(value, RangeSweep) and not value.shuffle and value.step > 0 and len(listed) > 1:
        return Parameter(key, text, listed, plain_values, listed[0][0], listed[-1][0], value.step)
    return Parameter(key, text, listed, plain_values, doubles=tuple(doubles))


def _numbers(value: Any) -> list[float]:
    """The numbers of a range of fractions as one would write them: 0.3, not 0.30000000000000004."""
    if not isinstance(value, RangeSweep) or value.shuffle or value.start is None or value.stop is None:
        return []
    if isinstance(value.start, int) and isinstance(value.step, int):
        return []
    first, stop, step = (Decimal(str(each)) for each in (value.start, value.stop, value.step))
    return [float(first + number * step) for number in range(max(0, ceil((stop - first) / step)))]


def _interval(item: Override, key: str, text: str, value: IntervalSweep, whole: bool) -> Parameter:
    low, high = value.start, value.end
    if low is not None and low == high:
        raise ConfigError(
            f"the interval '{key}={text}' is a single value", hint=f"{key}={low}", key=item.key_or_group
        )
    if low is None or high is None or low > high:
        raise ConfigError(
            f"the interval '{key}={text}' has its ends the wrong way round",
            hint=f"{key}=interval({high},{low})",
            key=item.key_or_group,
        )
    if unknown := sorted(value.tags - {"log"}):
        raise ConfigError(
            f"'{unknown[0]}' means nothing for an interval",
            hint="tag(log, interval(...))",
            key=item.key_or_group,
        )
    log = "log" in value.tags
    if log and low <= 0:
        raise ConfigError(
            f"the interval '{key}={text}' cannot be logarithmic: it begins at {low}",
            hint="begin above 0, or leave out tag(log, ...)",
            key=item.key_or_group,
        )
    low, high = (int(low), int(high)) if whole else (low, high)
    return Parameter(key, text, low=low, high=high, log=log)


def legacy(entry: Mapping[str, Any]) -> str:
    """An entry of ``search_space``, as Hydra's Optuna plugin took it once, in sweep syntax."""
    kind = entry.get("type")
    if kind == "categorical":
        return f"choice({','.join(Override._get_value_element_as_str(each) for each in entry['choices'])})"
    low, high = entry.get("low"), entry.get("high")
    if entry.get("step") is not None:
        beyond = 1 if kind == "int" else entry["step"] / 2
        return f"range({low},{(high or 0) + beyond},{entry['step']})"
    inner = f"{'int' if kind == 'int' else 'float'}(interval({low},{high}))"
    return f"tag(log,{inner})" if entry.get("log") else inner


def another(name: str, known: Any, wanted: Space) -> ConfigError:
    """A study of this name searches something else."""
    return ConfigError(
        f"there is a study '{name}' already, and it searches something else",
        hint=f"{_difference(known, wanted.facts)}\nname another: --study NAME",
        key="study",
    )


def _difference(known: Any, wanted: dict[str, Any]) -> str:
    """What two spaces differ in, in a line."""
    if not isinstance(known, dict):
        return "it was not made by dlctl"
    there, here = known["parameters"], wanted["parameters"]
    for key in {**there, **here}:
        if there.get(key) != here.get(key):
            return f"{key} is {there.get(key, 'not searched')} there and {here.get(key, 'not searched')} here"
    return f"it is a {known['mode']} there and a {wanted['mode']} here, or its directions differ"
