"""The tagger as people run it: trained, evaluated, stopped, searched; and what can be wrong with its data."""

import csv
import json
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch

from dlctl.data.conllu_datamodule import SAMPLE
from tests.conftest import QUIET, Dlctl
from tests.helpers import SendSignal

SMALL = (
    "trainer.max_epochs=2",
    "model.net.hidden_size=16",
    "model.net.spelling_size=8",
    "callbacks.model_summary=null",
)
FILES = ("data.train_path=train.conllu", "data.dev_path=dev.conllu", "data.test_path=test.conllu")


@pytest.fixture
def tagger(dlctl: Dlctl) -> Dlctl:
    """A project with a tiny treebank: the first sentences of the sample."""
    for part, count in (("train", 60), ("dev", 15), ("test", 12)):
        sentences = (SAMPLE / f"{part}.conllu").read_text(encoding="utf-8").split("\n\n")[:count]
        (dlctl.root / f"{part}.conllu").write_text("\n\n".join(sentences) + "\n\n", encoding="utf-8")
    return dlctl


def train(dlctl: Dlctl, *words: str, code: int = 0) -> Any:
    return dlctl.train("--exp", "tagger", *SMALL, *FILES, *words, code=code)


def cells(file: Path, place: int) -> list[list[str]]:
    """Every line's cells; those of the words without one column, which is returned behind them."""
    rows = [line.split("\t") for line in file.read_text(encoding="utf-8").split("\n")]
    return [row[:place] + row[place + 1 :] if row[0].isdigit() else row for row in rows]


def test_the_experiment_learns_the_sample_without_a_network(dlctl: Dlctl) -> None:
    report = dlctl.train("--exp", "tagger", "--json").json
    known: dict[str, Counter[str]] = defaultdict(Counter)
    words = {}
    for part in ("train", "test"):
        rows = [line.split("\t") for line in (SAMPLE / f"{part}.conllu").read_text().splitlines()]
        words[part] = [(row[1].lower(), row[3]) for row in rows if row[0].isdigit()]
    for form, tag in words["train"]:
        known[form][tag] += 1
    most = Counter(tag for _, tag in words["train"]).most_common(1)
    guesses = [(known[form].most_common(1) or most)[0][0] == tag for form, tag in words["test"]]
    baseline = sum(guesses) / len(guesses)
    assert 0.9 < baseline < 0.95
    assert report["metrics"]["test/acc"] > baseline + 0.03
    assert report["metrics"]["test/acc/NOUN"] > 0.95
    assert not any(name.startswith(("train/acc/", "val/acc/")) for name in report["metrics"])


def test_a_run_is_evaluated_and_predicted_also_after_its_checkpoint_was_moved(tagger: Dlctl) -> None:
    report = train(tagger, "--json").json
    checkpoint = next(Path(report["dir"]).glob("checkpoints/epoch_*.ckpt"))
    state = torch.load(checkpoint, weights_only=True)
    assert state["ConlluDataModule"]["tags"][0] == "NOUN"
    shutil.move(checkpoint, tagger.root / "moved.ckpt")
    shutil.rmtree(tagger.root / "logs")
    for part in ("train", "dev"):
        (tagger.root / f"{part}.conllu").unlink()
    evaluated = tagger("eval", "moved.ckpt", *QUIET, "--json").json["metrics"]
    assert evaluated == {name: value for name, value in report["metrics"].items() if name.startswith("test/")}

    result = tagger("predict", "moved.ckpt", *QUIET, "--output", "out.conllu")

    assert result.out == "out.conllu\n"
    assert cells(tagger.root / "out.conllu", 3) == cells(tagger.root / "test.conllu", 3)
    rows = [
        [line.split("\t")[3] for line in (tagger.root / name).read_text().splitlines() if line[:1].isdigit()]
        for name in ("out.conllu", "test.conllu")
    ]
    pairs = [(mine, gold) for mine, gold in zip(*rows, strict=True) if gold != "_"]
    right = sum(mine == gold for mine, gold in pairs) / len(pairs)
    assert right == pytest.approx(evaluated["test/acc"])


