"""A treebank that is being read: its name, its columns, and what is done with its faults."""

import re
import warnings
from collections.abc import Sequence

from dlctl.data.conllu_cells import COLUMNS
from dlctl.errors import ConlluError, Diagnostic

_PLUS = re.compile(r"# global\.columns = (\S+(?: \S+)*)")
NO_NAMES = "expected # global.columns = and names with one blank between them"


class ConlluWarning(UserWarning):
    """A fault in a treebank that is read with ``strict=False`` by somebody who collects no diagnostics."""


# Python shows a warning of one text and place once; what is left out again is to be told again.
warnings.simplefilter("always", ConlluWarning, append=True)


class Reading:
    """A file that is being read.

    Args:
        file: its name, for messages.
        strict: whether a fault stops.
        diagnostics: takes the faults if they do not stop; without it they are warned of.

    Attributes:
        names: the columns, in capitals; ``COLUMNS`` itself if it is not CoNLL-U Plus.
        typed: whether all cells are read with their token; true once somebody asked for one that is more than
            text, for who did so will do it again.
    """

    __slots__ = ("_begun", "_diagnostics", "file", "names", "strict", "typed")

    def __init__(self, file: str, strict: bool = True, diagnostics: list[Diagnostic] | None = None) -> None:
        self.file, self.strict, self._diagnostics = file, strict, diagnostics
        self.names: tuple[str, ...] = COLUMNS
        self.typed = self._begun = False

    def begin(self, raw: bytes) -> None:
        """Take the names of the columns from the first line, if this is the begin of the file.

        Raises:
            ConlluError: one stands there twice, if faults stop.
        """
        if not self._begun:
            self._begun = True
            line = raw.partition(b"\n")[0].rstrip(b"\r\n")
            self.take_names(plus_columns(line.decode(errors="replace")))

    def take_names(self, names: tuple[str, ...]) -> None:
        """Take the names of the columns.

        Raises:
            ConlluError: there is none or one stands there twice, if faults stop.
        """
        twice = next((name for name in names if names.count(name) > 1), None)
        if names and twice is None:
            self.names = COLUMNS if names == COLUMNS else names
            return
        message = f"the column {twice} is named twice" if twice else NO_NAMES
        self.tell(1, twice, "global-columns", message)

    def places(self, names: Sequence[str]) -> list[int]:
        """Where columns are, counted from 0.

        Raises:
            ConlluError: there is no such column.
        """
        for name in names:
            if name.upper() not in self.names:
                message = f"no column {name!r}; there are {', '.join(self.names).lower()}"
                raise ConlluError(Diagnostic(self.file, 1, None, "no-column", message))
        return [self.names.index(name.upper()) for name in names]

    def tell(self, line: int, column: str | None, rule: str, message: str) -> None:
        """Tell of a fault.

        Raises:
            ConlluError: faults stop.
        """
        found = Diagnostic(self.file, line, column, rule, message)
        if self.strict:
            raise ConlluError(found)
        if self._diagnostics is None:
            warnings.warn(str(found), ConlluWarning, stacklevel=3)
        else:
            self._diagnostics.append(found)


def plus_columns(text: str) -> tuple[str, ...]:
    """The columns of CoNLL-U Plus, if the first line of a file names them; none if it only means to."""
    line = text.partition("\n")[0]
    if not line.startswith("# global.columns"):
        return COLUMNS
    found = _PLUS.fullmatch(line)
    names = tuple(found[1].split(" ")) if found else ()
    return COLUMNS if names == COLUMNS else names
