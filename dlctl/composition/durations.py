"""Durations as options and configs write them."""

import re
from typing import Any

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(text: Any) -> float:
    """Parse ``2h``, ``90m``, ``1h30m`` or a number of seconds.

    Returns:
        Seconds, above 0.

    Raises:
        ValueError: it is no such duration.
    """
    word = re.sub(r"\s", "", str(text)).lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd]?)", word)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if "".join(f"{number}{unit}" for number, unit in parts) != word or seconds <= 0:
        raise ValueError(f"invalid duration '{text}'")
    return seconds
