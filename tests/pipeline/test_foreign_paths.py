"""Paths in a checkpoint lead dlctl to no file outside of the run that is trained."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import Dlctl
from tests.pipeline.conftest import last_checkpoint

TOY = ("--exp", "toy", "extras.print_config=false")
CALLBACKS = '''\
from pathlib import Path

from lightning.pytorch.callbacks import Callback, ModelCheckpoint


class Own(ModelCheckpoint):
    """Somebody's own ModelCheckpoint."""


class Tidy(Callback):
    """Keeps one file and deletes the one before."""

    def __init__(self):
        self.file = None

    def state_dict(self):
        return {"file": self.file}

    def load_state_dict(self, state):
        self.file = state["file"]

    def on_train_epoch_end(self, trainer, module):
        if self.file:
            Path(self.file).unlink()
        file = Path(trainer.default_root_dir) / f"notes_{trainer.current_epoch}.txt"
        file.write_text("notes")
        self.file = str(file)
'''
OWN = "callbacks.model_checkpoint._target_=src.tidy.Own"
TIDY = "+callbacks.tidy._target_=src.tidy.Tidy"


@pytest.fixture
def victim(toy: Dlctl, tmp_path: Path) -> Path:
    """A folder that is nobody's business, beside the project."""
    (toy.root / "src/tidy.py").write_text(CALLBACKS)
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "thesis.txt").write_text("five years")
    (folder / "best.ckpt").write_text("a model")
    return folder


def planted(source: Path, target: Path, victim: Path, spelling: str, run_dir: Path) -> None:
    """Write a checkpoint whose callbacks name a folder of others as the file that they wrote before."""
    state = torch.load(source, weights_only=True)
    below = run_dir / "checkpoints"
    climbing = below.joinpath(*[".."] * len(below.parts[1:]), *victim.parts[1:])
    for name, path in (("folder", victim), ("file", victim / "best.ckpt")):
        if name not in spelling:
            continue
        text = str(climbing / path.relative_to(victim)) if "climbing" in spelling else str(path)
        for key, each in state["callbacks"].items():
            if "Tidy" in key:
                each["file"] = text
            elif "best_model_path" in each:
                each |= {
                    "best_model_path": text,
                    "last_model_path": text,
                    "kth_best_model_path": text,
                    "best_k_models": {text: torch.tensor(0.0)},
                    "dirpath": str(below),
                    "best_model_score": torch.tensor(0.0),
                    "kth_value": torch.tensor(0.0),
                }
    torch.save(state, target)


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


SPELLINGS = ("absolute folder", "absolute file", "climbing folder", "climbing file")


@pytest.mark.parametrize("callback", ["plain", "own", "tidy"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_checkpoint_of_a_stranger_deletes_nothing(
    toy: Dlctl, victim: Path, spelling: str, callback: str
) -> None:
    words = ("train", *TOY, *{"plain": (), "own": (OWN,), "tidy": (TIDY,)}[callback], "test=false")
    toy(*words)
    trained = toy.run_dir()
    file = toy.root / "stranger.ckpt"
    # The stranger guesses the folder of the run that is going to be.
    planted(last_checkpoint(toy), file, victim, spelling, toy.root / "logs/train/runs/next")
    before, first = content(victim), content(trained)
    guessed = "hydra.run.dir=logs/train/runs/next"
    toy(*words, guessed, "--ckpt", "stranger.ckpt", "trainer.max_epochs=4")
    assert content(victim) == before
    best = Path(toy("runs", "show", "last", "--json").json["checkpoints"]["best"])
    assert (toy.run_dir() / best).resolve().is_relative_to(toy.run_dir())
    # Nor does a checkpoint of another run of one's own.
    assert content(trained) == first


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_resumed_run_holds_to_its_own_directory(toy: Dlctl, victim: Path, spelling: str) -> None:
    toy("train", *TOY, TIDY, "test=false")
    run = toy.run_dir()
    planted(run / "checkpoints/last.ckpt", run / "planted.ckpt", victim, spelling, run)
    shutil.move(run / "planted.ckpt", run / "checkpoints/last.ckpt")
    manifest: Any = (run / "run.json").read_text()
    hashes = manifest.index('"sha256"')
    (run / "run.json").write_text(manifest[:hashes] + '"others"' + manifest[hashes + 8 :])
    before = content(victim)
    toy("train", "--resume", run.name, "trainer.max_epochs=4")
    assert content(victim) == before


def test_paths_in_attributes_of_a_module_are_not_taken_over(toy: Dlctl, victim: Path) -> None:
    (toy.root / "src/notes.py").write_text(
        "from src.toy import Plain\n\n\n"
        "class Notes(Plain):\n"
        "    file, epochs = 'notes.txt', 0\n\n"
        "    def on_train_epoch_end(self):\n"
        "        self.epochs = self.epochs + 1\n"
        "        open(self.file, 'w').write(str(self.epochs))\n"
    )
    words = ("train", *TOY, "model._target_=src.notes.Notes", "test=false")
    toy(*words)
    state = torch.load(last_checkpoint(toy), weights_only=True)
    state["dlctl"]["resume"]["attributes"]["kept"]["model"]["file"] = str(victim / "thesis.txt")
    torch.save(state, toy.root / "stranger.ckpt")
    result = toy(*words, "--ckpt", "stranger.ckpt", "trainer.max_epochs=3")
    assert "the checkpoint's values of file name files of another run: they are not used" in result.err
    assert (victim / "thesis.txt").read_text() == "five years"
    # What is no path is taken over: two epochs before, one now.
    assert (toy.root / "notes.txt").read_text() == "3"
