"""
The statements of one transaction, sent without waiting for each answer where the driver can: a round trip takes as
long as a small statement. Every statement is a message of its own: extensions such as Citus read the text of the
message again, and so does whoever reads the server's log.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import ExecutableDDLElement

from sa_partman.postgres.connect import driver_of, without_preparing


def send(connection: Connection, statements: Iterable[ExecutableDDLElement]) -> None:
    """
    Executes *statements*, in order. The server ends at the first that fails, as it would if they came one by one.

    Raises:
        DBAPIError: The server refused one of them; the connection is as usable as after any refusal.
    """
    elements = tuple(statements)
    driver = driver_of(connection)
    if len(elements) < 2 or not _has_pipelines(driver):
        for element in elements:
            connection.execute(element)
        return
    with without_preparing(connection):
        _pipelined(connection, driver.pipeline(), elements)


def _has_pipelines(driver: Any) -> bool:
    """psycopg 3 with a libpq of 14 or later; asyncpg has none."""
    if not hasattr(driver, "pipeline"):
        return False
    from psycopg import Pipeline

    return Pipeline.is_supported()


def _pipelined(connection: Connection, pipeline: Any, elements: tuple[ExecutableDDLElement, ...]) -> None:
    """An answer comes with a later statement, or at the end: so the text of an error is that of all of them."""
    _run(connection, pipeline, "enter")
    try:
        for element in elements:
            connection.execute(element)
    except BaseException as error:
        # Without the error, which has what follows from it logged as a warning.
        with suppress(Exception):
            _run(connection, pipeline, "exit", None, None, None)
        if isinstance(error, DBAPIError):
            error.statement = _text(connection, elements)
        raise
    try:
        _run(connection, pipeline, "exit", None, None, None)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _refused(connection, elements, error) from error


def _run(connection: Connection, pipeline: Any, what: str, *arguments: None) -> None:
    if not connection.dialect.is_async:
        getattr(pipeline, f"__{what}__")(*arguments)
        return
    from sqlalchemy.util import await_only

    await_only(getattr(pipeline, f"__a{what}__")(*arguments))


def _refused(connection: Connection, elements: tuple[ExecutableDDLElement, ...], error: Exception) -> BaseException:
    """As SQLAlchemy raises it, which does not see the end of a pipeline."""
    dialect, base = connection.dialect, connection.dialect.loaded_dbapi.Error
    lost = dialect.is_disconnect(error, connection.connection.dbapi_connection, None)  # type: ignore[arg-type]
    if lost:
        connection.invalidate(error)
    text = _text(connection, elements)
    return DBAPIError.instance(text, None, error, base, connection_invalidated=lost, dialect=dialect)


def _text(connection: Connection, elements: tuple[ExecutableDDLElement, ...]) -> str:
    return ";\n".join(str(each.compile(dialect=connection.dialect)) for each in elements)
