"""
Poolers: between us and the server, one may give every transaction another server connection.

What belongs to a session (a lock, a setting, a prepared statement) is then somebody else's in the next transaction.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, event

_WAS = "sa_partman: prepare_threshold"
_SOURCE = "sa_partman_source"


def dependable(engine: Engine, *, prepares: bool = False) -> Engine:
    """
    *engine* as maintenance needs it, over the same pool, whatever its own settings are: transactions are READ
    COMMITTED, and the driver prepares nothing on the server, which a pooler would lose.

    What it changes on a connection is put back when our transaction ends; *engine* itself stays as it is.

    Args:
        prepares: There is no pooler, so the driver may prepare what it likes.
    """
    # Never over one of ours: SQLAlchemy 2.0 can't listen to an engine with options of an engine with options.
    source: Engine = engine.get_execution_options().get(_SOURCE, engine)
    ours = source.execution_options(**{"isolation_level": "READ COMMITTED", _SOURCE: source})
    if prepares:
        return ours
    event.listen(ours, "begin", _prepare_nothing)
    event.listen(ours, "commit", _prepare_again)
    event.listen(ours, "rollback", _prepare_again)
    return ours


def behind_pooler(connection: Connection, pid: int) -> bool:
    """
    Whether somebody stands between *connection* and the server: the greeting named another backend than answers.

    Args:
        pid: Of the backend that answers.
    """
    greeted = _greeted_by(connection)
    return greeted is not None and greeted != pid


def _greeted_by(connection: Connection) -> int | None:
    """The backend that the driver was told of when it connected; None when the driver does not tell."""
    driver = _driver(connection)
    if hasattr(driver, "get_server_pid"):  # asyncpg
        return int(driver.get_server_pid())
    pid = getattr(getattr(driver, "info", None), "backend_pid", None)
    return None if pid is None else int(pid)


def _prepare_nothing(connection: Connection) -> None:
    driver = _driver(connection)
    if hasattr(driver, "prepare_threshold") and _WAS not in connection.info:  # psycopg
        connection.info[_WAS] = driver.prepare_threshold
        driver.prepare_threshold = None


def _prepare_again(connection: Connection) -> None:
    if not connection.invalidated and not connection.closed and _WAS in connection.info:
        _driver(connection).prepare_threshold = connection.info.pop(_WAS)


def _driver(connection: Connection) -> Any:
    """The driver's own connection, also of one that was taken out of its pool."""
    made = connection.connection.dbapi_connection
    return None if made is None else connection.dialect.get_driver_connection(made)
