from pathlib import Path

import pytest

from tests.conftest import QUIET, Dlctl


@pytest.mark.parametrize("name", ["default", "fdr", "limit", "overfit", "profiler"])
def test_debug_runs_are_short_and_kept_apart(dlctl: Dlctl, name: str) -> None:
    report = dlctl("debug", name, *QUIET, "--json").json
    assert report["status"] == "done"
    directory = Path(report["dir"])
    assert directory.parent == dlctl.root / "logs/debug/runs"
    assert not (directory / "checkpoints").exists()
    if name == "overfit":
        assert report["metrics"]["train/acc"] > 0.5
    if name == "profiler":
        assert "run_training_epoch" in (directory / "fit-profile.txt").read_text()
    facts = dlctl("runs", "list", "--json").json["runs"][0]
    assert (facts["kind"], facts["device"]) == ("debug", "cpu")


def test_default_needs_no_name_and_takes_overrides(dlctl: Dlctl) -> None:
    result = dlctl("debug", "data.batch_size=7", "--dry-run")
    assert "task_name: debug" in result.out
    assert "batch_size: 7" in result.out
    assert "detect_anomaly: true" in result.out


def test_unknown_debug_config_names_the_known_ones(dlctl: Dlctl) -> None:
    result = dlctl("debug", "limt", code=3)
    assert result.err == (
        "error: there is no option of 'debug' 'limt'\n"
        "  did you mean debug=limit?\n"
        "  there are: default, fdr, limit, overfit, profiler\n"
    )
