import logging

import pytest
from lightning_utilities.core.rank_zero import rank_zero_only

from dlctl.utils.pylogger import RankedLogger


@pytest.mark.parametrize(
    ("rank", "zero_only", "wanted", "said"),
    [
        (0, True, None, ["hello"]),
        (1, True, None, []),
        (1, False, None, ["[rank: 1] hello"]),
        (1, False, 0, []),
        (1, False, 1, ["[rank: 1] hello"]),
    ],
)
def test_ranks_speak_where_they_should(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    rank: int,
    zero_only: bool,
    wanted: int | None,
    said: list[str],
) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", rank, raising=False)
    log = RankedLogger("ranked", rank_zero_only=zero_only)
    with caplog.at_level(logging.INFO):
        log.info("hello", rank=wanted)
    shown = [entry.getMessage().replace("[rank: 0] ", "") for entry in caplog.records]
    assert shown == said
    assert all(entry.filename == "test_pylogger.py" for entry in caplog.records)
