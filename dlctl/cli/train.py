"""``dlctl train``: compose a config and train, or go on with a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlctl.cli import launch, options, render
from dlctl.errors import ConfigError, Interrupted, NotFoundError, Pruned, UsageError, raise_all
from dlctl.project import Project, shown
from dlctl.runs import lock, origin, process, record, store
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
    weights: options.Weights = None,
    weights_partial: options.WeightsPartial = False,
    resume: options.Resume = None,
    take_over: options.TakeOver = False,
    config: options.Config = "train",
    trust: options.TrustCheckpoint = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Train a model, then test its best checkpoint.

    Every value of the config can be given: dlctl train trainer.max_epochs=5 model.optimizer.lr=0.005
    """
    lines = options.as_overrides(overrides, experiment=experiment, debug=debug, tags=tags, seed=seed)
    given = {"--resume": resume, "--ckpt": ckpt, "--weights": weights}
    chosen = [option for option, value in given.items() if value is not None]
    if len(chosen) > 1:
        raise UsageError(f"{chosen[0]} and {chosen[1]} exclude each other", hint="see dlctl train --help")
    if weights_partial and resume is not None:
        raise UsageError("--resume and --weights-partial exclude each other", hint="see dlctl train --help")
    if weights is not None:
        # Last of all, and new to configs of projects that have a train.yaml of their own.
        lines.append(f"++weights_path={options.quoted(weights)}")
    if weights_partial:
        lines.append("++weights_partial=true")
    if resume is not None:
        if config != "train":
            raise UsageError("--resume and --config exclude each other", hint="a run keeps its config")
        go_on(resume, lines, take_over=take_over, trust=trust, dry_run=dry_run, as_json=json)
    elif take_over:
        raise UsageError("--take-over goes with --resume", hint="see dlctl train --help")
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
        trust: load it no matter who made it.
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
    weights = _weights(project, composed, checkpoint)
    if dry_run:
        _show(composed, directory, as_json)
        return
    if checkpoint is not None:
        _check_start(composed, checkpoint, trust)
    elif weights is not None:
        from dlctl.pipeline.weights import read

        read(weights[0], trust=trust, run=weights[1])
    kind: Kind = "debug" if composed.choices.get("debug") else "train"
    run = record.start(project, composed, kind)
    _train(run, composed, checkpoint, trust=trust, as_json=as_json)


