# ruff: noqa: E501 - a table reads best with a row in a line
"""Each rule of levels 1 and 2 of CoNLL-U as a pair: an edit that breaks it, and one that just does not.

The edits are made in TREEBANK, which breaks none.
"""

from typing import NamedTuple

TREEBANK = """\
# newdoc id = d
# sent_id = s1
# text = Don't go, Ann
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVB\tMood=Imp|VerbForm=Fin\t3\taux\t3:aux\t_
2\tn't\tnot\tPART\tRB\tPolarity=Neg\t3\tadvmod\t3:advmod\t_
3\tgo\tgo\tVERB\tVB\tVerbForm=Inf\t0\troot\t0:root\tSpaceAfter=No
3.1\tgone\tgo\tVERB\t_\t_\t_\t_\t3:conj:and\t_
4\t,\t,\tPUNCT\t,\t_\t5\tpunct\t5:punct\t_
5\tAnn\tAnn\tPROPN\tNNP\tNumber=Sing\t3\tvocative\t3:vocative|3.1:vocative\tGloss=Ann

# sent_id = s2
# text = Go
1\tGo\tgo\tVERB\tVB\t_\t0\troot\t0:root\t_

"""
# Of udtools, but no file makes it tell of them: it cuts at every blank line, and what would be an invalid
# value or interval it calls an invalid feature or id.
NEVER_TOLD = {"extra-empty-line", "invalid-feature-value", "invalid-word-interval"}

Edit = tuple[str, str]


class Case(NamedTuple):
    """A rule, the edits that break it, all faults that are expected then, and the edits that do not."""

    rule: str
    breaks: tuple[Edit, ...]
    expected: str
    holds: tuple[Edit, ...]


def edited(edits: tuple[Edit, ...]) -> bytes:
    text = TREEBANK
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1) if old != "\n" else text.replace(old, new)
    return text.encode()


def case(rule: str, breaks: Edit | tuple[Edit, ...], expected: str, *holds: Edit) -> Case:
    many: tuple[Edit, ...] = (breaks,) if isinstance(breaks[0], str) else breaks  # type: ignore[assignment]
    return Case(rule, many, expected, holds)


RANGE = "1-2\tDon't" + 8 * "\t_" + "\n"
LAST = "\t0:root\t_\n\n"
S1, S2, TEXT1, TEXT2 = "# sent_id = s1\n", "# sent_id = s2\n", "# text = Don't go, Ann\n", "# text = Go\n"
DOC = "# newdoc id = d\n"


def empty(id_: str, deps: str) -> str:
    return f"{id_}\tx\tx\tX\t_\t_\t_\t_\t{deps}\t_\n"


def parallel(one: str, two: str) -> tuple[Edit, ...]:
    """A parallel_id for each of the two sentences."""
    return (S1, f"{S1}# parallel_id = {one}\n"), (S2, f"{S2}# parallel_id = {two}\n")


