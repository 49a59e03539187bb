"""
Poolers: between us and the server, one may give every transaction another server connection.

What belongs to a session (a lock, a setting, a prepared statement) is then somebody else's in the next transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine

_PREPARES = "sa_partman_prepares"


def dependable(engine: Engine, *, prepares: bool = False) -> Engine:
    """
    *engine* as maintenance needs it, over the same pool, whatever its own settings are: transactions are READ
    COMMITTED, and the driver prepares nothing on the server, which a pooler would lose; see `steady` and `unprepared`.

    Args:
        prepares: There is no pooler, so the driver may prepare what it likes.
    """
    # Not isolation_level: early releases of SQLAlchemy 2.0 can't give that to an engine that has options already.
    return engine.execution_options(**{_PREPARES: prepares})


def steady(connection: Connection) -> None:
    """Gives *connection*, which is in no transaction yet, the isolation level that `dependable` promises."""
    if _PREPARES in connection.get_execution_options():
        connection.execution_options(isolation_level="READ COMMITTED")


@contextmanager
def unprepared(connection: Connection) -> Iterator[None]:
    """During the block the driver prepares nothing, if `dependable` promised that."""
    if connection.get_execution_options().get(_PREPARES, True):
        yield
        return
    with without_preparing(connection):
        yield


@contextmanager
def without_preparing(connection: Connection) -> Iterator[None]:
    """During the block the driver prepares nothing."""
    driver = driver_of(connection)
    if not hasattr(driver, "prepare_threshold"):
        yield
        return
    usual, driver.prepare_threshold = driver.prepare_threshold, None  # psycopg
    try:
        yield
    finally:
        driver.prepare_threshold = usual


def behind_pooler(connection: Connection, pid: int) -> bool:
    """
    Whether somebody stands between *connection* and the server: the greeting named another backend than answers.

    Args:
        pid: Of the backend that answers.
    """
    greeted = greeted_by(connection)
    return greeted is not None and greeted != pid


def greeted_by(connection: Connection) -> int | None:
    """The backend that the driver was told of when it connected; None when the driver does not tell."""
    driver = driver_of(connection)
    if hasattr(driver, "get_server_pid"):  # asyncpg
        return int(driver.get_server_pid())
    pid = getattr(getattr(driver, "info", None), "backend_pid", None)
    return None if pid is None else int(pid)


def driver_of(connection: Connection) -> Any:
    """The driver's own connection, also of one that was taken out of its pool."""
    made = connection.connection.dbapi_connection
    return None if made is None else connection.dialect.get_driver_connection(made)
