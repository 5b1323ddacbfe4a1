"""What ``eval`` and ``predict`` are about: a checkpoint and the config it was trained with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlctl import redact
from dlctl.errors import NotFoundError
from dlctl.project import Project, shown
from dlctl.runs import origin, store

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
    checkpoint, run = store.find_checkpoint(project, name, which)
    from omegaconf import OmegaConf

    from dlctl.composition.kept import primary_name, read
    from dlctl.composition.reuse import evaluation

    own: Any = None
    mine, said, primary = True, list[str](), "train"
    if run is not None:
        primary = primary_name(project, run.dir / ".hydra")
        own = read(run.dir / ".hydra" / "config.yaml")
        mine, said = origin.is_own(run.dir / ".hydra"), origin.overrides(run.dir / ".hydra")
    if not (mine or trust):
        raise origin.foreign(shown(run.dir if run else checkpoint))
    from dlctl.pipeline import checkpoints

    state = checkpoints.read(checkpoint, trust=trust, run=run)
    if run is None:
        # A checkpoint that was moved away from its run carries the config with it.
        own, said, mine = _carried(state, checkpoint)
        if not (mine or trust):
            # Before anything of it is resolved: a project may have resolvers that run what they are given.
            raise origin.foreign(shown(checkpoint))
    composed = evaluation(project, own, said, [*overrides], task, primary)
    # Projects leave it to the command line there (???), and dlctl has been told already.
    OmegaConf.update(composed.full, "ckpt_path", str(checkpoint), force_add=True)
    composed.resolve(composed.run_dir())
    return Subject(checkpoint, run.name if run else None, composed, mine)


def _carried(state: dict[str, Any], checkpoint: Path) -> tuple[Any, list[str], bool]:
    """The config and the overrides in a checkpoint, and whether they are of the user's own making."""
    from omegaconf import OmegaConf

    from dlctl.yaml_text import from_yaml

    carried = state.get("dlctl")
    if carried is None or (isinstance(carried, dict) and "config" not in carried):
        return None, [], True
    try:
        said = redact.tree([*map(str, carried["overrides"])])
        mine = origin.carried_is_own(carried["config"], said)
        return OmegaConf.create(from_yaml(carried["config"])), said, mine
    except Exception as error:
        # Anything may be stored where the config belongs.
        raise NotFoundError(
            f"cannot read the checkpoint {shown(checkpoint)}: the config in it is invalid",
            hint="the checkpoint of a run that is here does not need it: dlctl eval RUN",
        ) from error
