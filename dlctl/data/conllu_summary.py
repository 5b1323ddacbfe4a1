"""What a treebank holds, in numbers: counted sentence by sentence, added up over files."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from dlctl.data.conllu_cells import CellError, Span, read_feats
from dlctl.data.conllu_sentence import Sentence


@dataclass
class Summary:
    """The numbers of a treebank.

    Attributes:
        file: its name.
        tokens: what stands in the text: words, those of a multiword token as one.
        multiword_tokens: tokens of several words.
        empty_nodes: nodes of the enhanced dependencies that are no words.
        lengths: how many sentences have so many words.
        upos: how many words have a part of speech; likewise ``deprel``.
        cells: how many words have these features, as the text of a whole cell.
    """

    file: str
    tokens: int = 0
    multiword_tokens: int = 0
    empty_nodes: int = 0
    lengths: Counter[int] = field(default_factory=Counter)
    upos: Counter[str] = field(default_factory=Counter)
    deprel: Counter[str] = field(default_factory=Counter)
    cells: Counter[str] = field(default_factory=Counter)

    @property
    def sentences(self) -> int:
        """How many sentences there are."""
        return self.lengths.total()

    @property
    def words(self) -> int:
        """How many words there are."""
        return sum(length * count for length, count in self.lengths.items())

    @property
    def feats(self) -> dict[str, Counter[str]]:
        """How many words have a value of a feature, by its name; the most frequent first."""
        found: dict[str, Counter[str]] = {}
        for cell, count in self.cells.items():
            try:
                feats = read_feats(cell)
            except CellError:
                continue  # told of when it was counted
            for name, value in feats.items():
                found.setdefault(name, Counter())[value] += count
        return dict(sorted(found.items(), key=lambda pair: (-pair[1].total(), pair[0])))

    def add(self, sentence: Sentence) -> None:
        """Count a sentence.

        Raises:
            ConlluError: features that cannot be read, where faults stop.
        """
        ids, names = sentence.ids, sentence.columns
        words = len(ids)
        if ids[-1] == words:
            self.tokens += words
        else:
            spans = [each for each in ids if isinstance(each, Span)]
            words = sum(type(each) is int for each in ids)
            self.multiword_tokens += len(spans)
            self.empty_nodes += len(ids) - len(spans) - words
            self.tokens += words - sum(span.last - span.first for span in spans)
        self.lengths[words] += 1
        if "UPOS" in names:
            self.upos.update(sentence.column("UPOS"))
        if "DEPREL" in names:
            self.deprel.update(sentence.column("DEPREL"))
        if "FEATS" in names:
            self._count_feats(sentence)

    def _count_feats(self, sentence: Sentence) -> None:
        cells = sentence.column("FEATS")
        if not self.cells.keys() >= set(cells):
            # New ones are looked at where they stand, so that a fault has a line; and again at every place.
            bad = {cell for cell in set(cells) - self.cells.keys() if not _readable(cell)}
            for word, cell in zip(sentence.words, cells, strict=True):
                if cell in bad:
                    _ = word.feats
            cells = [cell for cell in cells if cell not in bad]
        self.cells.update(cells)

    def merge(self, other: "Summary") -> None:
        """Add the numbers of another treebank."""
        self.tokens += other.tokens
        self.multiword_tokens += other.multiword_tokens
        self.empty_nodes += other.empty_nodes
        self.lengths.update(other.lengths)
        self.upos.update(other.upos)
        self.deprel.update(other.deprel)
        self.cells.update(other.cells)

    def spread(self) -> dict[str, float | None]:
        """The shortest, the median, the mean and the longest number of words of a sentence."""
        if not self.lengths:
            return {"min": None, "median": None, "mean": None, "max": None}
        low, high = self.share(0.5), self._nth(self.sentences // 2)
        return {
            "min": min(self.lengths),
            "median": (low + high) / 2 if low != high else low,
            "mean": self.words / self.sentences,
            "max": max(self.lengths),
        }

    def share(self, part: float) -> int:
        """The length that this part of the sentences does not exceed."""
        return self._nth(max(0, -int(-self.sentences * part // 1) - 1))

    def _nth(self, place: int) -> int:
        """The length of a sentence by its place, counted from 0, from the shortest to the longest."""
        for length in sorted(self.lengths):
            place -= self.lengths[length]
            if place < 0:
                return length
        return max(self.lengths)

    def to_json(self) -> dict[str, Any]:
        """The numbers, as ``dlctl parse-conllu --json`` tells them."""
        return {
            "file": self.file,
            "sentences": self.sentences,
            "tokens": self.tokens,
            "words": self.words,
            "multiword_tokens": self.multiword_tokens,
            "empty_nodes": self.empty_nodes,
            "lengths": {**self.spread(), "counts": {str(n): self.lengths[n] for n in sorted(self.lengths)}},
            "upos": dict(in_order(self.upos)),
            "deprel": dict(in_order(self.deprel)),
            "feats": {name: dict(in_order(values)) for name, values in self.feats.items()},
        }


def in_order(counts: Counter[str]) -> list[tuple[str, int]]:
    """The most frequent first, those that are as frequent by name."""
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _readable(cell: str) -> bool:
    try:
        read_feats(cell)
    except CellError:
        return False
    return True
