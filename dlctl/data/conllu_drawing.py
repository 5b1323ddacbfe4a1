"""Draw a sentence as its dependency tree: a word a line in the order of the text, arcs on the left.

    ─┬─ 1 Go   VERB root
     ╰─ 2 away ADV  advmod

A head's line runs over its dependents; it is the further to the right the fewer levels lie below it. Where
a line crosses another it passes below, as in ``─│─``.
"""

from dataclasses import dataclass

from dlctl.data.conllu_sentence import Sentence
from dlctl.data.conllu_text import Line, cell, size
from dlctl.data.conllu_token import Token

_ROOT = -1
# (up, down, left) of a head, whose line always goes on to the right to its word.
_JUNCTIONS = {
    (True, True, True): "┼",
    (True, True, False): "├",
    (True, False, True): "┴",
    (True, False, False): "╰",
    (False, True, True): "┬",
    (False, True, False): "╭",
}
# Deeper ones, which no annotator has drawn, would take a page a word.
_DEEPEST = 60
_LONGEST = 40


@dataclass
class _Tree:
    """Rows and what hangs below them.

    Attributes:
        above: row -> the row of its head or _ROOT; without those whose head is not there or below them.
        below: row -> the rows of its dependents.
        order: the rows of words, heads before dependents.
    """

    above: dict[int, int]
    below: dict[int, list[int]]
    order: list[int]

    def spans(self) -> dict[int, tuple[int, int]]:
        """For every head the first and the last row of its line."""
        heads = [row for row in self.order if self.below[row]]
        return {row: (min(row, *self.below[row]), max(row, *self.below[row])) for row in heads}


def draw(sentence: Sentence, width: int | None = None) -> list[Line]:
    """The lines of a tree, of texts with their styles.

    Args:
        sentence: any; what is no tree is drawn as far as it is one.
        width: columns of the terminal, which lines do not exceed; None where that does not matter.
    """
    tokens = sentence.tokens
    tree = _tree(tokens)
    levels = _levels(tree, len(tokens))
    upos = max(map(size, (token.upos for token in tokens)))
    ids = max(len(str(token.id)) for token in tokens)
    forms = min(max(size(token.form) for token in tokens), _LONGEST)
    last = [_relation(token, drawn=row in tree.above) for row, token in enumerate(tokens)]
    deepest = max(levels.values(), default=0) if levels is not None else 0
    step = 2
    if width is not None:
        upos, relations = min(upos, 8), min(max(map(size, last)), 16)
        room = width - ids - upos - relations - 5
        forms = min(forms, max(room - 1 - deepest * step, 10))
        step = 2 if 1 + 2 * deepest + forms <= room else 1
        if 1 + deepest + forms > room:
            levels = None
    graph = _paint(tree, levels, deepest, step, len(tokens)) if levels is not None else None
    lines: list[Line] = []
    for row, token in enumerate(tokens):
        faint = "" if token.is_word else "dim"
        line = [] if graph is None else [(graph[row] + " ", "dim")]
        line += [(cell(str(token.id), ids, right=token.is_word) + " ", "dim")]
        line += [(cell(token.form, forms, cut=width is not None) + " ", faint or "bold")]
        line += [(cell("" if token.is_multiword else token.upos, upos, cut=width is not None) + " ", faint)]
        left = None if width is None else max(width - sum(size(text) for text, _ in line), 4)
        head = f" <- {token.head}" if graph is None and token.head is not None else ""
        text = f"{last[row]}{head}"
        line += [(cell(text, min(left or size(text), size(text)), cut=width is not None), faint or "cyan")]
        lines.append(line)
    return lines


def _relation(token: Token, *, drawn: bool) -> str:
    """What stands behind a word: its relation, and its head if no line leads to it."""
    if token.is_multiword:
        return ""
    if token.is_empty:
        return "|".join(f"{head}:{relation}" for head, relation in token.deps)
    return token.deprel if drawn or token.head is None else f"{token.deprel} (head {token.head})"


def _tree(tokens: list[Token]) -> _Tree:
    rows = {token.id: row for row, token in enumerate(tokens) if token.is_word}
    above: dict[int, int] = {}
    below: dict[int, list[int]] = {row: [] for row in (_ROOT, *range(len(tokens)))}
    for row in rows.values():
        head = tokens[row].head
        if head is not None and (head == 0 or head in rows):
            above[row] = rows[head] if head else _ROOT
            below[above[row]].append(row)
    order: list[int] = []
    seen: set[int] = set()
    roots = [row for row in rows.values() if above.get(row, _ROOT) == _ROOT]
    for start in (*roots, *rows.values()):
        if start not in seen and start not in roots:
            # It hangs in a circle or below one: cut that open.
            path: set[int] = set()
            while start not in path:
                path.add(start)
                start = above[start]
            below[above.pop(start)].remove(start)
        stack = [] if start in seen else [start]
        while stack:
            row = stack.pop()
            seen.add(row)
            order.append(row)
            stack += below[row]
    return _Tree(above, below, order)


def _levels(tree: _Tree, height: int) -> dict[int, int] | None:
    """For every head how far its line is from the words; None if that is too far."""
    taken: list[bytearray] = [bytearray()]
    levels: dict[int, int] = {}
    for row, (first, last) in reversed(tree.spans().items()):
        level = 1 + max(levels.get(each, 0) for each in tree.below[row])
        # In a tree that crosses itself another line of this level may be in the way.
        while level < len(taken) and any(taken[level][first : last + 1]):
            level += 1
        if level > _DEEPEST:
            return None
        while level >= len(taken):
            taken.append(bytearray(height))
        taken[level][first : last + 1] = b"\1" * (last + 1 - first)
        levels[row] = level
    return levels


def _paint(tree: _Tree, levels: dict[int, int], deepest: int, step: int, height: int) -> list[str]:
    """The arcs, a text of the same width for every row."""
    grid = [[" "] * (1 + deepest * step) for _ in range(height)]
    spans = tree.spans()
    place = {row: 1 + (deepest - level) * step for row, level in levels.items()}
    for row, column in place.items():
        first, last = spans[row]
        for each in range(first, last + 1):
            grid[each][column] = "│"
    for row in tree.order:
        head = tree.above.get(row)
        begin = 0 if head == _ROOT else place.get(row if head is None else head)
        if begin is None:
            continue
        for column in range(begin, 1 + deepest * step):
            if grid[row][column] == " ":
                grid[row][column] = "─"
        if head is not None and head != _ROOT:
            first, last = spans[head]
            grid[row][begin] = "╭" if row == first else "╰" if row == last else "├"
        if row in place:
            first, last = spans[row]
            grid[row][place[row]] = _JUNCTIONS[first < row, row < last, head is not None]
    return ["".join(cells) for cells in grid]
