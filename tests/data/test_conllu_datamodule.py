import gzip
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.fabric.utilities.data import _update_dataloader
from omegaconf import OmegaConf
from torch.utils.data import DistributedSampler

from dlctl.data.bucketed import BucketBatchSampler, EpochSampler
from dlctl.data.conllu_datamodule import COLUMNS, LONGEST_WORD, SAMPLE, Batch, ConlluDataModule
from dlctl.data.conllu_parser import ConlluError, columns
from dlctl.data.conllu_vocabulary import MISSING, NEW, UNKNOWN, Vocabulary
from dlctl.errors import ConfigError, DlctlError, NotFoundError

PARTS = {"train": 440, "dev": 70, "test": 90}
LINE = "{}\t{}\t_\t{}\t_\t{}\t{}\t{}\t_\t_\n"


def sentence(*words: tuple[str, str], feats: str = "_") -> str:
    """A sentence of forms and tags."""
    rows = (
        LINE.format(i, form, tag, feats, 0 if i == 1 else 1, "root" if i == 1 else "dep")
        for i, (form, tag) in enumerate(words, 1)
    )
    return "".join(rows) + "\n"


@pytest.fixture
def treebank(tmp_path: Path) -> Callable[..., ConlluDataModule]:
    """A data module of three files with these texts."""

    def make(train: str, dev: str, test: str, **options: Any) -> ConlluDataModule:
        paths = {}
        for name, text in (("train", train), ("dev", dev), ("test", test)):
            (tmp_path / f"{name}.conllu").write_text(text, encoding="utf-8")
            paths[f"{name}_path"] = str(tmp_path / f"{name}.conllu")
        return ConlluDataModule(**paths, **options)

    return make


TRAIN = sentence(("Old", "ADJ"), ("dogs", "NOUN"), ("bark", "VERB")) + sentence(
    ("Dogs", "NOUN"), ("7", "NUM")
)
DEV = sentence(("Cats", "NOUN"), ("hm", "INTJ"))


# The sample


def rows(part: str) -> list[list[list[str]]]:
    text = (SAMPLE / f"{part}.conllu").read_text(encoding="utf-8")
    blocks = [block.split("\n") for block in text.removesuffix("\n\n").split("\n\n")]
    return [[line.split("\t") for line in block] for block in blocks]


def test_the_sample_is_small_and_says_what_it_is() -> None:
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) < 300_000
    assert "written for dlctl" in (SAMPLE / "README.md").read_text(encoding="utf-8")


def test_the_parts_of_the_sample_share_no_sentence() -> None:
    texts = {part: {block[1][0] for block in rows(part)} for part in PARTS}
    assert {part: len(found) for part, found in texts.items()} == PARTS
    assert len(texts["train"] | texts["dev"] | texts["test"]) == sum(PARTS.values())


@pytest.mark.parametrize("part", PARTS)
def test_every_sentence_of_the_sample_is_a_tree_with_its_text(part: str) -> None:
    for block in rows(part):
        assert block[0][0].startswith(f"# sent_id = {part}-")
        lines = block[2:]
        assert all(len(line) == 10 and all(line) for line in lines)
        words = [line for line in lines if line[0].isdigit()]
        heads = {int(line[0]): int(line[6]) for line in words}
        assert list(heads) == list(range(1, len(words) + 1))
        assert [line[7] for line in words if line[6] == "0"] == ["root"]
        for start in heads:
            seen, here = set(), start
            while here:
                assert here not in seen
                seen.add(here)
                here = heads[here]
        assert block[1][0] == "# text = " + _text(lines)


def _text(lines: list[list[str]]) -> str:
    text, covered = "", 0
    for line in lines:
        first, _, last = line[0].partition("-")
        if last or int(first) > covered:
            text += line[1] + ("" if line[9] == "SpaceAfter=No" else " ")
            covered = int(last or first)
    return text.rstrip()


def test_the_sample_has_sixteen_parts_of_speech_and_words_that_are_of_several() -> None:
    tags: dict[str, set[str]] = {}
    for forms, upos in columns(SAMPLE / "train.conllu", "form", "upos"):
        for form, tag in zip(forms, upos, strict=True):
            tags.setdefault(form.lower(), set()).add(tag)
    every = "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB"
    assert " ".join(sorted(set().union(*tags.values()))) == every
    assert tags["water"] == {"NOUN", "VERB"}
    assert tags["that"] == {"DET", "PRON", "SCONJ"}
    assert sum(len(found) > 1 for found in tags.values()) > 20


