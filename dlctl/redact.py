"""Keep secrets out of everything that is written or printed."""

import os
import re
from collections.abc import Sequence
from typing import Any

_SECRET_NAME = re.compile(r"(^|_)(\w*KEY|TOKEN|SECRET|PASSWORD)S?($|_)", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@'\"]*):(?!\$\{)[^\s/@'\"]+@", re.IGNORECASE)
# Shorter values are words that stand in configs by chance.
_SHORTEST = 8


def is_secret_name(name: str) -> bool:
    """Whether an environment variable of this name is taken for a secret."""
    return _SECRET_NAME.search(name) is not None


def text(value: str) -> str:
    """The text with secret values turned back into interpolations, and URLs without passwords."""
    return _text(value, _secrets())


def _secrets() -> list[tuple[str, str]]:
    """The environment's secrets, by name."""
    found = os.environ.items()
    return [(name, secret) for name, secret in found if len(secret) >= _SHORTEST and is_secret_name(name)]


def _text(value: str, secrets: Sequence[tuple[str, str]]) -> str:
    for name, secret in secrets:
        value = value.replace(secret, f"${{oc.env:{name}}}")
    return _URL_PASSWORD.sub(r"\1:***@", value) if "://" in value else value


def url_password(url: str) -> str | None:
    """The password in a URL, which libraries may tell in their errors; None without one."""
    from urllib.parse import urlsplit

    return urlsplit(url).password


def tree(value: Any) -> Any:
    """The same for every string in nested dicts and lists."""
    return _tree(value, _secrets())


def _tree(value: Any, secrets: Sequence[tuple[str, str]]) -> Any:
    if isinstance(value, str):
        return _text(value, secrets)
    if isinstance(value, dict):
        return {key: _tree(item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_tree(item, secrets) for item in value]
    return value
