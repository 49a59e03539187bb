"""Connections, and one clear error when there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from sa_partman.errors import ServerUnavailable
from sa_partman.postgres.sqlstate import first_line


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """
    A connection in a transaction.

    Raises:
        ServerUnavailable: There is no server, or it does not let us in.
    """
    try:
        connection = engine.connect()
    except OperationalError as error:
        where = engine.url.render_as_string(hide_password=True)
        raise ServerUnavailable(f"no connection to {where}: {first_line(error)}; nothing was changed") from error
    with connection, connection.begin():
        yield connection
