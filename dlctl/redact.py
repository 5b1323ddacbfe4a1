"""Keep secrets out of everything that is written or printed."""

import os
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

# Whole words between underscores, so that neither PATH nor KEYBOARD is one. PWD is a folder by itself.
_SECRET_NAME = re.compile(
    r"(^|_)\w*(KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL)S?($|_)"
    r"|(^|_)(PASS|PW|PAT|AUTH|PRIVATE)($|_)|(?<!^OLD)_PWD$",
    re.IGNORECASE,
)
# Within a name these may be about something else: AUTH_METHOD=adaptive, PRIVATE_DATA=/data/x.
_DOUBTFUL_NAME = re.compile(r"(^|_)(PASS|PW|PAT|AUTH|PRIVATE)_", re.IGNORECASE)
_WORD_OR_PATH = re.compile(r"[A-Za-z]?[a-z]*([_-][a-z]+)*|[/~.][\w./-]*")
# A password may hold anything but white space and quotes. What begins with a port is none.
_URL_PASSWORD = re.compile(
    r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s:/@'\"]*):(?!\$\{|\d+(?:[/?#]|$))(?:(?!://)[^\s'\"])+@", re.IGNORECASE
)
# A token in the query or the fragment of a URL, as those of presigned ones: X-Amz-Signature=...
_URL = re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://[^\s'\"]+", re.IGNORECASE)
_URL_TOKEN = re.compile(
    r"([?&;#](?:[\w.-]*[_.-])?(?:[a-z]*key(?:[_-]?id)?|[a-z]*token|sig|signature|secret|password|passwd|pwd|pw|pat"
    r"|auth|authorization|credentials?|jwt)=)(?!\$\{)[^&;#\s'\"]+",
    re.IGNORECASE,
)
# Shorter values are words that stand in configs by chance.
_SHORTEST = 8
HIDDEN = "***"


def is_secret_name(name: str) -> bool:
    """Whether an environment variable of this name is taken for a secret."""
    return _SECRET_NAME.search(name) is not None


def text(value: str) -> str:
    """The text with secret values turned back into interpolations, and URLs without passwords."""
    return _text(value, _secrets())


def _secrets() -> list[tuple[str, str]]:
    """The environment's secrets, each by name, in the forms in which they can appear; longest first."""
    secrets = [
        (name, value)
        for name, value in os.environ.items()
        if len(value) >= _SHORTEST
        and is_secret_name(name)
        and not (_DOUBTFUL_NAME.search(name) and _WORD_OR_PATH.fullmatch(value))
    ]
    forms = {(name, form) for name, value in secrets for form in _forms(value)}
    return sorted(forms, key=lambda each: (-len(each[1]), each))


@lru_cache(maxsize=256)
def _forms(value: str) -> frozenset[str]:
    """A value as it is, in a URL, in a Python or JSON string, and its lines, if it has several."""
    from json import dumps
    from urllib.parse import quote, quote_plus

    plain = {value, value.strip(), quote(value, safe=""), quote(value), quote_plus(value)}
    quoted = {repr(value)[1:-1], dumps(value)[1:-1], dumps(value, ensure_ascii=False)[1:-1]}
    # The first and last line of a private key are the same in all of them.
    lines = {line for line in value.split("\n") if not line.startswith("-----")} if "\n" in value else set()
    return frozenset(form for form in plain | quoted | lines if len(form) >= _SHORTEST)


def _text(value: str, secrets: Sequence[tuple[str, str]]) -> str:
    for name, secret in secrets:
        if secret in value:
            value = value.replace(secret, f"${{oc.env:{name}}}")
    if "://" not in value:
        return value
    value = _URL_PASSWORD.sub(rf"\1:{HIDDEN}@", value)
    return _URL.sub(lambda url: _URL_TOKEN.sub(rf"\1{HIDDEN}", url[0]), value)


def url_password(url: str) -> str | None:
    """The password in a URL, which libraries may tell in their errors; None without one."""
    from urllib.parse import urlsplit

    return urlsplit(url).password


def tree(value: Any) -> Any:
    """The same for every string in nested dicts and lists, keys included."""
    return _tree(value, _secrets())


def _tree(value: Any, secrets: Sequence[tuple[str, str]]) -> Any:
    if isinstance(value, str):
        return _text(value, secrets)
    if isinstance(value, dict):
        clean = {key: _tree(item, secrets) for key, item in value.items()}
        return {_text(key, secrets) if isinstance(key, str) else key: item for key, item in clean.items()}
    if isinstance(value, list | tuple):
        items = [_tree(item, secrets) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    return value
