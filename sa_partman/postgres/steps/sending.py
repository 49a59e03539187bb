"""
The statements of one transaction, sent in one message where the driver can: a round trip, and what Python does around
it, take as long as a small statement.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection
from sqlalchemy.schema import ExecutableDDLElement

from sa_partman.postgres.locks.pooler import without_preparing

_AS_IT_IS = frozenset({"psycopg", "psycopg_async", "psycopg2"})
"""Drivers that hand the server a text without parameters as it is. asyncpg prepares it, which takes one statement."""


def send(connection: Connection, statements: Iterable[ExecutableDDLElement]) -> None:
    """
    Executes *statements*, in order. The server ends at the first that fails, as it would if they came one by one.

    Raises:
        DBAPIError: The server refused one of them.
    """
    elements = tuple(statements)
    mapped = connection.get_execution_options().get("schema_translate_map")
    if len(elements) < 2 or mapped or connection.dialect.driver not in _AS_IT_IS:
        for element in elements:
            connection.execute(element)
        return
    # Compiled for this driver, so that what it would take for a parameter is escaped already.
    message = ";\n".join(str(each.compile(dialect=connection.dialect)) for each in elements)
    # Some are told to prepare whatever they send.
    with without_preparing(connection):
        connection.exec_driver_sql(message)
