"""What an exception of somebody's code says, in one line, and what to do about those that are common."""

import re
import subprocess

from dlctl.errors import chain

_LONGEST = 500  # characters of a line, such as one that lists all missing weights
_DEEPEST = 2  # causes to report; a chain of them can be a circle

_TRACEBACK = re.compile(r"^\s*(Original )?Traceback \(most recent call last\):")
_VALIDATION = re.compile(r"\d+ validation errors? for ")

# What Lightning's messages end with.
_HINT = "HINT:"
# What an exception says -> what to do.
_ADVICE = (
    (
        r"Tried to step \d+ times\. The specified number of total steps is (\d+)",
        "the schedule of the learning rate is {0} steps long, and training goes on for longer: "
        "lengthen it (total_steps, or epochs)",
    ),
    (
        "Automatic gradient clipping is not supported for manual optimization",
        "trainer.gradient_clip_val=null; to clip, call self.clip_gradients() in training_step",
    ),
    (
        "out of memory",
        "smaller batches (trainer.accumulate_grad_batches keeps what a step sees), or less trainer.precision",
    ),
    (
        r"Can't pickle|[Cc]annot pickle|Can't get local object|Can't get attribute",
        "what worker processes get is pickled: no lambda or local function; or set num_workers to 0",
    ),
    (
        r"DataLoader worker .*(exited unexpectedly|killed by signal)",
        "with num_workers 0 the reason is shown; memory, or shared memory (/dev/shm), may be too small",
    ),
)


def one_line(error: BaseException, _depth: int = 0) -> str:
    """The type of an exception and the line of its text that carries the information.

    An explicit cause follows in brackets. The text may be empty, end its first line with a colon, or hold the
    traceback of another process.
    """
    if isinstance(error, BaseExceptionGroup):
        more = f" (and {len(error.exceptions) - 1} more)" if len(error.exceptions) > 1 else ""
        return f"{one_line(error.exceptions[0], _depth)}{more}"
    name = type(error).__name__
    text = _text(error)
    told = _in_traceback(text) or _informative([line.strip() for line in text.splitlines() if line.strip()])
    if isinstance(error, subprocess.CalledProcessError) and (said := _last_line(error.stderr)):
        told = f"{told} {said}"
    told = without_hint(told)
    told = told if len(told) <= _LONGEST else f"{told[:_LONGEST]}…"
    whole = f"{name}: {told}" if told else name
    cause = error.__cause__
    if cause is not None and _depth < _DEEPEST and (said := _text(cause).strip()) and said not in text:
        return f"{whole} (caused by {one_line(cause, _depth + 1)})"
    return whole


def without_hint(text: str) -> str:
    """A message of Lightning without the hint at its end, which ``advice`` gives."""
    return text.partition(_HINT)[0].rstrip()


def advice(error: BaseException) -> str | None:
    """What to do about an exception that many meet, else the hint in its own text; None if there is none."""
    texts = [_text(each) for each in chain(error)]
    for text in texts:
        for pattern, hint in _ADVICE:
            if found := re.search(pattern, text):
                return hint.format(*found.groups())
    hints = [" ".join(text.partition(_HINT)[2].split()) for text in texts]
    return next(filter(None, hints), None)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return ""


def _in_traceback(text: str) -> str:
    """What another process raised, if a text holds its traceback."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if _TRACEBACK.match(line)]
    if not starts:
        return ""
    after = [line for line in lines[starts[-1] + 1 :] if line.strip() and not line.startswith((" ", "\t"))]
    return _informative(after)


def _informative(lines: list[str]) -> str:
    """The first line, and of what it announces the part that tells most."""
    if not lines:
        return ""
    first, rest = lines[0], lines[1:]
    if _VALIDATION.match(first):
        return " ".join([f"{first}:", *rest[:2]])
    if not first.endswith(":") or not rest:
        return first
    chosen = next((line for line in rest if line.startswith("size mismatch")), rest[0])
    more = f" (and {len(rest) - 1} more)" if len(rest) > 1 else ""
    return f"{first} {chosen}{more}"


def _last_line(output: str | bytes | None) -> str:
    text = output.decode(errors="replace") if isinstance(output, bytes) else output or ""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
