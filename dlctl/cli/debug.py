"""``dlctl debug``: a short run that looks for faults."""

from dlctl.cli import options, train


def command(
    overrides: options.DebugAndOverrides = None,
    experiment: options.Experiment = None,
    seed: options.Seed = None,
    config: options.Config = "train",
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Run briefly to find faults: default, fdr, limit, overfit or profiler.

    Logs go to logs/debug; such a run is never `last`.
    """
    words = list(overrides or [])
    named = words and "=" not in words[0] and not words[0].startswith("~")
    name = words.pop(0) if named else "default"
    lines = options.as_overrides(words, experiment=experiment, debug=name, seed=seed)
    train.new(lines, config=config, ckpt=None, dry_run=dry_run, as_json=json)
