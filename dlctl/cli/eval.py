"""``dlctl eval``: evaluate a run or a checkpoint; nothing has to be said twice."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlctl.cli import launch, options, render
from dlctl.cli.subject import Subject, subject
from dlctl.project import Project, shown
from dlctl.runs import record

if TYPE_CHECKING:
    from omegaconf import DictConfig


def command(
    words: options.RunAndOverrides = None,
    split: options.Split = "test",
    ckpt: options.WhichCheckpoint = "best",
    trust: options.TrustCheckpoint = False,
    json: options.Json = False,
) -> None:
    """Evaluate a checkpoint with the config it was trained with.

    dlctl eval last, dlctl eval last --split val, dlctl eval CKPT data.batch_size=256
    """
    options.checked_split(split)
    name, overrides = options.target_and_overrides(words)
    run, chosen = evaluated(name, overrides, split, ckpt, trust=trust)
    if not run.child:
        _report(run, chosen, json)


def evaluated(
    name: str,
    overrides: Sequence[str] = (),
    split: str = "test",
    ckpt: str = "best",
    *,
    trust: bool = False,
) -> tuple[record.Run, Subject]:
    """Evaluate a run or checkpoint; the run of the evaluation, and what was evaluated."""
    project = Project.find()
    if launch.is_child():
        run, composed, inherited = launch.inherited(project)
        chosen = Subject(inherited or Path(), None, composed)
    else:
        chosen = subject(project, name, ckpt, overrides, "eval", trust=trust)
        run = record.start(project, chosen.composed, "eval", own=chosen.own, evaluated=chosen.run_id)

    def work(config: "DictConfig", public: "DictConfig") -> None:
        from dlctl.pipeline.evaluate import evaluate

        metrics = evaluate(
            config,
            run,
            public=public,
            checkpoint=chosen.checkpoint,
            split=split,  # type: ignore[arg-type]
            trust=trust,
        )
        run.note(metrics=metrics)

    launch.execute(run, chosen.composed, work, chosen.checkpoint)
    return run, chosen


def _report(run: record.Run, chosen: Subject, as_json: bool) -> None:
    facts = run.manifest
    if as_json:
        render.as_json(
            {
                "run": run.id,
                "dir": str(run.dir),
                "status": facts.status,
                "metrics": facts.metrics,
                "evaluated": chosen.run_id,
            }
        )
        return
    lines = {"checkpoint": shown(chosen.checkpoint), "run": shown(Path(run.dir))}
    render.metrics(facts.metrics, lines)
