"""What ``parse-conllu`` shows people: the summary of treebanks, lines in colours, a bar for long work."""

import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

from dlctl import terminal
from dlctl.cli import render
from dlctl.data.conllu_export import Piece
from dlctl.data.conllu_summary import Summary, in_order
from dlctl.data.conllu_text import Line, cell, clean, size
from dlctl.data.conllu_writers import Writer

if TYPE_CHECKING:
    from rich.text import Text

_PLAIN_WIDTH = 80
_BARS = 30
_BINS = 12
_FIRST = 0.5


class LineWriter(Writer):
    """Trees and tables, a blank line between them.

    Args:
        stream: where to; None for the terminal.
    """

    def __init__(self, stream: IO[bytes] | None) -> None:
        super().__init__(stream or sys.stdout.buffer)
        self._console = None if stream else render.console()

    def put(self, piece: Piece) -> None:
        """Write what a sentence became."""
        lines = [[("", "")], *piece.data] if self.count else piece.data
        if self._console is None:
            self.stream.write("".join(map(plain_line, lines)).encode(errors="surrogateescape"))
            return
        for line in lines:
            self._console.print(_styled(line))


def plain_line(line: Line) -> str:
    """A line without styles."""
    return terminal.one_line("".join(text for text, _ in line).rstrip()) + "\n"


def _styled(line: Line) -> "Text":
    from rich.text import Text

    text = Text.assemble(*line)
    text.rstrip()
    return text


def show(lines: Iterable[Line]) -> None:
    """Print lines: in colours at a terminal."""
    lines = list(lines)
    if sys.stdout.isatty():
        out = render.console()
        for line in lines:
            out.print(_styled(line))
    else:
        sys.stdout.write("".join(map(plain_line, lines)))
        sys.stdout.flush()


def width() -> int | None:
    """The columns of the terminal that results go to; None if they do not go to one."""
    return render.console().width if sys.stdout.isatty() else None


def summary(found: Sequence[Summary], total: Summary, width: int | None) -> Iterator[Line]:
    """The lines that tell what treebanks hold; all together below each, if there are several."""
    if len(found) == 1:
        yield [(clean(total.file), "bold yellow")]
        yield []
        yield from _figures(total)
    else:
        yield from _files([*found, total], width)
    if total.sentences:
        yield []
        yield from _lengths(total)
    blocks = [_counts("UPOS", total.upos, total.words), _counts("DEPREL", total.deprel, total.words)]
    yield from _side_by_side([each for each in blocks if len(each) > 1], width or _PLAIN_WIDTH)
    yield from _features(total, width)


def _figures(total: Summary) -> Iterator[Line]:
    figures = {
        "sentences": total.sentences,
        "tokens": total.tokens,
        "words": total.words,
        "multiword tokens": total.multiword_tokens,
        "empty nodes": total.empty_nodes,
    }
    wide = max(len(f"{count:,}") for count in figures.values())
    for name, count in figures.items():
        yield [(f"{name:<16}  ", ""), (f"{count:>{wide},}", "bold")]


def _files(found: Sequence[Summary], width: int | None) -> Iterator[Line]:
    heads = ("sentences", "tokens", "words", "multiword", "empty", "words/sentence")
    rows = []
    for each in found:
        counts = (each.sentences, each.tokens, each.words, each.multiword_tokens, each.empty_nodes)
        mean = each.spread()["mean"]
        rows.append([*(f"{count:,}" for count in counts), "-" if mean is None else f"{mean:.1f}"])
    sizes = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    first = max(size(each.file) for each in found)
    if width is not None:
        first = max(12, min(first, width - sum(sizes) - 2 * len(sizes)))
    yield [("  ".join([" " * first, *map(str.rjust, heads, sizes)]), "dim")]
    for each, row in zip(found, rows, strict=True):
        # The end of a path says more than its beginning.
        name = each.file if size(each.file) <= first else "…" + each.file[1 - first :]
        line = "  ".join([cell(name, first, cut=width is not None), *map(str.rjust, row, sizes)])
        yield [(line, "bold" if each is found[-1] else "")]