def go_on(
    name: str,
    lines: list[str],
    *,
    take_over: bool = False,
    trust: bool = False,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Go on with a run, in its directory, from its last checkpoint."""
    project = Project.find()
    if launch.is_child():
        _train(*launch.inherited(project), trust=trust, as_json=False)
        return
    run = store.find(project, name)
    if run.manifest.kind not in ("train", "debug"):
        raise UsageError(f"{run.id} is no training: it is '{run.manifest.kind}'")
    # A checkpoint names its run; then that one is meant.
    named = Path(name).absolute() if Path(name).is_file() else None
    # Taken before the status is read: of two that go on at once, the second must not see the old one.
    lock.acquire(run.dir)
    try:
        run = store.open_run(run.dir)
        _refuse_running(run, take_over)
        _go_on(run, lines, project, named, trust=trust, dry_run=dry_run, as_json=as_json)
    finally:
        lock.release(run.dir)


def _refuse_running(run: Run, take_over: bool) -> None:
    """Refuse a run that is running, or may be running on another host."""
    facts = run.manifest
    if facts.status != "running" or (take_over and facts.host != process.host()):
        return
    hint = None
    if facts.host != process.host():
        again = render.command("train", "--resume", launch.reference(run), "--take-over")
        hint = f"if that host or container is gone: {again}"
    raise UsageError(
        f"{run.id} is still running (process {facts.process.get('pid')} on {facts.host})", hint=hint
    )


def _go_on(
    run: Run,
    lines: list[str],
    project: Project,
    named: Path | None,
    *,
    trust: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    from dlctl.composition import reuse
    from dlctl.composition.compose import load

    checkpoint = named or run.checkpoint("last") or run.checkpoint("best")
    if checkpoint is None:
        raise NotFoundError(f"{run.id} has no checkpoint to go on from", hint=launch.start_again(run))
    saved = load(project, run.dir / ".hydra")
    if not (trust or origin.is_own(run.dir / ".hydra")):
        raise origin.foreign(shown(run.dir))
    composed = reuse.over(saved, lines)
    composed.resolve(run.dir)
    for line in reuse.differences(saved, composed):
        if line.startswith(("weights_path:", "weights_partial:", "ckpt_path:")):
            raise UsageError(
                f"{line.partition(':')[0]} has no effect on a run that is resumed",
                hint="it says from what a new run starts: leave it out",
            )
        kept = " (the random state of the training goes on as it was)" if line.startswith("seed:") else ""
        render.note(f"changed: {line}{kept}")
    if dry_run:
        _show(composed, run.dir, as_json)
        return
    state = _read_full(checkpoint, trust, run)
    _refuse_unusable(run, composed, checkpoint, state, named)
    with record.resuming(run, composed if lines else None):
        if done := _finished(composed, state):
            render.note(f"{run.id} has been trained to its end ({done}): only the test is run")
            render.note(f"to train more: {launch.resume_command(run)} {_longer(composed, state)}")
        else:
            render.note(f"going on with {run.id} from {shown(checkpoint)}")
        _train(run, composed, checkpoint, trust=trust, as_json=as_json)


def _refuse_unusable(
    run: Run, composed: "Composed", checkpoint: Path, state: "dict[str, Any]", named: Path | None
) -> None:
    """Refuse to go on where that would not be going on with this run."""
    from dlctl.pipeline import checkpoints

    carried = state.get("dlctl")
    writer = carried.get("run") if isinstance(carried, dict) else None
    if named is None and writer not in (None, run.id):
        raise NotFoundError(
            f"{shown(checkpoint)} belongs to another run, {writer}, which has overwritten that of {run.id}",
            hint="give each run a folder of its own for its checkpoints",
        )
    trained, (epochs, _) = checkpoints.epochs_trained(state) or 0, _limits(composed)
    if composed.full.get("train", True) and epochs is not None and -1 < epochs < trained:
        raise ConfigError(
            f"{run.id} has been trained for {trained} epochs, and trainer.max_epochs is {epochs}",
            hint=f"to train more: {launch.resume_command(run)} trainer.max_epochs={2 * trained}",
            key="trainer.max_epochs",
        )


def _read_full(checkpoint: Path, trust: bool, run: Run | None = None) -> "dict[str, Any]":
    """A checkpoint from which training can go on; anything else is refused before something is written."""
    from dlctl.pipeline import checkpoints

    state = checkpoints.read(checkpoint, trust=trust, run=run)
    if "optimizer_states" not in state:
        raise NotFoundError(
            f"{shown(checkpoint)} holds weights without the state of the training",
            hint=f"to train from these weights: dlctl train --weights {shown(checkpoint)}",
        )
    return state


def _check_start(composed: "Composed", checkpoint: Path, trust: bool) -> None:
    """Refuse a checkpoint from which nothing can be trained, before anything is written."""
    from omegaconf import OmegaConf

    if OmegaConf.select(composed.full, "pipeline") or not composed.full.get("train", True):
        from dlctl.pipeline import checkpoints

        checkpoints.read(checkpoint, trust=trust)
        return
    state = _read_full(checkpoint, trust)
    if done := _finished(composed, state):
        raise ConfigError(
            f"nothing is left to train: {shown(checkpoint)} has been trained to its end ({done})",
            hint=f"to train more: {_longer(composed, state)}\n"
            f"to start anew with its weights: dlctl train --weights {shown(checkpoint)}",
            key="trainer.max_epochs",
        )


def _limits(composed: "Composed") -> tuple[int | None, int]:
    """The config's ``max_epochs`` and ``max_steps`` as Lightning completes them; -1 for no limit."""
    trainer = composed.resolve(composed.run_dir()).get("trainer") or {}
    if trainer.get("fast_dev_run"):
        return -1, -1
    epochs, steps = trainer.get("max_epochs"), trainer.get("max_steps", -1)
    if epochs is None:
        epochs = 1000 if steps == -1 and trainer.get("max_time") is None else -1
    return epochs, steps


def _finished(composed: "Composed", state: "dict[str, Any]") -> str | None:
    """How far a checkpoint has been trained, if its training is complete under a config."""
    from omegaconf import OmegaConf

    from dlctl.pipeline import checkpoints

    if OmegaConf.select(composed.full, "pipeline") or not composed.full.get("train", True):
        return None
    epochs, steps = _limits(composed)
    if not checkpoints.is_finished(state, max_epochs=epochs, max_steps=steps):
        return None
    trained = checkpoints.epochs_trained(state)
    if checkpoints.is_finished(state, max_epochs=epochs, max_steps=-1):
        return f"{trained} of {epochs} epochs"
    return f"{state['global_step']} of {steps} steps"


def _longer(composed: "Composed", state: "dict[str, Any]") -> str:
    """The overrides with which a complete training goes on for as long again."""
    from dlctl.pipeline import checkpoints

    epochs, steps = _limits(composed)
    trained = checkpoints.epochs_trained(state) or 0
    longer = []
    if checkpoints.is_finished(state, max_epochs=epochs, max_steps=-1):
        longer.append(f"trainer.max_epochs={2 * trained}")
    if checkpoints.is_finished(state, max_epochs=-1, max_steps=steps):
        longer.append(f"trainer.max_steps={2 * state['global_step']}")
    return " ".join(longer)


def _weights(
    project: Project, composed: "Composed", checkpoint: Path | None
) -> tuple[Path, Run | None] | None:
    """The file of weights that the config names; the config gets its absolute path."""
    from omegaconf import OmegaConf, open_dict

    name = OmegaConf.select(composed.full, "weights_path", throw_on_resolution_failure=False)
    if not name:
        if composed.full.get("weights_partial"):
            raise UsageError(
                "weights_partial has no effect without weights", hint="name some: --weights PATH"
            )
        return None
    if checkpoint is not None:
        raise UsageError(
            f"cannot start from a checkpoint ({shown(checkpoint)}) and from weights ({name}) at once",
            hint="leave one out: ckpt_path=null or weights_path=null",
        )
    found = store.find_checkpoint(project, str(name))
    with open_dict(composed.full):
        composed.full.weights_path = str(found[0])
    return found


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
        lines["evaluate"] = render.command("eval", launch.reference(run))
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
    render.block(OmegaConf.to_yaml(public))
    render.note(f"would run in {shown(directory)}")
