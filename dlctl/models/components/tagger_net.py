"""A network that reads words and their characters, both in both directions."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

if TYPE_CHECKING:
    from dlctl.data.conllu_datamodule import Batch

# The number of words that are not in the vocabulary.
_UNKNOWN = 0


class Table(nn.Module):
    """A matrix [rows, columns] that has no rows until it is known how many there are.

    The data tells, or the checkpoint from which it is loaded.
    """

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(0, columns))
        self.register_load_state_dict_pre_hook(_as_saved)  # type: ignore[no-untyped-call]

    def resize(self, rows: int) -> None:
        """Give it so many rows, of no values yet."""
        self.weight = nn.Parameter(self.weight.new_empty(rows, self.weight.shape[1]))


def _as_saved(table: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Make room for as many rows as were saved."""
    saved = state.get(f"{prefix}weight")
    if isinstance(table, Table) and isinstance(saved, Tensor) and len(saved) != len(table.weight):
        table.resize(len(saved))


class TaggerNet(nn.Module):
    """A BiLSTM over the words of a sentence, each an embedding and what a BiLSTM reads in its characters.

    Args:
        word_size: the size of a word's embedding.
        character_size: the size of a character's embedding.
        spelling_size: the size of what is read in a word's characters, each way.
        hidden_size: the size of what is read in the sentence, each way.
        layers: how many BiLSTMs lie above one another.
        dropout: which share of the values is dropped before and after the words' BiLSTM, in training.
        word_dropout: which share of the words is taken for unknown in training, so that it is learnt what
            to make of those.
    """

    def __init__(
        self,
        word_size: int = 100,
        character_size: int = 32,
        spelling_size: int = 64,
        hidden_size: int = 200,
        layers: int = 1,
        dropout: float = 0.4,
        word_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.words, self.characters, self.tags = (
            Table(word_size),
            Table(character_size),
            Table(2 * hidden_size),
        )
        self.spelling = nn.LSTM(character_size, spelling_size, bidirectional=True, batch_first=True)
        self.sentence = nn.LSTM(
            word_size + 2 * spelling_size,
            hidden_size,
            layers,
            bidirectional=True,
            batch_first=True,
            dropout=dropout if layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(dropout)
        self.word_dropout = word_dropout

    def resize(self, words: int, characters: int, tags: int) -> None:
        """Make room for so many words, characters and tags."""
        for table, rows in ((self.words, words), (self.characters, characters), (self.tags, tags)):
            table.resize(rows)
            nn.init.xavier_uniform_(table.weight)

    def forward(self, batch: "Batch") -> Tensor:
        """The logits [N, tags] of the words of a batch."""
        words = batch.words
        if self.training:
            words = words.masked_fill(
                torch.rand(words.shape, device=words.device) < self.word_dropout, _UNKNOWN
            )
        spelt = self._spelt(batch.spellings, batch.spelling_lengths.cpu())[batch.spelt]
        read = torch.cat([functional.embedding(words, self.words.weight), spelt], dim=1)
        lengths = batch.lengths.cpu()
        padded = pad_sequence(list(self.dropout(read).split(lengths.tolist())), batch_first=True)
        packed = pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=False)
        hidden, _ = pad_packed_sequence(self.sentence(packed)[0], batch_first=True)
        inside = torch.arange(hidden.shape[1]) < lengths[:, None]
        return functional.linear(self.dropout(hidden[inside.to(hidden.device)]), self.tags.weight)

    def _spelt(self, spellings: Tensor, lengths: Tensor) -> Tensor:
        """What spellings [S, C], the longest first, come to: [S, 2 * spelling_size]."""
        characters = functional.embedding(spellings, self.characters.weight)
        _, (last, _) = self.spelling(pack_padded_sequence(characters, lengths, batch_first=True))
        return torch.cat([last[0], last[1]], dim=1)
