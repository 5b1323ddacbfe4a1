import pytest
from sweep import measure

pytestmark = pytest.mark.slow


def test_sweep_is_much_faster_than_its_trials_as_commands() -> None:
    # The bounds are wide, and so are the noises of a busy machine: `make bench` is the measurement.
    ratio, beyond = measure(1, trains=3)
    assert ratio > 3.5
    assert beyond < 0.4
