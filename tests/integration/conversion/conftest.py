"""Tables to convert, and how they end when nothing goes wrong."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from tests.support.converting import TABLE, Ends, converter, ends, set_up
from tests.support.servers import Address, Copies, prepared


@pytest.fixture(scope="session")
def tables(pg_server: Address) -> Iterator[Copies]:
    """Databases with the table ``events`` in them."""
    with prepared(pg_server, set_up) as copies:
        yield copies


@pytest.fixture(scope="session")
def starts(pg_server: Address, tables: Copies) -> Iterator[dict[str, Copies]]:
    """Databases in which a conversion can begin, and those in which its undo can."""

    def prepare(engine: Engine) -> None:
        set_up(engine)
        converter(engine).convert(TABLE)

    with prepared(pg_server, prepare) as converted:
        yield {"convert": tables, "undo": converted}


@pytest.fixture(scope="session")
def undisturbed(tables: Copies) -> Ends:
    """A conversion and its undo without any fault."""
    with tables() as engine:
        return ends(engine)


@pytest.fixture
def events(tables: Copies) -> Iterator[Engine]:
    """A database with the table ``events``."""
    with tables() as engine:
        yield engine
