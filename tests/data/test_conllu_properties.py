"""What holds for every treebank, and for everything that is none."""

import copy
import io
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import dlctl
from dlctl.data.conllu_ids import in_order
from dlctl.data.conllu_parser import (
    ConlluError,
    Diagnostic,
    Empty,
    Sentence,
    Span,
    Token,
    columns,
    load,
    read,
)
from dlctl.data.conllu_parts import check_reading
from dlctl.errors import NotFoundError

settings.register_profile(
    "here", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.load_profile("here")
# What checking tells of and reading does not.
HARMLESS = {
    "invalid-whitespace", "invalid-whitespace-mwt", "leading-whitespace", "repeated-whitespace",
    "trailing-whitespace", "unicode-normalization",
}  # fmt: skip
SAMPLE = Path(dlctl.__file__).parent / "data/english_mini"

# Half of a surrogate pair is no text, and U+FFFD is what stands for bytes that are none.
characters = st.characters(exclude_categories=("Cs",), exclude_characters="\t\n\r\ufffd")
texts = st.text(characters, min_size=1, max_size=8)
names = st.from_regex(r"[A-Z][A-Za-z0-9]{0,3}(\[[a-z]{1,3}\])?", fullmatch=True)
values = st.from_regex(r"[A-Z0-9][A-Za-z0-9]{0,3}(,[A-Z0-9][a-z]{0,2})?", fullmatch=True)
feats = st.dictionaries(names, values, max_size=3)
items = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\t\n\r\ufffd|="), max_size=4)
misc = st.dictionaries(
    items.filter(lambda key: key not in ("", "_")),
    st.none() | items | st.lists(items, min_size=2, max_size=3),
)
relations = st.from_regex(r"[a-z]{1,5}(:[a-z]{1,4})?", fullmatch=True)
comments = st.text(characters, max_size=12).map("#{}".format)


@st.composite
def sentences(draw: st.DrawFn) -> str:
    """A sentence with words, multiword tokens and empty nodes."""
    count = draw(st.integers(1, 12))
    lines = draw(
        st.lists(comments, max_size=3).filter(lambda made: not made or "global.columns" not in made[0])
    )
    covered = 0
    for word in range(count + 1):
        if word:
            if word > covered and draw(st.integers(0, 5)) == 0:
                covered = draw(st.integers(word, count))
                lines.append(f"{word}-{covered}\t{draw(texts)}" + "\t_" * 8)
            head = draw(st.sampled_from([n for n in range(count + 1) if n != word] or [0]))
            deprel = draw(relations)
            deps = draw(st.sampled_from([f"{head}:{deprel}", "_", f"0:root|{head}.1:{deprel}"]))
            tags = "|".join(f"{k}={v}" for k, v in draw(feats).items()) or "_"
            other = draw(st.sampled_from(["_", "SpaceAfter=No", "A=1|A=2|B", "x=y=z"]) | texts)
            cells = [draw(texts), draw(texts), draw(texts), draw(texts), tags, str(head), deprel, deps, other]
            lines.append("\t".join([str(word), *cells]))
        for empty in range(1, draw(st.sampled_from([1, 1, 1, 1, 2, 3]))):
            if word >= covered:
                lines.append(f"{word}.{empty}\t{draw(texts)}\t_\t_\t_\t_\t_\t_\t{word or 1}:x\t_")
    return "\n".join(lines) + "\n\n"


def everything(token: Token) -> tuple[object, ...]:
    """All that there is to ask of a token."""
    return (
        token.id, token.form, token.lemma, token.upos, token.xpos, token.feats, token.head, token.deprel,
        token.deps, token.misc,
    )  # fmt: skip


@given(st.lists(sentences(), max_size=4).map("".join))
def test_what_is_read_is_written_and_read_again(text: str) -> None:
    found = load(text.encode())
    assert "".join(map(str, found)) == text
    asked = [[everything(token) for token in each.tokens] for each in found]
    assert "".join(map(str, found)) == text
    for again in (list(read(text.encode())), pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        # One by one and all at once come to the same.
        assert [[everything(token) for token in each.tokens] for each in again] == asked
        assert [[everything(token) for token in each.tokens] for each in again] == asked
        assert "".join(map(str, again)) == text
        assert [each.comments for each in again] == [each.comments for each in found]
    forms = [each.column("form") for each in load(text.encode())]
    assert [list(each[0]) for each in columns(text.encode(), "form")] == forms
    assert forms == [[word.form for word in each.words] for each in found]


@given(sentences(), st.data(), st.booleans())
def test_changed_cells_are_read_as_they_were_set(text: str, data: st.DataObject, asked: bool) -> None:
    (sentence,) = load((text * 2).encode())[1:]
    if asked:
        assert [everything(token) for token in sentence.tokens]
    token = data.draw(st.sampled_from(sentence.tokens))
    heads = st.integers(0, 99) | st.builds(Empty, st.integers(0, 9), st.integers(1, 9))
    change: dict[str, object] = {
        "form": data.draw(texts),
        "upos": data.draw(texts),
        "xpos": data.draw(texts),
        "feats": data.draw(feats),
        "head": data.draw(st.none() | st.integers(0, 10**6)),
        "deps": data.draw(st.lists(st.tuples(heads, relations), max_size=3)),
        "misc": data.draw(misc),
    }
    chosen = data.draw(st.sets(st.sampled_from(sorted(change)), min_size=1))
    for name in chosen:
        token.set(name, change[name])
    expected = [everything(each) for each in sentence.tokens]
    lines = str(sentence).split("\n")
    assert sum(one != other for one, other in zip(lines, text.split("\n"), strict=True)) <= 1
    again = Sentence.parse(str(sentence)).tokens
    for one, other in zip(again, expected, strict=True):
        found = everything(one)
        assert (*found[:8], sorted(map(str, found[8])), found[9]) == (
            *other[:8], sorted(map(str, other[8])), other[9],
        )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("form", ""), ("form", "a\tb"), ("lemma", "a\nb"), ("xpos", "\ufffd"), ("feats", {"A": "B|C=D"}),
        ("feats", {"a": "B"}), ("head", -1), ("deps", [(1, "a|2:b")]), ("deps", [(Span(1, 2), "a")]),
        ("deps", [(1, "")]), ("misc", {"a|b": None}), ("misc", {"a=b": "c"}), ("misc", {"_": None}),
        ("id", 7), ("id", Span(1, 9)), ("form", None), ("upos", 5), ("xpos", None), ("feats", None),
        ("deps", None), ("misc", None), ("misc", {"a": []}), ("head", 1.5), ("feats", {"A": None}),
        ("misc", {"a": ("x",)}),
    ],
)  # fmt: skip
def test_what_nobody_would_read_as_it_is_is_not_written(name: str, value: object) -> None:
    (sentence,) = load(b"1\tA\t_\t_\t_\t_\t0\troot\t_\t_\n\n")
    setattr(sentence.words[0], name, value)
    with pytest.raises(ValueError, match=r"cannot stand in|no sentence"):
        bytes(sentence)
    (sentence,) = load(b"# a\n1\tA\t_\t_\t_\t_\t0\troot\t_\t_\n\n")
    sentence.set_comment("text", "two\nlines")
    with pytest.raises(ValueError, match="is no comment"):
        bytes(sentence)