def test_a_treebank_without_tags_is_tagged(tagger: Dlctl) -> None:
    train(tagger)
    source = (tagger.root / "test.conllu").read_text(encoding="utf-8")
    lines = [line.split("\t") for line in source.split("\n")]
    plain = "\n".join("\t".join([*row[:3], "_", *row[4:]]) if len(row) == 10 else row[0] for row in lines)
    (tagger.root / "plain.conllu").write_text(plain, encoding="utf-8")
    more = ("data.test_path=plain.conllu", *QUIET)
    report = tagger("predict", "last", *more, "--json").json
    assert report["output"].endswith("/predictions.conllu")
    assert report["rows"] == sum(row[0].isdigit() for row in lines)
    tagged = Path(report["output"])
    assert cells(tagged, 3) == cells(tagger.root / "test.conllu", 3)
    assert all(
        row[3] != "_" for line in tagged.read_text().split("\n") if (row := line.split("\t"))[0].isdigit()
    )
    refused = tagger("eval", "last", *more, code=3)
    assert refused.err.endswith(
        "error: the column upos of plain.conllu is empty\n  data.column=xpos or data.column=feats or "
        "data.column=deprel\n"
    )


def test_a_treebank_may_come_through_a_pipe(tagger: Dlctl) -> None:
    train(tagger)
    command = f"'{sys.executable}' -m dlctl predict last {' '.join(QUIET)}"
    script = f"""cat test.conllu | {command} data.test_path=- --output a.conllu || exit 1
        {command} data.test_path=<(cat test.conllu) --output b.conllu || exit 1
        {command} --output c.conllu"""
    subprocess.run(["bash", "-c", script], cwd=tagger.root, capture_output=True, check=True)
    a, b, c = ((tagger.root / f"{name}.conllu").read_bytes() for name in "abc")
    assert a == b == c


@pytest.mark.parametrize(
    ("column", "old", "new"), [("upos", "PUNCT", "Punct"), ("feats", "Degree=Pos", "Degree")]
)
def test_tags_that_are_none_are_told_of(tagger: Dlctl, column: str, old: str, new: str) -> None:
    file = tagger.root / "train.conllu"
    file.write_text(file.read_text(encoding="utf-8").replace(f"\t{old}\t", f"\t{new}\t"), encoding="utf-8")
    told = f"tags that are no {column.upper()} are learnt like any other: {new}"
    assert told in train(tagger, f"data.column={column}").err
    assert "are learnt like" not in train(tagger, "data.column=xpos").err


def test_predictions_go_into_a_table_too_and_into_nothing_else(tagger: Dlctl) -> None:
    train(tagger)
    tagger("predict", "last", *QUIET, "--output", "out.csv", "--split", "val")
    table = list(csv.DictReader((tagger.root / "out.csv").open()))
    assert list(table[0]) == ["index", "sentence", "word", "prediction", "probability"]
    words = [line for line in (tagger.root / "dev.conllu").read_text().split("\n") if line[:1].isdigit()]
    numbers = [line.split("\t")[0] for line in words if line.split("\t")[0].isdigit()]
    assert [row["word"] for row in table] == numbers
    assert int(table[-1]["sentence"]) == 14
    refused = tagger("predict", "last", *QUIET, "--output", "out.txt", code=3)
    assert refused.err.endswith(
        "error: cannot write predictions as '.txt'\n  name a file that ends in .conllu, .csv or .jsonl\n"
    )
    before = (tagger.root / "test.conllu").read_bytes()
    refused = tagger("predict", "last", *QUIET, "--output", "./test.conllu", code=3)
    assert refused.err.endswith(
        "error: test.conllu is read and would be overwritten\n  name another file: --output FILE\n"
    )
    assert (tagger.root / "test.conllu").read_bytes() == before


@pytest.mark.parametrize("column", ["xpos", "feats", "deprel"])
def test_other_columns_are_learnt_and_filled_in(tagger: Dlctl, column: str) -> None:
    train(tagger, f"data.column={column}")
    tagger("predict", "last", *QUIET, "--output", "out.conllu")
    place = {"xpos": 4, "feats": 5, "deprel": 7}[column]
    assert cells(tagger.root / "out.conllu", place) == cells(tagger.root / "test.conllu", place)
    refused = tagger("eval", "last", "data.column=upos", *QUIET, code=3)
    assert f"error: the checkpoint predicts the column {column}, not upos\n" in refused.err


