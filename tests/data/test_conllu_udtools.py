"""The rules beside udtools, which is what Universal Dependencies validates its treebanks with.

Compared are the lines and rules of all faults, in their order. Where udtools cannot go on, what it told
before must be what we tell first.
"""

import gzip
import io
import os
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from dlctl.data.conllu_rules import Treebank, validate
from tests.conftest import needs_data
from tests.data.conllu_cases import LEVEL_1, LEVEL_2, NEVER_TOLD, TREEBANK, Case, edited

udtools = pytest.importorskip("udtools")

Told = list[tuple[int, str]]
MUTATIONS, COMBINATIONS = 800, 1500
PARTS = (
    "\t", "\n", " ", "\r", "|", ":", "=", "_", "-", ".", ",", "0", "1", "9", "A", "a", "#", "\u0301",
    "\ufffd", "\xa0", "\u2028", "\x1c",
)  # fmt: skip
CELLS = (
    "_", "", "0", "1", "2", "99", "1-2", "2-1", "1.1", "0.1", "NOUN", "noun", "Typo=Yes", "A=1|B=2",
    "B=1|A=2", "A=1|A=2", "A=b", "A=B,A", "A=A,A", "SpaceAfter=No", "SpaceAfter=Yes", "NoSpaceAfter=Yes",
    "Lang=x|Lang=y", "0:root", "1:dep|2:dep", "2:dep|1:dep", "1:dep|1:acl", "1:acl|1:acl", "1:a:b:c:d",
    "root", "nsubj:pass", "Nsubj", "x:", "spaceafter=No", "a= b", "=", "|", "a b", " a", "a  b",
)  # fmt: skip
LINES = (
    "# newdoc", "# newpar", "# newdoc id = x", "# sent_id = a b", "# sent_id = a/b/c", "# sent_id = q",
    "# text =", "#text=y ", "# parallel_id = a/b", "# parallel_id = a/b/alt2", "# parallel_id = A/b",
    "", "  ", "\t", "x",
)  # fmt: skip
# What is not as udtools has it: the bytes, what we tell, and why. What udtools tells is anything else.
DIFFERENCES = {
    # The list has 37 relations. udtools adds ref, which is for DEPS only, as soon as it has seen DEPS.
    "ref is a relation of DEPS, not of DEPREL": (
        edited((("\tadvmod\t", "\tref\t"),)),
        [(6, "unknown-udeprel")],
    ),
    # An id has no zeros in front.
    "an empty node 03.1": (
        edited((("\n3.1\t", "\n03.1\t"), ("|3.1:vocative", ""))),
        [(8, "invalid-word-id")],
    ),
    # udtools tells of lines to which it cannot convert such numbers, or ends with Python's error.
    "an id of 19 digits": (
        edited((("\n5\t", f"\n{'5' * 19}\t"),)),
        [(10, "invalid-word-id")],
    ),
    "an id of 5000 digits": (
        edited((("\n5\t", f"\n{'5' * 5000}\t"),)),
        [(10, "invalid-word-id")],
    ),
    # A sentence without words is empty; udtools ends with an AssertionError after all rules or tells nothing.
    "a sentence of empty nodes": (
        b"# sent_id = 1\n# text = x\n0.1\tx\tx\tX\t_\t_\t_\t_\t0.2:dep\t_\n\n",
        [(3, "unknown-ehead"), (3, "empty-sentence")],
    ),
    # udtools looks only whether a multiword token stands too late.
    "a multiword token before its place": (
        edited((("1-2\t", "2-3\t"),)),
        [(4, "misplaced-word-interval")],
    ),
    # udtools ends with a UnicodeDecodeError before it reads a line.
    "bytes that are no UTF-8": (TREEBANK.encode().replace(b"\tdo\t", b"\td\xff\t"), [(5, "invalid-utf")]),
    # udtools ends with a JSONDecodeError: a comment may say whatever it likes.
    "a comment like json_x": (edited((("# newdoc id = d", "# json_x = {"),)), []),
    # Udapi takes a sentence of one word with this MISC for an empty one and does not look at its graph.
    "Empty=Yes": (
        b"# sent_id = 1\n# text = x\n1\tx\tx\tX\t_\t_\t0\troot\t_\tEmpty=Yes\n"
        b"1.1\tx\tx\tX\t_\t_\t_\t_\t0:root\t_\n\n",
        [(3, "unconnected-egraph")],
    ),
    # Which characters are letters depends on the version of Unicode; we let pass what ours does not know.
    "a character that is not assigned": (edited((("5:punct", "5:obl:\u0378"),)), []),
    # udtools does not know CoNLL-U Plus.
    "CoNLL-U Plus": (b"# global.columns = ID FORM\n1\tx\n\n", [(2, "missing-sent-id"), (2, "missing-text")]),
}


