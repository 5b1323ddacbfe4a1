"""``dlctl predict``: write the predictions of a run or a checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlctl.cli import complete, launch, options, render
from dlctl.cli.subject import subject
from dlctl.project import Project, shown
from dlctl.runs import record

if TYPE_CHECKING:
    from omegaconf import DictConfig


def command(
    words: options.RunAndOverrides = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            help="predict, test, val or train; by default predict where there is such data, else test.",
            autocompletion=complete.splits,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="A .csv or .jsonl file, or what the data module writes: .conllu for a tagger.",
        ),
    ] = None,
    ckpt: options.WhichCheckpoint = "best",
    trust: options.TrustCheckpoint = False,
    json: options.Json = False,
) -> None:
    """Predict a split of the data, one row a sample in the order of the data.

    dlctl predict last --output preds.csv
    """
    if split not in (None, "predict"):
        options.checked_split(split)
    name, overrides = options.target_and_overrides(words)
    if output is not None:
        options.check_output(output)
    project = Project.find()
    chosen = subject(project, name, ckpt, overrides, "predict", trust=trust)
    run = record.start(project, chosen.composed, "predict", own=chosen.own, evaluated=chosen.run_id)
    target, rows = run.dir, 0

    def work(config: "DictConfig", public: "DictConfig") -> None:
        from dlctl.pipeline.predict import predict

        nonlocal target, rows
        target, rows = predict(
            config,
            run,
            checkpoint=chosen.checkpoint,
            output=output.absolute() if output else None,
            split=split,  # type: ignore[arg-type]
            trust=trust,
        )

    launch.execute(run, chosen.composed, work)
    if json:
        facts = {"run": run.id, "dir": str(run.dir), "status": run.manifest.status}
        render.as_json({**facts, "output": str(target), "rows": rows, "evaluated": chosen.run_id})
    else:
        print(shown(target))