@pytest.mark.parametrize("moment", [("train", 1, 3), ("val", 0, 1), ("train", 0, 0)])
def test_a_training_that_was_stopped_goes_on_as_if_nothing_had_happened(
    tagger: Dlctl, moment: tuple[str, int, int]
) -> None:
    expected = train(tagger, "--json").json["metrics"]
    stage, epoch, batch = moment
    target = f"{SendSignal.__module__}.{SendSignal.__name__}"
    stop = f"{{_target_:{target},name:SIGINT,stage:{stage},epoch:{epoch},batch:{batch}}}"
    train(tagger, f"+callbacks.stop={stop}", code=130)
    facts = json.loads((tagger.run_dir() / "run.json").read_text())
    assert facts["status"] == "interrupted"
    report = tagger.train("--resume", "last", "~callbacks.stop", "--json").json
    assert report["metrics"] == pytest.approx(expected, abs=1e-6)


def test_a_run_is_debugged_and_searched(tagger: Dlctl) -> None:
    assert "test/acc" in tagger("debug", "fdr", "--exp", "tagger", *QUIET).out
    words = ("model.net.dropout=0.2,0.4", "trainer.max_epochs=1", *SMALL[1:], *FILES, *QUIET)
    trials = tagger("sweep", "--exp", "tagger", *words, "--json").json["trials"]
    assert [trial["state"] for trial in trials] == ["complete", "complete"]


@pytest.mark.parametrize(
    ("words", "content", "code", "message"),
    [
        (
            ["data.column=pos"],
            None,
            3,
            "error: column 'pos' cannot be predicted\n"
            "  choose one with data.column: upos, xpos, feats, deprel\n",
        ),
        ([], "", 3, "error: dev.conllu has no sentences\n  name another: data.dev_path=FILE\n"),
        (
            [],
            "1\ta\t_\t_\tNN\t_\t0\troot\t_\t_\n\n",
            3,
            "error: the column upos of dev.conllu is empty\n  data.column=xpos or data.column=deprel\n",
        ),
    ],
    ids=["no such column", "no sentences", "nothing annotated"],
)
def test_what_is_wrong_with_the_data_is_told_before_training(
    tagger: Dlctl, words: list[str], content: str | None, code: int, message: str
) -> None:
    if content is not None:
        (tagger.root / "dev.conllu").write_text(content)
    result = train(tagger, *words, code=code)
    assert result.err.endswith(message)
    assert "epoch" not in result.err


def test_files_that_are_not_there_are_named(tagger: Dlctl) -> None:
    (tagger.root / "dev.conllu").unlink()
    result = train(tagger, code=4)
    assert "dev.conllu" in result.err.splitlines()[-2]
    assert "Traceback" not in result.err


def test_the_large_experiment_wants_its_files(dlctl: Dlctl) -> None:
    result = dlctl.train("--exp", "tagger_ewt", code=3)
    assert result.err.endswith(
        "error: data.train_path is not given\n  name it: data.train_path=FILE\n"
        "error: data.dev_path is not given\n  name it: data.dev_path=FILE\n"
        "error: data.test_path is not given\n  name it: data.test_path=FILE\n"
    )


def test_tags_that_training_did_not_know_count_as_wrong(tagger: Dlctl) -> None:
    words = (tagger.root / "test.conllu").read_text(encoding="utf-8").replace("\tPUNCT\t", "\tODD\t")
    (tagger.root / "odd.conllu").write_text(words, encoding="utf-8")
    before = train(tagger, "--json").json["metrics"]
    after = tagger("eval", "last", "data.test_path=odd.conllu", *QUIET, "--json").json["metrics"]
    count = sum(line.split("\t")[0].isdigit() for line in words.split("\n"))
    odd = words.count("\tODD\t")
    right = before["test/acc"] * count - before["test/acc/PUNCT"] * odd
    assert after["test/acc"] == pytest.approx(right / count, abs=1e-6)
    assert "test/acc/ODD" not in after
