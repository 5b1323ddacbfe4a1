import json
import os
import re
import sys
from collections import namedtuple
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from dlctl.cli import doctor, probe
from tests.conftest import Dlctl

DEVICES = {
    "error": None,
    "cuda": [],
    "mps": [],
    "why_none": {"cuda": "torch is built without it", "mps": "torch is built without it"},
}
EXTRAS = {
    "aim": "aim",
    "comet": "comet-ml",
    "mlflow": "mlflow",
    "parquet": "pyarrow",
    "postgresql": "psycopg",
    "tensorboard": "tensorboard",
    "wandb": "wandb",
}
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is imported, without importing it: all is well, on a machine of which all is known."""
    told: dict[str, Any] = {name: {"version": "1.2.3", "error": None} for name in probe.PACKAGES}
    told["devices"] = DEVICES
    monkeypatch.setattr(probe, "imported", lambda: told)
    monkeypatch.setattr(probe, "limits", lambda: (1.5, 2**29))
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: Usage(0, 0, 5 * 2**30))
    monkeypatch.setattr(doctor.metadata, "version", lambda name: {"mlflow": "3.1"}.get(name) or absent(name))
    return told


def absent(name: str) -> str:
    raise metadata.PackageNotFoundError(name)


def package(folder: Path, name: str, code: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that is found before any other of its name."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(folder)
    return folder / name


def lines(text: str) -> dict[str, str]:
    """Name -> text of a report, continued lines joined."""
    whole = re.sub(r"\n {6,}", " / ", text)
    return dict(re.split(r" {2,}", line, maxsplit=1) for line in whole.splitlines())


def test_report_of_a_healthy_project(dlctl: Dlctl, healthy: dict[str, Any]) -> None:
    (dlctl.root / "logs").mkdir()
    result = dlctl("doctor")
    text = re.sub(r"(Python|python +)[\d.]+\S*, \S+", r"\1PYTHON", result.out)
    text = re.sub(r"(platform +)\S+", r"\1PLATFORM", re.sub(r"[\d.]+ GiB", "SIZE", text))
    text = re.sub(r"(cores +)\d+( of \d+)?,", r"\1CORES,", text)
    text = re.sub(r"\S*/(dlctl|hydra/conf|configs)\b", r"/\1", text)
    assert text.splitlines() == [
        "dlctl              0.1.0, /dlctl",
        "python             PYTHON",
        "platform           PLATFORM",
        "torch              1.2.3",
        "lightning          1.2.3",
        "hydra              1.2.3",
        "omegaconf          1.2.3",
        "optuna             1.2.3",
        "typer              1.2.3",
        "cuda               none: torch is built without it",
        "mps                none: torch is built without it",
        "cores              CORES, the time of 1.5 (cgroup)",
        "memory             SIZE, SIZE free, at most 512 MiB for this process (cgroup)",
        f"project            {dlctl.root}",
        "train config       composes",
        "hydra configs      /hydra/conf, exists",
        "own configs        configs, does not exist, and need not",
        "dlctl configs      /configs, exists",
        "data folder        data, does not exist yet, writable, SIZE free",
        "log folder         logs, exists, writable, SIZE free",
        "extra aim          not installed (optional): pip install 'dlctl[aim]'",
        "extra comet        not installed (optional): pip install 'dlctl[comet]'",
        "extra mlflow       3.1",
        "extra parquet      not installed (optional): pip install 'dlctl[parquet]'",
        "extra postgresql   not installed (optional): pip install 'dlctl[postgresql]'",
        "extra tensorboard  not installed (optional): pip install 'dlctl[tensorboard]'",
        "extra wandb        not installed (optional): pip install 'dlctl[wandb]'",
        "hydra plugins      none (dlctl needs none and loads none)",
        "problems           none",
    ]
    assert result.err == ""
    assert sorted(path.name for path in dlctl.root.iterdir()) == [".project-root", "logs"]


def test_json_has_the_same_facts(dlctl: Dlctl, healthy: dict[str, Any]) -> None:
    (dlctl.root / "configs").mkdir()
    report = dlctl("doctor", "--json").json
    memory, cores, path = report.pop("memory"), report.pop("cores"), report.pop("config_path")
    well = {"version": "1.2.3", "error": None}
    root = Path(doctor.__file__).parents[1]
    assert report == {
        "schema_version": 1,
        "ok": True,
        "problems": [],
        "versions": {
            "dlctl": {"version": "0.1.0", "path": str(root)},
            "python": {"version": sys.version.split()[0], "path": sys.executable},
            **dict.fromkeys(("torch", "lightning", "hydra", "omegaconf", "optuna", "typer"), well),
        },
        "platform": report["platform"],
        "devices": DEVICES,
        "project": str(dlctl.root),
        "train_config": {"composes": True, "error": None},
        "folders": {
            name: {"path": str(dlctl.root / folder), "exists": False, "writable": True, "free": 5 * 2**30}
            for name, folder in {"data": "data", "log": "logs"}.items()
        },
        "extras": {
            extra: {"package": name, "version": "3.1" if extra == "mlflow" else None}
            for extra, name in EXTRAS.items()
        },
        "hydra_plugins": [],
    }
    assert memory["limit"] == 2**29
    assert memory["total"] >= memory["available"] > 0
    assert cores["limit"] == 1.5
    assert cores["total"] >= cores["usable"] > 0
    assert [(each["name"], each["exists"]) for each in path] == [
        ("hydra configs", True),
        ("own configs", True),
        ("dlctl configs", True),
    ]


def test_search_path_has_the_order_that_hydra_goes_by(dlctl: Dlctl, healthy: dict[str, Any]) -> None:
    from dlctl.composition.search_path import loader
    from dlctl.project import Project

    (dlctl.root / "configs").mkdir()
    sources = loader(Project.find()).get_sources()
    used = [
        Path(each.path).name.replace("hydra.conf", "conf")
        for each in sources
        if each.scheme() in ("file", "pkg")
    ]
    told = dlctl("doctor", "--json").json["config_path"]
    assert [Path(each["path"]).name for each in told] == used


def test_real_packages_are_imported_in_another_process(dlctl: Dlctl) -> None:
    code = (
        "import sys; from dlctl.cli import run; code = run(['doctor', '--json']);"
        "assert not {'torch', 'lightning', 'optuna'} & set(sys.modules); sys.exit(code)"
    )
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    report = json.loads(done.stdout)
    assert report["problems"] == []
    assert (done.returncode, done.stderr) == (0, "")
    for name, distribution in probe.PACKAGES.items():
        fact = report["versions"][name]
        assert fact["version"].startswith(metadata.version(distribution))
        assert fact["error"] is None
    assert report["devices"]["error"] is None
    assert [path.name for path in dlctl.root.iterdir()] == [".project-root"]


def test_torch_that_raises_is_a_problem_and_the_rest_is_told(dlctl: Dlctl, tmp_path: Path) -> None:
    fake = tmp_path / "first" / "torch"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("print('noise')\nraise OSError('libcudart.so: cannot open\\nmore')")
    result = dlctl.process("doctor", code=1, env={**os.environ, "PYTHONPATH": str(fake.parent)})
    told = lines(result.out)
    assert told["torch"] == (
        f"problem: {metadata.version('torch')}, cannot be imported: OSError: libcudart.so: cannot open"
        f" / it lies in {fake} / pip install --force-reinstall torch / to see more: python -c 'import torch'"
    )
    assert told["lightning"] == f"{metadata.version('lightning')}, not tried without torch"
    assert told["optuna"] == metadata.version("optuna")
    assert told["cuda"] == told["mps"] == "not tried without torch"
    assert told["train config"] == "composes"
    assert told["problems"] == "torch"
    assert result.err == ""


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("raise SystemExit(3)", "cannot be imported: SystemExit: 3"),
        ("raise ModuleNotFoundError('x', name='torch')", "not installed"),
        ("raise ModuleNotFoundError('x', name='y')", "cannot be imported: ModuleNotFoundError: x"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "ends Python (SIGILL)"),
        ("import os; os._exit(5)", "ends Python (exit code 5)"),
    ],
    ids=["exits", "absent", "lacks a package", "crashes", "ends"],
)
def test_torch_can_be_broken_in_many_ways(
    dlctl: Dlctl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, error: str
) -> None:
    package(tmp_path / "first", "torch", code, monkeypatch)
    report = dlctl("doctor", "--json", code=1).json
    versions = report["versions"]
    assert versions["torch"]["error"] == error
    assert versions["lightning"]["error"].startswith("not tried")
    assert versions["hydra"] == {"version": metadata.version("hydra-core"), "error": None}
    assert [each["name"] for each in report["problems"]] == ["torch"]
    if error == "not installed":
        assert report["problems"][0]["hint"] == "pip install torch"


def test_import_that_hangs_is_given_up(dlctl: Dlctl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    light = {name: {"version": "1", "error": None} for name in ("hydra", "omegaconf", "optuna", "typer")}
    python.write_text(f"#!/bin/sh\necho '{json.dumps(light)}'\nexec sleep 60")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(probe, "_PATIENCE", 0.5)
    told = lines(dlctl("doctor", code=1).out)
    assert told["torch"].startswith(
        f"problem: {metadata.version('torch')}, takes more than 0.5 s / it lies in "
    )
    assert told["hydra"] == "1"
    assert told["lightning"] == f"{metadata.version('lightning')}, not tried"
    assert told["cuda"] == "not tried"


TORCH = """
import sys, types, warnings
from types import SimpleNamespace as Namespace
__version__ = "9.9"
version = Namespace(cuda={cuda!r}, hip=None)
def available():
    if {warning!r}: warnings.warn({warning!r})
    return {count} > 0
