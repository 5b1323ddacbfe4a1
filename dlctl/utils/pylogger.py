"""Logging for code that runs on many ranks."""

import logging
from collections.abc import Mapping, MutableMapping
from typing import Any


class RankedLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger that says which rank speaks, or lets only the first one speak.

    Args:
        name: of the logger.
        rank_zero_only: whether the other ranks are silent.
        extra: more context, see ``logging.LoggerAdapter``.
    """

    def __init__(
        self,
        name: str = __name__,
        rank_zero_only: bool = False,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(logging.getLogger(name), extra)
        self.rank_zero_only = rank_zero_only

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Put the rank before the message where there are several."""
        from lightning_utilities.core.rank_zero import rank_prefixed_message

        rank = _rank()
        return (rank_prefixed_message(msg, rank) if rank is not None else msg), kwargs

    def log(  # type: ignore[override]
        self, level: int, msg: object, *args: Any, rank: int | None = None, **kwargs: Any
    ) -> None:
        """Log a message.

        Args:
            level: as for ``logging.log``.
            msg: the message.
            args: for its placeholders.
            rank: log on this rank alone; None for all.
            kwargs: passed on.
        """
        current = _rank() or 0
        wanted = 0 if self.rank_zero_only else rank
        if wanted in (None, current):
            # Where the message was logged, not this line.
            kwargs.setdefault("stacklevel", 2)
            super().log(level, msg, *args, **kwargs)


def _rank() -> int | None:
    from lightning_utilities.core.rank_zero import rank_zero_only

    return getattr(rank_zero_only, "rank", None)
