"""Projects that choose Hydra's plugins compose as Hydra composes them, with the plugins and without."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from dlctl.project import packaged_configs
from tests.conftest import PLAIN, Dlctl

pytestmark = pytest.mark.slow
PLUGINS = ("hydra-optuna-sweeper", "hydra-colorlog", "hydra-submitit-launcher", "colorlog")
WITH_HYDRA = """
import json, sys
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
with initialize_config_dir(sys.argv[1], version_base="1.3"):
    config = compose("train", sys.argv[2:])
print(json.dumps(OmegaConf.to_container(config)))
"""


def install(folder: Path, names: Sequence[str]) -> Path:
    """Install packages into a folder, which has to be on Python's path then."""
    # Without what they depend on: the sweeper wants an Optuna of long ago.
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    subprocess.run([*pip, *names], check=True)
    return folder


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("plugins"), PLUGINS)


@pytest.fixture
def project(dlctl: Dlctl) -> Dlctl:
    """All configs of dlctl, with choices as the template makes them."""
    configs = dlctl.root / "configs"
    for file in packaged_configs().rglob("*.yaml"):
        # These stand in for the plugins.
        if "hydra" not in file.relative_to(packaged_configs()).parts or file.stem == "default":
            target = configs / file.relative_to(packaged_configs())
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(file.read_text())
    default = configs / "hydra/default.yaml"
    chosen = "".join(f"  - override {group}: colorlog\n" for group in ("hydra_logging", "job_logging"))
    text = default.read_text().replace("  - _self_", f"{chosen}  - _self_")
    default.write_text(text)
    (configs / "experiment/slurm.yaml").write_text(
        "# @package _global_\ndefaults:\n  - example\n  - override /hydra/launcher: submitit_slurm\n"
        "  - _self_\nhydra:\n  launcher:\n    partition: gpu\n"
    )
    return dlctl


@pytest.mark.parametrize("choice", ["experiment=slurm", "hparams_search=mnist_optuna"])
def test_projects_with_plugins_compose_alike(project: Dlctl, plugins: Path, choice: str) -> None:
    env = {**os.environ, **PLAIN, "PROJECT_ROOT": str(project.root)}
    with_plugins = {**env, "PYTHONPATH": str(plugins)}
    words = ("show-config", choice, "--format", "json")
    for part in ((), ("--package", "hydra")):
        without = project.process(*words, *part, env=env).out
        assert project.process(*words, *part, env=with_plugins).out == without
    ours = json.loads(project.process(*words, env=env).out)
    hydras = subprocess.run(
        [sys.executable, "-c", WITH_HYDRA, str(project.root / "configs"), choice],
        env=with_plugins,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ours == json.loads(hydras.stdout)
