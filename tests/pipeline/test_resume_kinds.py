"""Resumed trainings of loaders and modules of every kind end as those that nothing stopped.

The full product of kinds, moments and optimizations is in ``tests/slow/test_resume_grid.py``.
"""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.pipeline.toys import KINDS, MOMENTS, OPTIMIZATIONS, config, difference, fit, stop_and_resume


@cache
def uninterrupted(kind: str, optimization: str) -> dict[str, Any]:
    with TemporaryDirectory() as directory:
        changes = {"data": {"kind": kind}, **OPTIMIZATIONS[optimization]}
        return fit(Path(directory), config(Path(directory), **changes))


def same_as_uninterrupted(directory: Path, kind: str, optimization: str, moment: str) -> None:
    changes = {"data": {"kind": kind}, **OPTIMIZATIONS[optimization]}
    resumed = stop_and_resume(directory, MOMENTS[moment], **changes)
    assert difference(uninterrupted(kind, optimization), resumed) == ""


@pytest.mark.parametrize("moment", ["middle", "killed"])
@pytest.mark.parametrize("kind", KINDS)
def test_loaders_of_every_kind(tmp_path: Path, kind: str, moment: str) -> None:
    same_as_uninterrupted(tmp_path, kind, "automatic", moment)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("optimization", OPTIMIZATIONS)
def test_optimization_of_every_kind(tmp_path: Path, optimization: str, moment: str) -> None:
    same_as_uninterrupted(tmp_path, "plain", optimization, moment)


@pytest.mark.parametrize("kind", ["stream", "stateful_map"])
def test_loaders_with_workers(tmp_path: Path, kind: str) -> None:
    changes = {"data": {"kind": kind, "workers": 2}}
    expected = fit(tmp_path, config(tmp_path, **changes))
    assert difference(expected, stop_and_resume(tmp_path, MOMENTS["killed"], **changes)) == ""


def test_a_difference_is_seen(tmp_path: Path) -> None:
    other = fit(tmp_path, config(tmp_path, model={"lr": 0.04}))
    assert difference(uninterrupted("plain", "automatic"), other)
