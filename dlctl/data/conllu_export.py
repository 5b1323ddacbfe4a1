"""Sentences in the forms of other programs: JSON, CSV, Parquet, plain text, CoNLL-U again.

A sentence becomes a piece, by itself and wherever its file is read; ``conllu_writers`` puts pieces together.

As JSON a sentence is ``{"file", "line", "sent_id", "text", "comments": [str], "tokens": [token]}``, a token
``{"id": 3 | "3-4" | "3.1", "form": str, "lemma": str | null, "upos": str | null, "xpos": str | null,
"feats": {name: value}, "head": int | null, "deprel": str | null, "deps": [{"head": id, "deprel": str}],
"misc": {key: str | null | [str | null]}}``. In CSV and Parquet a row is a token, behind the file, the line of
its sentence's beginning and the sentence's name; in CSV features and the like are texts as in CoNLL-U, in
Parquet they are maps and lists. An underscore is null, or empty, wherever it says that nothing is known.
"""

import csv
import io
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from dlctl.data.conllu_cells import COLUMNS, Id
from dlctl.data.conllu_sentence import Sentence
from dlctl.data.conllu_text import plain, rows
from dlctl.data.conllu_token import Token

PLACE = ("file", "line", "sent_id")


class Piece(NamedTuple):
    """What a sentence became.

    Attributes:
        columns: those it has.
        data: for the writer of the format.
    """

    columns: tuple[str, ...]
    data: Any


def names_of(columns: tuple[str, ...]) -> list[str]:
    """The names of columns outside of CoNLL-U: those of its ten in small letters."""
    return [name.lower() if name in COLUMNS else name for name in columns]


def facts(sentence: Sentence) -> dict[str, Any]:
    """A sentence as JSON has it, all cells typed.

    Raises:
        ConlluError: a cell that cannot be read.
    """
    return {
        "file": _file(sentence),
        "line": sentence.line,
        "sent_id": sentence.sent_id,
        "text": plain(sentence),
        "comments": sentence.comments,
        "tokens": [_token(token, sentence.columns) for token in sentence.tokens],
    }


def _file(sentence: Sentence) -> str:
    """The name of its file; bytes in it that are no text are question marks."""
    return sentence.file.encode(errors="replace").decode()


def _token(token: Token, columns: tuple[str, ...]) -> dict[str, Any]:
    whole = {
        "id": _id(token.id),
        "form": token.form,
        # The lemma of an underscore is one.
        "lemma": token.lemma if token.lemma != "_" or (token.form == "_" and token.is_word) else None,
        "upos": _known(token.upos),
        "xpos": _known(token.xpos),
        "feats": token.feats,
        "head": token.head,
        "deprel": _known(token.deprel),
        "deps": [{"head": _id(head), "deprel": relation} for head, relation in token.deps],
        "misc": token.misc,
    }
    if columns is COLUMNS:
        return whole
    more = token.more or {}
    return {name: whole[name] if name in whole else more[name] for name in names_of(columns)}


def _id(id_: Id) -> int | str:
    return id_ if isinstance(id_, int) else str(id_)


def _known(text: str) -> str | None:
    return None if text == "_" else text


def json_line(sentence: Sentence) -> bytes:
    """A sentence as a line of JSON."""
    return (json.dumps(facts(sentence), ensure_ascii=False) + "\n").encode()


def csv_rows(sentence: Sentence) -> bytes:
    """The rows of a sentence as CSV."""
    out = io.StringIO()
    place = (_file(sentence), sentence.line, sentence.sent_id)
    columns = sentence.columns
    form = columns.index("FORM") if "FORM" in columns else None
    lemma = columns.index("LEMMA") if "LEMMA" in columns else None
    lines = []
    for id_, cells in zip(sentence.ids, rows(sentence), strict=True):
        row = ["" if text == "_" else text for text in cells]
        if form is not None and cells[form] == "_":
            row[form] = "_"
            if lemma is not None and isinstance(id_, int):
                row[lemma] = cells[lemma]
        lines.append((*place, *row))
    csv.writer(out, lineterminator="\n").writerows(lines)
    return out.getvalue().encode()


def table_rows(sentence: Sentence) -> list[tuple[Any, ...]]:
    """The rows of a sentence as Parquet has them."""
    lines: list[tuple[Any, ...]] = []
    for token in sentence.tokens:
        row = _token(token, sentence.columns)
        if "id" in row:
            row["id"] = str(token.id)
        if "feats" in row:
            row["feats"] = list(row["feats"].items())
        if "deps" in row:
            row["deps"] = [{**each, "head": str(each["head"])} for each in row["deps"]]
        if "misc" in row:
            row["misc"] = [
                (key, each)
                for key, value in row["misc"].items()
                for each in (value if isinstance(value, list) else [value])
            ]
        lines.append((_file(sentence), sentence.line, sentence.sent_id, *row.values()))
    return lines


FORMS: dict[str, Callable[[Sentence], Any]] = {
    "conllu": bytes,
    "json": lambda sentence: json_line(sentence)[:-1],
    "jsonl": json_line,
    "csv": csv_rows,
    "parquet": table_rows,
    "text": lambda sentence: f"{plain(sentence)}\n".encode(),
}
