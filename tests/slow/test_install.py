"""From a fresh clone and from a wheel, each in an environment of its own that borrows the big packages."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path, code: int = 0) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def environment(folder: Path) -> Path:
    """A virtual environment that finds torch and the rest where these tests run."""
    venv.create(folder, with_pip=True, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return folder / "bin"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a commit of the working tree as it is would give somebody who clones it."""
    folder = tmp_path_factory.mktemp("fresh") / "a clone"
    files = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", cwd=ROOT)
    for name in files.split("\0"):
        if name and (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    return folder


def test_make_train_does_its_own_set_up_and_learns(clone: Path) -> None:
    environment(clone / ".venv")
    out = run("make", "train", cwd=clone)
    metrics = dict(line.split(maxsplit=1) for line in out.splitlines() if "/" in line)
    assert float(metrics["test/acc"]) >= 0.93
    assert "pip" not in run("make", "--dry-run", "train", cwd=clone)
    assert "--editable '.[dev]'" in run("make", "--dry-run", "test", cwd=clone)
    listed = run(clone / ".venv/bin/dlctl", "runs", "list", "--json", cwd=clone)
    (found,) = json.loads(listed)["runs"]
    assert found["dir" if "dir" in found else "status"] == "done"


def test_make_uses_an_active_environment_and_says_what_it_can_do(clone: Path) -> None:
    environment_ = {**os.environ, "VIRTUAL_ENV": "/somewhere/else"}
    shown = subprocess.run(
        ["make", "--dry-run", "train"], cwd=clone, env=environment_, capture_output=True, text=True
    ).stdout
    assert "/somewhere/else/bin/dlctl train --exp example" in shown
    helped = run("make", "help", cwd=clone)
    for target in ("train", "test", "test-slow", "check", "format", "bench", "help"):
        assert f"  {target} " in helped


def test_wheel_carries_configs_and_sample_and_works_outside_the_repository(
    clone: Path, tmp_path: Path
) -> None:
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, cwd=clone)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    packaged = {
        f"dlctl/configs/{path.relative_to(ROOT / 'configs')}" for path in (ROOT / "configs").rglob("*.yaml")
    }
    assert packaged <= names
    assert {"dlctl/data/mnist_mini/README.md", "dlctl/data/mnist_mini/train-images-idx3-ubyte.gz"} <= names
    assert not [name for name in names if name.startswith(("tests", "configs"))]
    assert wheel.stat().st_size < 2_500_000

    bin_ = environment(tmp_path / "environment")
    run(bin_ / "python", "-m", "pip", "install", "--no-deps", "--force-reinstall", wheel, cwd=tmp_path)
    project = tmp_path / "some folder"
    project.mkdir()
    out = run(
        bin_ / "dlctl",
        "train",
        "--exp",
        "example",
        "trainer.max_epochs=2",
        "trainer.min_epochs=1",
        "--json",
        cwd=project,
    )
    report = json.loads(out)
    assert report["metrics"]["test/acc"] > 0.9
    evaluated = json.loads(run(bin_ / "dlctl", "eval", "last", "--json", cwd=project))
    assert evaluated["metrics"]["test/acc"] == report["metrics"]["test/acc"]
    config = (project / "logs/train/runs" / report["run"] / "config_resolved.yaml").read_text()
    assert yaml.safe_load(config)["paths"]["root_dir"] == str(project)
