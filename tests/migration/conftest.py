"""A project in the template's shape."""

import pytest

from tests.conftest import Dlctl
from tests.migration import shape


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
