"""Loaders x workers x optimizations x moments: each resumed training ends as the one that nothing stopped."""

from pathlib import Path

import pytest

from tests.pipeline.toys import KINDS, MOMENTS, OPTIMIZATIONS, config, difference, fit, stop_and_resume

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("optimization", OPTIMIZATIONS)
def test_resumed_is_uninterrupted(tmp_path: Path, kind: str, workers: int, optimization: str) -> None:
    if workers and kind in ("own_loader", "noisy"):
        pytest.skip("a loader without workers, and one whose workers draw random numbers: they draw anew")
    changes = {"data": {"kind": kind, "workers": workers}, **OPTIMIZATIONS[optimization]}
    expected = fit(tmp_path, config(tmp_path, **changes))
    different = {
        moment: found
        for moment, stop in MOMENTS.items()
        if (found := difference(expected, stop_and_resume(tmp_path, stop, **changes)))
    }
    assert different == {}
