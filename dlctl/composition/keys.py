"""Ways down into plain configs: mappings, lists and values without interpolations resolved."""

import re
from collections.abc import Iterator
from typing import Any

# Keys, and the numbers of list items.
Keys = tuple[str | int, ...]


def dotted(keys: Keys) -> str:
    """Keys as people write them: ``model.optimizer.lr``, ``data.mirrors[0]``."""
    parts = (f".{word(key)}" if isinstance(key, str | bool) else f"[{key}]" for key in keys[1:])
    return "".join([*map(word, keys[:1]), *parts])


def named(config: Any, text: str) -> Keys | None:
    """The way down that ``model.net.size``, ``data.mirrors[0]`` or ``data.mirrors.0`` names; None if none."""
    if not text:
        return ()
    if isinstance(config, dict):
        for key, value in config.items():
            # A name may have dots itself, and may be no text: 1.5, true.
            name = word(key)
            rest = text.removeprefix(f"[{name}]" if text[0] == "[" else name)
            if rest != text and (not rest or rest[0] in ".["):
                below = named(value, rest.removeprefix("."))
                if below is not None:
                    return (key, *below)
    elif isinstance(config, list) and (match := re.match(r"(?:\[(\d+)\]|(\d+)(?=$|[.\[]))\.?", text)):
        number = int(match[1] or match[2])
        below = named(config[number], text[match.end() :]) if number < len(config) else None
        return None if below is None else (number, *below)
    return None


def word(value: Any) -> str:
    """A value as it is written in an override."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def walk(config: Any, keys: Keys = (), *, lists: bool = True) -> Iterator[tuple[Keys, Any]]:
    """Every value of a plain config that holds no others, with the way down to it.

    Args:
        config: a mapping, a list or a single value.
        keys: the way down to it.
        lists: go into lists too.
    """
    if isinstance(config, dict) and config:
        for key, value in config.items():
            yield from walk(value, (*keys, key), lists=lists)
    elif isinstance(config, list) and config and lists:
        for number, value in enumerate(config):
            yield from walk(value, (*keys, number))
    elif keys:
        yield keys, config


def at(config: Any, keys: Keys, absent: Any = None) -> Any:
    """What lies at the end of a way down; ``absent`` if nothing does."""
    for key in keys:
        if isinstance(config, dict) and key in config:
            config = config[key]
        elif isinstance(config, list) and key in range(len(config)):
            config = config[key]  # type: ignore[index]
        else:
            return absent
    return config


def differences(old: Any, new: Any, under: Keys = ()) -> list[tuple[str, Any, Any]]:
    """What differs between two plain configs: key, old value, new value; ``...`` where there is none.

    Args:
        old: a config or a part of one.
        new: another one.
        under: the way down to the part.
    """
    before, after = dict(walk(old, under, lists=False)), dict(walk(new, under, lists=False))
    return [
        (dotted(keys), before.get(keys, ...), after.get(keys, ...))
        for keys in {**before, **after}
        # 1 is one batch, 1.0 all of them.
        if repr(before.get(keys, ...)) != repr(after.get(keys, ...))
    ]


def references(keys: Keys, text: str) -> Iterator[tuple[str, Keys | str]]:
    """What the interpolations of a value name.

    Args:
        keys: the way down to the value, from which ``${.x}`` and ``${..x}`` count.
        text: the value.

    Yields:
        ("", the way down to another value), or a resolver's name and what it is given; inner ones first.
    """
    # Where interpolations begin that are not closed yet; -1 for a brace that belongs to an argument.
    opened: list[int] = []
    position = 0
    while position < len(text):
        sign, start = text[position], position
        position += 1
        if text.startswith("${", start) and text[start - 1 : start] != "\\":
            opened.append(start)
            position += 1
        elif sign == "{" and opened:
            opened.append(-1)
        elif sign in "\"'" and opened:
            end = text.find(sign, position)
            position = end + 1 if end > 0 and "${" not in text[position:end] else position
        elif sign == "}" and opened and (began := opened.pop()) >= 0:
            yield _reference(keys, text[began + 2 : start].strip())


def _reference(keys: Keys, name: str) -> tuple[str, Keys | str]:
    plain = re.sub(r"\$\{[^{}]*\}", "", name)
    resolver, colon, _ = plain.partition(":")
    if colon:
        return resolver, name.partition(":")[2]
    up = len(plain) - len(plain.lstrip("."))
    parts = re.findall(r"[^.\[\]]+", plain.lstrip("."))
    below = tuple(int(part) if part.isdigit() else part for part in parts)
    return "", (*keys[: len(keys) - up], *below) if up else below
