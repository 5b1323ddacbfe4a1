from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from lightning import Trainer
from omegaconf import OmegaConf
from torch import Tensor
from torch.nn import functional
from torchmetrics import Metric

from dlctl.data.conllu_datamodule import SAMPLE, Batch, ConlluDataModule
from dlctl.models.components.tagger_net import TaggerNet
from dlctl.models.tagger_module import TaggerLitModule, TokenAccuracy
from dlctl.pipeline import restore

CONFIG = Path(__file__).parents[2] / "configs" / "model" / "tagger.yaml"
ADAM = partial(torch.optim.AdamW, lr=0.01)
SIZES = {"word_size": 8, "character_size": 6, "spelling_size": 5, "hidden_size": 7}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def net(**options: Any) -> TaggerNet:
    torch.manual_seed(1)
    made = TaggerNet(**{**SIZES, **options})
    made.resize(*ConlluDataModule().vocabulary.sizes)
    return made


def trainer(folder: Path, **options: Any) -> Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return Trainer(**{**quiet, "accelerator": "cpu", "devices": 1, "default_root_dir": folder, **options})


def batches(split: str = "val", size: int = 20) -> list[Batch]:
    return list(ConlluDataModule(batch_size=size).eval_dataloader(split))  # type: ignore[arg-type]


# The metric


def logits(*tags: int) -> Tensor:
    return functional.one_hot(torch.tensor(tags), 3).float()


def test_accuracy_counts_new_tags_as_wrong_and_missing_ones_not_at_all() -> None:
    metric = TokenAccuracy()
    metric.update(torch.tensor(2.0), logits(0, 0, 1, 0, 2), torch.tensor([0, 1, 1, -1, -2]))
    metric.update(torch.tensor(5.0), logits(0), torch.tensor([0]))
    values = metric.compute()
    assert values["acc"].item() == pytest.approx(3 / 5)
    assert values["loss"].item() == pytest.approx((3 * 2.0 + 5.0) / 4)
    assert values["per_tag"][:2].tolist() == [1.0, 0.5]
    assert values["per_tag"][2].isnan()
    metric.reset()
    assert [state.item() for state in metric.metric_state.values()] == [0, 0, 0, 0]


def test_processes_add_up_their_counts() -> None:
    metric = TokenAccuracy()
    metric.update(torch.tensor(1.0), logits(0, 1), torch.tensor([0, 0]))
    other = [torch.tensor(1.0), torch.tensor([0, 2, 0]), torch.tensor([0, 4, 1]), torch.tensor(3)]
    gathered = iter(other)
    metric.sync(dist_sync_fn=lambda mine, group: [mine, next(gathered)], distributed_available=lambda: True)
    assert metric.correct.tolist() == [1, 2, 0]
    assert metric.count.tolist() == [2, 4, 1]
    assert metric.new.item() == 3


def test_all_that_is_summed_up_is_held_in_metrics() -> None:
    module = TaggerLitModule(net(), ADAM)
    names = [name for name, each in module.named_modules() if isinstance(each, Metric)]
    assert names == ["train_metrics", "val_metrics", "test_metrics", "val_acc_best"]


# The network


@pytest.mark.parametrize("layers", [1, 2])
def test_a_sentence_is_read_the_same_alone_and_beside_longer_ones(layers: int) -> None:
    data = ConlluDataModule().eval_dataloader("test").dataset
    model = net(layers=layers).eval()
    order = sorted(range(len(data)), key=data.lengths.__getitem__)
    with torch.no_grad():
        together = model(data.__getitems__([order[-1], order[0], order[40]]))
        alone = [model(data[index]) for index in (order[-1], order[0], order[40])]
    assert data.lengths[order[0]] * 3 <= data.lengths[order[-1]]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


def test_characters_tell_words_apart_that_are_not_known() -> None:
    batch = batches()[0]
    unknown = batch._replace(words=torch.zeros_like(batch.words))
    with torch.no_grad():
        read = net().eval()(unknown)
    first, second = int((batch.spelt == 0).nonzero()[0]), int((batch.spelt == 3).nonzero()[0])
    assert not torch.allclose(read[first], read[second])


def test_words_are_taken_for_unknown_in_training_only() -> None:
    batch = batches()[0]
    unknown = batch._replace(words=torch.zeros_like(batch.words))
    model = net(dropout=0.0, word_dropout=1.0)
    with torch.no_grad():
        assert torch.equal(model.train()(batch), model.train()(unknown))
        assert not torch.equal(model.eval()(batch), model.eval()(unknown))


