"""Level 2 of the rules of CoNLL-U, cell by cell: what is wrong with a text wherever it stands.

A treebank has few different cells among many, so every table here remembers what it was asked.
"""

import re
import unicodedata
from collections.abc import Iterable
from itertools import chain, pairwise

from dlctl.data.conllu_cells import Remembered

Fault = tuple[str, str]
# What people should look at and what may still be meant.
WARNINGS = frozenset(("empty-misc", "empty-misc-key", "misc-attr-typo"))
UPOS = frozenset((
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT",
    "SCONJ", "SYM", "VERB", "X",
))  # fmt: skip
_RELATIONS = frozenset((
    "acl", "advcl", "advmod", "amod", "appos", "aux", "case", "cc", "ccomp", "clf", "compound", "conj",
    "cop", "csubj", "dep", "det", "discourse", "dislocated", "expl", "fixed", "flat", "goeswith", "iobj",
    "list", "mark", "nmod", "nsubj", "nummod", "obj", "obl", "orphan", "parataxis", "punct", "reparandum",
    "root", "vocative", "xcomp",
))  # fmt: skip
_FEATURE = re.compile(
    r"([A-Z][A-Za-z0-9]*(?:\[[a-z0-9]+\])?)=([A-Z0-9][A-Za-z0-9]*(?:,[A-Z0-9][A-Za-z0-9]*)*)"
)
_RELATION = re.compile(r"[a-z]+(?::[a-z]+)?")
_ASCII = re.compile(r"[a-z]+")
# Python converts no number of thousands of digits.
_HEAD = re.compile(r"(?:0|[1-9][0-9]{0,17})(?:\.[1-9][0-9]{0,17})?")
# Cn, because a letter may be newer than the Unicode that this Python knows.
_LETTERS = frozenset(("Ll", "Lm", "Lo", "Mn", "Mc", "Me", "Cn"))
_ONCE = frozenset(("SpaceAfter", "Lang", "Translit", "LTranslit", "Gloss", "LId", "LDeriv", "Ref"))
_ONCE_LOWER = frozenset(key.lower() for key in _ONCE)
# No text has it.
FAULTY = "\n"
# White space as Unicode defines it; Python's strip() would take four separators more.
SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def short(text: str) -> str:
    """A text that fits into a message."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def _feats(text: str) -> tuple[Fault, ...]:
    if text == "_":
        return ()
    items = text.split("|")
    faults: list[Fault] = []
    if not _sorted(items):
        message = f"expected features sorted by name, found {short(text)!r}"
        faults.append(("unsorted-features", message))
    names = set()
    for item in items:
        found = _FEATURE.fullmatch(item)
        if found is None:
            message = f"expected Name=Value or Name=Value,Value, found {short(item)!r}"
            faults.append(("invalid-feature", message))
            names.add(item)
        else:
            names.add(found[1])
            faults += _values(found[1], found[2].split(","))
    if len(names) != len(items):
        faults.append(("repeated-feature", f"a feature stands there twice: {short(text)!r}"))
    return tuple(faults)


def _sorted(texts: Iterable[str]) -> bool:
    return all(one <= two for one, two in pairwise([text.lower() for text in texts]))


def _values(name: str, values: list[str]) -> list[Fault]:
    faults = []
    if len(set(values)) != len(values):
        faults.append(("repeated-feature-value", f"{name} has the same value twice: {','.join(values)}"))
    if not _sorted(values):
        message = f"expected the values of {name} sorted, found {','.join(values)}"
        faults.append(("unsorted-feature-values", message))
    return faults


def _deprel(text: str) -> tuple[Fault, ...]:
    if _RELATION.fullmatch(text) is None:
        message = f"expected a relation like nsubj or nsubj:pass, found {short(text)!r}"
        return (("invalid-deprel", message),)
    main = text.partition(":")[0]
    if main not in _RELATIONS:
        return (("unknown-udeprel", f"{main!r} is none of the 37 relations"),)
    return ()


def _pairs(text: str) -> tuple[tuple[str, str], ...] | None:
    """Heads and relations as texts; None if an item has no colon."""
    pairs = []
    for item in [] if text == "_" else text.split("|"):
        head, colon, relation = item.partition(":")
        if not colon:
            return None
        pairs.append((head, relation))
    return tuple(pairs)


def head_key(head: str) -> tuple[int, int]:
    """Where an id stands in the order of ids: 8.10 after 8.9."""
    after, _, number = head.partition(".")
    return int(after), int(number or 0)


def _deps_order(text: str) -> tuple[Fault, ...]:
    pairs = PAIRS[text] or ()
    keys = [head_key(head) for head, _ in pairs]
    if any(one > two for one, two in pairwise(keys)):
        return (("unsorted-deps", f"expected DEPS sorted by head, found {short(text)!r}"),)
    faults = []
    for (head, relation), (next_head, next_relation) in pairwise(pairs):
        if head == next_head and next_relation < relation:
            message = f"expected the relations to {head} sorted, found {short(text)!r}"
            faults.append(("unsorted-deps-2", message))
        elif head == next_head and next_relation == relation:
            faults.append(("repeated-deps", f"{short(f'{head}:{relation}')!r} stands there twice"))
    return tuple(faults)


def _deps_relations(text: str) -> tuple[Fault, ...]:
    faults = []
    for _, relation in PAIRS[text] or ():
        main = relation.partition(":")[0]
        if not _is_enhanced(relation.split(":")):
            message = f"expected an enhanced relation like nmod:von or conj:and, found {short(relation)!r}"
            faults.append(("invalid-edeprel", message))
        elif main not in _RELATIONS and main != "ref":
            faults.append(("unknown-eudeprel", f"{main!r} is neither one of the 37 relations nor ref"))
    return tuple(faults)


def _is_enhanced(parts: list[str]) -> bool:
    """A main relation; then perhaps a subtype, a preposition of any script, a case."""
    main, *more = parts
    ascii_ = [_ASCII.fullmatch(part) is not None for part in more]
    if _ASCII.fullmatch(main) is None or len(more) > 3 or ascii_.count(False) > 1:
        return False
    if len(more) == 3 and not (ascii_[0] and ascii_[2]):
        return False
    return all(plain or _is_preposition(part) for plain, part in zip(ascii_, more, strict=True))


def _is_preposition(text: str) -> bool:
    words = text.split("_")
    return all(words) and all(unicodedata.category(letter) in _LETTERS for letter in chain(*words))


def _deps_heads(text: str) -> tuple[str, ...] | None:
    """The heads of DEPS that has no fault of its own."""
    pairs = PAIRS[text]
    if pairs is None or any(_HEAD.fullmatch(head) is None for head, _ in pairs):
        return None
    if _deps_order(text) or _deps_relations(text):
        return None
    return tuple(head for head, _ in pairs)


def _misc(text: str) -> tuple[Fault, ...]:
    if text == "_":
        return ()
    faults: list[Fault] = []
    count: dict[str, int] = {}
    for item in text.split("|"):
        key, equals, value = item.partition("=")
        if not key:
            rule = "empty-misc-key" if equals else "empty-misc"
            faults.append((rule, f"an item without a name in {short(text)!r}"))
        if key.strip(SPACES) != key or value.strip(SPACES) != value:
            faults.append(("misc-extra-space", f"white space around the name or value of {short(item)!r}"))
        if key in _ONCE:
            count[key] = count.get(key, 0) + 1
        elif key.strip(SPACES).lower() in _ONCE_LOWER:
            faults.append(("misc-attr-typo", f"{short(key)!r} looks like another way to write a known name"))
    faults += [
        ("repeated-misc", f"{key} stands there {times} times, expected once")
        for key, times in count.items()
        if times > 1
    ]
    return tuple(faults)


def _gap(text: str) -> str:
    """What follows a token with this MISC in the text: a blank or nothing; FAULTY if MISC is."""
    items = text.split("|")
    if MISC[text] or "NoSpaceAfter=Yes" in text or has_other_space_after(items):
        return FAULTY
    return "" if "SpaceAfter=No" in items else " "


def has_other_space_after(items: Iterable[str]) -> bool:
    """Whether SpaceAfter has a value that is not No."""
    return any(item.startswith("SpaceAfter=") and item != "SpaceAfter=No" for item in items)


FEATS = Remembered(_feats)
DEPREL = Remembered(_deprel)
PAIRS = Remembered(_pairs)
DEPS_ORDER = Remembered(_deps_order)
DEPS_RELATIONS = Remembered(_deps_relations)
DEPS_HEADS = Remembered(_deps_heads)
MISC = Remembered(_misc)
GAP = Remembered(_gap)
