"""Treebanks at the command line: counted, drawn, validated, turned into something else; faults and all."""

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import psutil
import pytest
from rich.cells import cell_len

from dlctl.data.conllu_datamodule import SAMPLE
from tests.conftest import Dlctl, Result, needs_data

TEXT = """\
# newdoc id = d1
# sent_id = s1
# text = He don't, go
1\tHe\the\tPRON\tPRP\tCase=Nom|Number=Sing\t5\tnsubj\t5:nsubj|5.1:nsubj\t_
2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No
2\tdo\tdo\tAUX\tVBP\t_\t5\taux\t5:aux\tGloss=a=b|Loose
3\tn't\tnot\tPART\tRB\t_\t5\tadvmod\t5:advmod\tX=1|Y|X=2
4\t,\t,\tPUNCT\t,\t_\t5\tpunct\t5:punct\t_
5\tgo\tgo\tVERB\tVB\tVerbForm=Inf\t0\troot\t0:root\t_
5.1\tgo\tgo\tVERB\tVB\t_\t_\t_\t5:conj\t_

# sent_id = s2
1\t日本\t日本\tPROPN\t_\tNumber=Sing\t0\troot\t0:root\tSpaceAfter=No
2\t_\t_\tSYM\t_\t_\t1\tdep\t1:dep\t_
3\t"a, b"\t_\tX\t_\t_\t1\tflat\t1:flat\t_

"""
SUMMARY = """\
a.conllu

sentences         2
tokens            7
words             8
multiword tokens  1
empty nodes       1

words a sentence  3 to 5, median 4.0, mean 4.0
               3  ██████████████████████████████         1
               4                                         0
               5  ██████████████████████████████         1

UPOS             DEPREL
AUX   1  12.5%   root   2  25.0%
PART  1  12.5%   advmod 1  12.5%
PRON  1  12.5%   aux    1  12.5%
PROPN 1  12.5%   dep    1  12.5%
PUNCT 1  12.5%   flat   1  12.5%
SYM   1  12.5%   nsubj  1  12.5%
VERB  1  12.5%   punct  1  12.5%
X     1  12.5%

FEATS
Number   2  Sing 2
Case     1  Nom 1
VerbForm 1  Inf 1
"""
TREES = """\
s1
He don't, go
 ╭─   1 He    PRON  nsubj
 │  2-3 don't
 ├─   2 do    AUX   aux
 ├─   3 n't   PART  advmod
 ├─   4 ,     PUNCT punct
─┴─   5 go    VERB  root
    5.1 go    VERB  5:conj

s2
日本_ "a, b"
─┬─ 1 日本   PROPN root
 ├─ 2 _      SYM   dep
 ╰─ 3 "a, b" X     flat
"""
TABLE = """\
s1
He don't, go
id   form   lemma  upos   xpos  feats                 head  deprel  deps              misc
1    He     he     PRON   PRP   Case=Nom|Number=Sing     5  nsubj   5:nsubj|5.1:nsubj  _
2-3  don't  _      _      _     _                        _  _       _                  SpaceAfter=No
2    do     do     AUX    VBP   _                        5  aux     5:aux              Gloss=a=b|Loose
3    n't    not    PART   RB    _                        5  advmod  5:advmod           X=1|Y|X=2
4    ,      ,      PUNCT  ,     _                        5  punct   5:punct            _
5    go     go     VERB   VB    VerbForm=Inf             0  root    0:root             _
5.1  go     go     VERB   VB    _                        _  _       5:conj             _
""".replace("deps              misc", "deps               misc")
CSV = """\
file,line,sent_id,id,form,lemma,upos,xpos,feats,head,deprel,deps,misc
a.conllu,12,s2,1,日本,日本,PROPN,,Number=Sing,0,root,0:root,SpaceAfter=No
a.conllu,12,s2,2,_,_,SYM,,,1,dep,1:dep,
a.conllu,12,s2,3,"\""a, b"\"",,X,,,1,flat,1:flat,
"""
FORMATS = "table, tree, conllu, json, jsonl, csv, parquet, text"
ROW = "{}\t{}\t_\tX\t_\t_\t{}\t{}\t_\t_\n"


@pytest.fixture
def bank(dlctl: Dlctl) -> Dlctl:
    """A project with a treebank of two sentences."""
    (dlctl.root / "a.conllu").write_text(TEXT, encoding="utf-8")
    return dlctl


ALL_FAULTS = "--validate reads all and prints faults only"
OVERWRITTEN = "read and would be overwritten\n  name another file: --output FILE"
ZIP = "zip archives are read and not written"
NONE = "no such file or directory"
ANOTHER = "  name another file: --output FILE"
CUT = "cannot read cut.conllu.gz: Compressed file ended before the end-of-stream marker was reached"


def parse(dlctl: Dlctl, *words: str, code: int = 0) -> Result:
    return dlctl("parse-conllu", *words, code=code)


def test_a_summary_is_what_people_want_to_know_first(bank: Dlctl) -> None:
    assert parse(bank, "a.conllu").out == SUMMARY


def test_the_summary_as_json(bank: Dlctl) -> None:
    whole = parse(bank, "a.conllu", "--json").json
    numbers = {
        "sentences": 2,
        "tokens": 7,
        "words": 8,
        "multiword_tokens": 1,
        "empty_nodes": 1,
        "lengths": {"min": 3, "median": 4.0, "mean": 4.0, "max": 5, "counts": {"3": 1, "5": 1}},
        "upos": dict.fromkeys(("AUX", "PART", "PRON", "PROPN", "PUNCT", "SYM", "VERB", "X"), 1),
        "deprel": {"root": 2, **dict.fromkeys(("advmod", "aux", "dep", "flat", "nsubj", "punct"), 1)},
        "feats": {"Number": {"Sing": 2}, "Case": {"Nom": 1}, "VerbForm": {"Inf": 1}},
    }
    assert whole == {
        "schema_version": 1,
        "files": [{"file": "a.conllu", **numbers}],
        "total": numbers,
        "faults": [],
    }


