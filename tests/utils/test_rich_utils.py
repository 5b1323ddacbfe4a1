import os
import pty
import subprocess
import sys
from pathlib import Path

from tests.conftest import QUIET, Dlctl


def test_tags_are_asked_for_on_a_terminal_and_kept(dlctl: Dlctl) -> None:
    master, slave = pty.openpty()
    words = ("train", *QUIET, "tags=[]", "trainer.fast_dev_run=true")
    process = subprocess.Popen(
        [sys.executable, "-m", "dlctl", *words], cwd=dlctl.root, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    shown = b""
    while b"separated by commas (dev): " not in shown:
        shown += os.read(master, 1000)
    os.write(master, b"one, two words\n")
    try:
        while chunk := os.read(master, 4096):
            shown += chunk
    except OSError:  # the terminal is gone with the process
        pass
    assert process.wait() == 0
    facts = dlctl("runs", "show", "last", "--json").json
    assert facts["tags"] == ["one", "two words"]
    assert (Path(dlctl.run_dir()) / "tags.log").read_text() == "one\ntwo words\n"


def test_config_tree_is_printed_on_stderr_and_saved(dlctl: Dlctl) -> None:
    result = dlctl("train", "trainer.fast_dev_run=true")
    assert "├── model" in result.err
    assert "lin1_size: 64" in result.err
    assert "CONFIG" not in result.out
    assert "lin1_size: 64" in (dlctl.run_dir() / "config_tree.log").read_text()


def test_warnings_are_told_in_one_line_or_not_at_all(dlctl: Dlctl) -> None:
    (dlctl.root / "warning_data.py").write_text(
        "import warnings\n"
        "from dlctl.data.mnist_datamodule import MNISTDataModule\n"
        "class Warning_(MNISTDataModule):\n"
        "    def setup(self, stage=None):\n"
        "        warnings.warn('the data is old')\n"
        "        super().setup(stage)\n"
    )
    words = ("data._target_=warning_data.Warning_", "trainer.fast_dev_run=true")
    told = "WARNING: the data is old (UserWarning, warning_data.py:5)"
    assert told in dlctl.train(*words).err.splitlines()
    assert told not in dlctl.train(*words, "extras.ignore_warnings=true").err