@pytest.fixture(scope="module")
def validators() -> dict[int, "udtools.Validator"]:
    return {level: udtools.Validator(lang="ud", level=level, output=None) for level in (1, 2)}


def theirs(validator: "udtools.Validator", *sources: bytes) -> tuple[Told, Exception | None]:
    """What udtools tells, and what it ended with."""
    from udtools.state import State

    state = State()
    # It remembers from the run before that "ref" was seen.
    validator.data.udeprel.discard("ref")
    try:
        for source in sources:
            validator.validate_file_handle(io.TextIOWrapper(io.BytesIO(source), "utf-8"), state)
    except Exception as error:
        return [(each.lineno, each.testid) for each in state.error_tracker], error
    return [(each.lineno, each.testid) for each in state.error_tracker], None


def ours(*sources: bytes, level: int = 2) -> Told:
    treebank = Treebank()
    return [
        (fault.line, fault.rule) for source in sources for fault in validate(source, level, treebank=treebank)
    ]


def same(validator: "udtools.Validator", *sources: bytes) -> bool:
    told, error = theirs(validator, *sources)
    found = ours(*sources, level=validator.level)
    return found[: len(told)] == told if error else found == told


def name(each: Case) -> str:
    return each.rule


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("each", LEVEL_1 + LEVEL_2, ids=name)
def test_pairs_that_break_a_rule_and_just_do_not(
    each: Case, level: int, validators: dict[int, "udtools.Validator"]
) -> None:
    for data in (edited(each.breaks), edited(each.holds)):
        assert theirs(validators[level], data) == (ours(data, level=level), None)


def test_there_is_a_pair_for_every_rule_of_udtools() -> None:
    folder = Path(udtools.__file__).parent
    source = (folder / "level1.py").read_text() + (folder / "level2.py").read_text()
    rules = set(re.findall(r"testid='([a-z0-9-]+)'", source))
    assert {each.rule for each in LEVEL_1 + LEVEL_2} == rules - NEVER_TOLD


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_differences(difference: str, validators: dict[int, "udtools.Validator"]) -> None:
    data, expected = DIFFERENCES[difference]
    told, error = theirs(validators[2], data)
    assert ours(data)[: len(expected)] == expected
    assert error is not None or told != ours(data)


def test_a_treebank_of_several_files(validators: dict[int, "udtools.Validator"]) -> None:
    glued = edited((("Gloss=Ann", "SpaceAfter=No"), ("\n\n# sent_id = s2\n# text = Go\n", "\n\n# newpar\n")))
    without = edited((("\t0:root\t_\n\n", "\t_\t_\n\n"),))
    for sources in ((glued, without), (without, glued, glued), (TREEBANK.encode(), TREEBANK.encode())):
        assert ours(*sources)
        assert theirs(validators[2], *sources) == (ours(*sources), None)


def test_edits_that_meet_in_treebanks_of_several_files(validators: dict[int, "udtools.Validator"]) -> None:
    rng = random.Random(20260102)
    pairs = [edit for each in LEVEL_1 + LEVEL_2 for edit in each.breaks + each.holds if edit[0] != "\n"]
    seen: Counter[str] = Counter()
    differences = []
    for number in range(COMBINATIONS):
        sources = []
        for _ in range(rng.randint(1, 3)):
            text = TREEBANK if rng.random() < 0.8 else TREEBANK.replace("= s", "= r")
            for old, new in rng.choices(pairs, k=3):
                text = text.replace(old, new, 1)
            sources.append(text.encode())
        seen.update({rule for _, rule in ours(*sources)})
        differences += [number] if not same(validators[2], *sources) else []
    assert differences == []
    assert len(seen) > 70


