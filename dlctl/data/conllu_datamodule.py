"""Treebanks in CoNLL-U: sentences of words to be tagged, in batches from memory."""

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

from dlctl.data.batched import WholeBatches, batched_loader
from dlctl.data.bucketed import BucketBatchSampler, EpochSampler
from dlctl.data.conllu_parser import columns, load, write
from dlctl.data.conllu_source import Source
from dlctl.data.conllu_vocabulary import BLANK, PADDING, Sentences, Vocabulary, doubtful
from dlctl.data.splits import Split, shared_out
from dlctl.errors import ConfigError, DlctlError, raise_all

log = logging.getLogger(__name__)
SAMPLE = Path(__file__).parent / "english_mini"
_NAMES: dict[Split, str] = {"train": "train", "val": "dev", "test": "test"}
# What names each part's file.
_KEYS: dict[Split, str] = {split: f"data.{name}_path" for split, name in _NAMES.items()}
COLUMNS = ("upos", "xpos", "feats", "deprel")
# Of longer words, the beginning and the end are read.
LONGEST_WORD = 24


class Batch(NamedTuple):
    """Sentences with N words in all, one behind the other and without padding.

    Words that are spelt alike share a row of ``spellings``, which come longest first.
    """

    sentences: Tensor
    """[B] which sentences of the file."""
    lengths: Tensor
    """[B] how many words each has."""
    words: Tensor
    """[N] number of the word in the vocabulary."""
    spelt: Tensor
    """[N] its row in ``spellings``."""
    spellings: Tensor
    """[S, C] numbers of characters, padded."""
    spelling_lengths: Tensor
    """[S] how many characters each has, the most first."""
    tags: Tensor
    """[N] number of the tag; negative where there is none."""


class TaggedSentences(WholeBatches[Batch]):
    """Sentences as numbers, in whole batches.

    Args:
        sentences: a list of forms and a list of tags each.
        vocabulary: gives the numbers.
    """

    def __init__(self, sentences: Sentences, vocabulary: Vocabulary) -> None:
        self.lengths = [len(forms) for forms, _ in sentences]
        self._starts = torch.tensor([0, *self.lengths]).cumsum(0)
        # Longest first, so that those of a batch, in the order of their numbers, are too.
        forms = sorted({form for each in sentences for form in each[0]}, key=lambda form: (-len(form), form))
        number = {form: place for place, form in enumerate(forms)}
        self._forms = torch.tensor([number[form] for each in sentences for form in each[0]])
        self._words = torch.tensor([vocabulary.word(form) for form in forms])
        spelt = [torch.tensor(vocabulary.spelling(form, LONGEST_WORD)) for form in forms]
        self._spelling_lengths = torch.tensor([len(each) for each in spelt])
        self._spellings = pad_sequence(spelt, batch_first=True, padding_value=PADDING)
        self._tags = torch.tensor([vocabulary.tag(tag) for each in sentences for tag in each[1]])

    def __len__(self) -> int:
        """The number of sentences."""
        return len(self.lengths)

    def __getitem__(self, index: int) -> Batch:
        """A batch of one sentence."""
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """These sentences, in this order."""
        bounds = [(int(self._starts[index]), int(self._starts[index + 1])) for index in indices]
        where = torch.cat([torch.arange(start, end) for start, end in bounds])
        forms, spelt = self._forms[where].unique(return_inverse=True)  # type: ignore[no-untyped-call]
        spelling_lengths = self._spelling_lengths[forms]
        return Batch(
            torch.tensor(indices),
            torch.tensor([end - start for start, end in bounds]),
            self._words[forms][spelt],
            spelt,
            self._spellings[forms, : int(spelling_lengths[0])],
            spelling_lengths,
            self._tags[where],
        )


