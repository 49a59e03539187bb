"""What tables take on disk: those that were never analyzed, which the catalog has no estimate of, and whole ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sa_partman.catalog import FoundTable
from sa_partman.postgres.sqlstate import LOCK_NOT_AVAILABLE, sqlstate

LOCK_TIMEOUT = 0.1
"""Seconds. Measuring opens a table; one that is locked meanwhile is not worth waiting for."""

_SETTING = text("SELECT pg_catalog.set_config('lock_timeout', :timeout, true)")
_SIZES = text("""
SELECT c.oid, pg_catalog.pg_relation_size(c.oid)
FROM unnest(CAST(:oids AS oid[])) AS u(oid) JOIN pg_catalog.pg_class c ON c.oid = u.oid
WHERE c.relkind = 'r' AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_locks l WHERE l.relation = c.oid AND l.mode = 'AccessExclusiveLock'
        AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database()))
""")


def sizes_of(connection: Connection, tables: Iterable[FoundTable]) -> dict[int, int]:
    """
    Bytes by oid, of partitions without an estimate and of detached tables; without those that somebody has locked.

    The last thing in a transaction: it leaves a lock_timeout of its own.
    """
    wanted = [oid for table in tables for oid in _unknown(table)]
    if not wanted:
        return {}
    try:
        with connection.begin_nested():
            connection.execute(_SETTING, {"timeout": f"{LOCK_TIMEOUT * 1000:.0f}ms"})
            return {oid: size for oid, size in connection.execute(_SIZES, {"oids": wanted}) if size is not None}
    except DBAPIError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        return {}


def _unknown(table: FoundTable) -> Iterator[int]:
    yield from (each.oid for each in table.walk() if each.kind == "r" and each.rows < 0 and each.pages <= 0)
    yield from (each.oid for each in table.detached)


_TOTAL = text("""
SELECT coalesce(sum(pg_catalog.pg_total_relation_size(oid)), 0) FROM (
    WITH RECURSIVE tree AS (SELECT CAST(:oid AS oid) AS oid
        UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree t ON i.inhparent = t.oid)
    SELECT oid FROM tree) AS every
""")


def total_size(connection: Connection, oid: int) -> int:
    """Bytes of the table and all its partitions, with indexes."""
    return int(connection.execute(_TOTAL, {"oid": oid}).scalar_one())
