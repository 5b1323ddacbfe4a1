"""Loaders x workers x optimizations x moments: each resumed training ends as the one that nothing stopped."""

from pathlib import Path

import pytest

from tests.pipeline.toys import KINDS, MOMENTS, OPTIMIZATIONS, config, difference, fit, stop_and_resume

pytestmark = pytest.mark.slow
# These have no workers, draw random numbers in them, or never end them.
WITHOUT_WORKERS = ("own_loader", "noisy", "one_iterator")
GRID = [(kind, 0, optimization) for kind in KINDS for optimization in OPTIMIZATIONS] + [
    (kind, 2, optimization)
    for kind in KINDS
    if kind not in WITHOUT_WORKERS
    for optimization in ("automatic", "accumulating", "manual", "swa", "finetuning")
]


@pytest.mark.parametrize(("kind", "workers", "optimization"), GRID)
def test_resumed_is_uninterrupted(tmp_path: Path, kind: str, workers: int, optimization: str) -> None:
    changes = {"data": {"kind": kind, "workers": workers}, **OPTIMIZATIONS[optimization]}
    expected = fit(tmp_path, config(tmp_path, **changes))
    different = {
        moment: found
        for moment, stop in MOMENTS.items()
        if (found := difference(expected, stop_and_resume(tmp_path, stop, **changes)))
    }
    assert different == {}
