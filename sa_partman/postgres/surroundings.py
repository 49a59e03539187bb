"""Reads what checks need of the server and the tables beside the partitions: a few queries, however many tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sa_partman.catalog import FoundTable, Partition
from sa_partman.checks.rows import ByPartition, LockTable, TableFacts
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

# On PostgreSQL 19 a publication of all tables has its exceptions where others have their tables.
_PUBLISHED = """
SELECT u.oid, CAST(p.pubname AS text)
FROM pg_catalog.pg_publication p CROSS JOIN unnest(CAST(:oids AS oid[])) AS u(oid)
WHERE NOT p.pubviaroot AND coalesce((
    SELECT coalesce(to_jsonb(r) ->> 'prexcept', 'false') = 'false' FROM pg_catalog.pg_publication_rel r
    WHERE r.prpubid = p.oid AND r.prrelid = u.oid), p.puballtables OR {by_schema})
ORDER BY 2
"""
_BY_SCHEMA = """EXISTS (
    SELECT FROM pg_catalog.pg_publication_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace = n.pnnspid
    WHERE n.pnpubid = p.oid AND c.oid = u.oid)"""
_PUBLISHED_NOW, _PUBLISHED_BEFORE_15 = (text(_PUBLISHED.format(by_schema=each)) for each in (_BY_SCHEMA, "false"))

_HAS_SUBSCRIBERS = text("""
SELECT EXISTS (SELECT FROM pg_catalog.pg_replication_slots
    WHERE plugin = 'pgoutput' AND database = pg_catalog.current_database())
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
    oids = [table.oid for table in tables]
    publishing = _publishing(connection, oids)
    facts = {
        oid: TableFacts(indexes, frozenset(nullable), written, publishing.get(oid))
        for oid, indexes, nullable in connection.execute(_TABLES, {"oids": oids})
    }
    return Surroundings(LockTable(per_transaction, transactions), facts)


def _publishing(connection: Connection, oids: Sequence[int]) -> dict[int, ByPartition]:
    """By table, where a publication calls rows by the names of partitions."""
    version = connection.dialect.server_version_info or ()
    query = _PUBLISHED_NOW if version >= (15,) else _PUBLISHED_BEFORE_15
    names: dict[int, list[str]] = {}
    for oid, publication in connection.execute(query, {"oids": oids}):
        names.setdefault(oid, []).append(publication)
    if not names:
        return {}
    subscribed = bool(connection.execute(_HAS_SUBSCRIBERS).scalar_one())
    return {oid: ByPartition(tuple(each), subscribed) for oid, each in names.items()}


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
