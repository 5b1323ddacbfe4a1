"""Files that are no whole checkpoint are refused in one line, and a run goes on from its newest whole one."""

import io
import os
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import Dlctl
from tests.pipeline.conftest import last_checkpoint

TOY = ("--exp", "toy", "extras.print_config=false")
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


def zipped(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/readme.txt", "no checkpoint")


def tarred(file: Path) -> None:
    with tarfile.open(file, "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"), io.BytesIO())


def cut_short(file: Path) -> None:
    torch.save({"state_dict": {"a": torch.ones(10_000)}, "pytorch-lightning_version": "2"}, file)
    file.write_bytes(file.read_bytes()[:20_000])


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda file: file.write_text("no checkpoint"), "it is a text file"),
    "empty": (lambda file: file.touch(), "it is empty"),
    "page": (lambda file: file.write_text("\n<!DOCTYPE html><html>404</html>"), "it is a web page"),
    "lfs": (lambda file: file.write_text(LFS), "it is a Git LFS pointer"),
    "random": (lambda file: file.write_bytes(bytes(range(128, 256)) * 99), "it is not a checkpoint"),
    "pickle": (lambda file: file.write_bytes(pickle.dumps({"a": 1})), ""),
    "opcodes": (lambda file: file.write_bytes(b"\x80\x02" + bytes(range(256)) * 9), ""),
    "zip": (zipped, "it is a zip file that holds no checkpoint"),
    "tar": (tarred, ""),
    "fifo": (lambda file: os.mkfifo(file), "it is not a regular file"),
    "device": (lambda file: file.symlink_to("/dev/zero"), "it is not a regular file"),
    "folder": (lambda file: file.mkdir(), "it is a folder"),
    "cut": (cut_short, "it is cut short or damaged"),
    "tensor": (lambda file: torch.save(torch.ones(2), file), ""),
    "list": (lambda file: torch.save([{"state_dict": {}}], file), ""),
    "keys": (lambda file: torch.save({"a": 1}, file), ""),
    "number": (lambda file: torch.save({"state_dict": 7}, file), ""),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_files_that_are_no_checkpoint(toy: Dlctl, kind: str) -> None:
    make, told = BROKEN[kind]
    file = toy.root / "x.ckpt"
    make(file)
    for words in (
        ("eval", "x.ckpt"),
        ("predict", "x.ckpt"),
        ("train", *TOY, "--ckpt", "x.ckpt"),
        ("train", *TOY, "--weights", "x.ckpt"),
    ):
        result = toy(*words, code=4)
        assert result.err.splitlines()[0].startswith("error: ")
        assert "x.ckpt" in result.err
        assert told in result.err
        assert "fault of dlctl" not in result.err
        assert "Traceback" not in result.err
    assert not (toy.root / "logs").exists()


def test_flipped_bit_is_refused_by_every_command(toy: Dlctl) -> None:
    toy("train", *TOY)
    run = toy.run_dir()
    flip(run / "checkpoints/last.ckpt")
    last = str(run / "checkpoints/last.ckpt")
    for words in (
        ("eval", "last", "--ckpt", "last"),
        ("eval", last),
        ("predict", last),
        ("train", "--resume", run.name, "trainer.max_epochs=3"),
        ("train", *TOY, "trainer.max_epochs=3", "--ckpt", last),
        ("train", *TOY, "--weights", last),
    ):
        result = toy(*words, code=4)
        assert "its content has changed since the run wrote it (its sha256 is not the one in " in result.err
    # Away from its run, the checksums inside the file tell.
    shutil.copy(last, toy.root / "moved.ckpt")
    result = toy("eval", "moved.ckpt", code=4)
    assert "it is damaged: its content does not match its checksums" in result.err


def flip(file: Path) -> None:
    """Flip the highest bit of a weight."""
    weight = torch.load(file, weights_only=True)["state_dict"]["net.0.weight"]
    content = bytearray(file.read_bytes())
    at = content.index(weight.numpy().tobytes())
    content[at + 3] ^= 0x40
    file.write_bytes(content)


def test_resumed_run_that_is_killed_is_not_taken_for_damaged(toy: Dlctl) -> None:
    toy("train", *TOY)
    run = toy.run_dir()
    manifest = (run / "run.json").read_text()
    assert "sha256" in manifest
    raising = "+callbacks.stop={_target_:tests.helpers.SendSignal,name:SIGKILL,stage:train,epoch:3,batch:0}"
    killed = toy.start(
        "train",
        "--resume",
        "last",
        raising,
        "trainer.max_epochs=5",
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    killed.communicate(timeout=120)
    assert toy("eval", run.name, "--ckpt", "last", "--json").json["metrics"]
    toy("train", "--resume", run.name, "~callbacks.stop", "--json")


def test_run_goes_on_from_its_newest_whole_checkpoint(toy: Dlctl) -> None:
    toy("train", *TOY, "+callbacks.stop={_target_:src.toy.Fails,epoch:1}", code=1)
    run = toy.run_dir()
    last = run / "checkpoints/last.ckpt"
    last.write_bytes(last.read_bytes()[:5000])
    result = toy("train", "--resume", "last", "~callbacks.stop")
    assert "going on with" in result.err
    assert "checkpoints/epoch_000.ckpt" in result.err
    assert last_checkpoint(toy).stat().st_size > 5000


def test_checkpoint_that_is_trained_to_its_end(toy: Dlctl) -> None:
    toy("train", *TOY)
    run = toy.run_dir()
    shutil.copy(run / "checkpoints/last.ckpt", toy.root / "pre.ckpt")
    result = toy("train", *TOY, "--ckpt", "pre.ckpt", code=3)
    assert "nothing is left to train: pre.ckpt has been trained to its end (2 of 2 epochs)" in result.err
    assert "to train more: trainer.max_epochs=4" in result.err
    assert toy.run_dir() == run
    result = toy("train", "--resume", "last")
    assert f"{run.name} has been trained to its end (2 of 2 epochs): only the test is run" in result.err
    longer = f"train --resume {run.name} trainer.max_epochs=4"
    assert f"to train more: dlctl {longer}" in result.err
    assert "going on with" in toy(*longer.split()).err
    # As the message says.
    toy("train", *TOY, "--ckpt", "pre.ckpt", "trainer.max_epochs=4")
    new = toy.run_dir()
    assert new != run
    best = toy("runs", "show", "last", "--json").json["checkpoints"]["best"]
    assert (new / best).resolve().is_relative_to(new)
