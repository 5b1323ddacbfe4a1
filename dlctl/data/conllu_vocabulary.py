"""What a tagger knows: words, characters and tags, each with a number, from training data only."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dlctl.data.conllu_checks import FEATS as FAULTS
from dlctl.data.conllu_checks import UPOS

# Words that are rare or new, and characters that are new.
UNKNOWN = 0
# Where a word is shorter than the longest of its batch.
PADDING = 1
# Tags that are no number of a tag: not annotated (passed over), and new (always counted as wrong).
MISSING, NEW = -1, -2
# An underscore says that nothing is annotated; of a word's features, that there are none.
BLANK = "_"

Sentences = Sequence[tuple[list[str], ...]]


@dataclass(frozen=True)
class Vocabulary:
    """Numbers of words, characters and tags.

    Args:
        column: which column the tags are from.
        words: lower-cased, with 0 for every digit; the first has number 1.
        characters: the first has number 2.
        tags: the most frequent first; the first has number 0.
    """

    column: str
    words: Sequence[str]
    characters: Sequence[str]
    tags: Sequence[str]

    @classmethod
    def of(cls, sentences: Sentences, column: str, min_count: int) -> "Vocabulary":
        """What occurs in sentences of forms and tags.

        Args:
            sentences: a list of forms and a list of tags each.
            column: which column the tags are from.
            min_count: how often a word, or a character, must occur to be known.
        """
        forms = Counter(form for sentence in sentences for form in sentence[0])
        words: Counter[str] = Counter()
        characters: Counter[str] = Counter()
        for form, count in forms.items():
            words[normalised(form)] += count
            for character in form:
                characters[character] += count
        tags = Counter(tag for sentence in sentences for tag in sentence[1])
        if column != "feats":
            del tags[BLANK]
        return cls(column, _frequent(words, min_count), _frequent(characters, min_count), _frequent(tags, 1))

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Vocabulary":
        """A vocabulary as it was kept by ``state``."""
        return cls(state["column"], state["words"], state["characters"], state["tags"])

    def state(self) -> dict[str, Any]:
        """Plain values, from which it can be made again."""
        lists = {"words": self.words, "characters": self.characters, "tags": self.tags}
        return {"column": self.column, **{name: list(values) for name, values in lists.items()}}

    @property
    def sizes(self) -> tuple[int, int, int]:
        """How many numbers there are of words, characters and tags."""
        return len(self.words) + 1, len(self.characters) + 2, len(self.tags)

    def word(self, form: str) -> int:
        """The number of a word."""
        return self._words.get(normalised(form), UNKNOWN)

    def spelling(self, form: str, longest: int) -> list[int]:
        """The numbers of a word's characters; of a long one those at its beginning and at its end."""
        if len(form) > longest:
            form = form[: longest // 2] + form[-(longest - longest // 2) :]
        return [self._characters.get(character, UNKNOWN) for character in form]

    def tag(self, tag: str) -> int:
        """The number of a tag; MISSING or NEW if it has none."""
        blank = tag == BLANK and self.column != "feats"
        return self._tags.get(tag, MISSING if blank else NEW)

    @cached_property
    def _words(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, UNKNOWN + 1)}

    @cached_property
    def _characters(self) -> dict[str, int]:
        return {character: number for number, character in enumerate(self.characters, PADDING + 1)}

    @cached_property
    def _tags(self) -> dict[str, int]:
        return {tag: number for number, tag in enumerate(self.tags)}


def normalised(form: str) -> str:
    """A word as it is looked up; what differs in case or digits only is told apart by its characters."""
    return re.sub(r"\d", "0", form.lower())


def _frequent(counts: Counter[str], least: int) -> list[str]:
    """What occurs so often, the most frequent first and in alphabetical order where equally often."""
    return sorted((each for each, n in counts.items() if n >= least), key=lambda each: (-counts[each], each))


def doubtful(sentences: Sentences, column: str) -> list[str]:
    """The tags that are no UPOS or no FEATS; in other columns many treebanks have tags of their own."""
    tags = sorted({tag for sentence in sentences for tag in sentence[1]} - {BLANK})
    if column == "upos":
        return [tag for tag in tags if tag not in UPOS]
    return [tag for tag in tags if FAULTS[tag]] if column == "feats" else []