def test_several_files_have_a_line_each_and_a_total(bank: Dlctl) -> None:
    folder = bank.root / "more" / "deep"
    folder.mkdir(parents=True)
    (folder / "b.conllu.gz").write_bytes(gzip.compress(TEXT.encode()))
    (folder / "a.conllu.xz").write_bytes(lzma.compress(TEXT.encode()))
    (folder / "c.conllup").write_bytes(b"")
    (folder / "notes.txt").write_text("no treebank")
    (bank.root / "more" / "d.conllu.bz2").write_bytes(bz2.compress(TEXT.encode()))
    assert parse(bank, "a.conllu", "more").out.splitlines()[:7] == [
        "                       sentences  tokens  words  multiword  empty  words/sentence",
        "a.conllu                       2       7      8          1      1             4.0",
        "more/d.conllu.bz2              2       7      8          1      1             4.0",
        "more/deep/a.conllu.xz          2       7      8          1      1             4.0",
        "more/deep/b.conllu.gz          2       7      8          1      1             4.0",
        "more/deep/c.conllup            0       0      0          0      0               -",
        "total                          8      28     32          4      4             4.0",
    ]


@pytest.mark.parametrize(
    ("form", "whole"),
    [("tree", TREES), ("conllu", TEXT), ("text", 'He don\'t, go\n日本_ "a, b"\n')],
    ids=["tree", "conllu", "text"],
)
def test_sentences_in_a_form(bank: Dlctl, form: str, whole: str) -> None:
    assert parse(bank, "a.conllu", "--format", form).out == whole
    (bank.root / "out").write_text("what was there before")
    assert parse(bank, "a.conllu", "--format", form, "--output", "out").err == "2 sentences written to out\n"
    assert (bank.root / "out").read_text(encoding="utf-8") == whole


def test_some_of_the_sentences(bank: Dlctl) -> None:
    assert parse(bank, "a.conllu", "--format", "table", "--limit", "1").out == TABLE
    assert parse(bank, "a.conllu", "--format", "csv", "--sent-id", "s2").out == CSV
    both = ("--sent-id", "s2", "--sent-id", "s1")
    assert parse(bank, "a.conllu", "--format", "conllu", *both).out == TEXT
    assert parse(bank, "a.conllu", "--limit", "1").out.splitlines()[2] == "sentences         1"
    error = parse(bank, "a.conllu", "--format", "text", "--sent-id", "s1", "--sent-id", "s22", code=4)
    assert error.out == "He don't, go\n"
    assert error.err == "error: there is no sentence 's22'\n  did you mean s2?\n"
    error = parse(bank, "a.conllu", "--format", "text", "--sent-id", "other", code=4)
    assert error.err == "error: there is no sentence 'other'\n  names are in comments: # sent_id = NAME\n"


def test_a_limit_reads_no_further(bank: Dlctl) -> None:
    with (bank.root / "a.conllu").open("a") as stream:
        stream.write("what is this\n\n")
    assert parse(bank, "a.conllu", "a.conllu", "--format", "conllu", "--limit", "2").out == TEXT


def test_json_has_every_cell_typed(bank: Dlctl) -> None:
    whole = parse(bank, "a.conllu", "--format", "json").json
    lines = parse(bank, "a.conllu", "--format", "jsonl").out.splitlines()
    assert whole == {"schema_version": 1, "sentences": [json.loads(line) for line in lines]}
    first, second = whole["sentences"]
    assert {name: value for name, value in first.items() if name != "tokens"} == {
        "file": "a.conllu",
        "line": 1,
        "sent_id": "s1",
        "text": "He don't, go",
        "comments": ["# newdoc id = d1", "# sent_id = s1", "# text = He don't, go"],
    }
    assert first["tokens"][0] == {
        "id": 1,
        "form": "He",
        "lemma": "he",
        "upos": "PRON",
        "xpos": "PRP",
        "feats": {"Case": "Nom", "Number": "Sing"},
        "head": 5,
        "deprel": "nsubj",
        "deps": [{"head": 5, "deprel": "nsubj"}, {"head": "5.1", "deprel": "nsubj"}],
        "misc": {},
    }
    assert first["tokens"][1] == {
        "id": "2-3",
        "form": "don't",
        **dict.fromkeys(("lemma", "upos", "xpos", "head", "deprel")),
        "feats": {},
        "deps": [],
        "misc": {"SpaceAfter": "No"},
    }
    assert [token["id"] for token in first["tokens"]] == [1, "2-3", 2, 3, 4, 5, "5.1"]
    assert first["tokens"][2]["misc"] == {"Gloss": "a=b", "Loose": None}
    assert first["tokens"][3]["misc"] == {"X": ["1", "2"], "Y": None}
    # An underscore can be a word, whose lemma is one too.
    assert [(token["form"], token["lemma"]) for token in second["tokens"]] == [
        ("日本", "日本"),
        ("_", "_"),
        ('"a, b"', None),
    ]
    assert second["text"] == '日本_ "a, b"'


def test_csv_comes_back_as_it_was(bank: Dlctl) -> None:
    rows = list(csv.DictReader(io.StringIO(parse(bank, "a.conllu", "--format", "csv").out)))
    lines = [line.split("\t") for line in TEXT.splitlines() if line[:1].isdigit()]
    names = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
    assert [[row[name] or "_" for name in names] for row in rows] == lines


