"""Configs as text are what OmegaConf writes, whichever library writes them."""

from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from dlctl import yaml_text
from dlctl.composition import compose
from dlctl.project import Project

WORDS = "yes no 1 1e3 0x1f null ~ # - 1_000 12:30 a: ${x:1} 'q' \"d\""
HAIRY = {
    "words": [*WORDS.split(" "), "", " ", "a: b", "# c"],
    "lines": "one\ntwo\n\n  three ",
    "tabs": "a\tb",
    "wide": "word " * 60,
    "far": "äöü - 漢字 😀 \u2028 \x85 \x07",
    "numbers": [1, -0.0, 1e-5, float("inf"), float("nan"), True, None],
    "empty": {"list": [], "dict": {}},
    "deep": [[{"a": [1]}], []],
    3: "three",
}


def same(node: object) -> None:
    assert yaml_text.to_yaml(node) == OmegaConf.to_yaml(node)


def test_hairy_values() -> None:
    same(OmegaConf.create(HAIRY))


@pytest.mark.parametrize("name", ["example", "mnist"])
def test_every_experiment(dlctl: object, name: str) -> None:
    composed = compose.compose(Project.find(), "train", [f"experiment={name}"])
    same(composed.config)
    same(OmegaConf.create({"hydra": composed.full.hydra}))
    same(composed.public(Path("run")))


def test_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    yaml_text._dumper.cache_clear()
    monkeypatch.delattr(yaml, "CDumper", raising=False)
    same(OmegaConf.create(HAIRY))
    yaml_text._dumper.cache_clear()
