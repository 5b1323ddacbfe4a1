import pytest
from training_step import measure, ratio


@pytest.mark.slow
def test_a_step_costs_little_more_than_a_plain_loops_and_much_less_than_the_templates() -> None:
    # The bounds are wide: this is no measurement, `make bench` is.
    seconds = measure(None, rounds=3, steps=100)
    assert ratio(seconds, "ours", "plain") < 2
    assert ratio(seconds, "template", "ours") > 2
