import bz2
import gzip
import io
import lzma
import os
import pickle
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path

import pytest

from dlctl.data.conllu_parser import (
    ConlluError,
    Diagnostic,
    Empty,
    Sentence,
    Span,
    columns,
    load,
    read,
    write,
)
from dlctl.data.conllu_rules import validate
from dlctl.errors import NotFoundError
from tests.conftest import needs_data

TEXT = """\
# newdoc id = d1
# sent_id = s1
# text = He don't go
# a remark
1\tHe\the\tPRON\tPRP\tCase=Nom|Number=Sing\t4\tnsubj\t4:nsubj\t_
2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
2\tdo\tdo\tAUX\tVBP\t_\t4\taux\t4:aux\tGloss=a=b|Ref=1|Loose
3\tn't\tnot\tPART\tRB\t_\t4\tadvmod\t4:advmod\tX=1|Y|X=2
4\tgo\tgo\tVERB\tVB\t_\t0\troot\t0:root|4.1:ref\t_
4.1\tgo\tgo\tVERB\tVB\t_\t_\t_\t4:conj\t_

"""
ONE = "# sent_id = {}\n1\tA\ta\tDET\t_\t_\t0\troot\t_\t_\n"


def sentence() -> Sentence:
    return load(TEXT.encode())[0]


def test_what_is_asked_for_is_typed() -> None:
    found = sentence()
    assert [token.id for token in found.tokens] == [1, Span(2, 3), 2, 3, 4, Empty(4, 1)]
    assert [word.form for word in found.words] == ["He", "do", "n't", "go"]
    he, do, not_, go = found.words
    assert (he.feats, he.head, he.deps) == ({"Case": "Nom", "Number": "Sing"}, 4, [(4, "nsubj")])
    assert do.misc == {"Gloss": "a=b", "Ref": "1", "Loose": None}
    assert not_.misc == {"X": ["1", "2"], "Y": None}
    assert go.deps == [(0, "root"), (Empty(4, 1), "ref")]
    assert found.tokens[1].head is None
    assert (found.sent_id, found.text, found.newdoc, found.newpar) == ("s1", "He don't go", "d1", None)
    assert found.meta[-1] == ("a remark", None)
    assert str(found) == TEXT


def test_only_what_was_changed_is_written_anew() -> None:
    found = sentence()
    word = found.words[0]
    word.upos = "NOUN"
    word.set("xpos", "NN")
    word.feats["Animacy"] = "Anim"
    word.deps.insert(0, (Empty(4, 1), "x"))
    found.words[2].misc["Z"] = "3"
    found.sent_id = "other"
    expected = (
        TEXT.replace("PRON\tPRP\tCase", "NOUN\tNN\tAnimacy=Anim|Case")
        .replace("4:nsubj", "4:nsubj|4.1:x")
        .replace("X=1|Y|X=2", "X=1|X=2|Y|Z=3")
        .replace("= s1", "= other")
    )
    assert str(found) == expected
    word.form = "a\tb"
    with pytest.raises(ValueError, match="cannot stand in FORM"):
        bytes(found)


@pytest.mark.parametrize(
    ("broken", "line", "rule"),
    [
        ("1\tA\n\n", 1, "number-of-columns"),
        (ONE.format(1).replace("\ta\t", "\t\t") + "\n", 2, "empty-column"),
        (ONE.format(1)[:-2] + "\n2\tB" + "\t_" * 8 + "\n\n", 2, "empty-column"),
        (ONE.format(1).replace("1\tA", "2\tA") + "\n", 2, "word-id-sequence"),
        (ONE.format(1).replace("1\tA", "01\tA") + "\n", 2, "invalid-word-id"),
        (ONE.format(1), 2, "missing-empty-line"),
        (ONE.format(1) + "\n\n", 4, "empty-sentence"),
        (ONE.format(1) + " \n", 3, "pseudo-empty-line"),
        (ONE.format(1) + "# late\n\n", 3, "misplaced-comment"),
        ("\ufeff" + ONE.format(1) + "\n", 1, "invalid-line"),
        (ONE.format(1).replace("\n", "\r\n") + "\r\n", 1, "non-unix-newline"),
        (ONE.format(1).replace("\tA", "\t\ufffd") + "\n", 2, "invalid-utf"),
        ("# only\n\n", 2, "empty-sentence"),
    ],
)
def test_fault_is_told_by_line_and_rule_and_the_next_sentence_is_read(
    broken: str, line: int, rule: str
) -> None:
    with pytest.raises(ConlluError) as caught:
        load(broken.encode())
    assert (caught.value.line, caught.value.rule, caught.value.exit_code) == (line, rule, 3)
    whole = broken if rule != "missing-empty-line" else f"{broken}# late\n\n"
    found: list[Diagnostic] = []
    after = load(f"{whole}{ONE.format('next')}\n".encode(), strict=False, diagnostics=found)
    assert after[-1].sent_id == "next"
    assert found


