"""Connections, and one clear error when there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from sa_partman.errors import ServerUnavailable
from sa_partman.postgres.locks.pooler import steady, unprepared
from sa_partman.postgres.network import notice_dead_network
from sa_partman.postgres.sqlstate import first_line, sqlstate

IsolationLevel = Literal["AUTOCOMMIT", "READ COMMITTED"]


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """
    A connection in a transaction.

    Raises:
        ServerUnavailable: There is no server, or it does not let us in.
    """
    with _connect(engine) as connection:
        steady(connection)
        with unprepared(connection), connection.begin():
            yield connection


@contextmanager
def apart(engine: Engine) -> Iterator[Connection]:
    """
    A connection in a transaction, taken out of the pool and closed in the end: a pool of one does not starve.

    Raises:
        ServerUnavailable: See `connected`.
    """
    driver = None
    try:
        with _connect(engine) as connection:
            steady(connection)
            connection.detach()
            driver = connection.connection.dbapi_connection
            with unprepared(connection), connection.begin():
                yield connection
    finally:
        # SQLAlchemy leaves a detached connection to the garbage collector when it was cancelled, and always where it is
        # one of psycopg's asyncio; our locks would live until then.
        if driver is not None:
            with suppress(Exception):
                engine.dialect.do_terminate(driver)


@contextmanager
def isolated(engine: Engine, level: IsolationLevel) -> Iterator[Connection]:
    """
    A connection of that isolation level. It is told so when the block that gives it back has begun: telling is a
    statement on some drivers, and may be cancelled.

    Raises:
        ServerUnavailable: See `connected`.
    """
    with _connect(engine) as connection, unprepared(connection):
        connection.execution_options(isolation_level=level)
        yield connection


def _connect(engine: Engine) -> Connection:
    try:
        connection = engine.connect()
    except Exception as error:
        # Over asyncpg the errors of the network come as they are, and with SQLAlchemy 2.0 those of the server too.
        if not isinstance(error, DBAPIError | OSError) and sqlstate(error) is None:
            raise
        where = engine.url.render_as_string(hide_password=True)
        raise ServerUnavailable(f"no connection to {where}: {first_line(error)}; nothing was changed") from error
    notice_dead_network(connection)
    return connection