def test_a_new_network_takes_its_sizes_from_a_checkpoint_and_refuses_other_layers() -> None:
    saved = TaggerLitModule(net(), ADAM).state_dict()
    fresh = TaggerLitModule(TaggerNet(**SIZES), ADAM)
    fresh.load_state_dict(saved)
    assert all(torch.equal(saved[name], value) for name, value in fresh.state_dict().items())
    other = TaggerLitModule(TaggerNet(**{**SIZES, "hidden_size": 9}), ADAM)
    with pytest.raises(RuntimeError) as error:
        other.load_state_dict(saved)
    told = str(restore.misfit("x.ckpt", saved, other, error.value))
    assert told.startswith("x.ckpt does not fit the model: net.tags.weight is [16, 14]")


# Training


def test_it_learns_its_training_sentences_by_heart(tmp_path: Path) -> None:
    data = ConlluDataModule(batch_size=8, min_count=1)
    module = TaggerLitModule(TaggerNet(16, 16, 16, 32, dropout=0.0, word_dropout=0.0), ADAM)
    torch.manual_seed(1)
    learning = trainer(tmp_path, max_epochs=40, overfit_batches=6, limit_val_batches=0)
    learning.fit(module, data)
    assert learning.callback_metrics["train/acc"] > 0.99


def test_figures_of_tags_are_logged_by_a_test_and_not_by_a_training(tmp_path: Path) -> None:
    data = ConlluDataModule()
    module = TaggerLitModule(TaggerNet(**SIZES), ADAM)
    training = trainer(tmp_path, max_epochs=1)
    training.fit(module, data)
    assert set(training.callback_metrics) == {
        "train/loss",
        "train/acc",
        "val/loss",
        "val/acc",
        "val/acc_best",
    }
    tested = trainer(tmp_path)
    tested.test(module, data, verbose=False)
    values = tested.callback_metrics
    with torch.no_grad():
        found = [(module.eval()(batch).argmax(1), batch.tags) for batch in batches("test")]
    guess, tags = (torch.cat(each) for each in zip(*found, strict=True))
    assert values["test/acc"].item() == pytest.approx((guess == tags).float().mean().item())
    assert {name.removeprefix("test/acc/") for name in values} - {"test/loss", "test/acc"} == {
        data.vocabulary.tags[tag] for tag in tags
    }
    nouns = tags == data.vocabulary.tags.index("NOUN")
    assert values["test/acc/NOUN"].item() == pytest.approx(
        (guess[nouns] == tags[nouns]).float().mean().item()
    )


def test_a_checkpoint_holds_the_vocabulary_and_needs_no_training_file(tmp_path: Path) -> None:
    paths = {f"{part}_path": str(tmp_path / f"{part}.conllu") for part in ("train", "dev", "test")}
    for part in ("train", "dev", "test"):
        (tmp_path / f"{part}.conllu").write_bytes((SAMPLE / f"{part}.conllu").read_bytes())
    module, data = TaggerLitModule(TaggerNet(**SIZES), ADAM), ConlluDataModule(**paths)
    first = trainer(tmp_path, max_epochs=1)
    first.fit(module, data)
    first.save_checkpoint(tmp_path / "a.ckpt")
    first.test(module, data, verbose=False)
    (tmp_path / "train.conllu").write_text("")
    later = trainer(tmp_path)
    fresh = TaggerLitModule(TaggerNet(**SIZES), ADAM)
    later.test(
        fresh,
        datamodule=ConlluDataModule(**paths),
        ckpt_path=tmp_path / "a.ckpt",
        verbose=False,
        weights_only=True,
    )
    assert later.callback_metrics == first.callback_metrics


def test_a_batch_without_any_tag_has_no_loss() -> None:
    batch = batches()[0]
    module = TaggerLitModule(net(), ADAM)
    loss = module.model_step(batch._replace(tags=torch.full_like(batch.tags, -1)), module.val_metrics)
    assert loss.item() == 0


def test_the_threads_are_what_they_were_after_training(tmp_path: Path) -> None:
    torch.set_num_threads(2)
    seen = []

    class Watched(TaggerLitModule):
        def on_train_start(self) -> None:
            seen.append(torch.get_num_threads())

    module = Watched(TaggerNet(**SIZES), ADAM, threads=1)
    trainer(tmp_path, fast_dev_run=True).fit(module, ConlluDataModule())
    assert (seen, torch.get_num_threads()) == ([1], 2)


def test_the_config_builds_the_module() -> None:
    module = instantiate(OmegaConf.load(CONFIG))
    assert module.net.sentence.hidden_size == 200
    optimizer = module.make_optimizer(params=module.parameters())
    assert type(optimizer) is torch.optim.AdamW
    assert module.make_scheduler(optimizer=optimizer).gamma == 0.75