def test_bytes_that_are_no_utf8() -> None:
    good = f"{ONE.format('next')}\n".encode()
    bad = good.replace(b"A", b"\xff")
    with pytest.raises(ConlluError, match=r"<bytes>:2: \[invalid-utf\]"):
        load(bad)
    found: list[Diagnostic] = []
    assert b"".join(map(bytes, load(good + bad + good, strict=False, diagnostics=found))) == good + good
    assert [(each.line, each.rule) for each in found] == [(5, "invalid-utf")]


def test_lines_with_carriage_returns_are_told_of_once_and_written_as_they_were() -> None:
    raw = f"{ONE.format(1)}\n{ONE.format(2)}\n".replace("\n", "\r\n").encode()
    found: list[Diagnostic] = []
    sentences = load(raw, strict=False, diagnostics=found)
    assert [word.misc for each in sentences for word in each.words] == [{}, {}]
    assert b"".join(map(bytes, sentences)) == raw
    assert [(each.line, each.rule) for each in found] == [(1, "non-unix-newline")]
    sentences[0].words[0].form = "B"
    assert b"".join(map(bytes, sentences)) == raw.replace(b"A", b"B", 1)
    assert bytes(pickle.loads(pickle.dumps(sentences[0]))) == bytes(sentences[0])


def test_cell_is_checked_when_it_is_asked_for() -> None:
    raw = f"{ONE.format(1)}\n".replace("\t0\t", "\tx\t").encode()
    (found,) = load(raw)
    assert found.words[0].form == "A"
    with pytest.raises(ConlluError) as caught:
        _ = found.words[0].head
    assert (caught.value.line, caught.value.column, caught.value.rule) == (2, "HEAD", "invalid-head")
    diagnostics: list[Diagnostic] = []
    (found,) = load(raw, strict=False, diagnostics=diagnostics)
    assert found.words[0].head is None
    assert [each.rule for each in diagnostics] == ["invalid-head"]
    assert bytes(found) == raw


@pytest.mark.parametrize(
    "order", ["in order", "backwards", "every third", "the last first", "all, then again"]
)
def test_tokens_are_the_same_in_whatever_order_they_are_asked_for(order: str) -> None:
    raw = "".join(TEXT.replace("s1", f"s{number}").replace("Sing", f"S{number}") for number in range(600))
    stream = read(raw.encode())
    first = next(stream)
    assert first.tokens[0].feats  # all cells of the pieces that follow are read at once
    found = [first, *stream]
    asked = {
        "backwards": found[::-1],
        "every third": found[::3],
        "the last first": [found[-1], *found[:-1]],
        "all, then again": [*found, *found],
    }.get(order, found)
    for sentence in asked:
        number = (sentence.sent_id or "")[1:]
        tokens = sentence.tokens
        assert [token.id for token in tokens] == [1, Span(2, 3), 2, 3, 4, Empty(4, 1)]
        assert tokens[0].feats == {"Case": "Nom", "Number": f"S{number}"}
        assert [token.head for token in sentence.words] == [4, 4, 4, 0]
        assert [token.deps for token in tokens[4:]] == [[(0, "root"), (Empty(4, 1), "ref")], [(4, "conj")]]
        assert "\n".join(map(str, tokens)) == TEXT.replace("Sing", f"S{number}").split("remark\n")[1].strip()
    assert b"".join(map(bytes, found)) == raw.encode()


def test_one_cell_that_cannot_be_read_costs_no_other() -> None:
    texts = [TEXT.replace("s1", f"s{number}") for number in range(200)]
    texts[150] = texts[150].replace("\t4\tadvmod", "\tfour\tadvmod")
    diagnostics: list[Diagnostic] = []
    heads = [
        [word.head for word in sentence.words]
        for sentence in read("".join(texts).encode(), strict=False, diagnostics=diagnostics)
    ]
    lines = TEXT.count("\n")
    assert [(each.line, each.rule) for each in diagnostics] == [(150 * lines + 8, "invalid-head")]
    assert heads.pop(150) == [4, 4, None, 0]
    assert heads == [[4, 4, 4, 0]] * 199


def test_packed_or_not_by_content(tmp_path: Path) -> None:
    raw = TEXT.encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("a.conllu", raw)
        packed.writestr("LICENSE", b"x")
    for content in (raw, gzip.compress(raw), bz2.compress(raw), lzma.compress(raw), archive.getvalue()):
        file = tmp_path / "any"
        file.write_bytes(content)
        for source in (file, str(file), content, io.BytesIO(content)):
            assert b"".join(map(bytes, read(source))) == raw
    assert b"".join(map(bytes, read(io.StringIO(TEXT)))) == raw
    with pytest.raises(NotFoundError, match="cannot read"):
        load(gzip.compress(raw)[:-20])
    with pytest.raises(NotFoundError, match="is a folder"):
        load(tmp_path)
    assert load(b"") == []


