import errno
import os
from pathlib import Path

import pytest

from dlctl.errors import disk_full
from dlctl.files import atomic_write


def test_file_is_replaced_whole_and_readable(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    atomic_write(file, b"one")
    atomic_write(file, b"two")
    assert file.read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    umask = os.umask(0)
    os.umask(umask)
    assert file.stat().st_mode & 0o777 == 0o666 & ~umask


def test_failed_write_leaves_the_old_file_and_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.txt"
    atomic_write(file, b"one")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        atomic_write(file, b"two")
    assert caught.value.filename == str(file)
    assert file.read_bytes() == b"one"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    wrapped = RuntimeError("while saving")
    wrapped.__cause__ = caught.value
    assert disk_full(wrapped) is caught.value
    assert disk_full(RuntimeError("other")) is None
