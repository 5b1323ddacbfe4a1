"""show-config --resolve of every experiment equals what plain Hydra makes of it with its plugins."""

from pathlib import Path

import pytest

from tests.conftest import Dlctl
from tests.migration.alike import hydras, ours
from tests.migration.projects import PROJECTS, experiments
from tests.slow.test_plugins import install

pytestmark = pytest.mark.slow
PLUGINS = (
    "hydra-optuna-sweeper",
    "hydra-colorlog",
    "hydra-joblib-launcher",
    "hydra-submitit-launcher",
    "colorlog",
    # What the plugins import when Hydra looks at them.
    "submitit",
    "joblib",
    "cloudpickle",
)


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("plugins"), PLUGINS)


@pytest.mark.parametrize("name", PROJECTS)
def test_every_experiment_is_as_hydra_makes_it(dlctl: Dlctl, plugins: Path, name: str) -> None:
    PROJECTS[name](dlctl.root)
    wrong = {}
    for experiment in experiments(dlctl.root):
        found = hydras(dlctl.root, experiment, plugins)
        if found != ours(dlctl, experiment):
            wrong[experiment] = found
    assert not wrong
    # That the plugins are needed is what makes this worth anything.
    assert "colorlog" in str(hydras(dlctl.root, "")) or name == "older"
