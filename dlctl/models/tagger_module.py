"""Tagging of words: the loss, the metrics and the optimizer around a network."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import MaxMetric, Metric

from dlctl.models.matching import sentences_for
from dlctl.models.optimized import OptimizedModule

if TYPE_CHECKING:
    from dlctl.data.conllu_datamodule import Batch

# The tag of a word that is not annotated; a lower number is that of a tag that training did not know.
_MISSING = -1
# Of how many tags, the most frequent ones, the accuracy is logged.
_TAGS_LOGGED = 50


class TokenAccuracy(Metric):
    """Mean loss and accuracy over words, of all and of those of each tag.

    Words that are not annotated do not count; those with a tag that training did not know count as wrong.
    """

    full_state_update = False
    loss_sum: Tensor
    correct: Tensor
    count: Tensor
    new: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("loss_sum", torch.tensor(0.0), dist_reduce_fx="sum")
        # One number for each tag, as soon as it is known how many there are.
        self.add_state("correct", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("new", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, loss: Tensor, logits: Tensor, tags: Tensor) -> None:
        """Add a batch: its mean loss, its logits [N, tags] and the numbers of its tags [N]."""
        known = tags[tags >= 0]
        right = known[logits.argmax(dim=1)[tags >= 0] == known]
        self.loss_sum = self.loss_sum + loss.detach() * len(known)
        self.correct = self.correct + right.bincount(minlength=logits.shape[1])
        self.count = self.count + known.bincount(minlength=logits.shape[1])
        self.new = self.new + (tags < _MISSING).sum()

    def compute(self) -> dict[str, Tensor]:
        """``loss``, ``acc`` and, for each tag, ``per_tag``: not a number for one that did not occur."""
        known = self.count.sum()
        return {
            "loss": self.loss_sum / known,
            "acc": self.correct.sum() / (known + self.new),
            "per_tag": self.correct / self.count,
        }


class TaggerLitModule(OptimizedModule):
    """Trains a network to give every word its tag.

    Args:
        net: maps a batch of N words to logits [N, tags]; its ``resize`` is called with the numbers of
            words, characters and tags as soon as they are known.
        optimizer: called with the parameters, returns the optimizer (``_partial_: true`` in a config).
        scheduler: called with the optimizer, returns the learning rate scheduler, which is stepped once per
            validation and given ``val/loss`` if it wants a metric; None for a constant learning rate.
        threads: how many are used on a CPU, until the trainer is done; None for all.
    """

    def __init__(
        self,
        net: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler] | None = None,
        threads: int | None = None,
    ) -> None:
        super().__init__(optimizer, scheduler)
        self._threads = threads
        self._threads_before = torch.get_num_threads()
        self.net = net
        self.train_metrics = TokenAccuracy()
        self.val_metrics = TokenAccuracy()
        self.test_metrics = TokenAccuracy()
        self.val_acc_best = MaxMetric()

    def forward(self, batch: "Batch") -> Tensor:
        """The logits [N, tags] of the words of a batch."""
        logits: Tensor = self.net(batch)
        return logits

    def setup(self, stage: str) -> None:
        """Make room for the words of the training data, before the optimizer asks for the parameters.

        And use so many threads: an LSTM's steps are small, so that threads wait for one another.
        """
        self._threads_before = torch.get_num_threads()
        if self._threads is not None:
            torch.set_num_threads(self._threads)
        if stage == "fit":
            self._resize()

    def teardown(self, stage: str) -> None:
        """Use as many threads as before."""
        torch.set_num_threads(self._threads_before)

    def on_validation_start(self) -> None:
        """Make room for them if the network was neither trained nor loaded; a checkpoint knows its sizes."""
        self._resize()

    on_test_start = on_predict_start = on_validation_start

    def _resize(self) -> None:
        sized = all(parameter.numel() for parameter in self.net.parameters())
        if not sized:
            data = sentences_for(self.trainer.datamodule)  # type: ignore[attr-defined]
            self.net.resize(*data.vocabulary.sizes)  # type: ignore[operator]

    def model_step(self, batch: "Batch", metrics: TokenAccuracy) -> Tensor:
        """The mean loss of a batch, which is added to the metrics."""
        logits = self(batch)
        total = functional.cross_entropy(logits, batch.tags.clamp(min=-1), ignore_index=-1, reduction="sum")
        loss = total / (batch.tags >= 0).sum().clamp(min=1)
        metrics.update(loss, logits, batch.tags)
        return loss

    def on_train_start(self) -> None:
        """Forget what the sanity check of the validation left behind."""
        self.val_metrics.reset()
        self.val_acc_best.reset()

    def training_step(self, batch: "Batch", batch_idx: int) -> Tensor:
        """The loss to minimise."""
        return self.model_step(batch, self.train_metrics)

    def on_train_epoch_end(self) -> None:
        """Log ``train/loss`` and ``train/acc``."""
        self._log_epoch("train", self.train_metrics)

    def validation_step(self, batch: "Batch", batch_idx: int) -> None:
        """Measure a validation batch."""
        self.model_step(batch, self.val_metrics)

    def on_validation_epoch_end(self) -> None:
        """Log ``val/loss``, ``val/acc`` and ``val/acc_best``, the highest accuracy so far."""
        values = self._log_epoch("val", self.val_metrics)
        self.val_acc_best.update(values["acc"])
        self.log("val/acc_best", self.val_acc_best.compute(), sync_dist=True)

    def test_step(self, batch: "Batch", batch_idx: int) -> None:
        """Measure a test batch."""
        self.model_step(batch, self.test_metrics)

    def on_test_epoch_end(self) -> None:
        """Log ``test/loss``, ``test/acc`` and the accuracy of every tag, such as ``test/acc/NOUN``."""
        self._log_epoch("test", self.test_metrics)

    def predict_step(self, batch: "Batch", batch_idx: int) -> dict[str, Any]:
        """What is predicted for every word: ``sentence``, ``word``, ``prediction`` and ``probability``."""
        probability, number = self(batch).softmax(dim=1).max(dim=1)
        names = self._names()
        return {
            "sentence": batch.sentences.repeat_interleave(batch.lengths),
            "word": torch.cat([torch.arange(1, int(length) + 1) for length in batch.lengths]),
            "prediction": [names[each] for each in number.tolist()],
            "probability": probability,
        }

    def _names(self) -> Sequence[str]:
        """The tags by their numbers."""
        names: Sequence[str] = self.trainer.datamodule.vocabulary.tags  # type: ignore[attr-defined]
        return names

    def _log_epoch(self, split: str, metrics: TokenAccuracy) -> dict[str, Tensor]:
        """Log the metrics of an epoch under the split's name and start anew."""
        values: dict[str, Tensor] = metrics.compute()
        metrics.reset()
        self.log_dict({f"{split}/loss": values["loss"], f"{split}/acc": values["acc"]}, sync_dist=True)
        if self.trainer.state.fn != "fit":
            # Dozens of figures would hide the others in every epoch of a training.
            for name, value in zip(self._names()[:_TAGS_LOGGED], values["per_tag"], strict=False):
                if not value.isnan():
                    self.log(f"{split}/acc/{name}", value, sync_dist=True)
        return values
