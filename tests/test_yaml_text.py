"""YAML that anybody may have written."""

import re
import time

import pytest
import yaml

from dlctl.yaml_text import from_yaml
from tests.conftest import Dlctl

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
HOSTILE = {
    "aliases": (BOMB, "its aliases stand for more than 500000 values"),
    "merged": (
        "a0: &a0 {b: 1}\n"
        + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 10)),
        "its aliases stand for more than 500000 values",
    ),
    "cycle": ("a: &a [1, *a]\n", "an alias stands for what it is part of"),
    "deep": ("a: " + "[" * 3000 + "]" * 3000 + "\n", "deep|depth|nest|limit"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_yaml_is_refused_at_once(name: str) -> None:
    text, said = HOSTILE[name]
    began = time.monotonic()
    with pytest.raises(yaml.YAMLError, match=said):
        from_yaml(text)
    assert time.monotonic() - began < 2


def test_aliases_and_merge_keys_work() -> None:
    text = "a: &a {b: 1, c: [2, 3]}\nd: *a\ne: {<<: *a, b: 9}\nf: ${d.b}\ng: 1e3\n"
    inner = {"b": 1, "c": [2, 3]}
    assert from_yaml(text) == {"a": inner, "d": inner, "e": {"b": 9, "c": [2, 3]}, "f": "${d.b}", "g": 1000.0}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_config_is_one_error_at_its_line(dlctl: Dlctl, name: str) -> None:
    folder = dlctl.root / "configs" / "experiment"
    folder.mkdir(parents=True, exist_ok=True)
    text, said = HOSTILE[name]
    (folder / "bomb.yaml").write_text(f"# @package _global_\n{text}")
    began = time.monotonic()
    result = dlctl("train", "--exp", "bomb", "--dry-run", code=3)
    assert time.monotonic() - began < 5
    assert result.err.startswith("error: configs/experiment/bomb.yaml:")
    assert re.search(said, result.err)
    assert result.err.count("error:") == 1


def test_hostile_run_is_one_error(dlctl: Dlctl) -> None:
    short = (
        "trainer.max_epochs=1",
        "trainer.limit_train_batches=2",
        "trainer.limit_val_batches=1",
        "test=false",
    )
    dlctl.train("--exp", "example", *short)
    run = dlctl.run_dir()
    for file in ("config.yaml", "hydra.yaml", "overrides.yaml"):
        path = run / ".hydra" / file
        right = path.read_text()
        for text, _ in HOSTILE.values():
            path.write_text(text)
            for words in (("eval", run.name), ("train", "--resume", run.name)):
                if words[0] == "eval" and file == "hydra.yaml":
                    continue
                began = time.monotonic()
                result = dlctl(*words, code=4)
                assert time.monotonic() - began < 5
                assert result.err.count("error:") == 1
                assert "a fault of dlctl" not in result.err
        path.write_text(right)