def test_parquet_has_every_cell_typed(bank: Dlctl) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    parse(bank, "a.conllu", "--output", "a.parquet")
    rows = parquet.read_table(bank.root / "a.parquet").to_pylist()
    assert len(rows) == 10
    assert rows[3] == {
        "file": "a.conllu",
        "line": 1,
        "sent_id": "s1",
        "id": "3",
        "form": "n't",
        "lemma": "not",
        "upos": "PART",
        "xpos": "RB",
        "feats": [],
        "head": 5,
        "deprel": "advmod",
        "deps": [{"head": "5", "deprel": "advmod"}],
        "misc": [("X", "1"), ("X", "2"), ("Y", None)],
    }
    assert rows[6]["head"] is None
    assert rows[0]["feats"] == [("Case", "Nom"), ("Number", "Sing")]
    (bank.root / "empty.conllu").touch()
    parse(bank, "empty.conllu", "--output", "empty.parquet")
    assert parquet.read_table(bank.root / "empty.parquet").num_rows == 0


def test_parquet_without_its_extra_is_told_at_once(bank: Dlctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "pyarrow.parquet", raising=False)
    error = parse(bank, "a.conllu", "--output", "a.parquet", code=3).err
    assert error == "error: Parquet files need pyarrow\n  pip install 'dlctl[parquet]'\n"
    assert not (bank.root / "a.parquet").exists()


def test_columns_of_conllu_plus(dlctl: Dlctl) -> None:
    header = "# global.columns = ID FORM UPOS PARSEME:MWE\n"
    (dlctl.root / "a.conllup").write_text(
        f"{header}# sent_id = a\n1\tA\tX\t*\n\n# sent_id = b\n1\tB\tX\t1:LVC\n\n"
    )
    (dlctl.root / "b.conllu").write_text(TEXT, encoding="utf-8")
    chosen = ("a.conllup", "--sent-id", "b", "--format")
    assert parse(dlctl, *chosen, "conllu").out == f"{header}# sent_id = b\n1\tB\tX\t1:LVC\n\n"
    assert parse(dlctl, *chosen, "csv").out == (
        "file,line,sent_id,id,form,upos,PARSEME:MWE\na.conllup,5,b,1,B,X,1:LVC\n"
    )
    tokens = parse(dlctl, *chosen, "json").json["sentences"][0]["tokens"]
    assert tokens == [{"id": 1, "form": "B", "upos": "X", "PARSEME:MWE": "1:LVC"}]
    assert parse(dlctl, *chosen, "table").out == (
        "b\nB\nid  form  upos  PARSEME:MWE\n1   B     X     1:LVC\n"
    )
    assert parse(dlctl, "a.conllup").out.endswith("\nUPOS\nX 2 100.0%\n")
    error = parse(dlctl, "a.conllup", "b.conllu", "--output", "both.csv", code=3).err
    assert error.startswith("error: the columns are not the same: ID FORM UPOS PARSEME:MWE and ID FORM LEMMA")
    assert [each.name for each in dlctl.root.glob("*both*")] == []


def heads(*given: int | str) -> str:
    return "".join(
        ROW.format(i, chr(64 + i), head, "root" if head == 0 else "dep") for i, head in enumerate(given, 1)
    )


@pytest.mark.parametrize(
    ("given", "tree"),
    [
        ((0,), "─ 1 A X root\n"),
        (
            (3, 4, 0, 3, 2),
            " ╭───── 1 A X dep\n │ ╭─┬─ 2 B X dep\n─┼─│─│─ 3 C X root\n"
            " ╰─┴─│─ 4 D X dep\n     ╰─ 5 E X dep\n",
        ),
        (
            (3, 3, 0, 5, 3),
            " ╭─── 1 A X dep\n ├─── 2 B X dep\n─┼─── 3 C X root\n │ ╭─ 4 D X dep\n ╰─┴─ 5 E X dep\n",
        ),
        (
            # A circle is cut open; what has no head, or none that is there, hangs on nothing; two are roots.
            (2, 1, 9, "_", 0, 0, 7, 1),
            " ╭─ 1 A X dep (head 2)\n ├─ 2 B X dep\n │  3 C X dep (head 9)\n │  4 D X dep\n─│─ 5 E X root\n"
            "─│─ 6 F X root\n │  7 G X dep (head 7)\n ╰─ 8 H X dep\n",
        ),
    ],
    ids=["one", "crossing", "plain", "broken"],
)
def test_trees_are_drawn_whatever_hangs_where(dlctl: Dlctl, given: tuple[Any, ...], tree: str) -> None:
    (dlctl.root / "a.conllu").write_text(f"# sent_id = s\n# text = t\n{heads(*given)}\n")
    assert parse(dlctl, "a.conllu", "--format", "tree").out == f"s\nt\n{tree}"


def test_trees_too_deep_to_draw_name_heads(dlctl: Dlctl) -> None:
    rows = "".join(ROW.format(i, f"w{i}", i - 1, "dep") for i in range(1, 5001))
    (dlctl.root / "a.conllu").write_text(f"# sent_id = s\n# text = t\n{rows}\n")
    lines = parse(dlctl, "a.conllu", "--format", "tree").out.splitlines()
    assert lines[2] == "   1 w1    X dep <- 0"
    assert lines[-1] == "5000 w5000 X dep <- 4999"


