"""The faces of the maintainer, for tests that hold for each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sa_partman.plan import steps
from tests.support.faces import ASYNC_FACES, FACES, Face, opened


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest, database_url: str) -> Iterator[Face]:
    """Each face in turn, on the database of the test."""
    with opened(request.param, database_url) as found:
        yield found


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """No two tables share a transaction, so that a test can stop between any two steps."""
    monkeypatch.setattr(steps, "TOGETHER", 1)


@pytest.fixture(params=ASYNC_FACES)
def async_face(request: pytest.FixtureRequest, database_url: str) -> Iterator[Face]:
    """The asynchronous ones."""
    with opened(request.param, database_url) as found:
        yield found
