"""The rules of CoNLL-U at level 2 beside udtools, in CPU time on the same bytes.

Run it with ``python tests/benchmarks/validation.py``; it wants udtools and DLCTL_TEST_DATA.
"""

import gzip
import io
import os
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from dlctl.data.conllu_rules import validate


def english(*parts: str) -> bytes:
    """Parts of English-EWT, one after the other."""
    folder = Path(os.environ["DLCTL_TEST_DATA"], "ud")
    return b"".join(gzip.decompress((folder / f"en_ewt-ud-{part}.conllu.gz").read_bytes()) for part in parts)


def udtools(data: bytes) -> int:
    """The number of faults that udtools finds."""
    from udtools import Validator
    from udtools.state import State

    state = State()
    Validator(lang="ud", level=2, output=None).validate_file_handle(
        io.TextIOWrapper(io.BytesIO(data), "utf-8"), state
    )
    return len(state.error_tracker)


def dlctl(data: bytes) -> int:
    """The number of faults that dlctl finds."""
    return sum(1 for _ in validate(data))


def seconds(count: Callable[[bytes], int], data: bytes) -> tuple[float, int]:
    """The CPU time that it takes, and what it finds."""
    start = time.process_time()
    found = count(data)
    return time.process_time() - start, found


def ratio(data: bytes, rounds: int) -> float:
    """How many times the CPU time of dlctl udtools takes: the median of the rounds."""
    ratios = []
    for _ in range(rounds):
        (ours, found), (theirs, expected) = seconds(dlctl, data), seconds(udtools, data)
        assert found == expected
        ratios.append(theirs / ours)
    return statistics.median(ratios)


def main() -> None:
    """All of English-EWT as it is, without names, and with tags that are wrong."""
    if "DLCTL_TEST_DATA" not in os.environ:
        print("DLCTL_TEST_DATA is not set, validation is not measured")
        return
    data = english("train", "dev", "test")
    for name, changed in {
        "English-EWT": data,
        "without sent_id": re.sub(rb"# sent_id.*\n", b"", data),
        "with NN in the place of NOUN": data.replace(b"\tNOUN\t", b"\tNN\t"),
    }.items():
        print(f"{name}: udtools / dlctl {ratio(changed, 3):.1f}", flush=True)


if __name__ == "__main__":
    main()