SOUND = "# sent_id = ok\n# text = A\n1\tA\t_\tX\t_\t_\t0\troot\t_\t_\n\n"
FAULTY: dict[str, tuple[bytes, str]] = {
    "bom": (
        b"\xef\xbb\xbf" + SOUND.encode(),
        ":1: [invalid-line] a byte order mark (U+FEFF); expected UTF-8 without one",
    ),
    "crlf": (
        SOUND.replace("\n", "\r\n").encode(),
        ":1: [non-unix-newline] expected lines that end with LF, found a carriage return",
    ),
    "no-end": (
        SOUND[:-1].encode(),
        ":3: [missing-empty-line] expected an empty line after the sentence, also after the last",
    ),
    "latin": (
        SOUND.replace("A\t", "Ä\t").encode("latin-1"),
        ":3: [invalid-utf] a byte that is no UTF-8, or U+FFFD in the place of one",
    ),
    "columns": (
        (SOUND + "1\tA\n\n").encode(),
        ":5: [number-of-columns] expected 10 columns with tabs between them, found 2",
    ),
    "feats": (
        (SOUND + "1\tA\t_\tX\t_\tb=c\t0\troot\t_\t_\n\n").encode(),
        ":5: [invalid-feature] expected Name=Value, found 'b=c'",
    ),
}


@pytest.mark.parametrize("name", FAULTY)
def test_a_fault_stops_with_its_line_and_says_how_to_go_on(dlctl: Dlctl, name: str) -> None:
    content, message = FAULTY[name]
    (dlctl.root / "a b.conllu").write_bytes(content)
    error = parse(dlctl, "a b.conllu", code=3).err
    assert error == (
        f"error: a b.conllu{message}\n  all faults: dlctl parse-conllu --validate 'a b.conllu'\n"
        "  to leave out what has faults: --tolerant\n"
    )
    error = parse(dlctl, "a b.conllu", "--json", code=3).json["error"]
    assert (error["kind"], error["message"]) == ("conllu", f"a b.conllu{message}")
    rule = message.partition("]")[0]
    shown = parse(dlctl, "a b.conllu", "--validate", code=3)
    assert rule.split("[")[1] in shown.out


@pytest.mark.parametrize("name", FAULTY)
def test_tolerance_goes_on_and_tells(dlctl: Dlctl, name: str) -> None:
    content, message = FAULTY[name]
    (dlctl.root / "a.conllu").write_bytes(content)
    (dlctl.root / "b.conllu").write_text(SOUND.replace("ok", "last"))
    result = parse(dlctl, "a.conllu", "b.conllu", "--tolerant", "--json")
    assert result.err.splitlines()[0] == f"a.conllu{message}"
    assert result.err.splitlines()[-1].endswith(" passed over")
    assert result.json["faults"][0]["line"] == int(message.split(":")[1])
    # All but the sentence of a BOM and the one that is no UTF-8 can be read.
    readable = {"bom": 0, "latin": 0, "feats": 2}.get(name, 1)
    assert [each["sentences"] for each in result.json["files"]] == [readable, 1]
    # What is written can be read again, though a file ended without a blank line.
    if name != "crlf":
        out = parse(dlctl, "a.conllu", "b.conllu", "--tolerant", "--output", "c.conllu")
        assert out.err.endswith(" written to c.conllu\n")
        assert parse(dlctl, "c.conllu", "--format", "text", "--tolerant").out == "A\n" * (readable + 1)


def test_an_empty_file_is_no_fault(dlctl: Dlctl) -> None:
    (dlctl.root / "a.conllu").touch()
    assert parse(dlctl, "a.conllu").out == (
        "a.conllu\n\nsentences         0\ntokens            0\nwords             0\n"
        "multiword tokens  0\nempty nodes       0\n"
    )
    assert parse(dlctl, "a.conllu", "--validate") == Result(0, "", "no fault in 1 file\n")
    for form, whole in {
        "tree": "",
        "table": "",
        "conllu": "",
        "text": "",
        "jsonl": "",
        "json": '{"schema_version": 1, "sentences": []}\n',
        "csv": "file,line,sent_id,id,form,lemma,upos,xpos,feats,head,deprel,deps,misc\n",
    }.items():
        assert parse(dlctl, "a.conllu", "--format", form).out == whole


def test_a_line_of_a_megabyte_is_a_line(dlctl: Dlctl) -> None:
    form = "x" * 1_000_000
    (dlctl.root / "a.conllu").write_text(f"# sent_id = s\n{ROW.format(1, form, 0, 'root')}\n")
    assert parse(dlctl, "a.conllu", "--format", "text").out == f"{form}\n"
    assert parse(dlctl, "a.conllu", "--format", "tree").out == f"s\n{form}\n─ 1 {form} X root\n"


def test_validation_tells_all_faults_by_line(bank: Dlctl) -> None:
    (bank.root / "b.conllu").write_text(SOUND + "1\tA\n\n2\tB\t_\tX\t_\t_\t0\troot\t_\t_\n# late\n\n")
    faults = (
        "b.conllu:5: [number-of-columns] expected 10 columns with tabs between them, found 2\n"
        "b.conllu:8: [misplaced-comment] a comment after the first row; comments stand before the rows\n"
    )
    result = parse(bank, "--validate", "--level", "1", "a.conllu", "b.conllu", code=3)
    assert result == Result(3, faults, "2 faults in 2 files\n")
    whole = parse(bank, "--validate", "--level", "1", "b.conllu", "--json", code=3).json
    assert (whole["schema_version"], whole["level"], whole["files"]) == (1, 1, 1)
    assert whole["faults"][0] == {
        "file": "b.conllu",
        "line": 5,
        "column": None,
        "rule": "number-of-columns",
        "message": "expected 10 columns with tabs between them, found 2",
        "warning": False,
    }
    assert parse(bank, "--validate", str(SAMPLE)).err == "no fault in 3 files\n"