def test_the_config_is_the_sample() -> None:
    config = OmegaConf.load(Path(__file__).parents[2] / "configs/data/conllu.yaml")
    config.pop("_target_")
    data = ConlluDataModule(**config)
    assert [len(data.eval_dataloader(split).dataset) for split in ("train", "val", "test")] == [440, 70, 90]


# The vocabulary


def test_the_vocabulary_is_of_the_training_part_only(treebank: Callable[..., ConlluDataModule]) -> None:
    vocabulary = treebank(TRAIN, DEV, DEV, min_count=1).vocabulary
    assert vocabulary.words == ["dogs", "0", "bark", "old"]
    assert vocabulary.tags == ["NOUN", "ADJ", "NUM", "VERB"]
    assert set(vocabulary.characters) == set("OlddogsDbark7")
    assert vocabulary.sizes == (5, 14, 4)


def test_rare_words_are_unknown_and_case_and_digits_make_no_difference(
    treebank: Callable[..., ConlluDataModule],
) -> None:
    vocabulary = treebank(TRAIN, DEV, DEV, min_count=2).vocabulary
    assert vocabulary.words == ["dogs"]
    assert [vocabulary.word(form) for form in ("dogs", "DOGS", "bark")] == [1, 1, UNKNOWN]
    every = treebank(TRAIN, DEV, DEV, min_count=1).vocabulary
    assert every.word("9") == every.word("7") != UNKNOWN
    assert every.spelling("9", 24) == [UNKNOWN]


def test_a_vocabulary_survives_as_plain_values(tmp_path: Path) -> None:
    vocabulary = ConlluDataModule(column="feats").vocabulary
    torch.save(vocabulary.state(), tmp_path / "state")
    assert Vocabulary.from_state(torch.load(tmp_path / "state", weights_only=True)) == Vocabulary.from_state(
        vocabulary.state()
    )


@pytest.mark.parametrize("column", COLUMNS)
def test_every_column_has_its_tags(column: str) -> None:
    data = ConlluDataModule(column=column)
    tags = [tag for each in columns(SAMPLE / "train.conllu", column) for tag in each[0]]
    assert set(data.vocabulary.tags) == set(tags)
    assert ("_" in data.vocabulary.tags) == (column == "feats")
    batch = next(iter(data.eval_dataloader("train")))
    assert [data.vocabulary.tags[tag] for tag in batch.tags] == tags[: len(batch.tags)]


# Batches


def test_a_batch_holds_the_words_of_its_sentences_one_behind_the_other() -> None:
    data = ConlluDataModule(min_count=1)
    read = list(columns(SAMPLE / "dev.conllu", "form", "upos"))
    batch: Batch = data.eval_dataloader("val").dataset.__getitems__([5, 0, 9])
    forms = [form for index in (5, 0, 9) for form in read[index][0]]
    assert batch.sentences.tolist() == [5, 0, 9]
    assert batch.lengths.tolist() == [len(read[index][0]) for index in (5, 0, 9)]
    assert batch.words.tolist() == [data.vocabulary.word(form) for form in forms]
    spelt = [batch.spellings[row][: batch.spelling_lengths[row]].tolist() for row in batch.spelt.tolist()]
    assert spelt == [data.vocabulary.spelling(form, LONGEST_WORD) for form in forms]
    assert batch.spelling_lengths.tolist() == sorted(batch.spelling_lengths.tolist(), reverse=True)
    assert len(batch.spellings) == len(set(forms))
    assert batch.spellings.shape[1] == max(map(len, forms))


def test_of_a_long_word_the_beginning_and_the_end_are_read(treebank: Callable[..., ConlluDataModule]) -> None:
    long = "a" * 500 + "b" * 500
    data = treebank(sentence((long, "X")), DEV, DEV, min_count=1)
    spelling = next(iter(data.eval_dataloader("train"))).spellings
    assert spelling.tolist() == [[2] * 12 + [3] * 12]


def test_tags_that_are_new_or_missing_have_no_number(treebank: Callable[..., ConlluDataModule]) -> None:
    data = treebank(TRAIN, sentence(("a", "_"), ("b", "PUNCT"), ("c", "NUM")), DEV)
    assert next(iter(data.val_dataloader())).tags.tolist() == [
        MISSING,
        NEW,
        data.vocabulary.tags.index("NUM"),
    ]


