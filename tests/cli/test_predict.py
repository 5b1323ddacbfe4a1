import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import QUIET, Dlctl


def predict(dlctl: Dlctl, *words: str, code: int = 0) -> Any:
    return dlctl("predict", "last", *QUIET, *words, code=code)


def test_csv_has_a_row_for_every_test_image_and_agrees_with_the_test(
    trained: Dlctl, example: dict[str, Any]
) -> None:
    result = predict(trained, "--output", "out/preds.csv")
    assert result.out == "out/preds.csv\n"
    rows = list(csv.DictReader((trained.root / "out/preds.csv").open()))
    assert [int(row["index"]) for row in rows] == list(range(2000))
    right = sum(row["target"] == row["prediction"] for row in rows) / len(rows)
    assert right == pytest.approx(example["metrics"]["test/acc"])
    assert all(0.1 <= float(row["probability"]) <= 1 for row in rows)


def test_jsonl_of_the_training_set_stands_in_the_order_of_the_data(trained: Dlctl) -> None:
    def rows(name: str) -> list[dict[str, Any]]:
        predict(trained, "--split", "train", "--output", name)
        return [json.loads(line) for line in (trained.root / name).read_text().splitlines()]

    first, second = rows("a.jsonl"), rows("b.jsonl")
    assert len(first) == 7000
    assert first == second


def test_without_an_output_the_predictions_lie_in_the_runs_directory(trained: Dlctl) -> None:
    report = predict(trained, "--json").json
    assert report["rows"] == 2000
    assert report["output"] == str(Path(report["dir"]) / "predictions.csv")
    assert Path(report["output"]).is_file()


def test_other_formats_are_refused_before_the_work(trained: Dlctl) -> None:
    result = predict(trained, "--output", "preds.xlsx", code=3)
    assert "cannot write predictions as '.xlsx'\n  name a file that ends in .csv or .jsonl" in result.err


def test_output_that_cannot_be_written_is_told_before_the_work(trained: Dlctl) -> None:
    for output in ("/proc/nowhere/preds.csv", "logs"):
        assert f"cannot write {output}" in predict(trained, "--output", output, code=3).err
    assert not (trained.root / "logs/predict").exists()


def test_data_module_may_write_its_own_format(trained: Dlctl) -> None:
    (trained.root / "own_data.py").write_text(
        "from dlctl.data.mnist_datamodule import MNISTDataModule\n"
        "class Own(MNISTDataModule):\n"
        "    def write_predictions(self, predictions, path):\n"
        "        path.write_text(f'{sum(len(batch[\"target\"]) for batch in predictions)} samples')\n"
    )
    predict(trained, "data._target_=own_data.Own", "--output", "preds.txt")
    assert (trained.root / "preds.txt").read_text() == "2000 samples"
