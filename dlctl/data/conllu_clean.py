"""The quick answer about a sentence: its rows break no rule, or it must be looked at line by line.

Columns are looked at as a whole and what their cells are worth is remembered, so that a clean treebank costs
little more than cutting it up.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from dlctl.data.conllu_cells import read_id
from dlctl.data.conllu_checks import DEPREL, DEPS_HEADS, FAULTY, FEATS, GAP, SPACES, UPOS
from dlctl.data.conllu_ids import in_order, plain_ids
from dlctl.data.conllu_level1 import Found
from dlctl.data.conllu_metadata import Treebank, check_all_or_none, check_comments, read_comments
from dlctl.data.conllu_tree import Rows, check_cells, unreached

# Blanks that are no separators; Python's isspace knows four more than Unicode.
_ODD = tuple(sorted({*SPACES, *"\x1c\x1d\x1e\x1f"} - {" ", "\t", "\n"}))
_NUMBER = {str(number): number for number in range(2048)}
_WIDTH = 11
_NOTHING = ("_",) * 7
Column = Sequence[str]


class Sound(NamedTuple):
    """A sentence in which level 1 finds nothing.

    Attributes:
        comments: the lines before the rows.
        cells: of all rows, and a newline after each row.
        plain: whether all rows are words.
    """

    comments: list[str]
    cells: list[str]
    plain: bool

    def rows(self, line: int) -> Rows:
        """The rows, the first of them at a line; each has the newline as one more cell."""
        rows = list(zip(*[iter(self.cells)] * _WIDTH, strict=True))
        return Rows(self.comments, [read_id(row[0]) for row in rows], rows, line)


def sound(text: str) -> Sound | None:
    """A sentence, given without the blank line at its end; None unless level 1 surely finds nothing."""
    start = 0
    while text.startswith("#", start):
        start = text.find("\n", start) + 1 or len(text)
    body = text[start:]
    if not text.isascii() and ("\ufffd" in text or not unicodedata.is_normalized("NFC", text)):
        return None
    count = body.count("\n") + 1
    cells = _cells(body, count)
    if cells is None:
        return None
    ids = cells[::_WIDTH]
    plain = ids == plain_ids(count)
    if not plain and (" " in body or not in_order(ids)):
        return None
    return Sound(text[:start].split("\n")[:-1], cells, plain)


def quick(sentence: Sound, line: int, treebank: Treebank) -> list[Found] | None:
    """What level 2 finds in a sentence if little can be wrong with its rows; None for all others.

    Args:
        sentence: its cells.
        line: the number of its first row's line.
        treebank: what the sentences before it were.
    """
    known = _plain(sentence.cells) if sentence.plain else _split(sentence.cells)
    if known is None:
        return None
    comments, found = read_comments(sentence.comments), list[Found]()
    texts, glued = comments.named["text"], known.written[-1] != " "
    if len(texts) == 1 and known.written != (texts[0]["text"] if glued else f"{texts[0]['text']} "):
        return None
    if not known.labelled and not check_cells(sentence.rows(line), found):
        return found

    def same(text: str) -> None:
        treebank.glued = glued

    check_all_or_none(known.enhanced, line, treebank, found)
    check_comments(comments, line, treebank, found, same)
    return found


class _Known(NamedTuple):
    """What is known of rows in which at most UPOS, FEATS and DEPREL are at fault.

    Attributes:
        written: the text by the tokens, with a blank at its end unless the last one says SpaceAfter=No.
        enhanced: whether there is an enhanced graph.
        labelled: whether UPOS, FEATS and DEPREL are as they must be.
    """

    written: str
    enhanced: bool
    labelled: bool


def _cells(body: str, count: int) -> list[str] | None:
    """The cells of all rows and a newline after each row; None unless all are as level 1 wants them."""
    if "\t\t" in body or "\t\n" in body or "\n\t" in body or body.endswith("\t"):
        return None
    if any(map(body.__contains__, _ODD)):
        return None
    cells = body.replace("\n", "\t\n\t").split("\t")
    cells.append("\n")
    # Every row ends at a multiple of the width, and there are no more ends than rows.
    if len(cells) != count * _WIDTH or cells[_WIDTH - 1 :: _WIDTH].count("\n") != count:
        return None
    if " " in body:
        if "  " in body or "\t " in body or " \t" in body or " \n" in body or body.endswith(" "):
            return None
        if any(" " in "\t".join(cells[at::_WIDTH]) for at in (0, 3, 4, 5, 6, 7, 8)):
            return None
    return cells


def _plain(cells: list[str]) -> _Known | None:
    """Rows that are words only."""
    columns = [cells[at::_WIDTH] for at in range(10)]
    return _known(columns, (), columns[1], list(map(GAP.__getitem__, columns[9])))


def _split(cells: list[str]) -> _Known | None:
    """Rows with multiword tokens and empty nodes among them."""
    words: list[Column] = []
    empties: list[Column] = []
    forms, gaps, covered = [], [], 0
    for row in zip(*[iter(cells)] * _WIDTH, strict=True):
        id_, gap = row[0], GAP[row[9]]
        if "." in id_:
            if not _empty_is_clean(row):
                return None
            empties.append(row)
            continue
        if "-" in id_:
            if row[2:9] != _NOTHING:
                return None
            covered = int(id_.partition("-")[2])
        else:
            words.append(row)
            if int(id_) <= covered:
                if gap is FAULTY or "SpaceAfter=No" in row[9]:
                    return None
                continue
        forms.append(row[1])
        gaps.append(gap)
    return _known(list(zip(*words, strict=True)), empties, forms, gaps)


def _known(
    columns: Sequence[Column], empties: Sequence[Column], forms: Column, gaps: Column
) -> _Known | None:
    """The columns of the words, the rows of empty nodes, and what makes up the text."""
    if FAULTY in gaps:
        return None
    enhanced = _graph_is_clean(columns, empties)
    if enhanced is None or not _is_tree(columns[6]):
        return None
    labelled = UPOS.issuperset(columns[3]) and not (
        any(map(FEATS.__getitem__, columns[5])) or any(map(DEPREL.__getitem__, columns[7]))
    )
    return _Known("".join(map(str.__add__, forms, gaps)), enhanced, labelled)


def _empty_is_clean(row: Column) -> bool:
    known_upos = row[3] == "_" or row[3] in UPOS
    return (
        known_upos
        and row[6] == row[7] == "_"
        and not FEATS[row[5]]
        and GAP[row[9]] is not FAULTY
        and "SpaceAfter=No" not in row[9]
    )


def _is_tree(heads: Column) -> bool:
    """Whether every word's head is a word and all ways end at one root."""
    try:
        up = [0, *map(_NUMBER.__getitem__, heads)]
        if up.count(0) != 2:
            return False
        # Every round doubles the steps that are taken from every word.
        for _ in range(len(up).bit_length()):
            up = list(map(up.__getitem__, up))
            if not any(up):
                return True
    except LookupError:
        pass
    return False


