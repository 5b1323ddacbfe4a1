"""A study in a real PostgreSQL server."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_sweep import FAST, diary, meeting, notes, wait_for
from tests.conftest import Dlctl

pytestmark = pytest.mark.slow
PASSWORD = "correct-horse-battery"


def _as_postgres(*command: str) -> list[str]:
    # The server refuses to run as root.
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else [*command]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a server on this machine alone, password included."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed")
    pytest.importorskip("psycopg")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="dlctl-pg-"))
    secret = folder / "password"
    secret.write_text(PASSWORD)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        shutil.chown(secret, "postgres")
    data, control = folder / "data", found[-1].with_name("pg_ctl")
    run = {"check": True, "cwd": folder, "stdout": subprocess.DEVNULL}
    words = ("-D", str(data), "-U", "me", "-A", "scram-sha-256", f"--pwfile={secret}")
    subprocess.run(_as_postgres(str(found[-1]), *words), **run)  # type: ignore[call-overload]
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
    start = ("-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
    subprocess.run(_as_postgres(str(control), *start), **run)  # type: ignore[call-overload]
    yield f"postgresql://me:{PASSWORD}@127.0.0.1:{port}/postgres"
    stop = ("-D", str(data), "-m", "immediate", "stop")
    subprocess.run(_as_postgres(str(control), *stop), **run)  # type: ignore[call-overload]
    shutil.rmtree(folder)


def test_study_in_postgresql_is_shared_and_its_password_is_shown_nowhere(dlctl: Dlctl, server: str) -> None:
    (dlctl.root / "tests").symlink_to(Path(__file__).parents[1])
    file = dlctl.root / "diary"
    folder = dlctl.root / "meeting"
    space = ("seed=interval(1,100000)", diary(file), meeting(folder), "--trials", "6", "--jobs", "2")
    words = ("sweep", *space, "--study", "s", "--storage", server, *FAST)
    killed = dlctl.start(*words)
    wait_for(lambda: notes(file))
    killed.kill()
    shutil.rmtree(folder, ignore_errors=True)  # both of the others have to come
    out, err = killed.communicate()
    said = [out, err]
    both = [dlctl.start(*words) for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        said += [out, err]
    assert len(list(folder.iterdir())) >= 2
    assert "s      6" in dlctl("study", "status", "--storage", server).out
    report = dlctl("study", "trials", "s", "--storage", server, "--json").json
    assert [trial["state"] for trial in report["trials"]] == ["complete"] * 6
    assert PASSWORD not in "".join(said)
    wrong = dlctl("study", "status", "s", "--storage", server.replace(PASSWORD, "not-this-one"), code=3)
    assert "cannot be reached" in wrong.err
    assert "not-this-one" not in wrong.err + wrong.out
    for path in dlctl.root.rglob("*"):
        if path.is_file() and not path.is_symlink() and "tests" not in path.parts:
            assert PASSWORD.encode() not in path.read_bytes(), path
