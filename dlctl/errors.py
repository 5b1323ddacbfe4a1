"""The errors a user can meet; each carries what is wrong, what to do and an exit code.

DlctlError                1   the run itself failed
├── RunFailed             1   training stopped: a loss that is no number, a full disk, an exception
├── UsageError            2   the command line itself is wrong
├── ConfigError           3   the config or a validated input is wrong
│   ├── CheckpointMisfit      a checkpoint of another model or optimizer
│   └── ConlluError           a fault in a treebank, which it names by line and rule
├── NotFoundError         4   a run, a checkpoint or a file is not there or cannot be read
└── Faults                    several of the above at once; the exit code of the first
Interrupted (BaseException)  130 or 143: a signal stopped the run
Pruned (BaseException)       a search stopped a trial that promised nothing
"""

import errno
import signal
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from dlctl.project import Place


class DlctlError(Exception):
    """What is wrong, in one line, and what to do about it.

    Args:
        message: what is wrong and where.
        hint: what to do, one line or several.
        key: the config key concerned, for ``--json``.
        suggestions: close names that do exist, or values that would do.
        place: the line of the file that is wrong.
        topic: what kind of thing is wrong, for ``dlctl check --json``.
    """

    exit_code = 1
    kind = "error"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        key: str | None = None,
        suggestions: Sequence[str] = (),
        place: "Place | None" = None,
        topic: str = "config",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.key = key
        self.suggestions = tuple(suggestions)
        self.place = place
        self.topic = topic


class RunFailed(DlctlError):
    """The run started and could not finish."""

    kind = "run"


class UsageError(DlctlError):
    """The command line itself is wrong."""

    exit_code = 2
    kind = "usage"


class ConfigError(DlctlError):
    """The config or a validated input is wrong."""

    exit_code = 3
    kind = "config"


class CheckpointMisfit(ConfigError):
    """A checkpoint does not fit what the config builds: another model, or another optimizer."""


class Diagnostic(NamedTuple):
    """A fault in a treebank.

    Attributes:
        file: as it was named.
        line: its number, from 1.
        column: the name of the column, such as HEAD, if one is at fault.
        rule: the id of the rule, as udtools calls it.
        message: what was expected and what was found.
        warning: only a warning.
    """

    file: str
    line: int
    column: str | None
    rule: str
    message: str
    warning: bool = False

    def __str__(self) -> str:
        kind = "warning: " if self.warning else ""
        return f"{self.file}:{self.line}: [{self.rule}] {kind}{self.message}"


class ConlluError(ConfigError):
    """A fault in a treebank, where reading stopped.

    Attributes:
        diagnostic: the file, line, column and rule.
    """

    kind = "conllu"

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(str(diagnostic), hint=f"all faults: dlctl parse-conllu --validate {diagnostic.file}")
        self.diagnostic = diagnostic

    def __reduce__(self) -> tuple[Any, ...]:
        # Between processes an exception is made again of its arguments, which are not those of Exception.
        return type(self), (self.diagnostic,), self.__dict__

    @property
    def file(self) -> str:
        """The file as it was named."""
        return self.diagnostic.file

    @property
    def line(self) -> int:
        """The number of the line, from 1."""
        return self.diagnostic.line

    @property
    def column(self) -> str | None:
        """The name of the column at fault, if one is."""
        return self.diagnostic.column

    @property
    def rule(self) -> str:
        """The id of the rule."""
        return self.diagnostic.rule


class NotFoundError(DlctlError):
    """A run, a checkpoint or a file is not there or cannot be read."""

    exit_code = 4
    kind = "not_found"


class Faults(DlctlError):
    """Several faults found at once."""

    kind = "faults"

    def __init__(self, faults: Sequence[DlctlError]) -> None:
        super().__init__("\n".join(fault.message for fault in faults))
        self.faults = tuple(faults)
        self.exit_code = faults[0].exit_code


class Interrupted(BaseException):
    """A signal stopped the run; not an Exception, so that no ``except Exception`` swallows it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum


class Pruned(BaseException):
    """A search stopped a trial that promised nothing; no failure, so no Exception."""


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and what led to it, each once: causes can lead back to where they came from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def first_line(error: BaseException) -> str:
    """The first line of an error's text; its type where it has none."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def disk_full(error: BaseException) -> OSError | None:
    """The error among an exception's causes that says that nothing more can be written."""
    for each in chain(error):
        if isinstance(each, OSError) and each.errno in _FULL:
            return each
    return None


def raise_all(faults: Sequence[DlctlError]) -> None:
    """Raise what was found, all of it at once; nothing if nothing was found."""
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise Faults(faults)


def several(error: DlctlError) -> list[DlctlError]:
    """The faults of which an error tells: one, or all that were found at once."""
    return list(error.faults) if isinstance(error, Faults) else [error]
