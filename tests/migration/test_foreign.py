"""Runs and checkpoints that came from elsewhere: their configs name code, and none of it runs unasked."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from dlctl.cli import run as main
from tests.conftest import QUIET, Dlctl
from tests.migration.shape import put

TOLD = (
    "error: {} was made by no run of yours on this machine, and its config can name any code to run\n"
    "  only if you trust whoever made it, who can do with it all that you can do here: --trust-checkpoint\n"
)


@pytest.fixture
def mine(template: Dlctl) -> Dlctl:
    """A project in which something was trained."""
    template("train", "experiment=example", *QUIET)
    return template


@pytest.fixture
def harm(tmp_path: Path) -> Path:
    """What is made as soon as a stranger's code runs."""
    return tmp_path / "harm"


def change(file: Path, key: str, value: object) -> None:
    """Set one value of a YAML file."""
    whole = yaml.safe_load(file.read_text())
    node = whole
    *way, last = key.split(".")
    for part in way:
        node = node.setdefault(part, {})
    node[last] = value
    file.write_text(yaml.safe_dump(whole, sort_keys=False))


def bad(harm: Path) -> dict[str, object]:
    return {"_target_": "os.makedirs", "_args_": [str(harm)]}


def foreign(mine: Dlctl, tmp_path: Path) -> Path:
    """A copy of the run, as somebody sends it."""
    return Path(shutil.copytree(mine.run_dir(), tmp_path / "sent/2026-01-01_00-00-00"))


Plant = Callable[[Path, Path], None]


def in_config(key: str) -> Plant:
    return lambda run, harm: change(run / ".hydra/config.yaml", key, bad(harm))


def in_logging(run: Path, harm: Path) -> None:
    handler = {"()": "os.makedirs", "name": str(harm)}
    change(run / ".hydra/hydra.yaml", "hydra.job_logging.handlers.console", handler)


def in_overrides(run: Path, harm: Path) -> None:
    lines = [f"trainer.devices={{_target_: os.makedirs, _args_: ['{harm}']}}"]
    file = run / ".hydra/overrides.yaml"
    file.write_text(yaml.safe_dump([*yaml.safe_load(file.read_text()), *lines]))
    facts = json.loads((run / "run.json").read_text())
    facts["overrides"] += lines
    (run / "run.json").write_text(json.dumps(facts))


RESUME = ("train", "--resume", "RUN", "trainer.max_epochs=3", *QUIET)


@pytest.mark.parametrize(
    ("plant", "words"),
    [
        (in_config("data"), ("eval", "RUN")),
        (in_config("model"), ("predict", "RUN")),
        (in_config("model.net"), ("eval", "RUN/checkpoints/last.ckpt")),
        (in_overrides, ("eval", "RUN", "trainer=default")),
        (in_config("callbacks.model_summary"), RESUME),
        (in_config("logger.mine"), RESUME),
        (in_logging, RESUME),
    ],
)
def test_run_of_another_runs_nothing_unasked(
    mine: Dlctl, tmp_path: Path, harm: Path, plant: Plant, words: tuple[str, ...]
) -> None:
    run = foreign(mine, tmp_path)
    plant(run, harm)
    words = tuple(word.replace("RUN", str(run)) for word in words)
    before = sorted((mine.root / "logs").rglob("*"))
    assert mine(*words, code=4).err.endswith(TOLD.format(run))
    assert not harm.exists()
    assert sorted((mine.root / "logs").rglob("*")) == before
    # What was refused would have worked.
    main([*words, "--trust-checkpoint"])
    assert harm.exists()
    # And to look at it once makes it no more trustworthy.
    assert mine(*words, code=4).err.endswith(TOLD.format(run))


def test_pipeline_of_another(mine: Dlctl, tmp_path: Path, harm: Path) -> None:
    run = foreign(mine, tmp_path)
    put(tmp_path, "sent/stolen.py", f"import os\nos.makedirs('{harm}')\ndef train(cfg): ...\n")
    change(run / ".hydra/config.yaml", "pipeline", {"_target_": "stolen.train"})
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "sent")}
    words = tuple(word.replace("RUN", str(run)) for word in RESUME)
    assert mine.process(*words, code=4, env=env).err.endswith(TOLD.format(run))
    assert not harm.exists()
    mine.start(*words, "--trust-checkpoint", env=env).communicate()
    assert harm.exists()


