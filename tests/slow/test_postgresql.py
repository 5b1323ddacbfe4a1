"""A study in a real PostgreSQL server."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.test_sweep import FAST, diary, meeting, notes, wait_for
from tests.conftest import Dlctl

pytestmark = pytest.mark.slow
PASSWORD = "correct-horse-battery"


def _as_postgres(*command: str) -> list[str]:
    # The server refuses to run as root.
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else [*command]


@dataclass(frozen=True)
class Server:
    """A database server on this machine alone.

    Attributes:
        url: with its password.
        start: starts it again.
        stop: stops it, and with it all connections.
    """

    url: str
    start: Callable[[], None]
    stop: Callable[[], None]


@pytest.fixture(scope="module")
def running_server() -> Iterator[Server]:
    """A server whose data are removed at the end."""
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

    def call(*words: str) -> None:
        subprocess.run(_as_postgres(str(control), "-D", str(data), *words), **run)  # type: ignore[call-overload]

    def start() -> None:
        call("-w", "-l", str(folder / "log"), "-o", options, "start")

    def stop() -> None:
        call("-m", "immediate", "stop")

    start()
    yield Server(f"postgresql://me:{PASSWORD}@127.0.0.1:{port}/postgres", start, stop)
    stop()
    shutil.rmtree(folder)


@pytest.fixture
def server(running_server: Server) -> str:
    """The URL of a server, password included."""
    return running_server.url


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
    wrong = dlctl("study", "status", "s", "--storage", server.replace(PASSWORD, "not-this-one"), code=4)
    assert "cannot be reached" in wrong.err
    assert "not-this-one" not in wrong.err + wrong.out
    for path in dlctl.root.rglob("*"):
        if path.is_file() and not path.is_symlink() and "tests" not in path.parts:
            assert PASSWORD.encode() not in path.read_bytes(), path


def test_sweep_waits_for_a_server_that_restarts(dlctl: Dlctl, running_server: Server) -> None:
    (dlctl.root / "tests").symlink_to(Path(__file__).parents[1])
    file = dlctl.root / "diary"
    words = ("seed=interval(1,100000)", diary(file, 0.5), "--trials", "6", "--jobs", "2", "--study", "waits")
    stored = ("--storage", running_server.url)
    process = dlctl.start("sweep", *words, *stored, *FAST)
    for count in (2, 7):
        wait_for(lambda count=count: len(notes(file)) >= count)
        running_server.stop()
        err = dlctl("study", "status", "waits", *stored, code=4).err
        assert err.splitlines()[0].endswith("Connection refused")
        assert PASSWORD not in err
        time.sleep(8)
        running_server.start()
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert PASSWORD not in out + err
    assert err.count("waiting for it, for at most 10 min") == 2
    assert err.count("the study's storage answers again after") == 2
    report = dlctl("study", "trials", "waits", *stored, "--json").json
    assert [(trial["number"], trial["state"]) for trial in report["trials"]] == [
        (number, "complete") for number in range(6)
    ]
    # Each trial has trained once, and none is left over.
    seeds = [str(trial["params"]["seed"]) for trial in report["trials"]]
    assert sorted(line[3] for line in notes(file) if line[0] == "end") == sorted(seeds)
    counts = dlctl("study", "status", "waits", *stored, "--json").json["counts"]
    assert counts == {"complete": 6, "pruned": 0, "failed": 0, "running": 0, "lost": 0}
    values = [trial["values"] for trial in report["trials"]]
    for trial, value in zip(report["trials"], values, strict=True):
        assert dlctl("runs", "show", trial["run"], "--json").json["metrics"]["val/acc_best"] == value[0]


def test_sweep_ends_at_a_signal_while_its_server_is_down(dlctl: Dlctl, running_server: Server) -> None:
    (dlctl.root / "tests").symlink_to(Path(__file__).parents[1])
    file = dlctl.root / "diary"
    words = ("sweep", "seed=1,2,3", diary(file, 3.0), "--study", "stopped", "--storage", running_server.url)
    process = dlctl.start(*words, *FAST)
    wait_for(lambda: notes(file))
    running_server.stop()
    try:
        assert process.stderr is not None
        wait_for(lambda: "waiting for it" in process.stderr.readline())
        process.terminate()
        _, err = process.communicate(timeout=60)
    finally:
        running_server.start()
    assert process.returncode == 143, err
    assert err.splitlines()[-1].startswith("to go on: dlctl sweep seed=1,2,3")
    assert PASSWORD not in err
    report = dlctl(*words, *FAST, "--json").json
    assert [trial["params"]["seed"] for trial in report["trials"]] == [1, 2, 3]
    assert [trial["state"] for trial in report["trials"]] == ["complete"] * 3
