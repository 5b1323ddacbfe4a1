"""What ``dlctl doctor`` looks at: packages, devices, the limits of this process."""

import json
import os
import pkgutil
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# What Python imports -> what pip installs.
PACKAGES = {
    "torch": "torch",
    "lightning": "lightning",
    "hydra": "hydra-core",
    "omegaconf": "omegaconf",
    "optuna": "optuna",
    "typer": "typer",
}
# The light ones first: they are known even if torch ends Python.
_STEPS = ("hydra", "omegaconf", "optuna", "typer", "torch", "lightning", "devices")
# From a cold network drive torch takes a minute or two; more than this is a fault.
_PATIENCE = 300
_CGROUPS, _OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def imported() -> dict[str, Any]:
    """What ``look`` tells of every package and of the devices; an error where it came to no end.

    In a process of its own: a torch that is broken can end Python, and there would be no report.
    """
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)  # noqa: PTH100 - a zip too
    command = [sys.executable, "-P", "-c", "from dlctl.cli.probe import look; look()"]
    try:
        env = {**os.environ, "PYTHONPATH": path}
        nothing = subprocess.DEVNULL
        done = subprocess.run(command, env=env, stdin=nothing, capture_output=True, timeout=_PATIENCE)
        code = done.returncode
        how = f"ends Python ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})"
        out = done.stdout
    except subprocess.TimeoutExpired as error:
        out, how = error.stdout or b"", f"takes more than {_PATIENCE} s"
    told: dict[str, Any] = {}
    for line in out.decode().splitlines():
        told |= json.loads(line)
    for step in _STEPS:
        if step not in told:
            told[step], how = {"error": how}, "not tried"
    return told


def look() -> None:
    """Import what dlctl needs, ask torch for devices; a line of JSON on stdout about each."""
    with os.fdopen(os.dup(1), "w") as out:
        # What is imported may print, and not in between.
        os.dup2(2, 1)
        for step in _STEPS:
            if step in ("lightning", "devices") and "torch" not in sys.modules:
                fact: dict[str, Any] = {"error": "not tried without torch"}
            else:
                fact = _ask_torch() if step == "devices" else _import(step)
            print(json.dumps({step: fact}), file=out, flush=True)


def _import(name: str) -> dict[str, Any]:
    try:
        return {"version": str(getattr(import_module(name), "__version__", "")), "error": None}
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            return {"error": "not installed"}
        return {"error": f"cannot be imported: {_first_line(error)}"}


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]


def _ask_torch() -> dict[str, Any]:
    """The devices that torch finds, or why there are none."""
    import torch

    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        cuda = [torch.cuda.get_device_properties(number) for number in range(count)]
        mps = torch.backends.mps
        memory = [torch.mps.recommended_max_memory()] if mps.is_available() else []
    except Exception as error:
        return {"error": f"torch cannot tell: {_first_line(error)}"}
    unbuilt = "needs macOS and an Apple GPU" if mps.is_built() else "torch is built without it"
    return {
        "error": None,
        "cuda": [{"name": each.name, "memory": each.total_memory} for each in cuda],
        "mps": [{"name": "Apple GPU", "memory": each} for each in memory],
        "why_none": {
            "cuda": None if cuda else _no_cuda(torch.version, [str(each.message) for each in said]),
            "mps": None if memory else unbuilt,
        },
    }


def _no_cuda(torch: Any, said: list[str]) -> str:
    driver = shutil.which("nvidia-smi") is not None
    if not torch.cuda and not torch.hip:
        remark = ", but there is a driver: https://pytorch.org/get-started names the build for it"
        return "torch is built without it" + (remark if driver else "")
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden in ("", "-1"):
        return f"CUDA_VISIBLE_DEVICES='{hidden}' hides them"
    # "CUDA initialization: The NVIDIA driver on your system is too old (found ...). Please ..."
    reason = said[0].removeprefix("CUDA initialization: ").partition(". ")[0] if said else ""
    built = f"CUDA {torch.cuda}" if torch.cuda else f"ROCm {torch.hip}"
    return f"{reason or 'no device is found'} (torch is built for {built})"


def limits() -> tuple[float | None, int | None]:
    """The cores and bytes that a container or a SLURM job is allowed; None for all there are."""
    cores: list[float] = []
    memory: list[int] = []
    for folder in _cgroups():
        quota = _numbers(folder, "cpu.max") or _numbers(folder, "cpu.cfs_quota_us", "cpu.cfs_period_us")
        if len(quota) == 2 and min(quota) > 0:
            cores.append(quota[0] / quota[1])
        memory += _numbers(folder, "memory.max") or _numbers(folder, "memory.limit_in_bytes")
    return min(cores, default=None), min(memory, default=None)


def _cgroups() -> Iterator[Path]:
    """The control groups of this process, and those around them."""
    with suppress(OSError):
        for line in _OWN_CGROUPS.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            mount = _CGROUPS / controllers
            folder = mount / path.strip("/")
            yield from (each for each in (folder, *folder.parents) if each.is_relative_to(mount))


def _numbers(folder: Path, *files: str) -> list[int]:
    """The numbers in files; none where one is not there or says "max"."""
    try:
        return [int(word) for file in files for word in (folder / file).read_text().split()]
    except (OSError, ValueError):
        return []


def folder_of(package: str) -> Path | None:
    """The folder in which a package lies or would lie, found without importing it."""
    first, *rest = package.replace("/", ".").split(".")
    spec = find_spec(first)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return Path(folders[0], *rest) if folders else None


def hydra_plugins() -> list[str]:
    """The plugins that Hydra would find; it imports them for that, which takes long."""
    spec = find_spec("hydra_plugins")
    places = list(spec.submodule_search_locations or ()) if spec else []
    return sorted({module.name for module in pkgutil.iter_modules(places)})