def _lengths(total: Summary) -> Iterator[Line]:
    """The lengths of sentences in a line, then as bars; the longest, which are few, in one."""
    spread = total.spread()
    told = f"{spread['min']:,} to {spread['max']:,}, median {spread['median']:,}, mean {spread['mean']:,.1f}"
    yield [("words a sentence  ", ""), (told, "bold")]
    most = total.share(0.98)
    step = next(step for ten in (1, 10, 100, 10**3, 10**6) for step in (ten, 2 * ten, 5 * ten)
                if most <= _BINS * step)  # fmt: skip
    bins: Counter[int] = Counter()
    for length, count in total.lengths.items():
        bins[min(length - 1, -(-most // step) * step) // step] += count
    last, peak = max(bins), max(bins.values())
    for each in range(min(bins), last + 1):
        begin, end = each * step + 1, (each + 1) * step
        name = str(begin) if step == 1 else f"{begin}-{end}"
        if each == last and max(total.lengths) > end:
            name = f"{begin}+"
        bar = "█" * round(_BARS * bins[each] / peak)
        yield [(f"{name:>16}  ", "dim"), (f"{bar:<{_BARS}} ", "green"), (f"{bins[each]:>9,}", "")]


def _counts(title: str, counts: Counter[str], words: int) -> list[str]:
    """A heading, then names, how many words have each, and their share."""
    entries = in_order(counts)
    names = min(max([size(name) for name, _ in entries], default=0), 20)
    wide = max([len(f"{count:,}") for _, count in entries], default=0)
    return [
        title,
        *(f"{cell(name, names, cut=True)} {count:>{wide},} {count / words:6.1%}" for name, count in entries),
    ]


def _side_by_side(blocks: Sequence[list[str]], width: int) -> Iterator[Line]:
    """Blocks next to each other; the last, which is the longest, in as many columns as there is room for."""
    columns: list[list[str]] = list(blocks[:-1])
    if not blocks:
        return
    title, *entries = blocks[-1]
    left = width - sum(max(map(size, block)) + 3 for block in columns)
    count = max(1, (left + 3) // (max(map(size, blocks[-1])) + 3))
    rows = max(-(-len(entries) // count), *[len(block) - 1 for block in columns], 1)
    for at in range(0, len(entries), rows):
        columns.append(["" if at else title, *entries[at : at + rows]])
    widths = [max(map(size, column)) for column in columns]
    yield []
    for row in range(rows + 1):
        texts = [column[row] if row < len(column) else "" for column in columns]
        line = "   ".join(cell(text, wide) for text, wide in zip(texts, widths, strict=True))
        yield [(line, "" if row else "bold")]


def _features(total: Summary, width: int | None) -> Iterator[Line]:
    """Features, how many words have each, and their values."""
    feats = total.feats
    if not feats:
        return
    yield []
    yield [("FEATS", "bold")]
    names = max(map(len, feats))
    wide = max(len(f"{values.total():,}") for values in feats.values())
    for name, values in feats.items():
        told = ", ".join(
            f"{clean(value)} {count:,}".replace(" ", "\xa0") for value, count in in_order(values)
        )
        begin = f"{clean(name):<{names}} {values.total():>{wide},}  "
        room = None if width is None else max(width - len(begin), 20)
        lines = textwrap.wrap(told, room, break_on_hyphens=False) if room else [told]
        for number, line in enumerate(lines):
            text = line.replace("\xa0", " ")
            yield [(" " * len(begin) if number else begin, ""), (text, "dim")]


class Bar:
    """A bar on stderr, once work has taken half a second.

    Args:
        total: bytes; 0 if nobody knows.
        shown: whether it is to be seen at all.
    """

    def __init__(self, total: int, *, shown: bool) -> None:
        self.total, self.shown = total, shown
        self.done = 0
        self._began = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def advance(self, count: int) -> None:
        """So many bytes more have been read."""
        self.done += count
        if not self.shown or time.monotonic() - self._began < _FIRST:
            return
        if self._bar is None:
            self._begin()
        self._bar.update(self._task, completed=self.done)

    def _begin(self) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        out = render.console(stderr=True)
        # Rich would print to stderr what goes to stdout meanwhile.
        self._bar = Progress(*columns, console=out, transient=True, redirect_stdout=False)
        self._task = self._bar.add_task("", total=self.total or None)
        self._bar.start()

    def hide(self) -> None:
        """Take it away; the next advance brings it back."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
