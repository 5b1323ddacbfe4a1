import os

import pytest
from sweep import measure

pytestmark = pytest.mark.slow


def test_sweep_is_much_faster_than_its_trials_as_commands() -> None:
    # The bounds are wide, and so are the noises of a busy machine, on which two jobs get less of the
    # cores than one command after the other does: `make bench` on a quiet one is the measurement.
    ratio, beyond, composing = measure(1, trains=3)
    assert ratio > (3.5 if os.getloadavg()[1] < (os.cpu_count() or 1) else 2)
    # A machine may be several times slower than another: its own time for composing is the unit.
    assert beyond < 4 * composing
