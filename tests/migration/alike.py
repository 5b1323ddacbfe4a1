"""What dlctl and plain Hydra make of the same project, to be compared."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import PLAIN, Dlctl
from tests.migration.projects import SHOW
from tests.migration.shape import put


def normal(value: Any) -> Any:
    """A config without what belongs to the moment: time stamps, and the directory of the run."""
    if isinstance(value, dict):
        return {key: normal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [normal(item) for item in value]
    if not isinstance(value, str):
        return value
    value = re.sub(r"\d{4}-\d\d-\d\d([_/]\d\d-\d\d-\d\d)?(-\d+)?", "TIME", value)
    return re.sub(r"/(logs|outputs)/.*?TIME[^/]*", "/RUN", value)


def environment(root: Path, plugins: Path | None) -> dict[str, str]:
    """As ``.env`` makes it, with the plugins or without."""
    env = {**os.environ, **PLAIN, "PROJECT_ROOT": str(root), "TOY_FACTOR": "2"}
    return {**env, "PYTHONPATH": str(plugins)} if plugins else env


def hydras(root: Path, experiment: str, plugins: Path | None = None) -> Any:
    """What plain Hydra composes and resolves; why it cannot, as a word, if it cannot."""
    put(root, "show.py", SHOW)
    words = [f"experiment={experiment}"] if experiment else []
    done = subprocess.run(
        [sys.executable, "show.py", *words],
        cwd=root,
        env=environment(root, plugins),
        capture_output=True,
        text=True,
        check=False,
    )
    return normal(json.loads(done.stdout)) if done.returncode == 0 else done.stderr


def ours(dlctl: Dlctl, experiment: str) -> Any:
    """What dlctl makes of it, without any plugin."""
    words = [f"experiment={experiment}"] if experiment else []
    return normal(dlctl("show-config", *words, "--resolve", "--format", "json").json)
