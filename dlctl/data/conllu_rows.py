"""Tokens out of rows, those of many sentences at once: here is where the time of reading goes."""

import sys
from bisect import bisect_right
from collections.abc import Callable
from itertools import count, repeat, starmap
from typing import Any

from dlctl.data.conllu_blocks import WIDTH, Block, Origin, Piece
from dlctl.data.conllu_cells import (
    COLUMNS,
    MISC,
    SHORT,
    CellError,
    Deps,
    Feats,
    Head,
    Misc,
    read_deps,
    read_feats,
    read_head,
    remember,
)
from dlctl.data.conllu_reading import Reading
from dlctl.data.conllu_token import Token

# As many tokens as a processor's cache holds and Python's collector does not look through.
_ROWS = 120
_NOWHERE = Origin(Reading(""), 1, "_")
# What cells are worth, MISC with what follows it; a plain dict is quicker to ask than one that fills itself.
_HEAD: dict[str, int | None] = {}
_FEATS: dict[str, Feats] = {}
_DEPS: dict[str, tuple[tuple[Head, str], ...]] = {}
_MISC: dict[str, Misc] = {}


class _Brief(Token):
    """A token whose other cells are read when they are asked for."""

    __slots__ = ()
    __init__ = object.__init__  # who makes one sets everything


class _Whole(_Brief):
    """A token all of whose cells were read at once: no access to them costs anything."""

    __slots__ = ("deprel", "deps", "feats", "head", "misc", "xpos")
    # It need not know where it was read: what it holds is written as it stood there.
    _block, _row, _later = _NOWHERE, 0, None

    def _now(self, column: str) -> Any:
        return getattr(self, column.lower())


def tokens_of(block: Block) -> list[Token]:
    """The tokens of a sentence.

    Who asks for those of one sentence after the other gets them made for some at once, which is quicker.
    """
    piece = block.piece
    if piece is None:
        piece = block.cut_alone() if block.reading.names is COLUMNS else None
        if piece:
            piece.cells = [*map(sys.intern, piece.cells)]
        return (_tokens(block, piece, 0, len(block.ids())) if piece else []) or lazy_tokens(block)
    start, end = piece.extent(block.number)
    if start < piece.first or start >= piece.end:
        last = end
        if start == piece.end:
            last = max(last, piece.bounds[bisect_right(piece.bounds, start + _ROWS) - 1])
        piece.first, piece.end = start, last
        piece.tokens = _tokens(piece.origin, piece, start, piece.end)
    tokens = piece.tokens[start - piece.first : end - piece.first]
    if end == piece.end:
        piece.tokens = []  # who keeps a sentence does not keep the tokens of others
    return tokens or lazy_tokens(block)


def lazy_tokens(block: Block) -> list[Token]:
    """The tokens of a sentence, one by one as they are asked."""
    tokens, names = _new(_Brief, len(block.ids())), block.reading.names
    places = [(name.lower(), names.index(name)) for name in ("FORM", "LEMMA", "UPOS") if name in names]
    more = [(name, at) for at, name in enumerate(names) if name not in COLUMNS]
    token: Token
    for token, token.id, token._row, row in zip(tokens, block.ids(), count(), block.rows(), strict=False):
        token._block = block
        token._later = {"more": {name: row[at] for name, at in more}} if more else None
        token.form = token.lemma = token.upos = "_"
        for name, at in places:
            setattr(token, name, row[at])
    return tokens


def _new(kind: Callable[[], Any], number: int) -> list[Any]:
    return list(starmap(kind, repeat((), number)))


def _tokens(origin: Origin | Block, piece: Piece, first: int, last: int) -> list[Token]:
    """The tokens of rows of a piece; none if a cell cannot be read.

    Its token tells of such a cell, when it is asked for it.
    """
    if not origin.reading.typed:
        return _brief_tokens(origin, piece, first, last)
    try:
        return _typed_tokens(piece, first, last)
    except CellError:
        return []


def _brief_tokens(origin: Origin | Block, piece: Piece, first: int, last: int) -> list[Token]:
    """Form, lemma and UPOS; the others when they are asked for."""
    tokens = _new(_Brief, last - first)
    columns = piece.columns((1, 2, 3), first, last)
    # Where a loop's targets are attributes nothing is named twice: here is where the time goes.
    token: Token
    for token, token.id, token._row, token.form, token.lemma, token.upos in zip(
        tokens, piece.ids[first:last], count(first), *columns, strict=False
    ):
        token._block, token._later = origin, None
    return tokens


def _typed_tokens(piece: Piece, first: int, last: int) -> list[Token]:
    """Everything.

    Raises:
        CellError: a cell that cannot be read.
    """
    tokens = _new(_Whole, last - first)
    cells = iter(piece.cells[first * WIDTH + 1 : last * WIDTH + 1])
    head_of, feats_of, deps_of, misc_of = _HEAD, _FEATS, _DEPS, _MISC.get
    token: _Whole
    for (
        token, token.id, token.form, token.lemma, token.upos, token.xpos, feats, head,
        token.deprel, deps, tail,
    ) in zip(tokens, piece.ids[first:last], *repeat(cells, WIDTH), strict=False):  # fmt: skip
        try:
            token.head = head_of[head]
            token.feats = feats_of[feats].copy()
            token.deps = [*deps_of[deps]]
        except KeyError:
            token.head, token.feats, token.deps = _learn(head, feats, deps)
        misc = misc_of(tail)
        if misc is None:
            misc = _learn_misc(tail)
        token.misc = misc.copy() if misc else {}
    return tokens


def _learn(head: str, feats: str, deps: str) -> tuple[int | None, Feats, Deps]:
    remember(_HEAD, head, read_head(head))
    remember(_FEATS, feats, read_feats(feats))
    value = read_deps(deps)
    if type(value) is list:  # others know how they were written
        remember(_DEPS, deps, tuple(value))
    return _HEAD[head], _FEATS[feats].copy(), value


def _learn_misc(tail: str) -> Misc:
    misc = MISC[tail.partition("\n")[0]]
    if len(tail) < SHORT:
        remember(_MISC, tail, misc)
    return misc
