from startup import measure, ratio


def test_help_costs_little_more_than_the_smallest_app() -> None:
    # The bound is wide, and so are the noises of a busy machine: `make bench` is the measurement.
    assert ratio(measure(rounds=5)) < 1.8