def until_fault(raw: bytes, ask: Callable[[Sentence], bytes]) -> tuple[Diagnostic | None, bytes]:
    """What strict reading gives, and where it stops."""
    given = []
    try:
        for sentence in read(raw):
            given.append(ask(sentence))
    except ConlluError as error:
        return error.diagnostic, b"".join(given)
    return None, b"".join(given)


def look(raw: bytes) -> list[Diagnostic]:
    """Read everything and ask for everything, in both modes; the faults, which must be all of them."""
    found: list[Diagnostic] = []
    kept = list(read(raw, strict=False, diagnostics=found))
    reading = len(found)
    written = [bytes(each) for each in kept]
    # What is kept stands in the source as it is, in this order.
    place = 0
    for part in written:
        place = raw.index(part, place) + len(part) if part in raw[place:] else -1
        assert place >= 0
    if not reading:
        assert b"".join(written) == raw
    for each in kept:
        for token in each.tokens:
            everything(token)
    assert [bytes(each) for each in kept] == written
    lines = raw.count(b"\n") + raw.count(b"\r") + 1
    assert all(1 <= each.line <= lines and each.rule and each.message for each in found)
    fault, text = until_fault(raw, lambda sentence: bytes(sentence))
    assert (fault, text) == (found[0], text) if reading else text == raw
    fault, _ = until_fault(raw, lambda sentence: [everything(token) for token in sentence.tokens] and b"")
    assert fault in found if found else fault is None
    return found[:reading]


@given(st.binary(max_size=300))
@example(b"\n")
@example(b"\n\n\n")
@example(b"# a\n\n# b\n1\tA\t_\t_\t_\t_\t0\troot\t_\t_\n\n")
@example(b"1\tA\t_\t_\t_\n\t_\t0\troot\t_\t_\n\n")
@example(b"1\ta\tb\tc\td\n2\te\tf\tg\th\ti\tj\n\n")
@example(b"1\tA\t_\t_\t_\t_\t0\troot\t_\t_\t_\n2\t_\t_\t_\t_\t_\t_\t_\t_\n\n")
def test_bytes_of_any_kind_give_faults_and_nothing_else(raw: bytes) -> None:
    try:
        look(raw)
    except NotFoundError:
        assert raw.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"PK"))


def treebanks() -> list[bytes]:
    """Real sentences, hard ones among them where they are at hand."""
    files = [SAMPLE / "dev.conllu"]
    if os.environ.get("DLCTL_TEST_DATA"):
        files += sorted(Path(os.environ["DLCTL_TEST_DATA"], "ud").glob("*.conllu"))
    return [part + b"\n\n" for file in files for part in file.read_bytes().split(b"\n\n") if part]


