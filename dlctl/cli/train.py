"""``dlctl train``: compose a config and train, or go on with a run."""

from pathlib import Path
from typing import TYPE_CHECKING

from dlctl.cli import launch, options, render
from dlctl.errors import Interrupted, NotFoundError, Pruned, UsageError, raise_all
from dlctl.project import Project, shown
from dlctl.runs import origin, record, store
from dlctl.runs.manifest import Kind
from dlctl.runs.record import Run

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from dlctl.composition.compose import Composed


def command(
    overrides: options.Overrides = None,
    experiment: options.Experiment = None,
    debug: options.Debug = None,
    tags: options.Tags = None,
    seed: options.Seed = None,
    ckpt: options.Checkpoint = None,
    resume: options.Resume = None,
    config: options.Config = "train",
    trust: options.TrustCheckpoint = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Train a model, then test its best checkpoint.

    Every value of the config can be given: dlctl train trainer.max_epochs=5 model.optimizer.lr=0.005
    """
    lines = options.as_overrides(overrides, experiment=experiment, debug=debug, tags=tags, seed=seed)
    if resume is not None:
        if ckpt is not None:
            raise UsageError("--resume and --ckpt exclude each other", hint="see dlctl train --help")
        if config != "train":
            raise UsageError("--resume and --config exclude each other", hint="a run keeps its config")
        go_on(resume, lines, trust=trust, dry_run=dry_run, as_json=json)
    else:
        new(lines, config=config, ckpt=ckpt, trust=trust, dry_run=dry_run, as_json=json)


def new(
    lines: list[str],
    *,
    config: str = "train",
    ckpt: Path | None,
    trust: bool = False,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Start a run of its own.

    Args:
        lines: the overrides.
        config: the primary config.
        ckpt: the checkpoint to start from.
        trust: load it whoever made it.
        dry_run: show the config, and write nothing.
        as_json: print one JSON object.
    """
    from dlctl.composition.compose import compose

    project = Project.find()
    if launch.is_child():
        _train(*launch.inherited(project), trust=trust, as_json=False)
        return
    composed = compose(project, config, lines)
    checkpoint = _checkpoint(composed, ckpt)
    if not project.found:
        render.note(f"no project here: the packaged configs, logs in {shown(project.logs)}")
    directory = composed.run_dir()
    _refuse_faults(composed)
    _ask_for_tags(composed)
    if dry_run:
        _show(composed, directory, as_json)
        return
    _vet(checkpoint, trust)
    kind: Kind = "debug" if composed.choices.get("debug") else "train"
    run = record.start(project, composed, kind)
    _train(run, composed, checkpoint, trust=trust, as_json=as_json)


def go_on(name: str, lines: list[str], *, trust: bool = False, dry_run: bool, as_json: bool) -> None:
    """Go on with a run, in its directory, from its last checkpoint."""
    from dlctl.composition import reuse
    from dlctl.composition.compose import load

    project = Project.find()
    if launch.is_child():
        _train(*launch.inherited(project), trust=trust, as_json=False)
        return
    run = store.find(project, name)
    if run.manifest.kind not in ("train", "debug"):
        raise UsageError(f"{run.id} is no training: it is '{run.manifest.kind}'")
    if run.manifest.status == "running":
        pid = run.manifest.process.get("pid")
        raise UsageError(f"{run.id} is still running (process {pid} on {run.manifest.host})")
    checkpoint = run.checkpoint("last") or run.checkpoint("best")
    saved = load(project, run.dir / ".hydra")
    if checkpoint is None:
        named = [f"--config {saved.name}"] if saved.name != "train" else []
        raise NotFoundError(
            f"{run.id} has no checkpoint to go on from",
            hint=" ".join(["start it again: dlctl train", *named, *run.manifest.overrides]),
        )
    if not (trust or origin.is_own(run.dir / ".hydra")):
        raise origin.foreign(shown(run.dir))
    composed = reuse.over(saved, lines)
    composed.resolve(run.dir)
    for line in reuse.differences(saved, composed):
        render.note(f"changed: {line}")
    if dry_run:
        _show(composed, run.dir, as_json)
        return
    _vet(checkpoint, trust)
    record.resume(run, composed if lines else None)
    render.note(f"going on with {run.id} from {shown(checkpoint)}")
    _train(run, composed, checkpoint, trust=trust, as_json=as_json)


def _vet(checkpoint: Path | None, trust: bool) -> None:
    """Refuse a checkpoint that cannot be loaded or is not to be trusted, before anything is written."""
    if checkpoint is not None and not trust:
        from dlctl.pipeline import checkpoints

        checkpoints.read(checkpoint)


def _train(run: Run, composed: "Composed", checkpoint: Path | None, *, trust: bool, as_json: bool) -> None:
    def work(config: "DictConfig", public: "DictConfig") -> None:
        from dlctl.pipeline.train import train

        metrics = train(
            config,
            run,
            public=public,
            carried=composed.carried(),
            hydra=composed.full.hydra,
            checkpoint=checkpoint,
            trust=trust,
        )
        run.note(metrics=metrics)

    try:
        launch.execute(run, composed, work, checkpoint)
    except Interrupted as error:
        if not run.child:
            launch.interrupted(run, error)
        raise
    except Pruned:
        return  # one rank of a trial
    if not run.child:
        report(run, as_json)


def report(run: Run, as_json: bool) -> None:
    """What came out of a training."""
    facts = run.manifest
    if as_json:
        render.as_json({"run": run.id, "dir": str(run.dir), "status": facts.status, "metrics": facts.metrics})
        return
    lines = {"run": shown(run.dir)}
    if best := run.checkpoint("best"):
        lines["best"] = shown(best)
        lines["evaluate"] = f"dlctl eval {run.id}"
    render.metrics(facts.metrics, lines)


def _checkpoint(composed: "Composed", ckpt: Path | None) -> Path | None:
    """The checkpoint to start from, of the option or of the config; it must be there."""
    from omegaconf import OmegaConf

    path = ckpt or OmegaConf.select(composed.full, "ckpt_path", throw_on_resolution_failure=False)
    return store.existing_checkpoint(path) if path else None


def _refuse_faults(composed: "Composed") -> None:
    """Tell everything that is known to be wrong with the config before torch is imported."""
    from dlctl.composition import check, unused

    composed.resolve(composed.run_dir())
    try:
        found = check.faults(composed, imports=False)
        notes = check.extras(composed)
    except Exception as error:
        # Reading somebody's code must not keep it from running.
        render.note(f"the config could not be checked: {type(error).__name__}: {error}")
        return
    # Data may be fetched when the run starts; a new key may be meant, and an annotation untrue.
    doubtful = [fault for fault in found if fault.topic in ("path", "data", "key", "value")]
    raise_all([fault for fault in found if fault not in doubtful])
    if settings := unused.unused(composed):
        render.note(f"dlctl has no use for {', '.join(settings)}")
    for note in [*(f"{each.place or 'config'}: {each.message}" for each in doubtful), *notes]:
        render.note(note)


def _ask_for_tags(composed: "Composed") -> None:
    from omegaconf import OmegaConf

    from dlctl.utils.rich_utils import enforce_tags

    if OmegaConf.select(composed.full, "extras.enforce_tags"):
        OmegaConf.update(composed.full, "tags", enforce_tags(composed.full), force_add=True)


def _show(composed: "Composed", directory: Path, as_json: bool) -> None:
    """The config of a dry run."""
    from omegaconf import OmegaConf

    public = composed.public(directory)
    if as_json:
        config = OmegaConf.to_container(public)
        render.as_json({"dir": str(directory), "status": "dry-run", "config": config})
        return
    print(OmegaConf.to_yaml(public), end="")
    render.note(f"would run in {shown(directory)}")
