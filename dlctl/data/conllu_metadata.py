"""Level 2 of the rules of CoNLL-U on comments, and on what a treebank's sentences have in common."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from dlctl.data.conllu_cells import Empty, Id, Span
from dlctl.data.conllu_checks import has_other_space_after, short
from dlctl.data.conllu_level1 import BLANKS, Found
from dlctl.data.conllu_tree import Rows

_B, _N = f"[{BLANKS}]", "[1-9][0-9]{0,17}"
_COMMENT = re.compile(
    rf"#{_B}*(?:"
    rf"sent_id{_B}*={_B}*(?P<sent_id>[^{BLANKS}]+)|"
    rf"text{_B}*={_B}*(?P<text>.*)|"
    rf"(?P<newdoc>newdoc(?:{_B}+[^{BLANKS}]+)?)|"
    rf"(?P<newpar>newpar(?:{_B}+[^{BLANKS}]+)?)|"
    rf"parallel_id{_B}*={_B}*(?P<parallel_id>([a-z]+/[-0-9a-z]+)(?:/(?:alt({_N})(?:part({_N}))?|part({_N})))?)"
    rf")"
)
_FORM, _MISC = 1, 9


class Comments(NamedTuple):
    """The comments that rules ask for.

    Attributes:
        named: sent_id, text, newdoc, newpar and parallel_id.
        odd: lines that begin like sent_id or parallel_id, by these names, and are none.
    """

    named: dict[str, list[re.Match[str]]]
    odd: dict[str, list[str]]


@dataclass
class Treebank:
    """What is known of the sentences so far; give it on if a treebank has several files.

    Attributes:
        sent_ids: all that were seen.
        parallel_ids: all that were seen.
        parallel: the numbers of the last alternative and part of every parallel sentence.
        glued: whether the last token ended with SpaceAfter=No.
        with_graph: the line of the first sentence with an enhanced graph.
        without_graph: the line of the first sentence without.
    """

    sent_ids: set[str] = field(default_factory=set)
    parallel_ids: set[str] = field(default_factory=set)
    parallel: dict[str, list[int | None]] = field(default_factory=dict)
    glued: bool = False
    with_graph: int | None = None
    without_graph: int | None = None


def read_comments(lines: Iterable[str]) -> Comments:
    """What rules ask for, by name."""
    comments = Comments(defaultdict(list), defaultdict(list))
    for line in lines:
        found = _COMMENT.fullmatch(line)
        if found is not None and found.lastgroup is not None:
            comments.named[found.lastgroup].append(found)
        elif line.startswith(("# sent_id", "#sent_id")):
            comments.odd["sent_id"].append(line)
        elif line.startswith(("# parallel_id", "#parallel_id")):
            comments.odd["parallel_id"].append(line)
    return comments


def check_all_or_none(enhanced: bool, line: int, treebank: Treebank, found: list[Found]) -> None:
    """That either all sentences have an enhanced graph or none; told once."""
    if enhanced and treebank.with_graph is None:
        treebank.with_graph = line
        if treebank.without_graph is not None:
            message = f"DEPS is filled here and not in the sentence of line {treebank.without_graph}"
            found.append((line, "DEPS", "edeps-only-sometimes", message))
    elif not enhanced and treebank.without_graph is None:
        treebank.without_graph = line
        if treebank.with_graph is not None:
            message = f"DEPS is empty here and not in the sentence of line {treebank.with_graph}"
            found.append((line, "DEPS", "edeps-only-sometimes", message))


def check_comments(
    comments: Comments,
    line: int,
    treebank: Treebank,
    found: list[Found],
    check_text: Callable[[str], None],
) -> None:
    """sent_id, parallel_id, documents and paragraphs, and the text.

    Args:
        comments: of the sentence.
        line: the number of the first row's line, where these faults are told of.
        treebank: what the sentences before were.
        found: takes the faults.
        check_text: compares a text that is there with the rows.
    """

    def tell(rule: str, message: str) -> None:
        found.append((line, None, rule, message))

    named = comments.named
    for each in comments.odd["sent_id"]:
        tell("invalid-sent-id", f"expected '# sent_id = NAME' without blanks in NAME, found {short(each)!r}")
    _check_sent_id([each["sent_id"] for each in named["sent_id"]], treebank, tell)
    for each in comments.odd["parallel_id"]:
        message = f"expected '# parallel_id = corpus/sentence/alt1part1', found {short(each)!r}"
        tell("invalid-parallel-id", message)
    _check_parallel_id(named["parallel_id"], treebank, tell)
    _check_begins(named, treebank, tell)
    texts = [each["text"] for each in named["text"]]
    if not texts:
        tell("missing-text", "expected a comment '# text = ...'")
    elif len(texts) > 1:
        tell("multiple-text", f"expected one comment '# text = ...', found {len(texts)}")
    else:
        if not texts[0]:
            tell("empty-text", "the comment '# text =' has no text")
        elif texts[0][-1].isspace():
            tell("text-trailing-whitespace", "white space at the end of the text")
        check_text(texts[0])


Tell = Callable[[str, str], None]


def _check_sent_id(names: list[str], treebank: Treebank, tell: Tell) -> None:
    if not names:
        tell("missing-sent-id", "expected a comment '# sent_id = ...'")
    elif len(names) > 1:
        tell("multiple-sent-id", f"expected one comment '# sent_id = ...', found {len(names)}")
    else:
        if names[0] in treebank.sent_ids:
            tell("non-unique-sent-id", f"another sentence is named {short(names[0])!r} too")
        # One is for the sentences of parallel treebanks.
        if names[0].count("/") > 1:
            tell("slash-in-sent-id", f"expected no / in the name {short(names[0])!r}")
        treebank.sent_ids.add(names[0])


def _check_parallel_id(found: list[re.Match[str]], treebank: Treebank, tell: Tell) -> None:
    if len(found) > 1:
        tell("multiple-parallel-id", f"expected one comment '# parallel_id = ...', found {len(found)}")
    if len(found) != 1:
        return
    name = found[0]["parallel_id"]
    if name in treebank.parallel_ids:
        tell("non-unique-parallel-id", f"another sentence is named {short(name)!r} too")
        return
    treebank.parallel_ids.add(name)
    at = _COMMENT.groupindex["parallel_id"]
    sentence, alt, part, only_part = found[0].groups()[at : at + 4]
    numbers = [int(alt) if alt else None, int(part or only_part) if part or only_part else None]
    last = treebank.parallel.get(sentence)
    for position, kind in enumerate(("alt", "part")):
        number, before = numbers[position], last[position] if last else 0
        if last and (number is None) != (before is None):
            message = f"some sentences {short(sentence)!r} have {kind}, others do not"
            tell(f"parallel-id-{kind}", message)
        elif number is not None and number != (before or 0) + 1:
            message = f"expected {kind}{(before or 0) + 1} of {short(sentence)!r}, found {kind}{number}"
            tell(f"parallel-id-{kind}", message)
    treebank.parallel[sentence] = numbers


def _check_begins(comments: dict[str, list[re.Match[str]]], treebank: Treebank, tell: Tell) -> None:
    for name in ("newdoc", "newpar"):
        if len(comments[name]) > 1:
            tell(f"multiple-{name}", f"expected one comment '# {name}', found {len(comments[name])}")
    if treebank.glued and (comments["newdoc"] or comments["newpar"]):
        message = "a document or paragraph begins after a sentence whose last token says SpaceAfter=No"
        tell("spaceafter-newdocpar", message)


def compare_text(text: str, rows: Rows, treebank: Treebank, found: list[Found]) -> None:
    """That a text is what the forms and SpaceAfter say."""

    def tell(rule: str, message: str) -> None:
        found.append((rows.first, None, rule, message))

    at, told, covered = 0, False, set[int]()
    for number, id_, cells in rows.numbered():
        form, misc = cells[_FORM], cells[_MISC]
        _check_space_after(number, id_, misc, covered, found, tell)
        if isinstance(id_, Span):
            covered.update(range(id_.first, id_.last + 1))
        elif isinstance(id_, Empty) or id_ in covered:
            continue
        if not text.startswith(form, at):
            if not told:
                message = f"expected the text to go on with {short(form)!r}, found {_from(text, at)!r}"
                found.append((number, "FORM", "text-form-mismatch", message))
                told = True
            continue
        at += len(form)
        treebank.glued = "SpaceAfter=No" in misc.split("|")
        if not treebank.glued:
            if at < len(text) and not text[at].isspace():
                message = f"expected SpaceAfter=No or a blank in the text after {short(form)!r}"
                found.append((number, "MISC", "missing-spaceafter", message))
            while text[at : at + 1].isspace():
                at += 1
    if at < len(text):
        tell("text-extra-chars", f"the text goes on after the last token: {_from(text, at)!r}")


def _from(text: str, at: int) -> str:
    return short(text[at : at + 61])


def _check_space_after(
    number: int, id_: Id, misc: str, covered: set[int], found: list[Found], tell: Tell
) -> None:
    if "NoSpaceAfter=Yes" in misc:
        tell("nospaceafter-yes", "expected SpaceAfter=No, found NoSpaceAfter=Yes")
    if has_other_space_after(misc.split("|")):
        message = "expected no value but No of SpaceAfter; other spaces go into SpacesAfter"
        found.append((number, "MISC", "spaceafter-value", message))
    if "SpaceAfter=No" not in misc:
        return
    if isinstance(id_, Empty):
        message = "SpaceAfter=No on an empty node, after which nothing is written"
        found.append((number, "MISC", "spaceafter-empty-node", message))
    elif id_ in covered:
        message = "SpaceAfter=No on a word of a multiword token, where it belongs to the token"
        found.append((number, "MISC", "spaceafter-mwt-node", message))