class ConlluDataModule(LightningDataModule):
    """Words with the tags of one column: a treebank's training, development and test part.

    The vocabulary is of the training part only. It travels in the checkpoint, and an evaluation or a
    prediction takes it from there: it reads no file but the one that it is about.

    Args:
        train_path: a CoNLL-U file, packed or not.
        dev_path: the same, for the validation.
        test_path: the same, for the test.
        sample: whether the small English treebank that comes with dlctl stands in where no training
            file is given.
        column: what is to be predicted: upos, xpos, feats or deprel.
        batch_size: sentences per step over all devices.
        min_count: how often a word or a character must occur in the training part to be known.
        num_workers: processes that load batches; 0 to load in the main process.
        pin_memory: whether batches are put into page-locked memory, from where they reach a GPU faster.
    """

    # Predictions go into a file of this kind as the data module writes it, into others as rows.
    predictions_suffix = ".conllu"

    def __init__(
        self,
        train_path: str | None = None,
        dev_path: str | None = None,
        test_path: str | None = None,
        sample: bool = True,
        column: str = "upos",
        batch_size: int = 32,
        min_count: int = 2,
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        super().__init__()
        if column not in COLUMNS:
            raise ConfigError(
                f"column {column!r} cannot be predicted",
                hint=f"choose one with data.column: {', '.join(COLUMNS)}",
                key="data.column",
                suggestions=COLUMNS,
            )
        for name, number in (("batch_size", batch_size), ("min_count", min_count)):
            if number < 1:
                raise ConfigError(f"{name} must be at least 1, not {number}", key=f"data.{name}")
        self.paths = _checked_paths({"train": train_path, "val": dev_path, "test": test_path}, sample)
        self.column = column
        self.batch_size = batch_size
        self.batch_size_per_device = batch_size
        self.min_count = min_count
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self._sentences: dict[Split, Sentences] = {}
        self._piped: dict[Split, bytes] = {}
        self._vocabulary: Vocabulary | None = None
        self._shown: Split = "test"

    @property
    def vocabulary(self) -> Vocabulary:
        """What is known of words and tags: that of the checkpoint, or else of the training part."""
        if self._vocabulary is None:
            self._vocabulary = Vocabulary.of(self._annotated("train"), self.column, self.min_count)
        return self._vocabulary

    def setup(self, stage: str | None = None) -> None:
        """Share the batch size out among the devices; before a training, find the faults of all files."""
        if self.trainer is not None:
            self.batch_size_per_device = shared_out(self.batch_size, self.trainer.world_size)
        # An evaluation of the training data says "fit" too.
        if stage == "fit" and (self.trainer is None or self.trainer.state.fn == "fit"):
            raise_all([fault for split in _KEYS if (fault := self._fault(split))])
            if strange := doubtful(self._read("train"), self.column):
                told = ", ".join(strange[:3]) + (" and others" if len(strange) > 3 else "")
                lines = f"dlctl parse-conllu --validate {self.paths['train']}"
                name = self.column.upper()
                log.warning(f"tags that are no {name} are learnt like any other: {told}; lines: {lines}")

    def state_dict(self) -> dict[str, Any]:
        """What goes into the checkpoint: the vocabulary, as plain values."""
        return self.vocabulary.state()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the vocabulary of a checkpoint.

        Raises:
            ConfigError: it is for another column.
        """
        vocabulary = Vocabulary.from_state(state_dict)
        if vocabulary.column != self.column:
            raise ConfigError(
                f"the checkpoint predicts the column {vocabulary.column}, not {self.column}",
                hint=f"leave out data.column={self.column}, or train anew",
                key="data.column",
            )
        self._vocabulary = vocabulary

    def train_dataloader(self) -> DataLoader[Batch]:
        """The training sentences, those of about one length together, in random order."""
        dataset = self._dataset(self._annotated("train"))
        batches = BucketBatchSampler(EpochSampler(dataset), self.batch_size_per_device)
        return self._loader(dataset, batch_sampler=batches)

    def val_dataloader(self) -> DataLoader[Batch]:
        """The development sentences, in the order of the file."""
        return self._in_order(self._annotated("val"))

    def test_dataloader(self) -> DataLoader[Batch]:
        """The test sentences, in the order of the file."""
        return self._in_order(self._annotated("test"))

    def eval_dataloader(self, split: Split) -> DataLoader[Batch]:
        """The sentences of any split, annotated or not, in the order of the file."""
        self._shown = split
        return self._in_order(self._read(split))

    def write_predictions(self, predictions: Sequence[Mapping[str, Any]], path: Path) -> int:
        """Write the treebank with the column filled in, and all else as it is.

        Args:
            predictions: of the split that ``eval_dataloader`` gave last: ``sentence``, ``word`` and
                ``prediction`` of every word.
            path: where to.

        Returns:
            how many words have got a tag.
        """
        sentences = load(self._source(self._shown))
        written = 0
        for batch in predictions:
            where = (batch["sentence"].tolist(), batch["word"].tolist(), batch["prediction"])
            for sentence, word, tag in zip(*where, strict=True):
                sentences[sentence].words[word - 1][self.column] = tag
                written += 1
        write(sentences, path)
        return written

    def _source(self, split: Split) -> Source:
        """Where a part is read, more than once; what came through a pipe is kept."""
        path = self.paths[split]
        if str(path) != "-" and not path.is_fifo():
            return path
        if split not in self._piped:
            self._piped[split] = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return self._piped[split]

    def _read(self, split: Split) -> Sentences:
        """The forms and tags of a part, read once.

        Raises:
            ConfigError: there are no sentences in it, or it is no CoNLL-U.
            NotFoundError: the file is not there or cannot be read.
        """
        if split not in self._sentences:
            sentences = list(columns(self._source(split), "form", self.column))
            if not sentences:
                key = _KEYS[split]
                raise ConfigError(
                    f"{self.paths[split]} has no sentences", hint=f"name another: {key}=FILE", key=key
                )
            self._sentences[split] = sentences
        return self._sentences[split]

    def _annotated(self, split: Split) -> Sentences:
        """The same, of a part whose words have tags.

        Raises:
            ConfigError: as above, or no word has one.
        """
        sentences = self._read(split)
        if any(tag != BLANK for _, tags in sentences for tag in tags):
            return sentences
        filled = [
            name
            for name in COLUMNS
            if any(tag != BLANK for each in columns(self._source(split), name) for tag in each[0])
        ]
        raise ConfigError(
            f"the column {self.column} of {self.paths[split]} is empty",
            hint=" or ".join(f"data.column={name}" for name in filled)
            or f"name another: {_KEYS[split]}=FILE",
            key="data.column",
            suggestions=filled,
        )

    def _fault(self, split: Split) -> DlctlError | None:
        try:
            self._annotated(split)
        except DlctlError as error:
            return error
        return None

    def _dataset(self, sentences: Sentences) -> TaggedSentences:
        return TaggedSentences(sentences, self.vocabulary)

    def _in_order(self, sentences: Sentences) -> DataLoader[Batch]:
        return self._loader(self._dataset(sentences), batch_size=self.batch_size_per_device)

    def _loader(self, dataset: TaggedSentences, **how: Any) -> DataLoader[Batch]:
        return batched_loader(dataset, num_workers=self.num_workers, pin_memory=self.pin_memory, **how)


def _checked_paths(given: dict[Split, str | None], sample: bool) -> dict[Split, Path]:
    """The three files; those of the sample may stand in where there is no training file.

    Raises:
        ConfigError: one is not given.
    """
    paths = {split: Path(path).expanduser() for split, path in given.items() if path is not None}
    if sample and "train" not in paths:
        return {split: SAMPLE / f"{name}.conllu" for split, name in _NAMES.items()} | paths
    missing = [key for split, key in _KEYS.items() if split not in paths]
    raise_all([ConfigError(f"{key} is not given", hint=f"name it: {key}=FILE", key=key) for key in missing])
    return paths
