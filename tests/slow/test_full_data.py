"""The full MNIST, where DLCTL_TEST_DATA says where it lies."""

import gzip
import os
from pathlib import Path

import pytest

from tests.conftest import QUIET, Dlctl, needs_data

pytestmark = [pytest.mark.slow, needs_data]


@pytest.mark.timeout(900)
def test_mnist_is_learnt_and_two_runs_agree_to_the_last_digit(dlctl: Dlctl) -> None:
    raw = dlctl.root / "data/MNIST/raw"
    raw.mkdir(parents=True)
    for packed in Path(os.environ["DLCTL_TEST_DATA"], "mnist").glob("*.gz"):
        (raw / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    # No mirror is asked for what is there.
    words = ("train", "--exp", "mnist", "data.mirrors=[]", *QUIET, "--json")
    first, second = dlctl.process(*words).json, dlctl.process(*words).json
    assert first["metrics"]["test/acc"] >= 0.975
    assert first["metrics"] == second["metrics"]
