"""Every command that dlctl prints works as it is printed."""

import shlex

import pytest

from tests.conftest import Dlctl

SHORT = ("trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1",
         "trainer.limit_test_batches=1", "test=false")  # fmt: skip


def command(text: str, before: str) -> list[str]:
    """The words of a command, as a shell splits them, behind something on its line."""
    line = next(line for line in text.splitlines() if before in line)
    words = shlex.split(line.partition(before)[2].removeprefix(":"))
    assert words[0] == "dlctl"
    return words[1:]


@pytest.mark.parametrize(
    "folder",
    [
        "logs/od/${hydra:job.override_dirname}",
        "logs/it is 'mine'/a=b c",
        "logs/od/~x=1",
    ],
)
def test_run_in_a_folder_of_any_name(dlctl: Dlctl, folder: str) -> None:
    quoted = folder.replace("'", "\\'")
    result = dlctl.train("--exp", "example", *SHORT, f"hydra.run.dir='{quoted}'")
    words = command(result.out, "evaluate")
    dlctl(*words)
    (run,) = [each for each in dlctl("runs", "list", "--json").json["runs"] if each["kind"] == "train"]
    # By its id alone as well, as `runs list` shows it.
    about = dlctl("eval", run["id"], "data.batch_size=32", "--json").json
    assert about["evaluated"] == run["id"]
    dlctl("predict", run["id"], "--json")
    assert dlctl("runs", "show", run["id"], "--json").json["id"] == run["id"]
    dlctl("train", "--resume", run["id"], "trainer.max_epochs=2")


def test_override_without_a_run_is_still_an_error(dlctl: Dlctl) -> None:
    assert "no run or checkpoint is named" in dlctl("eval", "data.batch_size=32", code=2).err


def test_training_without_a_checkpoint_is_started_again_with_its_words(dlctl: Dlctl) -> None:
    words = ("model._target_=tests.helpers.Confiding", "+model.password='a b'", "+model.fails=true",
             "tags=[x, y]", "+extras.home=${oc.env:HOME}")  # fmt: skip
    dlctl.train("--exp", "example", *SHORT, *words, code=1)
    printed = command(dlctl("train", "--resume", dlctl.run_dir().name, code=4).err, "start it again:")
    assert printed[0] == "train"
    assert set(words) < set(printed)