def test_names_are_unique_in_a_treebank_of_several_files_only(dlctl: Dlctl) -> None:
    for name in ("x-ud-train", "x-ud-dev", "y-ud-dev"):
        (dlctl.root / f"{name}.conllu").write_text(SOUND)
    (dlctl.root / "z.conllu").write_text(SOUND)
    for jobs in ("1", "2"):
        result = parse(dlctl, "--validate", ".", "--jobs", jobs, code=3)
        assert result.out.count("\n") == 1
        assert result.out.startswith("x-ud-train.conllu:3: [non-unique-sent-id] ")
        # Whatever is named between them.
        files = ("x-ud-train.conllu", "y-ud-dev.conllu", "x-ud-dev.conllu")
        result = parse(dlctl, "--validate", *files, "--jobs", jobs, code=3)
        assert result.out.startswith("x-ud-dev.conllu:3: [non-unique-sent-id] ")
        assert result.out.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "no treebank is named\n  name .conllu files, folders, or - for standard input"),
        ("a.conllu --format jsn", "there is no format 'jsn'\n  did you mean --format json?"),
        ("a.conllu --level 1", "--level goes with --validate"),
        ("a.conllu --validate --level 3", "there is no level '3' of rules\n  --level 1 or 2"),
        ("a.conllu --validate --limit 3", f"{ALL_FAULTS}\n  only --level, --jobs and --json go with it"),
        ("a.conllu --output x", f"what is to be written to x?\n  --format {FORMATS}"),
        ("a.conllu --output a.conllu", f"a.conllu is {OVERWRITTEN}"),
        (". --format text --output link", f"link is {OVERWRITTEN}"),
        (
            "a.conllu --output a.conllu.zip",
            "zip archives are read and not written\n  a name with .gz, .xz, .bz2",
        ),
    ],
)
def test_nonsense_is_refused_before_the_work(bank: Dlctl, words: str, message: str) -> None:
    (bank.root / "link").symlink_to("a.conllu")
    assert parse(bank, *words.split(), code=2).err == f"error: {message}\n"
    assert (bank.root / "a.conllu").read_text(encoding="utf-8") == TEXT


def test_what_is_read_is_not_added_to(bank: Dlctl) -> None:
    command = [sys.executable, "-m", "dlctl", "parse-conllu", "a.conllu", "--format", "conllu"]
    with (bank.root / "a.conllu").open("ab") as end:
        done = subprocess.run(
            command, cwd=bank.root, stdout=end, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (2, f"error: the file that stdout goes to is {OVERWRITTEN}\n")
    assert (bank.root / "a.conllu").read_text(encoding="utf-8") == TEXT


def test_json_is_of_the_summary_or_of_the_faults(bank: Dlctl) -> None:
    error = parse(bank, "a.conllu", "--json", "--format", "csv", code=2).json["error"]
    assert (error["message"], error["hint"]) == (
        "--json is the summary or the faults",
        "the sentences: --format json",
    )


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("no.conllu", 4, "no such file: no.conllu"),
        ("cut.conlu.gz", 4, "no such file: cut.conlu.gz\n  did you mean cut.conllu.gz?"),
        ("none", 4, "no .conllu file in none\n  packed ones end in .conllu.gz and the like"),
        ("cut.conllu.gz", 4, CUT),
        ("cut.conllu.gz --validate", 4, CUT),
        ("a.conllu --format text --output none", 3, f"cannot write none: is a directory\n{ANOTHER}"),
        ("a.conllu --output a.conllu/b.csv", 3, f"cannot write a.conllu/b.csv: not a directory\n{ANOTHER}"),
        ("a.conllu --format csv --output /dev/fd/99", 3, f"cannot write /dev/fd/99: {NONE}\n{ANOTHER}"),
        ("a.conllu --output /proc/b.csv", 3, f"cannot write /proc/b.csv: {NONE}\n{ANOTHER}"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_or_written_is_told(bank: Dlctl, words: str, code: int, message: str) -> None:
    (bank.root / "none").mkdir()
    (bank.root / "cut.conllu.gz").write_bytes(gzip.compress(TEXT.encode() * 99)[:-20])
    assert parse(bank, *words.split(), code=code).err == f"error: {message}\n"


@pytest.mark.parametrize("form", ["csv", "table", "parquet", "jsonl"])
@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("\t0\troot\t0:root\t_", "\tx\troot\t0:root\t_", "invalid-head"),
        ("VerbForm=Inf", "VerbForm", "invalid-feature"),
        ("5:conj", "conj", "invalid-deps"),
    ],
)
def test_a_cell_that_cannot_be_read_is_told_whatever_comes_of_it(
    bank: Dlctl, form: str, old: str, new: str, fault: str
) -> None:
    assert TEXT.count(old) == 1
    (bank.root / "b.conllu").write_text(TEXT.replace(old, new), encoding="utf-8")
    line = TEXT[: TEXT.index(old)].count("\n") + 1
    error = parse(bank, "b.conllu", "--format", form, "--output", "out", code=3).err
    assert error.startswith(f"error: b.conllu:{line}: [{fault}] ")
    assert error.endswith("  to leave out what has faults: --tolerant\n")
    assert not (bank.root / "out").exists()
    told = parse(bank, "b.conllu", "--format", form, "--output", "out", "--tolerant").err
    assert told.splitlines()[0].startswith(f"b.conllu:{line}: [{fault}] ")
    assert told.splitlines()[1:] == ["1 fault passed over", "2 sentences written to out"]
    if form == "csv":
        (row,) = [
            row for row in csv.reader((bank.root / "out").open()) if old.split("\t")[-1] and row[3] == "5"
        ]
        assert row[9] == ("" if fault == "invalid-head" else "0")
        assert row[8] == ("" if fault == "invalid-feature" else "VerbForm=Inf")


