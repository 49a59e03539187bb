"""How many rows have outlived their retention: what the planner estimates. No row is read."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sa_partman.catalog import Partition
from sa_partman.compare.expired_rows import Outlived
from sa_partman.names import QualifiedName

MOST = 20
"""Partitions of one table that the planner is asked about; of a converted one there is one."""
LOCK_TIMEOUT = 0.1
"""Seconds. Planning opens a table; one that is locked meanwhile is not worth waiting for."""

_SETTING = text("SELECT pg_catalog.set_config('lock_timeout', :timeout, true)")
_ROWS = re.compile(r" rows=(\d+) ")


def outlived_rows(connection: Connection, partitions: Iterable[tuple[Partition, Outlived]]) -> dict[int, int]:
    """
    The planner's estimates by oid, of the first partitions; without those that somebody has locked or hides from us.

    One of the last things in a transaction: it leaves a lock_timeout of its own.
    """
    # Another server, which may be away, is not asked.
    asked = [pair for pair in partitions if not pair[0].has_foreign_tables][:MOST]
    if asked:
        connection.execute(_SETTING, {"timeout": f"{LOCK_TIMEOUT * 1000:.0f}ms"})
    found = ((each.oid, estimated(connection, each.name, outlived.condition)) for each, outlived in asked)
    return {oid: rows for oid, rows in found if rows is not None}


def estimated(connection: Connection, table: QualifiedName, condition: str) -> int | None:
    """
    How many rows of *table* the planner expects to fulfil *condition*; None when it can't be asked now, or nothing is
    to be asked.
    """
    if not condition:
        return None
    asked = f"EXPLAIN SELECT FROM {table.quoted} WHERE {condition}"
    try:
        with connection.begin_nested():
            plan = connection.execute(text(asked.replace(":", r"\:"))).scalars().first()
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return None
    rows = _ROWS.search(str(plan))
    return None if rows is None else int(rows[1])
