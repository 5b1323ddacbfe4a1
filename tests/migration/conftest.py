"""A project in the template's shape, and nothing left of its package after each test."""

import sys
from collections.abc import Iterator

import pytest

from tests.conftest import Dlctl
from tests.migration import shape


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    for name in [name for name in sys.modules if name == "src" or name.startswith("src.")]:
        del sys.modules[name]


@pytest.fixture(autouse=True)
def _no_dotenv(monkeypatch: pytest.MonkeyPatch) -> None:
    # Set by the project's .env; restored after every test.
    monkeypatch.setenv("TOY_FACTOR", "")
    monkeypatch.delenv("TOY_FACTOR")


@pytest.fixture
def template(dlctl: Dlctl) -> Dlctl:
    """The command in such a project."""
    shape.write(dlctl.root)
    return dlctl