def _graph_is_clean(columns: Sequence[Column], empties: Sequence[Column]) -> bool | None:
    """Whether there is an enhanced graph; None if it is surely or perhaps not as it must be.

    The tree is looked at elsewhere: where every word keeps its head of it, the graph is as whole.
    """
    ids, heads, deps = columns[0], columns[6], columns[8]
    unknown = deps.count("_")
    if unknown == len(deps) and not empties:
        return False
    if unknown:
        return None
    nodes = [(row[0], None, DEPS_HEADS[row[8]]) for row in empties]
    known = {"0", *ids, *(node for node, _, _ in nodes)}
    whole = True
    words = zip(ids, heads, map(DEPS_HEADS.__getitem__, deps), strict=True)
    for node, head, above in chain(words, nodes):
        if above is None:
            return None
        if len(above) == 1 and above[0] == head:
            continue
        if node in above or not known.issuperset(above):
            return None
        whole = whole and (head in above if head else any("." not in each for each in above))
    if whole or not unreached(dict(_heads(columns, empties))):
        return True
    return None


def _heads(columns: Sequence[Column], empties: Sequence[Column]) -> Iterator[tuple[str, Sequence[str]]]:
    for node, deps in chain(zip(columns[0], columns[8], strict=True), ((row[0], row[8]) for row in empties)):
        yield node, DEPS_HEADS[deps] or ()
