"""Workers of loaders: what signals do to them, and what the end of their process does."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
import torch
from torch.utils.data import DataLoader, Dataset
from torchdata.stateful_dataloader import StatefulDataLoader

from dlctl.runs import workers
from dlctl.runs.stop import SIGNALS, Stop


class Numbers(Dataset[int]):
    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> int:
        return index


class Shell(Numbers):
    """Runs a program in its worker, which a signal must still be able to end."""

    def __getitem__(self, index: int) -> int:
        sleep = subprocess.Popen(["sleep", "20"])
        sleep.terminate()
        return sleep.wait()


@pytest.fixture(autouse=True)
def _protected() -> Iterator[None]:
    with workers.protected():
        yield


@pytest.mark.parametrize("kind", [DataLoader, StatefulDataLoader])
@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_signals_do_not_end_workers(kind: Any, context: str) -> None:
    loader = kind(Numbers(), batch_size=4, num_workers=2, multiprocessing_context=context)
    batches = iter(loader)
    # At once: those that are spawned are still importing torch.
    for signum in SIGNALS:
        for worker in multiprocessing.active_children():
            assert worker.pid is not None
            os.kill(worker.pid, signum)
    found = [next(batches)]
    children = multiprocessing.active_children()
    for signum in SIGNALS:
        for worker in children:
            assert worker.pid is not None
            os.kill(worker.pid, signum)
    found += list(batches)
    assert torch.cat(found).tolist() == list(range(40))
    for worker in children:
        worker.join(10)
        assert worker.exitcode == 0


class Unpicklable(Numbers):
    """Its batches cannot be sent to the training process."""

    def __getitem__(self, index: int) -> Any:
        return lambda: index


@pytest.mark.parametrize("kind", [DataLoader, StatefulDataLoader])
def test_worker_that_cannot_send_a_batch_ends_with_an_error(
    kind: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    loader = kind(Unpicklable(), batch_size=1, num_workers=1, collate_fn=list, multiprocessing_context="fork")
    with pytest.raises(RuntimeError, match="exited unexpectedly") as raised:
        next(iter(loader))
    assert not workers.is_out_of_memory(raised.value)
    assert "loader worker cannot send a batch: " in capfd.readouterr().err


def test_programs_that_a_worker_runs_can_be_ended() -> None:
    loader = DataLoader(Shell(), batch_size=1, num_workers=1, sampler=[0])
    assert [int(batch) for batch in loader] == [-signal.SIGTERM]


def test_other_processes_ignore_ctrl_c_and_end_upon_sigterm() -> None:
    with Stop(), multiprocessing.get_context("fork").Pool(2) as pool:
        for process in multiprocessing.active_children():
            assert process.pid is not None
            os.kill(process.pid, signal.SIGINT)
        assert pool.map(abs, [-1, 2]) == [1, 2]


BUSY = """
import os, signal, sys, time
from torch.utils.data import DataLoader, Dataset
from dlctl.runs import workers
class Busy(Dataset):
    def __len__(self): return 8
    def __getitem__(self, index):
        if index:
            print(os.getpid(), flush=True)
            time.sleep(600)
        return index
workers.protect()
loader = iter(DataLoader(Busy(), batch_size=1, num_workers=1, timeout=1))
next(loader)
print("end", flush=True)
sys.exit(3)
"""


def test_worker_that_hangs_does_not_keep_its_process_alive() -> None:
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", BUSY], capture_output=True, text=True, timeout=60)
    assert done.returncode == 3, done.stderr
    assert time.monotonic() - started < 40
    pids = [int(word) for word in done.stdout.split() if word != "end"]
    assert pids
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
