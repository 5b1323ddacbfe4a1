"""One way to run dlctl: the real command in an isolated project."""

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Two trainings side by side with a thread a core each would wait for one another most of the time.
os.environ["OMP_NUM_THREADS"] = "1"
# What a person at a narrow terminal without colours would see.
PLAIN = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "PYTHONUNBUFFERED": "1"}
# The config tree is tested where it is the point.
QUIET = ("extras.print_config=false",)


@dataclass(frozen=True)
class Result:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Dlctl:
    """Runs commands in a project.

    Attributes:
        root: the project's folder.
    """

    def __init__(self, root: Path, capture: Callable[[], tuple[str, str]]) -> None:
        self.root = root
        self._capture = capture

    def __call__(self, *words: str, code: int = 0) -> Result:
        """Run a command in this process and insist on its exit code."""
        from dlctl.cli import run

        self._capture()
        argv = sys.argv
        sys.argv = ["dlctl", *words]
        try:
            found = run(list(words))
        finally:
            sys.argv = argv
        result = Result(found, *self._capture())
        assert result.code == code, f"exit code {result.code}, not {code}\n{result.out}\n{result.err}"
        return result

    def start(self, *words: str, **options: Any) -> "subprocess.Popen[str]":
        """Start a command as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "dlctl", *words],
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def process(self, *words: str, code: int = 0, timeout: float = 240, **options: Any) -> Result:
        """Run a command as a process of its own and insist on its exit code."""
        process = self.start(*words, **options)
        out, err = process.communicate(timeout=timeout)
        assert process.returncode == code, f"exit code {process.returncode}, not {code}\n{out}\n{err}"
        return Result(process.returncode, out, err)

    def train(self, *words: str, code: int = 0) -> Result:
        """A training without the config tree."""
        return self("train", *QUIET, *words, code=code)

    def run_dir(self, name: str = "last") -> Path:
        return self.root / "logs" / "train" / "runs" / self("runs", "show", name, "--json").json["id"]


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in PLAIN.items():
        monkeypatch.setenv(name, value)
    # Not the state of whoever runs the tests.
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    # Set by every command for the project it finds; restored after every test.
    monkeypatch.setenv("PROJECT_ROOT", "")
    monkeypatch.syspath_prepend("")


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """Nothing is left of a project's package after a test, nor of what it registered."""
    from hydra.core.config_store import ConfigStore
    from omegaconf.basecontainer import BaseContainer

    # Registers Hydra's own configs, which happens once in a process.
    import dlctl.composition.search_path  # noqa: F401

    resolvers, store = dict(BaseContainer._resolvers), ConfigStore.instance()
    before = copy.deepcopy(store.repo)
    yield
    store.repo = before
    BaseContainer._resolvers.clear()
    BaseContainer._resolvers.update(resolvers)
    for name in [name for name in sys.modules if name in ("src", "train") or name.startswith("src.")]:
        del sys.modules[name]


@pytest.fixture
def dlctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dlctl:
    """The command, in an empty project."""
    root = tmp_path / "project"
    root.mkdir()
    (root / ".project-root").touch()
    monkeypatch.chdir(root)

    def capture() -> tuple[str, str]:
        captured = capsys.readouterr()
        return captured.out, captured.err

    return Dlctl(root, capture)


@pytest.fixture(scope="session")
def _trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one training: the example, all ten epochs."""
    root = tmp_path_factory.mktemp("trained") / "project"
    root.mkdir()
    (root / ".project-root").touch()
    process = Dlctl(root, lambda: ("", ""))
    env = {**os.environ, **PLAIN, "XDG_STATE_HOME": str(root.parent / "state")}
    result = process.process("train", "--exp", "example", "--json", env=env)
    (root / "stdout.json").write_text(result.out)
    (root / "stderr.txt").write_text(result.err)
    return root


@pytest.fixture
def trained(_trained_once: Path, dlctl: Dlctl, tmp_path: Path) -> Dlctl:
    """The command, in a project of its own in which the example has been trained."""
    shutil.copytree(_trained_once, dlctl.root, dirs_exist_ok=True)
    shutil.copytree(_trained_once.parent / "state", tmp_path / "state", dirs_exist_ok=True)
    # The manifest and the checkpoints' own memory name the folder in which they were made.
    return dlctl


@pytest.fixture(scope="session")
def example(_trained_once: Path) -> dict[str, Any]:
    """What the training of ``trained`` reported with --json."""
    report: dict[str, Any] = json.loads((_trained_once / "stdout.json").read_text())
    return report


def without_times(text: str) -> str:
    """Durations and dates replaced, to compare whole outputs."""
    text = re.sub(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(-\d+)?", "RUN", text)
    return re.sub(r"\b\d+\.\d s\b", "TIME", text)


needs_data = pytest.mark.skipif(not os.environ.get("DLCTL_TEST_DATA"), reason="DLCTL_TEST_DATA is not set")
