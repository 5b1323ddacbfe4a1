import copy
import pickle
import warnings

import pytest

from dlctl.data.conllu_parser import ConlluError, Span, load
from tests.data.test_conllu_parser import ONE, TEXT


@pytest.mark.parametrize("strict", [True, False])
def test_a_copy_tells_of_what_cannot_be_read_as_well(strict: bool) -> None:
    raw = f"{ONE.format(1)}\n{ONE.format(2)}\n".replace("\t_\t0\t", "\tfoo\tx\t").encode()
    second = load(raw, strict=strict, diagnostics=[])[1]
    (token,) = second.tokens
    again = [copy.copy(token), pickle.loads(pickle.dumps(token)), copy.deepcopy(second).tokens[0]]
    for each in again:
        assert str(each) == str(token)
        for name, instead, rule in (("feats", {}, "invalid-feature"), ("head", None, "invalid-head")):
            with warnings.catch_warnings(record=True) as caught:
                try:
                    assert (getattr(each, name), strict) == (instead, False)
                    told = [str(warning.message) for warning in caught]
                except ConlluError as error:
                    assert strict
                    told = [str(error.diagnostic)]
            assert len(told) == 1
            assert told[0].startswith(f"<bytes>:5: [{rule}] ")
    (whole,) = load(raw.replace(b"foo\tx", b"A=1\t0"))[0].tokens
    whole.head = 7
    assert (copy.copy(whole).feats, copy.copy(whole).head) == ({"A": "1"}, 7)


def test_text_is_taken_for_an_id() -> None:
    (found,) = load(TEXT.encode())
    found.tokens[0]["id"] = "1"
    found.tokens[1].set("id", "2-3")
    assert [token.id for token in found.tokens[:2]] == [1, Span(2, 3)]
    assert str(found) == TEXT
    found.tokens[0]["id"] = "first"
    with pytest.raises(ValueError, match="no sentence"):
        str(found)


def test_comments_that_nobody_would_find_again_are_refused() -> None:
    (found,) = load(TEXT.encode())
    for key in ("a=b", " a", "a ", ""):
        with pytest.raises(ValueError, match="cannot be the key"):
            found.set_comment(key, "c")
    assert str(found) == TEXT
    found.comments.insert(0, "# global.columns = ID FORM")
    with pytest.raises(ValueError, match="names other columns"):
        str(found)
