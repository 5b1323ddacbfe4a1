from startup import HELP, LIBRARIES, SHOW, SMALLEST, measure, ratio


def test_help_and_show_config_cost_little_more_than_they_must() -> None:
    # The bounds are wide, and so are the noises of a busy machine: `make bench` is the measurement.
    seconds = measure(5, (HELP, SMALLEST, SHOW, LIBRARIES))
    assert ratio(seconds, HELP, SMALLEST) < 1.8
    assert ratio(seconds, SHOW, LIBRARIES) < 2.4
