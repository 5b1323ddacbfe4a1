"""Tokens out of rows, all of a sentence at once: here is where the time of reading goes."""

from collections.abc import Iterable
from itertools import count, repeat
from typing import Any

from dlctl.data.conllu_blocks import Block, Piece
from dlctl.data.conllu_cells import COLUMNS, DEPS, MISC, RELATIONS, TAGS, CellError, Known
from dlctl.data.conllu_token import Token


class _Whole(Token):
    """A token all of whose cells were read at once: no access to them costs anything."""

    __slots__ = ("deprel", "deps", "feats", "head", "misc", "xpos")

    def _now(self, column: str) -> Any:
        return getattr(self, column.lower())


def tokens_of(block: Block) -> list[Token]:
    """The tokens of a sentence."""
    piece, rows = block.piece, slice(0, len(block.ids()))
    if piece is not None:
        rows = slice(block.start, block.end)
    elif block.reading.names is COLUMNS:
        piece = block.cut_alone()
    if piece is None:
        return _lazy_tokens(block)
    if not piece.whole:
        return _brief_tokens(block, piece, rows)
    try:
        return _typed_tokens(block, piece, rows)
    except CellError:
        # Its token tells of it, when it is asked for the cell.
        return _lazy_tokens(block)


def _new_tokens(block: Block, kind: type[Token] = Token) -> list[Token]:
    return list(map(kind.__new__, repeat(kind, len(block.ids()))))


def _lazy_tokens(block: Block) -> list[Token]:
    tokens, names = _new_tokens(block), block.reading.names
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


def _brief_tokens(block: Block, piece: Piece, rows: slice) -> list[Token]:
    """Form, lemma and UPOS; the others when they are asked for."""
    tokens = _new_tokens(block)
    columns = [piece.column(at, rows.start, rows.stop) for at in (1, 2, 3)]
    # Where a loop's targets are attributes nothing is named twice: here is where the time goes.
    token: Token
    for token, token.id, token._row, token.form, token.lemma, token.upos in zip(
        tokens, block.ids(), count(), *columns, strict=False
    ):
        token._block, token._later = block, None
    return tokens


def _typed_tokens(block: Block, piece: Piece, rows: slice) -> list[Token]:
    """Everything.

    Raises:
        CellError: a cell cannot be read.
    """
    tokens = _new_tokens(block, _Whole)
    columns = [piece.column(at, rows.start, rows.stop) for at in range(1, 7)]
    try:
        _fill(tokens, block, columns)
    except KeyError:
        tables: list[Known[Any]] = [TAGS, RELATIONS, DEPS, MISC]
        for known, texts in zip(tables, columns[2:], strict=True):
            known.learn(texts)
        _fill(tokens, block, columns)
    return tokens


def _fill(tokens: Iterable[Any], block: Block, columns: list[list[str]]) -> None:
    tags_of, relation_of, deps_of, misc_of = TAGS.values, RELATIONS.values, DEPS.values, MISC.values
    token: _Whole
    for token, token.id, token._row, token.form, token.lemma, tags, relation, deps, misc in zip(
        tokens, block.ids(), count(), *columns, strict=False
    ):
        token._block, token._later = block, None
        token.upos, token.xpos, feats = tags_of[tags]
        token.feats = feats.copy() if feats else {}
        token.head, token.deprel, same, pair = relation_of[relation]
        # Mostly DEPS say the same as HEAD and DEPREL, which is quicker to see than to look up.
        token.deps = [pair] if deps == same else [*deps_of[deps]]
        token.misc = {} if misc == "_" else misc_of[misc].copy()
