"""show-config --resolve equals what plain Hydra composes and resolves, where that needs no plugin."""

from pathlib import Path

import pytest

from tests.conftest import Dlctl
from tests.migration.alike import hydras, ours
from tests.migration.projects import PROJECTS, experiments


@pytest.mark.parametrize(
    ("name", "experiment"),
    [("older", ""), ("older", "there"), ("resolving", "product"), ("distilled", "distil")],
)
def test_plain_hydra_makes_the_same(dlctl: Dlctl, name: str, experiment: str) -> None:
    PROJECTS[name](dlctl.root)
    # The one plugin that every clone of the template names.
    for file in dlctl.root.glob("configs/hydra/default.yaml"):
        file.write_text(
            "\n".join(line for line in file.read_text().splitlines() if "colorlog" not in line).replace(
                "defaults:\n", ""
            )
        )
    found = hydras(dlctl.root, experiment)
    assert isinstance(found, dict), found
    assert ours(dlctl, experiment) == found


@pytest.mark.parametrize("name", PROJECTS)
def test_every_experiment_composes_without_plugins_and_has_no_fault_of_its_own(
    dlctl: Dlctl, name: str
) -> None:
    if name == "older":
        Path(dlctl.root, ".project-root").unlink()
    PROJECTS[name](dlctl.root)
    for experiment in experiments(dlctl.root):
        assert ours(dlctl, experiment)["task_name"] == "train"
    result = dlctl("check", "--all", code=3 if name == "distilled" else 0)
    if name == "distilled":
        assert result.err == (
            "error: configs/model/far.yaml:1: the package 'faraway' is not installed\n"
            "  correct the name, or install what brings faraway\n"
        )
    else:
        assert result.err.replace("the resolver 'mul' is of src/utils/__init__.py:5\n", "") == ""
