import io
import os
import signal
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from dlctl.errors import Interrupted
from dlctl.runs.stop import SIGNALS, Stop


def send(signum: int) -> None:
    os.kill(os.getpid(), signum)
    time.sleep(0.01)


@pytest.mark.parametrize("signum", SIGNALS)
def test_signal_raises_outside_of_training_and_is_noted_within(signum: signal.Signals) -> None:
    with Stop() as stop:
        with pytest.raises(Interrupted) as raised:
            send(signum)
        assert raised.value.exit_code == 128 + signum
        assert stop.requested == signum
    with Stop() as stop:
        stop.graceful = True
        send(signum)
        assert stop.requested == signum


def test_signals_of_one_moment_are_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    with Stop() as stop:
        stop.graceful = True
        for signum in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            send(signum)
        assert stop.requested == signal.SIGTERM
        monkeypatch.setattr("dlctl.runs.stop._ONE_REQUEST", 0.0)
        # A scheduler repeats its request; a person who presses ^C again cannot wait.
        send(signal.SIGTERM)
        with pytest.raises(Interrupted, match="SIGINT"):
            send(signal.SIGINT)


def test_signal_within_a_write_to_stderr_is_noted(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Signalled(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any, /) -> int:
            send(signal.SIGINT)
            return len(data)

    stream = io.TextIOWrapper(io.BufferedWriter(Signalled()), write_through=True)
    monkeypatch.setattr("sys.stderr", stream)
    with Stop() as stop:
        stop.graceful = True
        print("slow", file=sys.stderr, flush=True)
        assert stop.requested == signal.SIGINT
    assert "SIGINT: saving a checkpoint after this batch; again to stop at once\n" in capfd.readouterr().err


@pytest.mark.parametrize("signum", [signal.SIGHUP, signal.SIGINT])
def test_signal_that_was_ignored_stays_ignored(signum: signal.Signals) -> None:
    before = signal.signal(signum, signal.SIG_IGN)
    try:
        with Stop() as stop:
            send(signum)
            stop.install()
            send(signum)
            assert stop.requested is None
            with pytest.raises(Interrupted, match="SIGTERM"):
                send(signal.SIGTERM)
        assert signal.getsignal(signum) == signal.SIG_IGN
    finally:
        signal.signal(signum, before)


def test_handler_of_the_users_own_stays() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    heard = []
    with Stop() as stop:
        signal.signal(signal.SIGUSR1, lambda signum, _: heard.append(signum))
        signal.signal(signal.SIGTERM, lambda signum, _: heard.append(signum))
        stop.install()
        send(signal.SIGUSR1)
        with pytest.raises(Interrupted, match="SIGTERM"):
            send(signal.SIGTERM)
    assert heard == [signal.SIGUSR1]
    assert signal.getsignal(signal.SIGUSR1) == before


def test_signals_are_held_while_files_are_written() -> None:
    stop = Stop()
    stop.hold()
    try:
        send(signal.SIGINT)
        with pytest.raises(Interrupted, match="SIGINT"):
            stop.release()
    finally:
        stop.restore()


def test_signal_during_an_import_raises_when_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_module.py").write_text(
        "import os, signal, time\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "until = time.monotonic() + 0.5\n"
        "while time.monotonic() < until: pass\n"
        "complete = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with Stop(), pytest.raises(Interrupted):  # noqa: PT012 - it is raised later
        import_module("slow_module")

        time.sleep(5)
    assert sys.modules.pop("slow_module").complete


def test_signal_during_a_destructor_is_not_lost() -> None:
    class Closing:
        def __del__(self) -> None:
            send(signal.SIGINT)
            time.sleep(0.1)

    with Stop(), pytest.raises(Interrupted):  # noqa: PT012 - it is raised later
        closing = Closing()
        del closing
        time.sleep(5)


def test_forked_child_leaves_the_signal_to_its_parent() -> None:
    with Stop() as stop:
        pid = os.fork()
        if not pid:
            send(signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
        assert stop.requested is None


def test_threads_do_not_take_the_signals() -> None:
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=Stop().install)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) == before
