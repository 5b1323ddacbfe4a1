import sys
from pathlib import Path

import pytest

from dlctl.composition.annotations import annotation


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package whose import would fail."""
    folder = tmp_path / "readonly_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("from .inner import *\nraise RuntimeError('imported')\n")
    (folder / "inner.py").write_text(
        "from __future__ import annotations\n"
        "import enum, typing as t\n"
        "from collections.abc import Sequence\n"
        "from dataclasses import dataclass\n"
        "Size = t.Union[int, t.Literal['small', 'large']]\n"
        "T = t.TypeVar('T')\n"
        "class Colour(enum.Enum): RED = 1\n"
        "class Plain: ...\n"
        "class Base:\n"
        "    def __init__(self, size: Size = 1, *, plain: Plain | None = None, colour: Colour = None,\n"
        "                 names: Sequence[str] = (), rate: 'float' = 0.1, any: T = None, bare=3): ...\n"
        "class Child(Base): ...\n"
        "@dataclass\n"
        "class Data:\n"
        "    count: int = 1\n"
        "def make(flag: bool) -> None: ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "readonly_package"


@pytest.mark.parametrize(
    ("target", "argument", "accepted", "refused"),
    [
        ("Child", "size", [1, "small"], ["medium", 1.5]),
        ("Child", "plain", [], ["a", 1]),
        ("Child", "colour", ["RED"], []),
        ("Child", "names", ["abc"], [1]),
        ("Child", "rate", [1, 0.5], ["fast"]),
        ("Child", "any", [1, "a"], []),
        ("Data", "count", [1], ["one"]),
        ("make", "flag", [True, 0], ["yes", 2]),
    ],
)
def test_annotation_is_read_from_source_without_importing(
    package: str, target: str, argument: str, accepted: list[object], refused: list[object]
) -> None:
    found = annotation(f"{package}.{target}", argument)
    assert found is not None
    assert [found.accepts(value) for value in accepted] == [True] * len(accepted)  # type: ignore[arg-type]
    assert [found.accepts(value) for value in refused] == [False] * len(refused)  # type: ignore[arg-type]
    assert package not in sys.modules


def test_what_cannot_be_told_has_no_annotation(package: str) -> None:
    assert annotation(f"{package}.Child", "bare") is None
    assert annotation(f"{package}.Child", "absent") is None
    assert annotation(f"{package}.NoSuchClass", "size") is None
    assert annotation("no_such_package.Thing", "size") is None
    assert annotation("builtins.dict", "size") is None


def test_literals_are_found_behind_an_alias(package: str) -> None:
    found = annotation(f"{package}.Child", "size")
    assert found is not None
    assert found.literals() == ["large", "small"]
