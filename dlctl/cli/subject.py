"""What ``eval`` and ``predict`` are about: a checkpoint and the config it was trained with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlctl import redact
from dlctl.errors import NotFoundError
from dlctl.project import Project, shown
from dlctl.runs import origin, store
from dlctl.runs.record import Run

if TYPE_CHECKING:
    from dlctl.composition.compose import Composed


@dataclass(frozen=True)
class Subject:
    """A checkpoint, the run it belongs to if that is known, and the config to use it with.

    Attributes:
        own: that config is of the user's own making.
    """

    checkpoint: Path
    run_id: str | None
    composed: "Composed"
    own: bool = True


def subject(
    project: Project, name: str, which: str, overrides: Sequence[str], task: str, *, trust: bool = False
) -> Subject:
    """Find what a word names and compose its config with overrides on top.

    Args:
        project: where runs are looked for.
        name: ``last``, an id, a directory or a checkpoint file.
        which: ``best``, ``last`` or the path of a checkpoint, for a run.
        overrides: on top of the run's own config.
        task: ``eval`` or ``predict``, which names the folder of the new run.
        trust: use the config and load pickled objects, whoever made them.

    Raises:
        NotFoundError: there is no such run or checkpoint, it cannot be read, or somebody else made it.
    """
    checkpoint, run = _find(project, name, which)
    mine = True
    from omegaconf import OmegaConf

    from dlctl.composition.kept import read
    from dlctl.composition.reuse import evaluation

    if run is not None:
        own: Any = read(run.dir / ".hydra" / "config.yaml")
        mine, said = origin.is_own(run.dir / ".hydra"), origin.overrides(run.dir / ".hydra")
    else:
        # A checkpoint that was moved away from its run carries the config with it.
        from dlctl.pipeline import checkpoints

        carried = checkpoints.read(checkpoint, trust=trust).get("dlctl", {})
        own = _carried_config(checkpoint, carried["config"]) if "config" in carried else None
        said = redact.tree(list(carried.get("overrides", [])))
        mine = own is None or origin.carried_is_own(carried["config"], said)
    if not (mine or trust):
        # Before anything of it is resolved: a project may have resolvers that run what they are given.
        raise origin.foreign(shown(run.dir if run else checkpoint))
    composed = evaluation(project, own, said, [*overrides], task)
    # Projects leave it to the command line there (???), and dlctl has been told already.
    OmegaConf.update(composed.full, "ckpt_path", str(checkpoint), force_add=True)
    composed.resolve(composed.run_dir())
    return Subject(checkpoint, run.name if run else None, composed, mine)


def _carried_config(checkpoint: Path, text: Any) -> Any:
    """The config that travels in a checkpoint, which anybody may have written."""
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from dlctl.yaml_text import from_yaml

    try:
        return OmegaConf.create(from_yaml(text))
    except (AttributeError, TypeError, ValueError, yaml.YAMLError, OmegaConfBaseException) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise NotFoundError(f"cannot read the config in {shown(checkpoint)}: {reason}") from error


def _find(project: Project, name: str, which: str) -> tuple[Path, Run | None]:
    path = Path(name)
    if path.is_file() or path.suffix == ".ckpt":
        return store.existing_checkpoint(path), store.around(path)
    run = store.find(project, name, with_checkpoint=True)
    if which in ("best", "last"):
        found = run.checkpoint(which) or run.checkpoint("last")
        if found is None:
            about = run.manifest.evaluated
            raise NotFoundError(
                f"{run.id} has no checkpoint",
                hint=f"it is about another run: {about}" if about else "it saved none before it ended",
            )
        return found, run
    return store.existing_checkpoint(which), run
