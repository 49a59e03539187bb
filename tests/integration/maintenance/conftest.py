"""The faces of the maintainer, for tests that hold for each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.faces import ASYNC_FACES, FACES, Face, opened


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest, database_url: str) -> Iterator[Face]:
    """Each face in turn, on the database of the test."""
    with opened(request.param, database_url) as found:
        yield found


@pytest.fixture(params=ASYNC_FACES)
def async_face(request: pytest.FixtureRequest, database_url: str) -> Iterator[Face]:
    """The asynchronous ones."""
    with opened(request.param, database_url) as found:
        yield found