def test_checkpoint_alone_of_another(mine: Dlctl, tmp_path: Path, harm: Path) -> None:
    file = tmp_path / "sent.ckpt"
    state = torch.load(mine.run_dir() / "checkpoints/last.ckpt", weights_only=True)
    config = yaml.safe_load(state["dlctl"]["config"]) | {"data": bad(harm)}
    torch.save({**state, "dlctl": {"config": yaml.safe_dump(config), "overrides": []}}, file)
    assert mine("eval", str(file), code=4).err.endswith(TOLD.format(file))
    assert mine("predict", f"ckpt_path={file}", code=4).err.endswith(TOLD.format(file))
    assert not harm.exists()
    main(["eval", str(file), "--trust-checkpoint"])
    assert harm.exists()
    # Its weights alone do no harm, under the user's own config.
    assert mine("train", "experiment=example", "--ckpt", str(file), "trainer.max_epochs=3", *QUIET)


def test_what_another_clone_made_is_foreign(
    mine: Dlctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    monkeypatch.setattr("dlctl.runs.trusted._OWN", set())
    run = mine.run_dir()
    assert mine("eval", "last", code=4).err.endswith(TOLD.format(run.relative_to(mine.root)))
    assert mine("eval", "last", "--trust-checkpoint")
    assert mine("predict", "last", "--trust-checkpoint")
    assert mine(*(word.replace("RUN", run.name) for word in RESUME), "--trust-checkpoint")
    # Whoever trusted it once has to say so again.
    monkeypatch.setattr("dlctl.runs.trusted._OWN", set())
    assert mine("eval", "last", code=4).err.endswith(TOLD.format(run.relative_to(mine.root)))


def test_ones_own_runs_ask_for_nothing_wherever_they_lie(mine: Dlctl, tmp_path: Path) -> None:
    shutil.rmtree(mine.root / "logs")
    said = ("+more=${task_name}", "tags=['a b',\"c: d\"]", "seed=null")
    mine("train", "experiment=example", *said, *QUIET)
    moved = Path(shutil.move(mine.root / "logs", tmp_path / "archive"))
    (run,) = (moved / "train/runs").iterdir()
    assert mine("eval", str(run), "trainer=default")
    assert mine("predict", str(run / "checkpoints/last.ckpt"))
    alone = shutil.copy(run / "checkpoints/last.ckpt", tmp_path / "alone.ckpt")
    assert mine("eval", str(alone), "trainer=default")
    # A changed run goes on, and again.
    mine("train", "--resume", str(run), "trainer.max_epochs=3", *QUIET)
    mine("train", "--resume", str(run), "trainer.max_epochs=4", *QUIET)
    assert mine("eval", str(run))


def test_weights_of_another_are_refused_before_there_is_a_run(
    mine: Dlctl, tmp_path: Path, harm: Path
) -> None:
    from tests.migration.test_trust import Harmful

    file = tmp_path / "sent.ckpt"
    state = torch.load(mine.run_dir() / "checkpoints/last.ckpt", weights_only=True)
    torch.save({**state, "more": Harmful(harm)}, file)
    before = sorted((mine.root / "logs").rglob("*"))
    for words in (("--ckpt", str(file)), (f"ckpt_path={file}",), (f"ckpt_path={file}", "train=false")):
        assert "holds pickled objects" in mine("train", *words, *QUIET, code=4).err
    run = mine.run_dir()
    # As in a run that was killed, the manifest has no hash of the checkpoint.
    facts = json.loads((run / "run.json").read_text())
    del facts["checkpoints"]["sha256"]
    manifest = json.dumps(facts)
    (run / "run.json").write_text(manifest)
    shutil.copy(file, run / "checkpoints/last.ckpt")
    assert "holds pickled objects" in mine("train", "--resume", "last", *QUIET, code=4).err
    assert (run / "run.json").read_text() == manifest
    assert sorted((mine.root / "logs").rglob("*")) == before
    assert not harm.exists()
