"""Reads what checks need of the server and the tables beside the partitions: a few queries, however many tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sa_partman.catalog import FoundTable, Partition
from sa_partman.checks.data import LockTable, TableFacts
from sa_partman.postgres.sqlstate import LOCK_NOT_AVAILABLE, sqlstate

_SERVER = text("""
SELECT CAST(pg_catalog.current_setting('max_locks_per_transaction') AS integer),
    CAST(pg_catalog.current_setting('max_connections') AS integer)
        + CAST(pg_catalog.current_setting('max_prepared_transactions') AS integer)
""")

_TABLES = text("""
SELECT u.oid,
    (SELECT count(*) FROM pg_catalog.pg_index i WHERE i.indrelid = u.oid),
    ARRAY(SELECT CAST(a.attname AS text) FROM pg_catalog.pg_attribute a
          JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
          WHERE a.attrelid = u.oid AND a.attnum > 0 AND NOT a.attisdropped
              AND NOT a.attnotnull AND NOT y.typnotnull)
FROM unnest(CAST(:oids AS oid[])) AS u(oid)
""")

# The size of the file is the one thing that shows a row which was just written, without a privilege on the table.
_WRITTEN = text("""
SELECT u.oid FROM unnest(CAST(:oids AS oid[])) AS u(oid) WHERE pg_catalog.pg_relation_size(CAST(u.oid AS regclass)) > 0
""")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """
    Args:
        lock_table: Of the server.
        tables: By the oid of the declared table.
    """

    lock_table: LockTable | None = None
    tables: Mapping[int, TableFacts] = field(default_factory=dict)


def surroundings(connection: Connection, tables: Sequence[FoundTable], ends: Iterable[Partition]) -> Surroundings:
    """
    In the caller's pinned transaction.

    Args:
        ends: The last partition of each runway.
    """
    per_transaction, transactions = connection.execute(_SERVER).one()
    written = frozenset(each.name for each in _written(connection, {each.oid: each for each in ends}))
    facts = {
        oid: TableFacts(indexes, frozenset(nullable), written)
        for oid, indexes, nullable in connection.execute(_TABLES, {"oids": [table.oid for table in tables]})
    }
    return Surroundings(LockTable(per_transaction, transactions), facts)


def _written(connection: Connection, ends: Mapping[int, Partition]) -> list[Partition]:
    """None of them while somebody holds one: it is not worth waiting for."""
    if not ends:
        return []
    try:
        with connection.begin_nested():
            return [ends[oid] for oid in connection.execute(_WRITTEN, {"oids": list(ends)}).scalars()]
    except DBAPIError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise
        return []
