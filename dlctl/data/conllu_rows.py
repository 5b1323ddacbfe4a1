"""Tokens out of rows, those of many sentences at once: here is where the time of reading goes."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import chain, count, repeat, starmap
from typing import Any

from dlctl.data.conllu_blocks import Block, Origin, Piece
from dlctl.data.conllu_cells import (
    COLUMNS,
    MISC,
    CellError,
    Deps,
    Feats,
    Id,
    read_deps,
    read_feats,
    read_head,
    remember,
)
from dlctl.data.conllu_token import Token

# As many tokens as a processor's cache holds and Python's collector does not look through.
_ROWS = 120


# Columns that go together, read at once: from UPOS to FEATS, and from HEAD to DEPS. A plain dict is quicker
# to ask than one that fills itself.
_TAGS: dict[str, tuple[str, str, Feats]] = {}
_RELATIONS: dict[str, tuple[int | None, str, Deps]] = {}


class _Whole(Token):
    """A token all of whose cells were read at once: no access to them costs anything."""

    __slots__ = ("deprel", "deps", "feats", "head", "misc", "xpos")
    __init__ = object.__init__  # who makes one sets everything

    def _now(self, column: str) -> Any:
        return getattr(self, column.lower())


def tokens_of(block: Block) -> list[Token]:
    """The tokens of a sentence.

    Who asks for those of one sentence after the other gets them made for some at once, which is quicker.
    """
    piece = block.piece
    if piece is None:
        piece = block.cut_alone() if block.reading.names is COLUMNS else None
        return (_tokens(block, piece, 0, 1) if piece else []) or _lazy_tokens(block)
    start, end = block.start, block.end
    if start < piece.first or start >= piece.end:
        last = block.number + 1
        if start == piece.end:
            last = max(last, bisect_right(piece.ends, start + _ROWS))
        piece.first, piece.end = start, piece.ends[last - 1]
        piece.tokens = _tokens(piece.origin, piece, block.number, last)
    tokens = piece.tokens[start - piece.first : end - piece.first]
    if end == piece.end:
        piece.tokens = []  # who keeps a sentence does not keep the tokens of others
    return tokens or _lazy_tokens(block)


def _lazy_tokens(block: Block) -> list[Token]:
    tokens, names = _new_tokens(len(block.ids())), block.reading.names
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


def _new_tokens(number: int) -> list[Token]:
    return list(map(Token.__new__, repeat(Token, number)))


def _tokens(origin: Origin | Block, piece: Piece, first: int, last: int) -> list[Token]:
    """The tokens of sentences of a piece; none if a cell cannot be read.

    Its token tells of such a cell, when it is asked for it.
    """
    ids = piece.ids[first:last]
    start, end = piece.ends[first] - len(ids[0]), piece.ends[last - 1]
    if not piece.whole:
        columns = [piece.column(at, start, end) for at in (1, 2, 3)]
        return _brief_tokens(origin, start, ids, columns)
    columns = [piece.column(at, start, end) for at in range(1, 6)]
    try:
        return _typed_tokens(origin, start, ids, columns)
    except CellError:
        return []


def _brief_tokens(
    origin: Origin | Block, start: int, ids: list[Sequence[Id]], columns: list[list[str]]
) -> list[Token]:
    """Form, lemma and UPOS; the others when they are asked for."""
    tokens = _new_tokens(len(columns[0]))
    # Where a loop's targets are attributes nothing is named twice: here is where the time goes.
    token: Token
    for token, token.id, token._row, token.form, token.lemma, token.upos in zip(
        tokens, chain.from_iterable(ids), count(start), *columns, strict=False
    ):
        token._block, token._later = origin, None
    return tokens


def _typed_tokens(
    origin: Origin | Block, start: int, ids: list[Sequence[Id]], columns: list[list[str]]
) -> list[Token]:
    """Everything.

    Raises:
        CellError: a cell that cannot be read.
    """
    tokens: list[Any] = list(starmap(_Whole, repeat((), len(columns[0]))))
    tags_of, relations_of = _TAGS, _RELATIONS
    token: _Whole
    for token, token.id, token._row, token.form, token.lemma, tags, relations, misc in zip(
        tokens, chain.from_iterable(ids), count(start), *columns, strict=False
    ):
        token._block, token._later = origin, None
        try:
            token.upos, token.xpos, feats = tags_of[tags]
            token.head, token.deprel, deps = relations_of[relations]
        except KeyError:
            token.upos, token.xpos, feats = _learn_tags(tags)
            token.head, token.deprel, deps = _learn_relations(relations)
        token.feats = feats.copy() if feats else {}
        token.deps = deps.copy()
        token.misc = {} if misc == "_" else MISC[misc].copy()
    return tokens


def _learn_tags(text: str) -> tuple[str, str, Feats]:
    upos, xpos, feats = text.split("\t")
    found = upos, xpos, read_feats(feats)
    remember(_TAGS, text, found)
    return found


def _learn_relations(text: str) -> tuple[int | None, str, Deps]:
    head, deprel, deps = text.split("\t")
    found = read_head(head), deprel, read_deps(deps)
    remember(_RELATIONS, text, found)
    return found
