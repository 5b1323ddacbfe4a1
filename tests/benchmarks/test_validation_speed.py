import pytest
from validation import english, ratio

from tests.conftest import needs_data


@needs_data
def test_validation_takes_a_fifth_of_the_time_of_udtools() -> None:
    pytest.importorskip("udtools")
    assert ratio(english("dev"), 3) > 5
