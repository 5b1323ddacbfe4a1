"""From a fresh clone and from a wheel, each in an environment of its own that borrows the big packages."""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

from dlctl.scaffold.pieces import DATA, MODELS
from tests.helpers import write_data

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path, code: int = 0, **more: str) -> str:
    # Nothing of the environment or the make that runs these tests.
    ours = ("VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in ours} | more
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def environment(folder: Path) -> Path:
    """A virtual environment that finds torch and the rest where these tests run."""
    venv.create(folder, with_pip=True, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return folder / "bin"


def stranger(folder: Path) -> Path:
    """A virtual environment that finds all of that, and not this dlctl."""
    installed = Path(sysconfig.get_paths()["purelib"])
    borrowed = Path(tempfile.mkdtemp())
    for path in installed.iterdir():
        if "dlctl" not in path.name and path.suffix != ".pth":
            (borrowed / path.name).symlink_to(path)
    bin_ = environment(folder)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(f"{borrowed}\n")
    (bin_ / "ruff").symlink_to(Path(sys.executable).with_name("ruff"))
    return bin_


@pytest.fixture(scope="module")
def wheel(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, cwd=clone)
    (wheel,) = folder.glob("*.whl")
    return wheel


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
    wheel: Path, tmp_path: Path
) -> None:
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


def test_a_project_of_the_installed_tool_tests_and_checks_itself(wheel: Path, tmp_path: Path) -> None:
    bin_ = stranger(tmp_path / "tool")
    run(bin_ / "python", "-m", "pip", "install", "--no-deps", wheel, cwd=tmp_path)
    run(bin_ / "dlctl", "new", "project", "pond", cwd=tmp_path)
    root = tmp_path / "pond"
    for group, kinds in (("data", DATA), ("model", MODELS)):
        for kind in kinds:
            run(bin_ / "dlctl", "new", group, f"{kind.replace('-', '_')}_{group}", "--kind", kind, cwd=root)
    stranger(root / ".venv")
    for target in ("test", "check"):
        out = run("make", target, cwd=root, PIP_FIND_LINKS=str(wheel.parent))
    assert out.splitlines()[-1].startswith("no fault in ")
    installed = run(root / ".venv/bin/python", "-c", "import dlctl; print(dlctl.__file__)", cwd=tmp_path)
    assert installed.startswith(str(root / ".venv"))
    short = ("trainer.max_epochs=1", "trainer.limit_train_batches=1", "trainer.limit_val_batches=1", "--json")
    write_data(root / "data", {kind: f"{kind.replace('-', '_')}_data" for kind in DATA})
    kinds = [("conllu" if kind == "tagger" else "mnist_mini", f"{kind}_model") for kind in MODELS]
    kinds += [
        (f"{kind.replace('-', '_')}_data", "tagger" if kind == "conllu" else "classifier_model")
        for kind in DATA
    ]
    for data, model in kinds:
        words = (f"data={data}", f"model={model}", "callbacks=none", *short)
        report = json.loads(run(root / ".venv/bin/dlctl", "train", *words, cwd=root / "tests"))
        assert report["status"] == "done"
    assert run(root / ".venv/bin/dlctl", "check", "--all", cwd=root).startswith("no fault in ")


def test_what_is_new_in_a_clone_passes_its_checks_and_tests(clone: Path, tmp_path: Path) -> None:
    bin_ = environment(tmp_path / "environment")
    run(bin_ / "python", "-m", "pip", "install", "--no-deps", "--editable", clone, cwd=tmp_path)
    run("git", "init", "--quiet", cwd=clone)
    made = []
    for group, kinds in (("data", DATA), ("model", MODELS)):
        for kind in kinds:
            name = f"{kind.replace('-', '_')}_{group}"
            made += run(bin_ / "dlctl", "new", group, name, "--kind", kind, cwd=clone).splitlines()
    code = [name for name in made if name.endswith(".py")]
    run(
        bin_ / "python",
        "-m",
        "pytest",
        "-q",
        *(name for name in code if name.startswith("tests/")),
        cwd=clone,
    )
    ruff = Path(sys.executable).with_name("ruff")
    run(ruff, "check", *code, cwd=clone)
    run(ruff, "format", "--check", *code, cwd=clone)
    run(bin_ / "python", "-m", "mypy", cwd=clone)
    for name in made:
        (clone / name).unlink()
