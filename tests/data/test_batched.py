import pickle

import pytest
import torch
from torch import Tensor

from dlctl.data.batched import Batch, BatchedDataset, batched_loader


def doubled(batch: Batch) -> Batch:
    return batch[0] * 2, *batch[1:]


@pytest.fixture
def tensors() -> tuple[Tensor, Tensor]:
    return torch.arange(60, dtype=torch.uint8).view(20, 3), torch.arange(20)


def test_a_batch_is_its_samples_stacked_in_the_order_asked_for(tensors: tuple[Tensor, Tensor]) -> None:
    dataset = BatchedDataset(*tensors, transform=doubled)
    rows, numbers = dataset.__getitems__([7, 3, 3, 19])
    assert numbers.tolist() == [7, 3, 3, 19]
    assert torch.equal(rows, tensors[0][[7, 3, 3, 19]] * 2)
    samples = [dataset[index] for index in (7, 3, 3, 19)]
    assert torch.equal(rows, torch.stack([row for row, _ in samples]))
    assert torch.equal(numbers, torch.stack([number for _, number in samples]))


def test_iterating_ends_after_the_last_sample(tensors: tuple[Tensor, Tensor]) -> None:
    assert [int(number) for _, number in BatchedDataset(*tensors)] == list(range(20))


def test_augment_sees_each_sample_once_and_before_the_transform(tensors: tuple[Tensor, Tensor]) -> None:
    seen = []

    def augment(row: Tensor) -> Tensor:
        seen.append(row.tolist())
        return row + 1

    rows, _ = BatchedDataset(*tensors, augment=augment, transform=doubled).__getitems__([0, 2])
    assert seen == [[0, 1, 2], [6, 7, 8]]
    assert rows.tolist() == [[2, 4, 6], [14, 16, 18]]
    assert tensors[0][0].tolist() == [0, 1, 2]


def test_tensors_of_different_lengths_are_refused(tensors: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(ValueError, match=r"got lengths \[19, 20\]"):
        BatchedDataset(tensors[0], tensors[1][1:])


def test_a_loader_gives_every_sample_once_and_the_rest_as_a_smaller_batch(
    tensors: tuple[Tensor, Tensor],
) -> None:
    loader = batched_loader(BatchedDataset(*tensors), batch_size=8, shuffle=True)
    batches = list(loader)
    assert [len(rows) for rows, _ in batches] == [8, 8, 4]
    numbers = torch.cat([numbers for _, numbers in batches])
    assert sorted(numbers.tolist()) == list(range(20))
    assert torch.equal(torch.cat([rows for rows, _ in batches]), tensors[0][numbers])


def test_a_data_set_can_be_sent_to_a_spawned_worker(tensors: tuple[Tensor, Tensor]) -> None:
    dataset = pickle.loads(pickle.dumps(BatchedDataset(*tensors, transform=doubled)))
    assert dataset[4][0].tolist() == [24, 26, 28]