def test_a_table_that_is_not_finished_says_nothing_at_its_end(bank: Dlctl) -> None:
    (bank.root / "b.conllu").write_text(SOUND + SOUND.replace("\t0\troot", "\tx\troot"))
    _, err = bank.start("parse-conllu", "b.conllu", "--output", "out.parquet").communicate(timeout=60)
    assert err.startswith("error: b.conllu:7: [invalid-head] ")
    assert err.count("\n") == 3


def test_streams_that_are_files_are_gone_on_with(bank: Dlctl) -> None:
    command = [sys.executable, "-m", "dlctl", "parse-conllu", "a.conllu", "--limit", "1", "--format", "text"]
    script = '(echo a; "$@" --output /dev/stdout; echo b) >out; "$@" --output /dev/fd/3 3>>out >/dev/null'
    subprocess.run(["bash", "-c", script, "bash", *command], cwd=bank.root, check=True)
    assert (bank.root / "out").read_text() == "a\nHe don't, go\nb\nHe don't, go\n"


def test_an_output_is_whole_or_not_there(bank: Dlctl) -> None:
    (bank.root / "b.conllu").write_text("1\tA\n\n")
    (bank.root / "out.jsonl").write_text("before")
    parse(bank, "a.conllu", "b.conllu", "--output", "out.jsonl", code=3)
    assert (bank.root / "out.jsonl").read_text() == "before"
    error = parse(bank, "a.conllu", "b.conllu", "--format", "json", code=3)
    assert error.json["error"]["kind"] == "conllu"
    assert sorted(each.name for each in bank.root.iterdir()) == [
        ".project-root", "a.conllu", "b.conllu", "out.jsonl",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("end", "opened"), [("gz", gzip.decompress), ("xz", lzma.decompress), ("bz2", bz2.decompress)]
)
def test_an_output_is_packed_if_its_name_says_so(
    bank: Dlctl, end: str, opened: Callable[[bytes], bytes]
) -> None:
    parse(bank, "a.conllu", "--output", f"new/a.conllu.{end}")
    assert opened((bank.root / f"new/a.conllu.{end}").read_bytes()).decode() == TEXT


def test_an_output_that_is_no_file_is_written_to(bank: Dlctl) -> None:
    os.mkfifo(bank.root / "pipe")
    reader = subprocess.Popen(["cat", "pipe"], cwd=bank.root, stdout=subprocess.PIPE, text=True)
    parse(bank, "a.conllu", "--format", "conllu", "--output", "pipe")
    assert reader.communicate()[0] == TEXT
    assert (bank.root / "pipe").is_fifo()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("words", ["", "--json", "--format json", "--format csv"])
def test_a_full_disk_is_told(bank: Dlctl, words: str) -> None:
    command = [sys.executable, "-m", "dlctl", "parse-conllu", "a.conllu", *words.split()]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, cwd=bank.root, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (
        1,
        "error: cannot write what was found: No space left on device\n",
    )


def test_closed_streams_are_nobody_who_listens(bank: Dlctl) -> None:
    command = [sys.executable, "-m", "dlctl", "parse-conllu", "a.conllu"]
    script = '"$@" >&-; echo $?; "$@" --output a.csv 2>&-; echo $?'
    done = subprocess.run(
        ["bash", "-c", script, "bash", *command], cwd=bank.root, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("0\n0\n", "")
    assert (bank.root / "a.csv").exists()


def test_archives_and_standard_input(bank: Dlctl) -> None:
    with zipfile.ZipFile(bank.root / "all.zip", "w") as archive:
        archive.writestr("x/a.conllu", TEXT)
        archive.writestr("x/b.conllu", "1\tA\n\n")
    error = parse(bank, "all.zip", "--format", "text", code=3)
    assert error.out == 'He don\'t, go\n日本_ "a, b"\n'
    assert error.err.startswith("error: all.zip/x/b.conllu:1: [number-of-columns] ")
    assert "--validate all.zip\n" in error.err
    command = [sys.executable, "-m", "dlctl", "parse-conllu", "-", "--jobs", "2"]
    with (bank.root / "a.conllu").open("rb") as stream:
        done = subprocess.run(command, stdin=stream, cwd=bank.root, capture_output=True, check=True)
    assert done.stdout.decode() == SUMMARY.replace("a.conllu", "<stdin>", 1)
    closed = subprocess.run(
        ["bash", "-c", '"$@" <&-', "bash", *command], cwd=bank.root, capture_output=True, check=False
    )
    assert closed.stderr.decode() == "error: cannot read standard input: it is closed\n"
    assert closed.returncode == 4
    done = subprocess.run(
        [*command, "--format", "text"], input=b"1\tA\n\n", cwd=bank.root, capture_output=True, check=False
    )
    assert done.returncode == 3
    assert done.stderr.decode().splitlines()[:2] == [
        "error: <stdin>:1: [number-of-columns] expected 10 columns with tabs between them, found 2",
        "  all faults: dlctl parse-conllu --validate -",
    ]


@pytest.mark.parametrize(
    "words", [(), ("--json",), ("--format", "jsonl"), ("--format", "json"), ("--format", "tree")]
)
def test_several_processes_say_what_one_says(bank: Dlctl, words: tuple[str, ...]) -> None:
    for number in range(7):
        (bank.root / f"b{number}.conllu").write_text(TEXT.replace("s1", f"s1-{number}"), encoding="utf-8")
    one = parse(bank, str(SAMPLE), ".", *words)
    assert parse(bank, str(SAMPLE), ".", "--jobs", "3", *words) == one
    (bank.root / "b3.conllu").write_text("1\tA\n\n")
    one = parse(bank, ".", *words, code=3)
    assert parse(bank, ".", "--jobs", "3", *words, code=3) == one
    tolerant = parse(bank, ".", *words, "--tolerant")
    assert parse(bank, ".", "--jobs", "3", *words, "--tolerant") == tolerant


@pytest.fixture
def large(bank: Dlctl) -> Dlctl:
    """A folder of treebanks that keeps a command busy for seconds."""
    (bank.root / "large").mkdir()
    content = (SAMPLE / "train.conllu").read_bytes() * 30
    for number in range(4):
        (bank.root / f"large/{number}.conllu").write_bytes(content)
    return bank


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_signals_stop_at_once_and_leave_nothing(large: Dlctl, jobs: int, signum: int) -> None:
    words = ("parse-conllu", "large", "--output", "out.json", "--jobs", str(jobs))
    process = large.start(*words, start_new_session=True)
    children: list[psutil.Process] = []
    began = time.monotonic()
    while not list(large.root.glob(".out.json*")) or len(children) < (jobs if jobs > 1 else 0):
        children = psutil.Process(process.pid).children()
        assert time.monotonic() - began < 30
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    # As ^C does: to all at once.
    os.killpg(process.pid, signum)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (128 + signum, "", "")
    psutil.wait_procs(children, timeout=10)
    assert not [child for child in children if child.is_running() and child.status() != "zombie"]
    assert not list(large.root.glob("*out.json*"))


@pytest.mark.parametrize("answering", [False, True])
def test_a_process_that_dies_is_told(large: Dlctl, answering: bool) -> None:
    if answering:
        for number in range(40):
            (large.root / f"large/{number}.conllu").write_bytes((SAMPLE / "train.conllu").read_bytes())
    process = large.start("parse-conllu", "large", "--format", "tree", "--output", "out", "--jobs", "2")
    while len(children := psutil.Process(process.pid).children()) < 2:
        time.sleep(0.01)
    if answering:
        busy = [-1.0, 0.0]
        while busy[-1] != busy[-2]:
            time.sleep(0.5)
            # When nobody reads any more, they come to a stand in what a pipe cannot hold of an answer.
            process.send_signal(signal.SIGSTOP)
            busy.append(sum(child.cpu_times().user for child in children))
    for child in children if answering else children[:1]:
        child.kill()
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=60)
    assert err == "error: a process that read treebanks died\n  was there memory for so many? --jobs 1\n"
    assert process.returncode == 1
    assert not list(large.root.glob("*out*"))