card = Namespace(name="Fast 1", total_memory=80 * 2**30)
cuda = Namespace(is_available=available, device_count=lambda: {count}, get_device_properties=lambda i: card)
backends = Namespace(mps=Namespace(is_available=lambda: {mps}, is_built=lambda: True))
mps = Namespace(recommended_max_memory=lambda: 12 * 2**30)
"""
OLD = "CUDA initialization: The NVIDIA driver on your system is too old (found 1). Please update. Bye."


@pytest.mark.parametrize(
    ("torch", "environment", "cuda", "mps"),
    [
        ({"count": 2}, {}, "Fast 1, 80.0 GiB; Fast 1, 80.0 GiB", None),
        ({"mps": True}, {}, None, "Apple GPU, 12.0 GiB"),
        ({"cuda": None}, {}, "none: torch is built without it", "none: needs macOS and an Apple GPU"),
        ({}, {"CUDA_VISIBLE_DEVICES": ""}, "none: CUDA_VISIBLE_DEVICES='' hides them", None),
        ({"warning": OLD}, {},
         "none: The NVIDIA driver on your system is too old (found 1) (torch is built for CUDA 1.0)", None),
        ({"count": "1 / 0"}, {}, "problem: torch cannot tell: ZeroDivisionError: division by zero"
         " / look at the driver: nvidia-smi", "torch cannot tell: ZeroDivisionError: division by zero"),
        ({"count": "__import__('os').abort()"}, {},
         "problem: ends Python (SIGABRT) / look at the driver: nvidia-smi", "ends Python (SIGABRT)"),
    ],
    ids=["two cards", "mps", "no cuda", "hidden", "old driver", "raises", "crashes"],
)  # fmt: skip
def test_devices_or_why_there_are_none(
    dlctl: Dlctl,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    torch: dict[str, Any],
    environment: dict[str, str],
    cuda: str | None,
    mps: str | None,
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    known = {"cuda": "1.0", "warning": "", "count": 0, "mps": False}
    package(tmp_path / "first", "torch", TORCH.format(**{**known, **torch}), monkeypatch)
    package(tmp_path / "second", "lightning", "__version__ = '9'", monkeypatch)
    told = lines(dlctl("doctor", code=int("problem" in (cuda or ""))).out)
    assert (told["torch"], told["lightning"]) == ("9.9", "9")
    assert cuda in (None, told["cuda"])
    assert mps in (None, told["mps"])


def test_outside_of_a_project_the_packaged_configs_serve(
    dlctl: Dlctl, healthy: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = lines(dlctl("doctor").out)
    assert told["project"] == "none: no .project-root above here"
    assert "own configs" not in told
    assert told["data folder"].startswith("data, does not exist yet, writable")
    assert dlctl("doctor", "--json").json["project"] is None


def test_configs_that_are_no_folder_are_a_problem(dlctl: Dlctl, healthy: dict[str, Any]) -> None:
    (dlctl.root / "configs").touch()
    assert lines(dlctl("doctor", code=1).out)["own configs"] == (
        "problem: configs, is not a folder that can be read / it has to be a folder that you may read"
    )


def test_search_path_of_the_config_is_looked_at(
    dlctl: Dlctl, healthy: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    package(dlctl.root / "src", "shared", "", monkeypatch)
    (dlctl.root / "src" / "shared" / "conf").mkdir()
    (dlctl.root / "src" / "shared" / "conf" / "__init__.py").touch()
    configs = dlctl.root / "configs"
    configs.mkdir()
    text = "hydra: {searchpath: ['pkg://shared.conf', 'file:///nowhere', 'pkg://none.such']}"
    (configs / "train.yaml").write_text(f"defaults: [paths: default, hydra: default]\n{text}")
    result = dlctl("doctor", code=1)
    assert [
        re.split(" {2,}", line)[-1] for line in result.out.splitlines() if line.startswith("more configs")
    ] == [
        "src/shared/conf, exists",
        "problem: /nowhere, does not exist",
        "problem: does not exist",
    ]
    assert result.out.count("hydra.searchpath names") == 2
    assert result.err == ""


def test_train_config_that_does_not_compose_is_a_problem(dlctl: Dlctl, healthy: dict[str, Any]) -> None:
    (dlctl.root / "configs").mkdir()
    (dlctl.root / "configs" / "train.yaml").write_text("a: [1\nb: 2")
    told = lines(dlctl("doctor", code=1).out)
    assert told["train config"].startswith("problem: does not compose: configs/train.yaml:2: ")
    assert told["log folder"] == "logs, does not exist yet, writable, 5.0 GiB free"


def test_train_config_that_asks_for_a_choice_is_none(dlctl: Dlctl, healthy: dict[str, Any]) -> None:
    (dlctl.root / "configs").mkdir()
    (dlctl.root / "configs" / "train.yaml").write_text("defaults:\n  - data: ???\n  - _self_")
    told = lines(dlctl("doctor").out)
    assert told["train config"].startswith("needs a choice: ")
    assert "'data'" in told["train config"]


def test_hydra_that_is_broken_leaves_the_usual_folders(dlctl: Dlctl, healthy: dict[str, Any]) -> None:
    healthy["hydra"] = {"error": "cannot be imported: ImportError: x"}
    report = dlctl("doctor", "--json", code=1).json
    assert report["train_config"] == {"composes": False, "error": "not tried without hydra"}
    assert report["folders"]["log"]["path"] == str(dlctl.root / "logs")
    assert [each["name"] for each in report["problems"]] == ["hydra"]


@pytest.mark.parametrize("kind", ["file", "link", "above"])
def test_log_folder_with_something_in_the_way_is_a_problem(
    dlctl: Dlctl, healthy: dict[str, Any], kind: str
) -> None:
    logs = dlctl.root / "logs"
    if kind == "link":
        logs.symlink_to("nowhere")
    else:
        logs.touch()
    if kind == "above":
        (dlctl.root / "configs" / "paths").mkdir(parents=True)
        (dlctl.root / "configs" / "paths" / "default.yaml").write_text("log_dir: logs/deep/er")
    shown = "logs/deep/er, does not exist yet: logs" if kind == "above" else "logs"
    assert lines(dlctl("doctor", code=1).out)["log folder"] == (
        f"problem: {shown} is not a folder / move that away; paths.log_dir=FOLDER names another"
    )


def test_log_folder_has_to_be_writable_data_may_be_read_only(
    dlctl: Dlctl, healthy: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (dlctl.root / "data").mkdir()
    # Root may write everywhere.
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: not mode & os.W_OK)
    told = lines(dlctl("doctor", code=1).out)
    assert told["data folder"] == "data, exists, not writable"
    assert told["log folder"] == (
        "problem: logs, does not exist yet: the folder above it is not writable"
        " / paths.log_dir=FOLDER names another"
    )
    assert told["problems"] == "log folder"


def test_log_folder_needs_room(
    dlctl: Dlctl, healthy: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: Usage(0, 0, 99 * 2**20))
    told = lines(dlctl("doctor", code=1).out)
    assert told["data folder"] == "data, does not exist yet, writable, 99 MiB free"
    assert told["log folder"] == (
        "problem: logs, does not exist yet, writable, 99 MiB free"
        " / make room; paths.log_dir=FOLDER names another"
    )


def test_folders_are_those_of_the_config_and_show_no_secret(
    dlctl: Dlctl, healthy: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "sesame-open")
    paths = dlctl.root / "configs" / "paths" / "default.yaml"
    paths.parent.mkdir(parents=True)
    paths.write_text("{data_dir: 's3://me:hidden@host/x', log_dir: '${.output_dir}/a', output_dir: out}")
    told = lines(dlctl("doctor").out)
    assert told["data folder"] == "s3://me:***@host/x, not on this machine"
    assert told["log folder"].startswith("out/a, does not exist yet")
    paths.write_text("{data_dir: 'a/${oc.env:MY_TOKEN}', log_dir: 'b', output_dir: '${oc.env:UNSET}'}")
    for words in (["doctor"], ["doctor", "--json"]):
        out = dlctl(*words).out
        assert "sesame" not in out
        assert "a/${oc.env:MY_TOKEN}" in out
    told = lines(dlctl("doctor").out)
    assert told["train config"] == (
        "composes, but configs/paths/default.yaml:1: 'paths.output_dir' cannot be resolved:"
        " the environment variable UNSET is not set"
    )
    assert told["log folder"].startswith("b, does not exist yet")


@pytest.mark.parametrize("paths", ["3", "null", "{log_dir: [1]}", "{log_dir: {a: 1}}", "{log_dir: '???'}"])
def test_paths_that_name_no_folder_leave_the_usual_one(
    dlctl: Dlctl, healthy: dict[str, Any], paths: str
) -> None:
    (dlctl.root / "configs").mkdir()
    (dlctl.root / "configs" / "train.yaml").write_text(f"paths: {paths}")
    assert lines(dlctl("doctor").out)["log folder"].startswith("logs, does not exist yet")


def test_folders_may_follow_from_the_run(dlctl: Dlctl, healthy: dict[str, Any]) -> None:
    (dlctl.root / "configs").mkdir()
    text = "defaults:\n  - hydra: default\ntask_name: x\npaths: {log_dir: '${hydra:runtime.cwd}/out'}"
    (dlctl.root / "configs" / "train.yaml").write_text(text)
    assert lines(dlctl("doctor").out)["log folder"].startswith("out, does not exist yet")


def test_hydra_plugins_are_named_and_not_imported(
    dlctl: Dlctl, healthy: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("hydra_b", "hydra_a"):
        folder = package(tmp_path / name / "hydra_plugins", name, "raise OSError", monkeypatch)
        monkeypatch.syspath_prepend(folder.parents[1])
    assert lines(dlctl("doctor").out)["hydra plugins"] == (
        "hydra_a, hydra_b (dlctl needs none and loads none)"
    )
    assert not [name for name in sys.modules if name.startswith("hydra_plugins")]


def test_checkout_that_is_not_installed_has_no_extras(
    dlctl: Dlctl, healthy: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.metadata, "requires", absent)
    assert dlctl("doctor", "--json").json["extras"] == {}


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "150000 100000", "memory.max": "7"}, (1.5, 7)),
        ("4:memory:/a\n2:cpu,cpuacct:/a", {
            "memory/a/memory.limit_in_bytes": "8",
            "cpu,cpuacct/cpu.cfs_quota_us": "50000",
            "cpu,cpuacct/cpu.cfs_period_us": "100000",
        }, (0.5, 8)),
        ("2:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, (None, None)),
        ("0::/", {"memory.max": "max"}, (None, None)),
    ],
    ids=["v2", "v1", "v1 unlimited", "v2 unlimited"],
)  # fmt: skip
def test_limits_of_control_groups(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, groups: str, files: dict[str, str], expected: Any
) -> None:
    (tmp_path / "own").write_text(groups)
    for name, text in files.items():
        (tmp_path / "cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cgroup" / name).write_text(text)
    monkeypatch.setattr(probe, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(probe, "_OWN_CGROUPS", tmp_path / "own")
    assert probe.limits() == expected


@pytest.mark.parametrize("columns", [80, 120])
def test_long_texts_stay_in_their_column_at_a_terminal(
    dlctl: Dlctl, healthy: dict[str, Any], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    healthy["torch"] = {"version": "1", "error": "cannot be imported: OSError: " + "lib word " * 30}
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    out = dlctl("doctor", code=1).out.splitlines()
    assert all(len(line) <= columns for line in out if "word" in line)
    assert sum("word" in line for line in out) > 2
    assert {line[:19].strip() for line in out if "word" in line} == {"torch", ""}
