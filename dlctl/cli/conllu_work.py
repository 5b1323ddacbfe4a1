"""Treebanks, one after the other or in several processes: what is asked of each, answered in order."""

import shlex
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import IO, Any, NamedTuple

from dlctl.cli.conllu_files import bytes_of, treebanks
from dlctl.data.conllu_export import FORMS, Piece
from dlctl.data.conllu_parser import read
from dlctl.data.conllu_summary import Summary
from dlctl.errors import ConlluError, Diagnostic, DlctlError, NotFoundError, RunFailed

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Validated(NamedTuple):
    """All faults of a file."""

    file: str
    faults: list[Diagnostic]


class Named(NamedTuple):
    """The names of all sentences of a file."""

    names: set[str]


# A fault that was passed over stands where it was found.
Answer = Piece | Summary | Validated | Named | Diagnostic


@dataclass
class Task:
    """What is asked of treebanks.

    Attributes:
        what: summary, validate or a format.
        level: of the rules, 1 or 2.
        limit: how many more sentences; None for all.
        names: of the sentences; empty for all.
        tolerant: leave out what has faults, and tell them.
        width: columns of the terminal, if there is one.
    """

    what: str
    level: int = 2
    limit: int | None = None
    names: frozenset[str] = frozenset()
    tolerant: bool = False
    width: int | None = None


def answers(
    task: Task, files: Sequence[str], *, jobs: int = 1, advance: Callable[[int], None]
) -> Iterator[Answer]:
    """What treebanks have to say to a task, in their order.

    Args:
        task: what is asked; its limit is counted down.
        files: as ``find`` names them.
        jobs: processes at most; one where sentences are counted or standard input is read.
        advance: is told of bytes that have been read, before they are unpacked.

    Raises:
        ConlluError: a fault, unless the task is tolerant or to find all.
        NotFoundError: a file cannot be read.
        RunFailed: a process died.
    """
    groups = treebanks(files) if task.what == "validate" else [[file] for file in files]
    if min(jobs, len(groups)) < 2 or task.limit is not None or "-" in files:
        for group in groups:
            yield from _of_group(task, group, advance)
        return
    for group, (found, error) in zip(groups, _in_processes(task, groups, jobs, advance), strict=False):
        yield from found
        if error is not None:
            raise error
        advance(sum(map(bytes_of, group)))


def _of_group(task: Task, files: Sequence[str], advance: Callable[[int], None]) -> Iterator[Answer]:
    for file, faults in zip(files, _validators(task), strict=False):
        if task.limit == 0:
            return
        with _opened(file, advance) as source:
            if faults is not None:
                yield Validated(file, list(faults(source)))
                continue
            try:
                yield from _of_file(task, file, source)
            except ConlluError as error:
                # An archive's files have names of their own; what can be asked for is the archive.
                error.hint = (
                    f"all faults: dlctl parse-conllu --validate {shlex.quote(file)}\n"
                    "to leave out what has faults: --tolerant"
                )
                raise


def _validators(task: Task) -> Iterator[Callable[[str | IO[bytes]], Iterator[Diagnostic]] | None]:
    """For every file of a treebank what tells its faults, if they are asked for."""
    if task.what != "validate":
        yield from repeat(None)
    from dlctl.data.conllu_rules import Treebank, validate

    treebank = Treebank()
    while True:
        yield lambda source: validate(source, task.level, treebank=treebank)


def _of_file(task: Task, file: str, source: str | IO[bytes]) -> Iterator[Answer]:
    told: list[Diagnostic] = []
    named: set[str] = set()
    summary = Summary("<stdin>" if file == "-" else file) if task.what == "summary" else None
    form = None if summary else _form(task)
    for sentence in read(source, strict=not task.tolerant, diagnostics=told):
        name = sentence.sent_id if task.names else None
        if name is not None:
            named.add(name)
        if not task.names or name in task.names:
            if task.limit is not None:
                task.limit -= 1
            if summary is not None:
                summary.add(sentence)
            elif form is not None:
                yield Piece(sentence.columns, form(sentence))
        yield from told
        told.clear()
        if task.limit == 0:
            break
    yield from told
    if summary is not None:
        yield summary
    if task.names:
        yield Named(named)


def _form(task: Task) -> Callable[..., object]:
    if task.what in FORMS:
        return FORMS[task.what]
    from dlctl.data.conllu_drawing import draw
    from dlctl.data.conllu_text import heading, table

    draws = draw if task.what == "tree" else table
    return lambda sentence: [*heading(sentence, task.width), *draws(sentence, task.width)]


class _Counted:
    """A stream that tells how much of it has been read."""

    def __init__(self, stream: IO[bytes], name: str, advance: Callable[[int], None]) -> None:
        self.name = name
        self._stream, self._advance = stream, advance

    def read(self, size: int = -1) -> bytes:
        found = self._stream.read(size)
        self._advance(len(found))
        return found


@contextmanager
def _opened(file: str, advance: Callable[[int], None]) -> Iterator[Any]:
    """A file or standard input, whose reading is counted; the parser says why one cannot be opened."""
    if file == "-":
        if sys.stdin is None:
            raise NotFoundError("cannot read standard input: it is closed")
        yield _Counted(sys.stdin.buffer, "<stdin>", advance)
        return
    try:
        stream = Path(file).open("rb", buffering=0)  # noqa: SIM115 - closed below
    except OSError:
        yield file
        return
    with stream:
        yield _Counted(stream, file, advance)


def _in_processes(
    task: Task, groups: Sequence[Sequence[str]], jobs: int, advance: Callable[[int], None]
) -> Iterator[tuple[list[Answer], DlctlError | None]]:
    from concurrent.futures import Future, ProcessPoolExecutor, wait
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import active_children

    waiting: deque[Future[tuple[list[Answer], DlctlError | None]]] = deque()

    def next_() -> tuple[list[Answer], DlctlError | None]:
        while not wait((waiting[0],), 0.2).done:
            advance(0)
            # Half of an answer hides from Python that its process was killed.
            if any(each.exitcode for each in [*pool._processes.values()]):
                raise BrokenProcessPool
        return waiting.popleft().result()

    with ProcessPoolExecutor(min(jobs, len(groups)), initializer=_obey) as pool:
        try:
            for group in groups:
                # The first starts the processes: an exception of a signal would be lost in a hook of fork.
                signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
                try:
                    waiting.append(pool.submit(_answer, task, group))
                finally:
                    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
                # What is done waits for its turn: not too much of it.
                if len(waiting) > 2 * jobs:
                    yield next_()
            while waiting:
                yield next_()
        except BaseException as error:
            # Nobody waits for what they are at.
            for child in active_children():
                child.terminate()
            # Half of an answer may be in the pipe. Python would wait for the rest for ever, as long as we
            # could write it too.
            pool._result_queue._writer.close()  # type: ignore[attr-defined]
            if not isinstance(error, BrokenProcessPool):
                raise
            # A signal to all processes ends those first; ours is on its way.
            time.sleep(0.2)
            raise RunFailed(
                "a process that read treebanks died", hint="was there memory for so many? --jobs 1"
            ) from error


def _obey() -> None:
    """Leave signals to the process that started this one, but for those that are meant for this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _answer(task: Task, files: Sequence[str]) -> tuple[list[Answer], DlctlError | None]:
    """All answers of files; up to an error and the error, if there is one."""
    found: list[Answer] = []
    try:
        for each in _of_group(task, files, lambda _: None):
            found.append(each)
    except DlctlError as error:
        return found, error
    return found, None