def test_the_order_follows_from_the_seed_and_the_epoch() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        torch.manual_seed(seed)
        loader = ConlluDataModule().train_dataloader()
        torch.rand(10)  # what else is drawn makes no difference
        loader.batch_sampler.sampler.set_epoch(epoch)  # type: ignore[union-attr]
        return [index for batch in loader for index in batch.sentences.tolist()]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)
    assert sorted(order(1, 0)) == list(range(440))


def test_batches_are_of_sentences_of_about_one_length() -> None:
    data = ConlluDataModule(batch_size=16)
    spread = mean(int(batch.lengths.max() - batch.lengths.min()) for batch in data.train_dataloader())
    plain = mean(int(batch.lengths.max() - batch.lengths.min()) for batch in data.eval_dataloader("train"))
    assert spread < 2 < 5 < plain


def test_short_and_long_batches_come_in_no_order() -> None:
    lengths = [
        float(batch.lengths.float().mean()) for batch in ConlluDataModule(batch_size=8).train_dataloader()
    ]
    assert lengths != sorted(lengths)
    assert lengths != sorted(lengths, reverse=True)


class Digits(str):
    @property
    def lengths(self) -> list[int]:
        return [*map(int, self)]


def test_incomplete_batches_can_be_left_out() -> None:
    sampler = EpochSampler(Digits("12345"))
    assert sorted(map(len, BucketBatchSampler(sampler, 2))) == [1, 2, 2]
    assert sorted(map(len, BucketBatchSampler(sampler, 2, drop_last=True))) == [2, 2]


def test_workers_load_the_same_batches_as_the_main_process() -> None:
    found = []
    for workers in (0, 2):
        torch.manual_seed(1)
        data = ConlluDataModule(num_workers=workers, batch_size=50)
        found.append([*data.train_dataloader(), *data.val_dataloader()])
    for batch, other in zip(*found, strict=True):
        assert all(torch.equal(mine, its) for mine, its in zip(batch, other, strict=True))


def test_processes_share_the_sentences_out() -> None:
    data = ConlluDataModule(batch_size=16)
    seen = []
    for rank in (0, 1):
        loader = data.train_dataloader()
        sampler = DistributedSampler(loader.dataset, num_replicas=2, rank=rank, shuffle=True)
        loader = _update_dataloader(loader, sampler)
        assert isinstance(loader.batch_sampler, BucketBatchSampler)
        seen.append({index for batch in loader for index in batch.sentences.tolist()})
    assert (len(seen[0]), len(seen[1]), len(seen[0] | seen[1])) == (220, 220, 440)


def test_a_batch_size_that_cannot_be_shared_out_is_refused() -> None:
    data = ConlluDataModule(batch_size=7)
    data.trainer = SimpleNamespace(world_size=2)  # type: ignore[assignment]
    with pytest.raises(ConfigError, match="batch_size 7 cannot be divided among 2 devices"):
        data.setup("test")


# A checkpoint's vocabulary


def test_with_a_checkpoint_no_file_is_read_but_the_one_asked_for(
    treebank: Callable[..., ConlluDataModule], tmp_path: Path
) -> None:
    state = treebank(TRAIN, DEV, DEV).state_dict()
    later = treebank("", "", DEV)
    for part in ("train", "dev"):
        (tmp_path / f"{part}.conllu").unlink()
    later.setup("test")
    later.load_state_dict(state)
    assert len(next(iter(later.test_dataloader())).tags) == 2
    assert later.vocabulary.tags == ["NOUN", "ADJ", "NUM", "VERB"]


def test_a_checkpoint_for_another_column_is_refused() -> None:
    state = ConlluDataModule().state_dict()
    with pytest.raises(ConfigError) as error:
        ConlluDataModule(column="xpos").load_state_dict(state)
    assert error.value.message == "the checkpoint predicts the column upos, not xpos"
    assert error.value.hint == "leave out data.column=xpos, or train anew"


# Predictions


