"""The full MNIST and a treebank of real size, where DLCTL_TEST_DATA says where they lie."""

import gzip
import os
import resource
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


@pytest.mark.timeout(3600)
def test_parts_of_speech_of_english_are_learnt_within_ten_minutes_on_two_cores(dlctl: Dlctl) -> None:
    folder = Path(os.environ["DLCTL_TEST_DATA"], "ud")
    paths = [f"data.{part}_path={folder}/en_ewt-ud-{part}.conllu.gz" for part in ("train", "dev", "test")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = dlctl.process("train", "--exp", "tagger_ewt", *paths, *QUIET, "--json", timeout=3000).json
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert report["metrics"]["test/acc"] >= 0.93
    # What the machine does beside it shall not count: time of the processor, of two cores.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2 * 600