@pytest.mark.parametrize(
    "words",
    ["", "--format tree", "--format csv --jobs 2", "--format conllu", "--validate", "--validate --json"],
)
def test_who_has_seen_enough_may_go(large: Dlctl, words: str) -> None:
    for number in range(1, 4):
        (large.root / f"large/{number}.conllu").write_bytes((SAMPLE / "train.conllu").read_bytes() * 4)
    # More than a pipe holds.
    (large.root / "large/0.conllu").write_text("1\tA\n\n" * 2000)
    tolerant = "" if "--validate" in words else "--tolerant"
    command = (
        f"'{sys.executable}' -m dlctl parse-conllu large {words} {tolerant} 2>err | head -n 1 >/dev/null"
    )
    script = f"{command}; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], cwd=large.root, capture_output=True, text=True, check=True)
    # What is wrong is told by the exit code all the same.
    assert done.stdout == ("3\n" if "--validate" in words else "0\n")
    assert "Traceback" not in (large.root / "err").read_text()
    assert "error" not in (large.root / "err").read_text()


def test_processes_are_sent_away_in_the_middle_of_an_answer(large: Dlctl) -> None:
    for number in range(6):
        (large.root / f"large/{number}.conllu").write_bytes((SAMPLE / "train.conllu").read_bytes() * 8)
    command = f"'{sys.executable}' -m dlctl parse-conllu large --format csv --jobs 2"
    for _ in range(8):  # one in four of these never ended
        script = f"{command} | head -n 1 >/dev/null; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(
            ["bash", "-c", script], cwd=large.root, capture_output=True, text=True, timeout=60, check=True
        )
        assert (done.stdout, done.stderr) == ("0\n", "")


def at_a_terminal(root: Path, *words: str, columns: int, plain: bool = True) -> tuple[int, str]:
    """The exit code of a command and all that a pseudo-terminal was sent."""
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    env |= {"TERM": "xterm-256color"} | ({"NO_COLOR": "1"} if plain else {})
    command = ["-m", "dlctl", "parse-conllu", *words]
    child: Any = pexpect.spawn(
        sys.executable, command, cwd=str(root), env=env, encoding="utf-8", timeout=60,
        dimensions=(40, columns),
    )  # fmt: skip
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus, child.before.replace("\r\n", "\n")


