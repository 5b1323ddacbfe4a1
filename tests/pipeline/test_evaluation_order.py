"""What an evaluation reads of a loader: its samples, each once, in the order of the data."""

from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, SubsetRandomSampler, WeightedRandomSampler

from dlctl.pipeline.evaluate import in_order

NUMBERS = list(range(20))


class Halves:
    """Batches of the second half, as somebody's own batch sampler gives them."""

    def __iter__(self) -> Any:
        yield from ([19, 11], [15, 12], [10, 13], [18, 14], [17, 16])

    def __len__(self) -> int:
        return 5


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"batch_size": 3, "shuffle": True}, NUMBERS),
        ({"batch_size": 3, "sampler": SubsetRandomSampler([9, 2, 5])}, [2, 5, 9]),
        ({"batch_size": 3, "sampler": WeightedRandomSampler([1.0] * 20, 20)}, NUMBERS),
        ({"batch_sampler": Halves()}, NUMBERS[10:]),
    ],
)
def test_samples_in_order(options: dict[str, Any], expected: list[int]) -> None:
    loader = in_order(DataLoader(NUMBERS, **options))  # type: ignore[arg-type]
    assert torch.cat(list(loader)).tolist() == expected