# Lines: in the order in which they are told. A comment that is added moves the rows down by one.
LEVEL_1 = [
    case("invalid-utf", ("\tdo\t", "\td\ufffd\t"), "5 invalid-utf", ("\tdo\t", "\td\u00f6\t")),
    case(
        "unicode-normalization",
        ("\tdo\t", "\tdo\u0308\t"),
        "5 unicode-normalization",
        ("\tdo\t", "\td\u00f6\t"),
    ),
    case("non-unix-newline", ("\n", "\r\n"), "15 non-unix-newline", ("\tdo\t", "\td\u2028o\t")),
    case("missing-empty-line", (LAST, LAST[:-1]), "14 missing-empty-line", (DOC, "")),
    case("missing-empty-line", (LAST, LAST[:-2]), "14 missing-empty-line", (DOC, "#\n")),
    case("empty-sentence", (S2, "\n" + S2), "12 empty-sentence", (S2, "#\n" + S2)),
    case("empty-sentence", (LAST, LAST + "\n"), "16 empty-sentence", (TEXT2, "#\n" + TEXT2)),
    case("pseudo-empty-line", (S2, " \t\n" + S2), "12 pseudo-empty-line 12 empty-sentence", (S2, "# \n" + S2)),
    case("pseudo-empty-line", ("Gloss=Ann\n\n", "Gloss=Ann\n \n"), "11 pseudo-empty-line", (DOC, "# \n")),
    case("invalid-line", ("1-2\t", " 1-2\t"), "4 invalid-line", (DOC, "#newdoc\n")),
    case(
        "invalid-line",
        (DOC, "\ufeff" + DOC),
        "1 invalid-line 2 misplaced-comment 3 misplaced-comment",
        (DOC, "#\ufeff\n"),
    ),
    case("misplaced-comment", (RANGE, RANGE + "# x\n"), "5 misplaced-comment", (RANGE, "# x\n" + RANGE)),
    case("number-of-columns", ("=Ann\n", "=Ann\tx\n"), "10 number-of-columns", ("=Ann\n", "=Ann|x\n")),
    case("number-of-columns", ("\tGloss=Ann", ""), "10 number-of-columns", ("Gloss=Ann", "_")),
    case("empty-column", ("\tdo\t", "\t\t"), "5 empty-column", ("\tdo\t", "\t_\t")),
    case("leading-whitespace", ("\tdo\t", "\t do\t"), "5 leading-whitespace", ("\tdo\t", "\td o\t")),
    case("trailing-whitespace", ("\tdo\t", "\tdo\xa0\t"), "5 trailing-whitespace", ("\tdo\t", "\td\xa0o\t")),
    case("repeated-whitespace", ("\tdo\t", "\td \xa0o\t"), "5 repeated-whitespace", ("\tdo\t", "\td o o\t")),
    case("invalid-whitespace", ("\tRB\t", "\tR B\t"), "6 invalid-whitespace", ("\tnot\t", "\tno t\t")),
    case(
        "invalid-whitespace-mwt",
        (("1-2\tDon't", "1-2\tDo n't"), ("= Don't", "= Do n't")),
        "4 invalid-whitespace-mwt",
        ("5\tAnn", "5\tA n"),
        (", Ann", ", A n"),
    ),
    case("invalid-word-id", ("3.1\t", "3.01\t"), "8 invalid-word-id", (RANGE, empty("0.1", "0:root") + RANGE)),
    case(
        "word-id-sequence",
        ("\n5\t", "\n6\t"),
        "4 word-id-sequence 10 word-interval-out",
        ("=Ann\n", "=Ann\n6\t!\t!\tPUNCT\t.\t_\t5\tpunct\t5:punct\t_\n"),
        ("Ann\n", "Ann !\n"),
    ),
    case(
        "reversed-word-interval",
        ("1-2\t", "2-1\t"),
        "4 reversed-word-interval",
        ("1-2\tDon't", "1-1\tDo"),
        ("Don't", "Do n't"),
    ),
    case(
        "word-interval-out",
        ("1-2\t", "1-6\t"),
        "4 word-interval-out",
        ("1-2\t", "1-5\t"),
        ("SpaceAfter=No", "_"),
        (" go, Ann", ""),
    ),
    case(
        "misplaced-word-interval",
        ((RANGE, ""), ("\t3:aux\t_\n", "\t3:aux\t_\n" + RANGE)),
        "5 misplaced-word-interval",
        (RANGE, empty("0.1", "0:root") + RANGE),
    ),
    case(
        "overlapping-word-intervals",
        ("2\tn't", "2-3" + 9 * "\t_" + "\n2\tn't"),
        "6 overlapping-word-intervals",
        ("3\tgo\t", "3-4\tgo," + 8 * "\t_" + "\n3\tgo\t"),
        ("SpaceAfter=No", "_"),
    ),
    case("misplaced-empty-node", ("3.1\t", "3.2\t"), "8 misplaced-empty-node", ("4\t,", empty("3.2", "3:dep") + "4\t,")),
    case(
        "misplaced-empty-node",
        (RANGE, RANGE + empty("0.1", "0:root")),
        "5 misplaced-empty-node",
        (RANGE, empty("0.1", "0:root") + RANGE),
    ),
]  # fmt: skip
LEVEL_2 = [
    case("invalid-head", ("\t5\tpunct", "\t3.1\tpunct"), "9 invalid-head", ("\t5\tpunct", "\t3\tpunct")),
    case("invalid-head", ("\t5\tpunct", "\t_\tpunct"), "9 invalid-head 9 unknown-head", ("\t5\tpunct", "\t1\tpunct")),
    case("unknown-head", ("\t5\tpunct", "\t6\tpunct"), "9 unknown-head", ("\t5\tpunct", "\t2\tpunct")),
    case("invalid-deps", ("5:punct", "5"), "9 invalid-deps", ("5:punct", "3.1:punct")),
    case("invalid-ehead", ("5:punct", "05:punct"), "9 invalid-ehead 9 unknown-ehead", ("5:punct", "1:punct")),
    case("unknown-ehead", ("5:punct", "5.1:punct"), "9 unknown-ehead", ("5:punct", "3.1:punct")),
    case("head-self-loop", ("\t5\tpunct", "\t4\tpunct"), "9 head-self-loop", ("\t5\tpunct", "\t3\tpunct")),
    case("multiple-roots", ("\t3\tvoc", "\t0\tvoc"), "4 multiple-roots", ("\t3\tvocative", "\t3\troot")),
    case("non-tree", ("\t3\tvoc", "\t4\tvoc"), "4 non-tree", ("\t3\tvoc", "\t1\tvoc")),
    case(
        "mwt-nonempty-field",
        ("Don't\t_", "Don't\tx"),
        "4 mwt-nonempty-field",
        ("Don't\t_\t_\t_\t_", "Don't\t_\t_\t_\tTypo=Yes"),
    ),
    case(
        "empty-node-nonempty-field",
        ("\t_\t_\t3:conj", "\t3\t_\t3:conj"),
        "8 empty-node-nonempty-field",
        ("gone\tgo\tVERB", "gone\tgo\t_"),
    ),
    case("unknown-upos", ("\tAUX\t", "\tAux\t"), "5 unknown-upos", ("\tAUX\t", "\tX\t")),
    case("unknown-upos", ("\tAUX\t", "\t_\t"), "5 unknown-upos", ("gone\tgo\tVERB", "gone\tgo\t_")),
    case(
        "empty-string-in-xpos",
        ("\tRB\t", "\t\t"),
        "6 empty-column 6 empty-string-in-xpos",
        ("\tRB\t", "\t_\t"),
    ),
    case(
        "unsorted-features",
        ("Mood=Imp|VerbForm=Fin", "VerbForm=Fin|Mood=Imp"),
        "5 unsorted-features",
        ("Mood=Imp|VerbForm=Fin", "Abc=A|ABd=A"),
    ),
    case("invalid-feature", ("=Neg", "=neg"), "6 invalid-feature", ("=Neg", "[psor]=1,Neg")),
    case("invalid-feature", ("=Neg", ""), "6 invalid-feature", ("Polarity=Neg", "A1=A")),
    case("repeated-feature", ("Mood=Imp", "Mood=Imp|Mood=Ind"), "5 repeated-feature", ("Mood=Imp", "Mood=Imp|Mood[x]=Ind")),
    case(
        "repeated-feature-value",
        ("Mood=Imp", "Mood=Imp,Imp"),
        "5 repeated-feature-value",
        ("Mood=Imp", "Mood=Imp,Imp1"),
    ),
    case(
        "unsorted-feature-values",
        ("Mood=Imp", "Mood=Ind,Imp"),
        "5 unsorted-feature-values",
        ("Mood=Imp", "Mood=Imp,IND"),
    ),
    case("invalid-deprel", ("\taux\t", "\taux:a:b\t"), "5 invalid-deprel", ("\taux\t", "\taux:pass\t")),
    case("unknown-udeprel", ("\taux\t", "\tauxx\t"), "5 unknown-udeprel", ("\taux\t", "\taux:x\t")),
    case(
        "unsorted-deps",
        ("3:vocative|3.1:vocative", "3.1:vocative|3:vocative"),
        "10 unsorted-deps",
        ("3:vocative|3.1:vocative", "2:vocative|3:dep|3.1:aux"),
    ),
    case("unsorted-deps-2", ("3:vocative|3.1", "3:dep|3:aux|3.1"), "10 unsorted-deps-2", ("3:vocative|3.1", "3:acl:relcl|3:ref|3.1")),
    case("repeated-deps", ("3:vocative|3.1", "3:dep|3:dep|3.1"), "10 repeated-deps", ("3:vocative|3.1", "3:dep|3:dep:x|3.1")),
    case("deps-self-loop", ("|3.1:voc", "|5:voc"), "10 deps-self-loop", ("|3.1:voc", "|4:voc")),
    case("deps-self-loop", ("3:conj:and", "3:conj:and|3.1:dep"), "8 deps-self-loop", ("3:conj:and", "3:conj:and|5:dep")),
    case("invalid-edeprel", ("5:punct", "5:Punct"), "9 invalid-edeprel", ("5:punct", "5:obl:x:\u00fcber_das:gen")),
    case("invalid-edeprel", ("5:punct", "5:obl:_a"), "9 invalid-edeprel", ("5:punct", "5:obl:\u0939\u093f\u02b0:gen")),
    case("invalid-edeprel", ("5:punct", "5:obl:\u00fc:\u00fc"), "9 invalid-edeprel", ("5:punct", "5:obl:a:\u00fc")),
    case("unknown-eudeprel", ("5:punct", "5:refs"), "9 unknown-eudeprel", ("5:punct", "5:ref")),
    case("empty-misc", ("=Ann", "=Ann|"), "10 empty-misc", ("=Ann", "=Ann|x")),
    case("empty-misc-key", ("Gloss=Ann", "=Ann"), "10 empty-misc-key", ("Gloss=Ann", "Gloss=")),
    case("misc-extra-space", ("=Ann", "= Ann"), "10 misc-extra-space", ("=Ann", "=A n")),
    case("misc-extra-space", ("=Ann", "=Ann| x"), "10 misc-extra-space", ("=Ann", "=Ann|x y")),
    case("misc-attr-typo", ("Gloss=Ann", "gloss=Ann"), "10 misc-attr-typo", ("Gloss=Ann", "glossy=Ann")),
    case("repeated-misc", ("=Ann", "=Ann|Gloss=B"), "10 repeated-misc", ("Gloss=Ann", "X=A|X=B")),
    case("edeps-only-sometimes", (LAST, "\t_\t_\n\n"), "14 edeps-only-sometimes", (LAST, "\t0:root\tx\n\n")),
    case(
        "unconnected-egraph",
        ("3:vocative|3.1:vocative", "4:vocative"),
        "9 unconnected-egraph",
        ("3:vocative|3.1:vocative", "3:vocative|4:dep"),
    ),
    case("unconnected-egraph", ("3:conj:and", "_"), "8 unconnected-egraph", ("3:conj:and", "5:conj:and")),
    case("missing-sent-id", (S1, ""), "3 missing-sent-id", (S1, "#sent_id=s1\n")),
    case(
        "invalid-sent-id",
        (S1, "# sent_id = s 1\n"),
        "4 invalid-sent-id 4 missing-sent-id",
        (S1, "#  sent_id  =  s:1\n"),
    ),
    case("multiple-sent-id", (S1, S1 + S1), "5 multiple-sent-id", (S1, S1 + "# source_sent_id = s1\n")),
    case("non-unique-sent-id", (S2, S1), "14 non-unique-sent-id", (S2, "# sent_id = S1\n")),
    case("slash-in-sent-id", (S1, "# sent_id = a/b/c\n"), "4 slash-in-sent-id", (S1, "# sent_id = a/b\n")),
    case(
        "invalid-parallel-id",
        (S1, S1 + "# parallel_id = a\n"),
        "5 invalid-parallel-id",
        *parallel("a/b-1/alt1part1", "a/b-1/alt2part2"),
    ),
    case(
        "multiple-parallel-id",
        (S1, S1 + "# parallel_id = a/b\n# parallel_id = a/c\n"),
        "6 multiple-parallel-id",
        *parallel("a/b", "a/c"),
    ),
    case("non-unique-parallel-id", parallel("a/b", "a/b"), "16 non-unique-parallel-id", *parallel("a/b/alt1", "a/b/alt2")),
    case("parallel-id-alt", parallel("a/b/alt2", "a/c"), "5 parallel-id-alt", *parallel("a/b/alt1", "a/c/alt1")),
    case("parallel-id-alt", parallel("a/b/alt1", "a/b"), "16 parallel-id-alt", *parallel("a/b/alt1", "a/b/alt2")),
    case("parallel-id-part", parallel("a/b/part1", "a/b/part3"), "16 parallel-id-part", *parallel("a/b/part1", "a/b/part2")),
    case("multiple-newdoc", (DOC, "# newdoc\n# newdoc\n"), "5 multiple-newdoc", (DOC, "# newdoc\n# newpar\n")),
    case("multiple-newpar", (DOC, "# newpar\n# newpar x\n"), "5 multiple-newpar", (DOC, "# newpar\n# newpart\n")),
    case(
        "spaceafter-newdocpar",
        (("Gloss=Ann", "SpaceAfter=No"), (S2, S2 + "# newpar\n")),
        "15 spaceafter-newdocpar",
        (S2, S2 + "# newpar\n"),
    ),
    case("missing-text", (TEXT1, ""), "3 missing-text", (TEXT1, "#text=Don't go, Ann\n")),
    case("multiple-text", (TEXT1, TEXT1 + TEXT1), "5 multiple-text", (TEXT1, TEXT1 + "# text_en = x\n")),
    case("empty-text", (TEXT2, "# text =\n"), "14 empty-text 14 text-form-mismatch", (TEXT2, "# text =   Go\n")),
    case("text-trailing-whitespace", (TEXT2, "# text = Go \n"), "14 text-trailing-whitespace", ("t go", "t  go")),
    case(
        "text-form-mismatch",
        (TEXT2, "# text = GO\n"),
        "14 text-form-mismatch 14 text-extra-chars",
        ("t go", "t \xa0go"),
    ),
    case("missing-spaceafter", ("SpaceAfter=No", "_"), "7 missing-spaceafter", ("Gloss=Ann", "SpaceAfter=No")),
    case("text-extra-chars", (TEXT2, "# text = Go on\n"), "14 text-extra-chars", (TEXT2, "# text =\tGo\n")),
    case("nospaceafter-yes", ("Gloss=Ann", "NoSpaceAfter=Yes"), "4 nospaceafter-yes", ("Gloss=Ann", "NoSpaceAfter=No")),
    case("spaceafter-value", ("Gloss=Ann", "SpaceAfter=Yes"), "10 spaceafter-value", ("Gloss=Ann", "SpacesAfter=\\n")),
    case("spaceafter-empty-node", ("conj:and\t_", "conj:and\tSpaceAfter=No"), "8 spaceafter-empty-node", ("conj:and\t_", "conj:and\tSpaceBefore=No")),
    case(
        "spaceafter-mwt-node",
        ("3:aux\t_", "3:aux\tSpaceAfter=No"),
        "5 spaceafter-mwt-node",
        (RANGE, RANGE[:-2] + "SpaceAfter=No\n"),
        ("t go", "tgo"),
    ),
]  # fmt: skip
