"""CoNLL-U Plus: other columns, in another order."""

import copy
import io

import pytest

from dlctl.data.conllu_parser import COLUMNS, ConlluError, Diagnostic, Token, load, write
from dlctl.data.conllu_rules import validate

TEN = "1\ta\ta\tX\tNN\tA=1\t0\troot\t_\tM\n\n"


def test_plus_names_its_columns() -> None:
    raw = b"# global.columns = ID FORM PARSEME:MWE\n1\tgive\t1:VPC\n2\tup\t1\n\n1\tno\t*\n\n"
    first, second = load(raw)
    assert [word["PARSEME:MWE"] for word in (*first.words, *second.words)] == ["1:VPC", "1", "*"]
    first.words[0]["PARSEME:MWE"] = "*"
    assert bytes(first) + bytes(second) == raw.replace(b"1:VPC", b"*")
    raw = b"# global.columns = ID FORM FEATS DEPS MISC\n1\tgive\t*\t_\t*\n\n"
    (found,) = load(raw)
    assert [(word.feats, word.deps, word.misc) for word in found.words] == [({}, [], {})]
    assert bytes(found) == raw
    found.words[0].feats["Number"] = "Sing"
    assert bytes(found) == raw.replace(b"*", b"Number=Sing", 1)


def test_a_column_that_is_not_there_cannot_be_written() -> None:
    (found,) = load(b"# global.columns = ID FORM UPOS MY:X\n1\ta\tX\t*\n\n")
    for name, value in {"head": 3, "lemma": "a"}.items():
        (found,) = load(b"# global.columns = ID FORM UPOS MY:X\n1\ta\tX\t*\n\n")
        assert (found.words[0].head, found.words[0].feats) == (None, {})
        setattr(found.words[0], name, value)
        with pytest.raises(ValueError, match=f"no column {name.upper()}"):
            bytes(found)


@pytest.mark.parametrize("end", ["\n\n", "\n", "\r\n\r\n"])
def test_rows_need_not_begin_with_an_id(end: str) -> None:
    raw = "\n".join(["# global.columns = FORM UPOS", "the\tDET", "dog\tNOUN"])
    raw = (raw.replace("\n", "\r\n") if "\r" in end else raw) + end
    told: list[Diagnostic] = []
    (found,) = load(raw.encode(), strict=False, diagnostics=told)
    assert [(token.id, token.form, token.upos) for token in found.tokens] == [
        (1, "the", "DET"),
        (2, "dog", "NOUN"),
    ]
    assert str(found) == raw
    assert [(each.line, each.rule) for each in told] == [
        (each.line, each.rule) if each.rule != "non-unix-newline" else (1, each.rule)
        for each in validate(raw.encode())
    ]
    assert len(told) == (end != "\n\n")


def test_a_comment_among_such_rows_is_told_of() -> None:
    raw = b"# global.columns = FORM UPOS\nthe\tDET\n#\tSYM\ndog\tNOUN\n\n"
    with pytest.raises(ConlluError, match=r":3: \[misplaced-comment\]"):
        load(raw)
    assert [(each.line, each.rule) for each in validate(raw, 1)] == [(3, "misplaced-comment")]
    (found,) = load(raw.replace(b"#\tSYM\n", b""))
    found.tokens[1].form = "#"
    with pytest.raises(ValueError, match="would begin a comment"):
        bytes(found)


@pytest.mark.parametrize(
    "line", ["# global.columns = ", "# global.columns = ID  FORM", "# global.columns: ID"]
)
def test_columns_without_names_are_told_of(line: str) -> None:
    told: list[Diagnostic] = []
    (found,) = load(f"{line}\n{TEN}".encode(), strict=False, diagnostics=told)
    assert found.columns is COLUMNS
    found.words[0].upos = "NOUN"
    assert str(copy.copy(found)) == str(found) == f"{line}\n{TEN}".replace("X", "NOUN", 1)
    assert [(each.line, each.rule) for each in told] == [(1, "global-columns")]
    assert [(each.line, each.rule) for each in validate(f"{line}\n{TEN}".encode(), 1)] == [
        (1, "global-columns")
    ]


PLUS = "# global.columns = ID FORM LEMMA UPOS {}\n1\tb\tb\tX\tz\n\n"


@pytest.mark.parametrize("looked", [True, False])
@pytest.mark.parametrize(
    ("into", "out_of", "lost"),
    [
        (TEN, PLUS.format("X:Y"), "X:Y"),
        (PLUS.format("X:Y"), TEN, "XPOS"),
        (PLUS.format("X:Z"), PLUS.format("X:Y"), "X:Y"),
    ],
)
def test_no_cell_is_lost_in_a_sentence_of_other_columns(
    looked: bool, into: str, out_of: str, lost: str
) -> None:
    ((sentence,), (other,)) = (load(text.encode()) for text in (into, out_of))
    (token,) = other.tokens
    if looked:
        assert token.feats is not None
    token.id = 2
    sentence.tokens.append(token)
    with pytest.raises(ValueError, match=f"no column {lost}"):
        bytes(sentence)
    if token.more:
        token["X:Y"] = "*"
        assert str(sentence).splitlines()[-2].startswith("2\tb\tb\tX\t_")


def test_a_copy_of_a_token_has_the_same_columns() -> None:
    raw = b"# global.columns = FORM HEAD FEATS A:B\nno\t*\t*\tx\n\n"
    (token,) = load(raw)[0].tokens
    again = copy.copy(token)
    assert (again.id, again.form, again.head, again.feats, again["A:B"]) == (1, "no", None, {}, "x")
    assert str(again) == str(token) == "no\t*\t*\tx"
    made = copy.copy(Token(1, "a", feats={"A": "1"}))
    made["A:B"] = "x"
    assert (made.feats, made["A:B"]) == ({"A": "1"}, "x")


def test_a_file_of_such_sentences_is_written_as_it_was() -> None:
    raw = b"# global.columns = FORM UPOS\nthe\tDET\n\ndog\tNOUN\n\n"
    write(load(raw), out := io.BytesIO())
    assert out.getvalue() == raw