PARTS = [
    b"\t", b"\n", b"\n\n", b"\r", b"#", b"_", b"|", b"=", b":", b" ", b"0", b"1", b"-", b".", b"1-2\t",
    b"3.1\t", b"\xff", b"\xef\xbf\xbd", b"\xc2\xa0", b"\xe2\x80\xa8",
    b"\x00", b"\x0b", b"\x1c", b"\xef\xbb\xbf",
]  # fmt: skip


def broken(chance: random.Random, real: list[bytes]) -> bytes:
    """A few real sentences with some bytes, cells or lines put in, taken away or swapped."""
    raw = bytearray(b"".join(chance.sample(real, 3)))
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(raw))
        kind = chance.randrange(5)
        if kind == 0:
            raw[at:at] = chance.choice(PARTS)
        elif kind == 1:
            del raw[at : at + chance.randint(1, 3)]
        elif kind == 2:
            raw[at : at + 1] = chance.choice(PARTS)
        else:
            between = b"\t" if kind == 3 else b"\n"
            cells = bytes(raw).split(between)
            one, other = chance.randrange(len(cells)), chance.randrange(len(cells))
            cells[one], cells[other] = cells[other], cells[one] if chance.random() < 0.5 else cells[other]
            raw = bytearray(between.join(cells))
    return bytes(raw)


class Slow(io.BytesIO):
    """A stream that gives as much as it likes, like a pipe."""

    def __init__(self, raw: bytes, chance: random.Random) -> None:
        super().__init__(raw)
        self._chance = chance

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(self._chance.randint(1, 300), size or 0))


def test_broken_treebanks_give_faults_and_nothing_is_passed_over() -> None:
    chance, real, faulty = random.Random(0), treebanks(), 0
    for _ in range(400):
        raw = broken(chance, real)
        found = look(raw)
        faulty += bool(found)
        few: list[Diagnostic] = []
        pieces = list(read(Slow(raw, chance), strict=False, diagnostics=few))
        whole = list(read(raw, strict=False, diagnostics=[]))
        # However a file comes in, the same is found at the same lines.
        assert [(each.line, each.rule) for each in few] == [(each.line, each.rule) for each in found], raw
        assert [(each.line, bytes(each)) for each in pieces] == [(each.line, bytes(each)) for each in whole]
        # The quick way finds a fault where the slow one does, which looks at lines one by one.
        if b"\r" not in raw and not raw.startswith(b"# global.columns"):
            expected = slow(raw)
            assert bool(found) == bool(expected), (raw, found, expected)
    assert 100 < faulty < 400


def slow(raw: bytes) -> list[tuple[int, str]]:
    """The faults of reading, from rules that know nothing of pieces."""
    lines = raw.decode(errors="replace").split("\n")
    ends = lines.pop() == ""
    found, group, start = [], [], 1
    for number, line in enumerate(lines, 1):
        group.append(line)
        if not line.strip() or number == len(lines):
            found += [(each[0], each[2]) for each in check_reading(group, start) if each[2] not in HARMLESS]
            group, start = [], number + 1
    return found if ends or found else [(len(lines), "missing-empty-line")]


@pytest.mark.parametrize(
    ("ids", "fine"),
    [
        ("1 2 3", True), ("1-2 1 2 3-4 3 4", True), ("0.1 0.2 1 1.1 2-3 2 3 3.1", True), ("1-1 1", True),
        ("1 2-3 2 2.1 3", True), ("2 1", False), ("1 1", False), ("1 3", False), ("1-3 1 2", False),
        ("1 1-2 2", False), ("1-2 1 2-3 2 3", False), ("1 1.2", False),
        ("1.1 1", False), ("0.1 0.1 1", False),
        ("2-3 1 2 3", False), ("1 3-3 2 3", False), ("1-2 0.1 1 2", False), ("1 2-1 2", False),
        ("0.1", False), ("01", False),
        ("1-2", False), ("1 1.1 1.2 2 1.3", False), ("0.2 0.1 1", False), ("1 2.1 2", False), ("0 1", False),
    ],
)  # fmt: skip
def test_ids_are_in_order_or_not(ids: str, fine: bool) -> None:
    assert in_order(ids.split()) is fine
    rows = "".join(f"{id_}\tA" + "\t_" * 8 + "\n" for id_ in ids.split())
    found: list[Diagnostic] = []
    # What is not in order is told of, and never left out in silence.
    assert len(load(f"{rows}\n".encode(), strict=False, diagnostics=found)) == fine
    assert bool(found) is not fine


def test_ids_of_different_kinds_are_never_the_same() -> None:
    assert Span(3, 4) != Empty(3, 4)
    assert len({Span(3, 4), Empty(3, 4)}) == 2
    assert Span(3, 4) == Span(3, 4) == (3, 4)
    assert Empty(8, 1) == Empty(8, 1) == (8, 1)