def treebank(file: str) -> bytes:
    data = Path(os.environ["DLCTL_TEST_DATA"], "ud", file).read_bytes()
    return gzip.decompress(data) if file.endswith(".gz") else data


@needs_data
@pytest.mark.parametrize(
    "file",
    [
        "en_ewt-ud-dev.conllu.gz",
        "en_ewt-ud-test.conllu.gz",
        "en_pronouns-ud-test.conllu",
        "tricky.conllu",
        pytest.param("en_ewt-ud-train.conllu.gz", marks=pytest.mark.slow),
    ],
)
def test_real_treebanks(file: str, validators: dict[int, "udtools.Validator"]) -> None:
    data = treebank(file)
    crlf, unnamed = data.replace(b"\n", b"\r\n"), re.sub(rb"# sent_id.*\n", b"", data)
    for changed in (data,) if len(data) > 500_000 else (data, crlf, unnamed):
        for level in (1, 2):
            assert theirs(validators[level], changed) == (ours(changed, level=level), None)


@needs_data
def test_mutations_of_real_sentences(validators: dict[int, "udtools.Validator"]) -> None:
    files = ("tricky.conllu", "en_pronouns-ud-test.conllu", "en_ewt-ud-dev.conllu.gz")
    sentences = [
        each for file in files for each in treebank(file).decode().split("\n\n") if 2 < len(each) < 4000
    ]
    rng = random.Random(20260101)
    seen: Counter[str] = Counter()
    differences = []
    for number in range(MUTATIONS):
        text = "\n\n".join(mutated(rng, rng.choice(sentences)) for _ in range(rng.randint(1, 3)))
        data = (text + rng.choice(("\n\n", "\n\n", "\n\n", "\n", "", "\n\n\n"))).encode()
        seen.update({rule for _, rule in ours(data)})
        differences += [(number, level) for level in (1, 2) if not same(validators[level], data)]
    assert differences == []
    # Or the mutations would mean little.
    assert len(seen) > 45


def mutated(rng: random.Random, text: str) -> str:
    """A sentence with up to three changes: of characters, of cells or of lines."""
    for _ in range(rng.randint(0, 3)):
        text = rng.choice((_character, _cell, _cell, _line))(rng, text)
    return text


def _character(rng: random.Random, text: str) -> str:
    at = rng.randrange(max(1, len(text) - 1))
    one, two = text[at : at + 1], text[at + 1 : at + 2]
    return (
        text[:at]
        + rng.choice(("", two + one, one + one + two, rng.choice(PARTS) + one + two))
        + text[at + 2 :]
    )


def _cell(rng: random.Random, text: str) -> str:
    lines = text.split("\n")
    rows = [at for at, line in enumerate(lines) if line.count("\t") == 9]
    if not rows:
        return text
    at, column, other = rng.choice(rows), rng.randrange(10), rng.randrange(10)
    cells = lines[at].split("\t")
    elsewhere = lines[rng.choice(rows)].split("\t")[column]
    if rng.random() < 0.3:
        cells[column], cells[other] = cells[other], cells[column]
    else:
        cells[column] = rng.choice((elsewhere, rng.choice(CELLS)))
    lines[at] = "\t".join(cells)
    return "\n".join(lines)


def _line(rng: random.Random, text: str) -> str:
    lines = text.split("\n")
    one, two = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(4)
    if kind == 0:
        lines[one], lines[two] = lines[two], lines[one]
    elif kind == 1:
        lines.insert(two, lines[one])
    elif kind == 2:
        del lines[one]
    else:
        lines.insert(two, rng.choice(LINES))
    return "\n".join(lines)
