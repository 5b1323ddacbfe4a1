"""Settings of Hydra that a config makes and dlctl has no use for."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from dlctl.composition.compose import Composed
from dlctl.composition.registering import retried

# Options that choose nothing, or what dlctl does itself.
_KNOWN = {"hydra/launcher": ("basic",), "hydra/sweeper": ("basic", "optuna")}
_SCRIPTS = ("src/train.py", "train.py", "run.py")


def unused(composed: Composed) -> list[str]:
    """What is set and not used, as one would write it."""
    hydra = composed.full.hydra
    choices = composed.choices
    found = [
        f"{group}={choices[group]}"
        for group, known in _KNOWN.items()
        if choices.get(group) not in (None, *known)
    ]
    if OmegaConf.select(hydra, "callbacks"):
        found.append("hydra.callbacks")
    if OmegaConf.select(hydra, "output_subdir") != ".hydra":
        found.append("hydra.output_subdir")
    if "MULTIRUN" in str(OmegaConf.select(hydra, "mode")):
        found.append("hydra.mode=MULTIRUN (dlctl sweep searches)")
    return found


def changes_folder(composed: Composed) -> bool:
    """Whether the run's directory is to be the current one.

    ``hydra.job.chdir`` says it. Where nothing does, Hydra goes by the ``version_base`` of the
    project's script: before 1.2, and where there is none, it changes the folder.
    """
    said = OmegaConf.select(composed.full, "hydra.job.chdir")
    return bool(said) if said is not None else _is_old(composed.project.root)


def _is_old(root: Path) -> bool:
    file = next((root / name for name in _SCRIPTS if (root / name).is_file()), None)
    text = file.read_text(encoding="utf-8", errors="replace") if file else ""
    _, found, rest = text.partition("@hydra.main(")
    arguments = rest.partition(")")[0]
    if not found:
        return False
    return "version_base" not in arguments or any(
        f'version_base="{old}"' in arguments for old in ("1.0", "1.1")
    )


def environment(composed: Composed) -> dict[str, str]:
    """The variables that ``hydra.job.env_set`` sets for the run."""
    node = OmegaConf.select(composed.full, "hydra.job.env_set")
    values: Any = (
        retried(composed.project, lambda: OmegaConf.to_container(node, resolve=True)) if node else {}
    )
    return {str(name): str(value) for name, value in values.items()}