@pytest.mark.parametrize("column", COLUMNS)
def test_what_is_predicted_is_filled_in_and_all_else_stays(column: str, tmp_path: Path) -> None:
    source = (SAMPLE / "test.conllu").read_bytes()
    place = {"upos": 3, "xpos": 4, "feats": 5, "deprel": 7}[column]
    empty = b"\n".join(
        b"\t".join(b"_" if at == place else cell for at, cell in enumerate(line.split(b"\t")))
        if line.partition(b"\t")[0].isdigit()
        else line
        for line in source.split(b"\n")
    )
    assert empty != source
    (tmp_path / "empty.conllu").write_bytes(empty)
    data = ConlluDataModule(test_path=str(tmp_path / "empty.conllu"), column=column, batch_size=40)
    gold = [tag for each in columns(SAMPLE / "test.conllu", column) for tag in each[0]]
    predictions = []
    for batch in data.eval_dataloader("test"):
        count = len(batch.words)
        predictions.append(
            {
                "sentence": batch.sentences.repeat_interleave(batch.lengths),
                "word": torch.cat([torch.arange(1, int(each) + 1) for each in batch.lengths]),
                "prediction": gold[:count],
            }
        )
        gold = gold[count:]
    assert data.write_predictions(predictions, tmp_path / "filled.conllu") == sum(
        len(each["prediction"]) for each in predictions
    )
    assert (tmp_path / "filled.conllu").read_bytes() == source


# Faults


def test_packed_files_are_read(tmp_path: Path) -> None:
    paths = {}
    for part in PARTS:
        (tmp_path / f"{part}.gz").write_bytes(gzip.compress((SAMPLE / f"{part}.conllu").read_bytes()))
        paths[f"{part}_path"] = str(tmp_path / f"{part}.gz")
    assert ConlluDataModule(**paths).vocabulary == ConlluDataModule().vocabulary


@pytest.mark.parametrize(
    ("options", "message", "hint", "key"),
    [
        (
            {"column": "pos"},
            "column 'pos' cannot be predicted",
            "choose one with data.column: upos, xpos, feats, deprel",
            "data.column",
        ),
        ({"batch_size": 0}, "batch_size must be at least 1, not 0", None, "data.batch_size"),
        ({"min_count": 0}, "min_count must be at least 1, not 0", None, "data.min_count"),
        (
            {"train_path": "a", "dev_path": "b"},
            "data.test_path is not given",
            "name it: data.test_path=FILE",
            "data.test_path",
        ),
        (
            {"sample": False, "dev_path": "b", "test_path": "c"},
            "data.train_path is not given",
            "name it: data.train_path=FILE",
            "data.train_path",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(
    options: dict[str, Any], message: str, hint: str | None, key: str
) -> None:
    with pytest.raises(ConfigError) as error:
        ConlluDataModule(**options)
    assert (error.value.message, error.value.hint, error.value.key) == (message, hint, key)


def test_faults_of_all_files_are_found_before_training(treebank: Callable[..., ConlluDataModule]) -> None:
    data = treebank(TRAIN, "", sentence(("a", "_")))
    with pytest.raises(DlctlError) as error:
        data.setup("fit")
    faults = error.value.faults  # type: ignore[attr-defined]
    assert [fault.message for fault in faults] == [
        f"{data.paths['val']} has no sentences",
        f"the column upos of {data.paths['test']} is empty",
    ]
    assert [fault.hint for fault in faults] == ["name another: data.dev_path=FILE", "data.column=deprel"]
    assert error.value.exit_code == 3


def test_a_file_that_is_not_there_and_one_that_is_no_treebank_are_named(
    treebank: Callable[..., ConlluDataModule], tmp_path: Path
) -> None:
    data = treebank(TRAIN, "1\tno\n\n", DEV)
    with pytest.raises(ConlluError, match=r"dev\.conllu") as broken:
        data.setup("fit")
    assert broken.value.exit_code == 3
    (tmp_path / "dev.conllu").unlink()
    with pytest.raises(NotFoundError, match=r"dev\.conllu"):
        data.setup("fit")


def test_tags_that_training_does_not_know_are_no_fault(treebank: Callable[..., ConlluDataModule]) -> None:
    data = treebank(TRAIN, DEV, DEV)
    data.setup("fit")
    assert next(iter(data.val_dataloader())).tags.tolist()[1] == NEW


def test_what_is_not_annotated_can_be_predicted_and_not_measured(
    treebank: Callable[..., ConlluDataModule],
) -> None:
    data = treebank(TRAIN, DEV, sentence(("a", "_")))
    data.setup("test")
    assert next(iter(data.eval_dataloader("test"))).tags.tolist() == [MISSING]
    with pytest.raises(ConfigError, match=r"the column upos of .*test\.conllu is empty"):
        data.test_dataloader()
