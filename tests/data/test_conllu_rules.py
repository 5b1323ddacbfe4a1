import io
import random
import tracemalloc
from itertools import islice
from pathlib import Path

import pytest

from dlctl.data.conllu_rules import Treebank, validate
from dlctl.errors import Diagnostic, NotFoundError
from tests.data.conllu_cases import LEVEL_1, LEVEL_2, TREEBANK, Case, edited

WARNINGS = {"empty-misc", "empty-misc-key", "misc-attr-typo"}


def told(data: bytes, level: int = 2, treebank: Treebank | None = None) -> str:
    return " ".join(f"{fault.line} {fault.rule}" for fault in validate(data, level, treebank=treebank))


def name(each: Case) -> str:
    return each.rule


def test_what_breaks_no_rule_passes() -> None:
    assert told(TREEBANK.encode()) == ""
    assert told(b"") == ""


@pytest.mark.parametrize("each", LEVEL_1 + LEVEL_2, ids=name)
def test_a_rule_is_broken_and_one_that_is_just_not(each: Case) -> None:
    assert each.rule in each.expected
    assert told(edited(each.breaks)) == each.expected
    assert told(edited(each.holds)) == ""


@pytest.mark.parametrize("each", LEVEL_1, ids=name)
def test_level_1_tells_of_bytes_lines_columns_and_ids(each: Case) -> None:
    assert told(edited(each.breaks), 1) == each.expected


@pytest.mark.parametrize("each", LEVEL_2, ids=name)
def test_level_1_does_not_look_at_the_annotation(each: Case) -> None:
    assert told(edited(each.breaks), 1) in ("", "6 empty-column")


@pytest.mark.parametrize("each", LEVEL_1 + LEVEL_2, ids=name)
def test_only_what_may_be_meant_is_a_warning(each: Case) -> None:
    assert all(
        fault.warning == (fault.rule in WARNINGS) and fault.message for fault in validate(edited(each.breaks))
    )


def test_a_fault_says_where_it_is_and_what_was_expected(tmp_path: Path) -> None:
    path = tmp_path / "x.conllu"
    path.write_bytes(edited((("\tAUX\t", "\tAux\t"), ("t go", "t  Go"))))
    assert list(validate(path)) == [
        Diagnostic(
            str(path), 5, "UPOS", "unknown-upos", "expected one of the 17 tags like NOUN, found 'Aux'"
        ),
        Diagnostic(
            str(path),
            7,
            "FORM",
            "text-form-mismatch",
            "expected the text to go on with 'go', found 'Go, Ann'",
        ),
        Diagnostic(
            str(path), 4, None, "text-extra-chars", "the text goes on after the last token: 'Go, Ann'"
        ),
    ]


def test_files_of_one_treebank_share_names_graphs_and_paragraphs() -> None:
    treebank = Treebank()
    glued = edited(
        ((TREEBANK[: TREEBANK.index("# sent_id = s2")], ""), ("0:root\t_", "0:root\tSpaceAfter=No"))
    )
    assert told(glued, treebank=treebank) == ""
    other = edited(((TREEBANK[: TREEBANK.index("# sent_id = s2")], "# newdoc\n"), ("0:root", "_")))
    expected = "4 edeps-only-sometimes 4 non-unique-sent-id 4 spaceafter-newdocpar"
    assert told(other, treebank=treebank) == expected
    assert told(other) == ""


def test_bytes_that_are_no_text_are_faults_of_their_lines() -> None:
    data = edited((("\tdo\t", "\td@\t"),)).replace(b"@", b"\xff")
    assert told(data) == told(data, 1) == "5 invalid-utf"
    assert told(b"\xff\xfe" + TREEBANK.encode("utf-16-le")[:40], 1).startswith("1 invalid-utf 1 invalid-line")
    assert told(b"\x1f\x8bno gzip") == "1 unreadable"


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        list(validate(tmp_path / "x.conllu"))
    (tmp_path / "x.gz").write_bytes(b"\x1f\x8bno gzip")
    with pytest.raises(NotFoundError, match="cannot read"):
        list(validate(tmp_path / "x.gz"))


def test_columns_of_conllu_plus_are_those_of_its_first_line() -> None:
    rows = "# global.columns = ID FORM MISC UPOS A:B\n# sent_id = 1\n# text = ab\n"
    rows += "1\ta\tSpaceAfter=No\tNOUN\t*\n2\tb\t_\tX\tc\n\n"
    assert told(rows.encode()) == ""
    assert told(rows.replace("X\tc", "x\t").encode()) == "5 empty-column 5 unknown-upos"
    assert told(rows.replace("X\tc", "X").encode()) == "5 number-of-columns"
    assert told(rows.replace("A:B", "A:b").encode()) == "1 global-columns"
    assert told(rows.replace("A:B", "FORM").encode()) == "1 global-columns"
    ten = "# global.columns = ID FORM LEMMA UPOS XPOS FEATS HEAD DEPREL DEPS MISC"
    assert told((ten + "\n" + TREEBANK).encode()) == ""
    cells = f"{ten} PARSEME:MWE\n" + TREEBANK.replace("\t_\n", "\t_\t*\n").replace("Sing", "Sing,Dual")
    cells = cells.replace("SpaceAfter=No\n", "SpaceAfter=No\t1:x\n").replace("Gloss=Ann\n", "*\t_\n")
    assert told(cells.encode()) == "11 unsorted-feature-values"


def test_a_line_of_a_megabyte_and_a_sentence_without_end_are_read() -> None:
    row = TREEBANK.split("\n")[13]
    long = row.replace("\tGo\t", f"\t{'Go' * 500_000}\t")
    assert (
        told(f"# sent_id = 1\n# text = Go\n{long}\n\n".encode()) == "3 text-form-mismatch 3 text-extra-chars"
    )
    words = "".join(f"{n}\tGo\tgo\tX\t_\t_\t{n - 1}\tdep\t_\t_\n" for n in range(1, 50_001))
    assert told(f"# sent_id = 1\n# text = {'Go ' * 49_999}Go\n{words}\n".encode()) == ""


def test_no_bytes_raise() -> None:
    parts = [TREEBANK.encode(), *TREEBANK.encode().split(b"\t"), *(bytes([each]) for each in range(256))]
    parts += [
        b"\n\n",
        b"\r\n",
        b"\xe2\x80\xa8",
        b"\xcc\x81",
        b"9" * 5000,
        b"1-2\t",
        b"1.1\t",
        b"0:root",
        b"# sent_id = ",
    ]
    parts += [b"# parallel_id = a/b/alt", b"# global.columns = ", b"ID", b"HEAD ", b"\xef\xbb\xbf"]
    for seed in range(1000):
        rng = random.Random(seed)
        data = b"".join(rng.choice(parts) for _ in range(rng.randrange(60)))
        lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n") + 1
        for level in (1, 2):
            assert all(1 <= fault.line <= lines for fault in validate(data, level))


def test_memory_does_not_grow_with_the_file() -> None:
    class Endless(io.RawIOBase):
        number = 0

        def read(self, size: int = -1) -> bytes:
            self.number += 1
            return TREEBANK.replace("= s", f"= {self.number}-").encode() * min(size // 600, 200)

    tracemalloc.start()
    assert {fault.rule for fault in islice(validate(Endless()), 6_000)} == {"non-unique-sent-id"}
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
