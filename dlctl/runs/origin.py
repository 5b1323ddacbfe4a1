"""Whether a run's config is of the user's own making: it names the code that runs, a stranger's any.

Known are the texts of a config, so that a run stays the user's own wherever it is moved.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dlctl.errors import NotFoundError
from dlctl.runs import trusted

RISK = "only if you trust whoever made it, who can do with it all that you can do here: --trust-checkpoint"
_CONFIG, _HYDRA, _OVERRIDES = "config.yaml", "hydra.yaml", "overrides.yaml"


def remember(folder: Path) -> None:
    """Know the config that a run has kept in its ``.hydra`` folder as the user's own."""
    texts = [(folder / name).read_text(encoding="utf-8") for name in (_CONFIG, _HYDRA)]
    for text in [*texts, _line(overrides(folder))]:
        trusted.remember(_sha256(text), trusted.CONFIGS)


def is_own(folder: Path) -> bool:
    """Whether all of what lies in a ``.hydra`` folder is the user's own."""
    with suppress(OSError, ValueError, NotFoundError):
        texts = [(folder / name).read_text(encoding="utf-8") for name in (_CONFIG, _HYDRA)]
        return _are_own([*texts, _line(overrides(folder))])
    return False


def carried_is_own(config: str, said: Sequence[str]) -> bool:
    """The same of what a checkpoint carries."""
    return _are_own([config, _line(said)])


def overrides(folder: Path) -> list[str]:
    """The overrides that a ``.hydra`` folder tells; none if it tells none.

    Raises:
        NotFoundError: the file cannot be read, or does not hold a list.
    """
    from dlctl.yaml_text import read_overrides

    return read_overrides(folder / _OVERRIDES)


def foreign(what: str) -> NotFoundError:
    """The refusal of what is not the user's own."""
    return NotFoundError(
        f"{what} was made by no run of yours on this machine, and its config can name any code to run",
        hint=RISK,
    )


def _are_own(texts: Sequence[str]) -> bool:
    return all(trusted.is_own(_sha256(text), trusted.CONFIGS) for text in texts)


def _line(said: Sequence[str]) -> str:
    return json.dumps([*said])


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