def test_broken_archives_and_text_that_is_none_cannot_be_read(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("ä.conllu", TEXT)
    packed = stream.getvalue()
    for broken in (packed[:-4] + b"\xff" + packed[-3:], packed.replace("ä".encode(), b"\xff\xfe")):
        with pytest.raises(NotFoundError, match="cannot read <bytes>"):
            load(broken, strict=False, diagnostics=[])
        assert [fault.rule for fault in validate(broken)] == ["unreadable"]
    file = tmp_path / "latin.conllu"
    file.write_bytes(TEXT.encode().replace(b"don", b"d\xe4n"))
    with file.open(encoding="utf-8") as text, pytest.raises(NotFoundError, match="can't decode byte"):
        load(text)


def test_standard_input_may_be_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(TEXT))
    assert b"".join(map(bytes, read("-"))) == TEXT.encode()


def test_columns_are_those_of_the_words() -> None:
    assert list(columns(TEXT.encode(), "form", "upos")) == [
        (["He", "do", "n't", "go"], ["PRON", "AUX", "PART", "VERB"])
    ]
    with pytest.raises(ConlluError, match="no column 'colour'"):
        list(columns(TEXT.encode(), "colour"))


def test_sentences_of_files_without_an_end_stay_apart() -> None:
    good = f"{ONE.format(1)}\n".encode()
    for end in (b"", good[-1:], good[-2:]):
        out = io.BytesIO()
        ended = load(good.rstrip(b"\n") + end, strict=False, diagnostics=[])
        write([*ended, *load(good), *ended], out)
        assert out.getvalue() == good * 2 + good.rstrip(b"\n") + end


@pytest.mark.parametrize("blank", ["   \n", "\t \n", "\xa0\n", "\v\n", "\r\n", "\r"])
def test_blank_lines_of_every_kind_are_written_as_they_were(blank: str) -> None:
    raw = f"{ONE.format(1)}{blank}{ONE.format(2)}\n".encode()
    sentences = load(raw, strict=False, diagnostics=[])
    write(sentences, out := io.BytesIO())
    assert (out.getvalue(), len(sentences)) == (raw, 2)


def test_what_is_left_out_is_warned_of_every_time() -> None:
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            assert load(b"1\tA\n\n", strict=False) == []
        assert ["number-of-columns" in str(each.message) for each in caught] == [True]


@pytest.mark.parametrize("alone", [True, False])
def test_cells_out_of_order_are_put_in_order_when_they_are_changed(alone: bool) -> None:
    old = "B=1|A=2\t0\troot\t3:x|1:y\tK=1|L|K=2"
    raw = f"1\ta\ta\tX\t_\t{old}\n\n".encode()
    stream = read(raw * 2)
    assert next(stream).tokens[0].feats  # all cells of the next sentence are read at once
    (sentence,) = load(raw) if alone else stream
    (word,) = sentence.tokens
    assert (word.feats, word.deps) == ({"B": "1", "A": "2"}, [(3, "x"), (1, "y")])
    word.upos = "NOUN"
    assert bytes(sentence) == raw.replace(b"X", b"NOUN")
    word.feats["C"], word.misc["M"] = "3", None
    word.deps.append((2, "z"))
    new = "A=2|B=1|C=3\t0\troot\t1:y|2:z|3:x\tK=1|K=2|L|M"
    assert bytes(sentence) == raw.replace(b"X", b"NOUN").replace(old.encode(), new.encode())


def test_a_key_of_misc_that_stands_there_very_often_is_read_at_once() -> None:
    raw = ONE.format(1)[:-2] + "a|" * 300_000 + "a\n\n"
    began = time.process_time()
    assert len(load(raw.encode())[0].words[0].misc["a"]) == 300_001  # type: ignore[arg-type]
    assert time.process_time() - began < 10  # 0.1 here; minutes if each copied those before it


def test_line_of_a_megabyte_and_sentences_across_pieces() -> None:
    long = ONE.format("long").replace("A", "Ж" * 1_500_000) + "\n"
    raw = (long + f"{ONE.format('next')}\n" * 50_000).encode()
    assert b"".join(map(bytes, read(raw))) == raw


def test_import_is_light() -> None:
    code = "import sys, dlctl.data.conllu_parser as p; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "lightning", "typer", "rich", "dlctl.project"} & set(done.stdout.split())


@needs_data
def test_real_treebanks_come_back_byte_for_byte(tmp_path: Path) -> None:
    files = sorted(Path(os.environ["DLCTL_TEST_DATA"], "ud").glob("*.conllu*"))
    assert files
    for file in files:
        raw = file.read_bytes()
        raw = gzip.decompress(raw) if file.suffix == ".gz" else raw
        sentences = load(file)
        write(sentences, tmp_path / "untouched")
        assert (tmp_path / "untouched").read_bytes() == raw
        for token in (token for each in sentences for token in each.tokens):
            assert (token.feats, token.head, token.deps, token.misc) is not None
        assert b"".join(map(bytes, sentences)) == raw