def without_styles(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_trees_at_a_terminal_are_in_colours_unless_told_otherwise(bank: Dlctl) -> None:
    code, shown = at_a_terminal(bank.root, "a.conllu", "--format", "tree", columns=80)
    assert (code, without_styles(shown)) == (0, TREES)
    assert "\x1b[3" not in shown
    code, colours = at_a_terminal(bank.root, "a.conllu", "--format", "tree", columns=80, plain=False)
    assert without_styles(colours) == TREES
    assert "\x1b[36mroot" in colours


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_nothing_is_wider_than_the_terminal(bank: Dlctl, columns: int) -> None:
    rows = "".join(ROW.format(i, "日" * 60 if i % 2 else "long" * 30, i - 1, "dep") for i in range(1, 20))
    with (bank.root / "a.conllu").open("a", encoding="utf-8") as stream:
        stream.write(f"# sent_id = deep\n# text = t\n{rows}\n")
    for words in (["a.conllu", "--format", "tree"], ["a.conllu"], [str(SAMPLE / "dev.conllu"), "a.conllu"]):
        code, shown = at_a_terminal(bank.root, *words, columns=columns)
        assert code == 0
        assert max(map(cell_len, without_styles(shown).splitlines())) <= max(columns, 70)
    assert "…" in at_a_terminal(bank.root, "a.conllu", "--format", "tree", columns=columns)[1]


def test_a_table_puts_below_what_a_terminal_has_no_room_for(bank: Dlctl) -> None:
    words = ("a.conllu", "--format", "table", "--limit", "1")
    assert without_styles(at_a_terminal(bank.root, *words, columns=110)[1]) == TABLE
    assert (
        without_styles(at_a_terminal(bank.root, *words, columns=60)[1])
        == """\
s1
He don't, go
id   form   lemma  upos   xpos  head  deprel
1    He     he     PRON   PRP      5  nsubj
     Case=Nom|Number=Sing  5:nsubj|5.1:nsubj
2-3  don't  _      _      _        _  _
     SpaceAfter=No
2    do     do     AUX    VBP      5  aux
     5:aux  Gloss=a=b|Loose
3    n't    not    PART   RB       5  advmod
     5:advmod  X=1|Y|X=2
4    ,      ,      PUNCT  ,        5  punct
     5:punct
5    go     go     VERB   VB       0  root
     VerbForm=Inf  0:root
5.1  go     go     VERB   VB       _  _
     5:conj
"""
    )


def test_what_would_steer_a_terminal_is_shown(dlctl: Dlctl) -> None:
    (dlctl.root / "a.conllu").write_text(
        "# sent_id = \x1b[2J\n" + ROW.format(1, "\x1b[31m\u202e", 0, "x") + "\n"
    )
    shown = parse(dlctl, "a.conllu", "--format", "tree").out
    assert shown == "\\x1b[2J\n\\x1b[31m\\u202e\n─ 1 \\x1b[31m\\u202e X x\n"


def test_parquet_is_nothing_to_look_at(bank: Dlctl) -> None:
    pytest.importorskip("pyarrow")
    code, shown = at_a_terminal(bank.root, "a.conllu", "--format", "parquet", columns=80)
    assert (code, without_styles(shown)) == (
        2,
        "error: Parquet is nothing to look at\n  --output FILE.parquet\n",
    )


def test_long_work_has_a_bar_at_a_terminal_and_nowhere_else(large: Dlctl) -> None:
    words = ("large/0.conllu", "--format", "tree", "--output", "out.txt")
    code, shown = at_a_terminal(large.root, *words, columns=80)
    assert code == 0
    assert "reading" in shown
    # It is gone at the end.
    assert without_styles(shown.rpartition("\x1b[2K")[2]).strip() == "13200 sentences written to out.txt"
    piped = large.process("parse-conllu", *words)
    assert (piped.out, piped.err) == ("", "13200 sentences written to out.txt\n")
    assert "reading" not in at_a_terminal(large.root, "a.conllu", columns=80)[1]


def test_completion_offers_formats_and_levels(dlctl: Dlctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_DLCTL_COMPLETE", "complete_fish")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")

    def offers(line: str) -> list[str]:
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
        return [each.partition("\t")[0] for each in dlctl().out.splitlines()]

    formats = ["table", "tree", "conllu", "json", "jsonl", "csv", "parquet", "text"]
    assert offers("dlctl parse-conllu --format ") == formats
    assert offers("dlctl parse-conllu a.conllu --format j") == ["json", "jsonl"]
    assert offers("dlctl parse-conllu --validate --level ") == ["1", "2"]
    assert "--tolerant" in offers("dlctl parse-conllu a.conllu --")


@needs_data
def test_real_treebanks_are_counted_right_and_given_back(dlctl: Dlctl) -> None:
    folder = Path(os.environ["DLCTL_TEST_DATA"]) / "ud"
    for file in sorted(folder.glob("*.conllu*")):
        content = file.read_bytes()
        content = gzip.decompress(content) if file.suffix == ".gz" else content
        rows = [line.split("\t") for line in content.decode().split("\n") if line[:1].isdigit()]
        words = [row for row in rows if row[0].isdigit()]
        spans = [list(map(int, row[0].split("-"))) for row in rows if "-" in row[0]]
        found = parse(dlctl, str(file), "--json").json["total"]
        assert found["words"] == len(words)
        assert found["tokens"] == len(words) - sum(last - first for first, last in spans)
        assert found["multiword_tokens"] == len(spans)
        assert found["empty_nodes"] == sum("." in row[0] for row in rows)
        assert found["sentences"] == sum(row[0] == "1" for row in rows)
        assert found["upos"] == Counter(row[3] for row in words)
        assert found["deprel"] == Counter(row[7] for row in words)
        numbers = Counter(
            item.partition("=")[2]
            for row in words
            for item in row[5].split("|")
            if item.startswith("Number=")
        )
        assert found["feats"].get("Number", {}) == numbers
        parse(dlctl, str(file), "--output", "same.conllu")
        assert (dlctl.root / "same.conllu").read_bytes() == content


@needs_data
@pytest.mark.parametrize("columns", [80, 120])
def test_hard_sentences_are_drawn_within_the_terminal(dlctl: Dlctl, columns: int) -> None:
    file = Path(os.environ["DLCTL_TEST_DATA"]) / "ud" / "tricky.conllu"
    shutil.copy(file, dlctl.root)
    code, shown = at_a_terminal(dlctl.root, "tricky.conllu", "--format", "tree", columns=columns)
    lines = without_styles(shown).splitlines()
    assert code == 0
    assert max(map(cell_len, lines)) <= columns
    rows = [line for line in file.read_text(encoding="utf-8").split("\n") if line[:1].isdigit()]
    assert len([line for line in lines if any(sign in line for sign in "╭├╰┬┴┼")]) > 0.8 * len(rows)
