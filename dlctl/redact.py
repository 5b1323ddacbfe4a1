"""Keep secrets out of everything that is written or printed."""

import os
import re
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
    for name, secret in os.environ.items():
        if len(secret) >= _SHORTEST and secret in value and is_secret_name(name):
            value = value.replace(secret, f"${{oc.env:{name}}}")
    return _URL_PASSWORD.sub(r"\1:***@", value) if "://" in value else value


def url_password(url: str) -> str | None:
    """The password in a URL, which libraries may tell in their errors; None without one."""
    from urllib.parse import urlsplit

    return urlsplit(url).password


def tree(value: Any) -> Any:
    """The same for every string in nested dicts and lists."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {key: tree(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [tree(item) for item in value]
    return value
