"""One line for what somebody's code raised, with the part that tells most."""

import subprocess

import pytest
import torch

from dlctl.utils.exception_text import advice, one_line

WORKER = """Caught ValueError in DataLoader worker process 0.
Original Traceback (most recent call last):
  File "worker.py", line 3, in _worker_loop
    data = fetcher.fetch(index)
ValueError: no image in cat.png
"""


class Broken(Exception):
    def __str__(self) -> str:
        raise RuntimeError("cannot be shown")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("bad\nmore"), "ValueError: bad"),
        (ValueError("\n\n  bad\n"), "ValueError: bad"),
        (AssertionError(), "AssertionError"),
        (Broken(), "Broken"),
        (KeyError("size"), "KeyError: 'size'"),
        (RuntimeError("these fit not:\n  a\n  b"), "RuntimeError: these fit not: a (and 1 more)"),
        (ValueError(WORKER), "ValueError: ValueError: no image in cat.png"),
        (
            ValueError("1 validation error for Net\nsize\n  Input should be an integer"),
            "ValueError: 1 validation error for Net: size Input should be an integer",
        ),
        (
            subprocess.CalledProcessError(2, ["ls"], stderr=b"usage\nno such file\n"),
            "CalledProcessError: Command '['ls']' returned non-zero exit status 2. no such file",
        ),
        (
            ExceptionGroup("two failed", [ValueError("bad"), TypeError("worse")]),
            "ValueError: bad (and 1 more)",
        ),
    ],
)
def test_line_that_carries_the_information(error: BaseException, expected: str) -> None:
    assert one_line(error) == expected


def test_weights_of_another_size_tell_the_sizes() -> None:
    with pytest.raises(RuntimeError) as error:
        torch.nn.Linear(2, 3).load_state_dict({"weight": torch.zeros(4, 2), "other": torch.zeros(1)})
    text = one_line(error.value)
    assert "size mismatch for weight" in text
    assert "torch.Size([4, 2])" in text
    assert "torch.Size([3, 2])" in text
    assert "\n" not in text


def missing_vocabulary(explicit: bool) -> None:
    try:
        {}["a"]
    except KeyError as error:
        if explicit:
            raise ValueError("no vocabulary") from error
        raise ValueError("no vocabulary")  # noqa: B904 - as people write it


def test_explicit_cause_is_told_and_one_that_was_handled_is_not() -> None:
    with pytest.raises(ValueError, match="no vocabulary") as error:
        missing_vocabulary(explicit=True)
    assert one_line(error.value) == "ValueError: no vocabulary (caused by KeyError: 'a')"
    with pytest.raises(ValueError, match="no vocabulary") as error:
        missing_vocabulary(explicit=False)
    assert one_line(error.value) == "ValueError: no vocabulary"


def test_exceptions_that_lead_to_each_other_end() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert one_line(first).startswith("ValueError: first (caused by ValueError: second")


def test_long_lines_are_cut() -> None:
    assert len(one_line(ValueError("x" * 9000))) < 600


def test_schedule_that_is_too_short_is_advised() -> None:
    weights = [torch.nn.Parameter(torch.zeros(1))]
    optimizer = torch.optim.SGD(weights, lr=0.1)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=2)
    optimizer.step()
    scheduler.step()
    scheduler.step()
    with pytest.raises(ValueError, match="Tried to step") as error:
        scheduler.step()
    hint = advice(error.value)
    assert hint is not None
    assert "is 2 steps long" in hint


def test_common_exceptions_are_advised_and_others_are_not() -> None:
    assert advice(ValueError("bad")) is None
    manual = advice(ValueError("Automatic gradient clipping is not supported for manual optimization."))
    assert manual is not None
    assert manual.startswith("trainer.gradient_clip_val=null")
    assert "num_workers" in (advice(AttributeError("Can't pickle local object 'f.<locals>.<lambda>'")) or "")


def test_a_hint_in_the_text_is_told_once_and_gives_way_to_better_advice() -> None:
    error = RuntimeError("could not find the key 'val/x'. HINT: Did you call `log('val/x', value)`?")
    assert one_line(error) == "RuntimeError: could not find the key 'val/x'."
    assert advice(error) == "Did you call `log('val/x', value)`?"
    clipped = ValueError("Automatic gradient clipping is not supported for manual optimization. HINT: other")
    assert "other" not in one_line(clipped)
    assert str(advice(clipped)).startswith("trainer.gradient_clip_val=null")
