"""``dlctl parse-conllu``: look into treebanks, validate them, turn them into something else."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Annotated, Any, NoReturn

import typer

from dlctl import terminal
from dlctl.cli import options, render
from dlctl.errors import Diagnostic, Interrupted, NotFoundError, UsageError

# The forms in which sentences are given, and a word about each.
FORMATS = {
    "table": "rows with names above",
    "tree": "the dependency tree, drawn",
    "conllu": "as they were, byte for byte",
    "json": "one object, all cells typed",
    "jsonl": "an object a sentence",
    "csv": "a row a token",
    "parquet": "a row a token, typed",
    "text": "the sentences as they were written",
}
LEVELS = {"1": "lines, columns and ids", "2": "annotation too"}


Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE|FOLDER|-", help="Treebanks, folders of them, or - for stdin.", show_default=False
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help=f"The sentences as {', '.join([*FORMATS][:-1])} or {[*FORMATS][-1]}.",
        autocompletion=lambda: [*FORMATS.items()],
    ),
]
Output = Annotated[
    str | None,
    typer.Option("--output", metavar="FILE", help="Where to write them; its end tells the format."),
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="The first so many sentences only.")]
SentId = Annotated[
    list[str] | None,
    typer.Option("--sent-id", metavar="ID", help="This sentence only; may be given several times."),
]
Validate = Annotated[bool, typer.Option("--validate", help="Print all faults; exit code 3 if there are any.")]
Level = Annotated[
    str | None,
    typer.Option(
        "--level",
        metavar="1|2",
        help="Rules of 1: lines, columns and ids; 2, the default: of annotation too.",
        autocompletion=lambda: [*LEVELS.items()],
    ),
]
Tolerant = Annotated[
    bool, typer.Option("--tolerant", help="Leave out what has faults, and tell them on stderr.")
]
# No default of its own: what is not given need not be converted, which takes longer than all else.
Jobs = Annotated[int | None, typer.Option("--jobs", min=1, help="Read so many files at once.")]


def command(
    files: Files = None,
    format: Format = None,
    output: Output = None,
    limit: Limit = None,
    sent_id: SentId = None,
    validate: Validate = False,
    level: Level = None,
    tolerant: Tolerant = False,
    jobs: Jobs = None,
    json: options.Json = False,
) -> None:
    """Look into treebanks in CoNLL-U: count, draw, validate, convert.

    dlctl parse-conllu train.conllu --format tree --limit 3
    """
    from dlctl.cli import conllu_output
    from dlctl.cli.conllu_files import find
    from dlctl.cli.conllu_work import Task

    if output not in (None, "-") and not (json or validate):
        format = format or conllu_output.format_of(str(output))
    _refuse_nonsense(files, format, output, bool(limit or sent_id), validate, level, tolerant, json)
    found = find(files or [])
    conllu_output.check(format, output, found)
    task = Task(
        what="validate" if validate else format or "summary",
        level=int(level or 2),
        limit=limit,
        names=frozenset(sent_id or ()),
        tolerant=tolerant,
    )
    # Names of files can be bytes that are no text.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            utf = str(stream.encoding).lower().replace("-", "") == "utf8"
            stream.reconfigure(errors="surrogateescape" if utf else "backslashreplace")
    with _terminable():
        if validate:
            _validate(task, found, jobs or 1, json)
        elif format is None:
            _summarise(task, found, jobs or 1, json)
        else:
            _export(task, found, jobs or 1, output)


def _refuse_nonsense(
    files: Sequence[str] | None,
    format: str | None,
    output: str | None,
    chosen: bool,
    validate: bool,
    level: str | None,
    tolerant: bool,
    json: bool,
) -> None:
    if not files:
        raise UsageError("no treebank is named", hint="name .conllu files, folders, or - for standard input")
    if format is not None and format not in FORMATS:
        close = get_close_matches(format, FORMATS)
        hint = f"did you mean --format {close[0]}?" if close else f"--format {', '.join(FORMATS)}"
        raise UsageError(f"there is no format '{format}'", hint=hint, suggestions=close)
    if level not in (None, *LEVELS):
        raise UsageError(f"there is no level '{level}' of rules", hint="--level 1 or 2")
    if level and not validate:
        raise UsageError("--level goes with --validate")
    if validate and (format or output or chosen or tolerant):
        raise UsageError(
            "--validate reads all and prints faults only", hint="only --level, --jobs and --json go with it"
        )
    if json and (format or output):
        raise UsageError("--json is the summary or the faults", hint="the sentences: --format json")
    if output and format is None:
        raise UsageError(f"what is to be written to {output}?", hint=f"--format {', '.join(FORMATS)}")


@contextmanager
def _terminable() -> Iterator[None]:
    """Let signals raise, so that no unfinished file stays behind."""

    def stop(signum: int, _: object) -> NoReturn:
        raise Interrupted(signum)

    before = {signum: signal.signal(signum, stop) for signum in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


@contextmanager
def _asked(
    task: Any, files: Sequence[str], jobs: int, *, bar: bool
) -> "Iterator[tuple[Iterator[Any], Callable[[], None]]]":
    """The answers to a task, with a bar for it; and what takes the bar away for a moment."""
    from dlctl.cli import conllu_files, conllu_views, conllu_work

    total = 0 if "-" in files else sum(map(conllu_files.bytes_of, files))
    shown = conllu_views.Bar(total, shown=bar and sys.stderr.isatty())
    found = conllu_work.answers(task, files, jobs=jobs, advance=shown.advance)
    try:
        yield found, shown.hide
    finally:
        shown.hide()
        found.close()  # type: ignore[attr-defined]


def _validate(task: Any, files: Sequence[str], jobs: int, json: bool) -> None:
    faults: list[Diagnostic] = []
    heard = True
    try:
        # A pager at the other end of a pipe has the same terminal.
        with _asked(task, files, jobs, bar=json or sys.stdout.isatty()) as (found, hide):
            for _, several in found:
                faults += several
                if several and not json:
                    hide()
                    print("\n".join(terminal.one_line(str(each)) for each in several), flush=True)
        if json:
            listed = [each._asdict() for each in faults]
            render.as_json({"level": task.level, "files": len(files), "faults": listed})
            sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads on: no more is told, but by the exit code; the interpreter must not flush into it.
        sys.stdout, heard = None, False
    warnings = sum(each.warning for each in faults)
    wrong = len(faults) - warnings
    if heard and not json:
        told = f"{_count(wrong, 'fault')} in {_count(len(files), 'file')}"
        render.note(told + (f", {_count(warnings, 'warning')}" if warnings else ""))
    if wrong:
        raise typer.Exit(3)


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 or not number else 's'}"


class _Reader:
    """Looks at all answers of a task; gives on those that are of a kind.

    Attributes:
        faults: what was passed over.
    """

    def __init__(self, task: Any) -> None:
        self.faults: list[Diagnostic] = []
        self._task = task
        self._missing = set(task.names)
        self._known: set[str] = set()

    def of(self, kind: type, found: Iterator[Any]) -> Iterator[Any]:
        """The answers of a kind; faults are told on stderr.

        Raises:
            NotFoundError: a sentence that was named was not among them.
        """
        from dlctl.cli.conllu_work import Named

        for each in found:
            if isinstance(each, kind):
                yield each
            elif isinstance(each, Diagnostic):
                self.faults.append(each)
                render.line(str(each), stderr=True)
            elif isinstance(each, Named):
                self._missing -= each.names
                self._known |= each.names
        if self._missing and self._task.limit != 0:
            name = min(self._missing)
            close = get_close_matches(name, self._known)
            hint = (
                f"did you mean {' or '.join(close)}?" if close else "names are in comments: # sent_id = NAME"
            )
            raise NotFoundError(f"there is no sentence '{name}'", hint=hint, suggestions=close)
        if self.faults:
            render.note(f"{_count(len(self.faults), 'fault')} passed over")


def _summarise(task: Any, files: Sequence[str], jobs: int, json: bool) -> None:
    from dlctl.cli import conllu_views
    from dlctl.data.conllu_summary import Summary

    reader = _Reader(task)
    with _asked(task, files, jobs, bar=True) as (found, _):
        summaries = list(reader.of(Summary, found))
    total = Summary("total") if len(summaries) > 1 else summaries[0]
    if len(summaries) > 1:
        for each in summaries:
            total.merge(each)
    if json:
        whole = {name: value for name, value in total.to_json().items() if name != "file"}
        faults = [each._asdict() for each in reader.faults]
        render.as_json({"files": [each.to_json() for each in summaries], "total": whole, "faults": faults})
    else:
        conllu_views.show(conllu_views.summary(summaries, total, conllu_views.width()))


def _export(task: Any, files: Sequence[str], jobs: int, output: str | None) -> None:
    from dlctl.cli import conllu_output, conllu_views
    from dlctl.data.conllu_export import Piece
    from dlctl.data.conllu_writers import writer

    name = None if output == "-" else output
    lines = task.what in ("tree", "table")
    at_terminal = name is None and sys.stdout.isatty()
    task.width = conllu_views.width() if lines and at_terminal else None
    reader = _Reader(task)
    with (
        _asked(task, files, jobs, bar=name is not None or conllu_output.stdout_is_file()) as (found, _),
        # An error is one JSON object too, and must not come behind the half of another.
        conllu_output.target(name, whole=task.what == "json") as stream,
    ):
        shown = conllu_views.LineWriter(None if at_terminal else stream) if lines else None
        out = shown or writer(task.what, stream)
        for piece in reader.of(Piece, found):
            out.add(piece)
        out.end()
    if name is not None:
        render.note(f"{_count(out.count, 'sentence')} written to {name}")
