"""Tables to convert, and how they end when nothing goes wrong."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from sqlalchemy import Engine, create_engine

from tests.support.converting import Ends, ends, set_up
from tests.support.servers import Address


@contextmanager
def _fresh(address: Address) -> Iterator[Engine]:
    with address.new_database() as url:
        engine = create_engine(url)
        try:
            yield engine
        finally:
            engine.dispose()


@pytest.fixture(scope="module")
def undisturbed(pg_server: Address) -> Ends:
    """A conversion and its undo without any fault."""
    with _fresh(pg_server) as engine:
        return ends(engine)


class Tables:
    """Makes databases with the table ``events`` in them."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def __call__(self) -> AbstractContextManager[Engine]:
        return self._made()

    @contextmanager
    def _made(self) -> Iterator[Engine]:
        with _fresh(self._address) as engine:
            set_up(engine)
            yield engine


@pytest.fixture
def tables(pg_server: Address) -> Tables:
    return Tables(pg_server)


@pytest.fixture
def events(engine: Engine) -> Engine:
    """A database with the table ``events``."""
    set_up(engine)
    return engine
