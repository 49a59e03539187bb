"""
Reads what interrupted work left behind: invalid indexes, constraints NOT VALID, parents changed while a detach pends.

Whatever there is of it is rare, so the catalogs are filtered first and joined afterwards, and never tree by tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, text

from sa_partman.catalog import InvalidIndex, Unvalidated
from sa_partman.errors import ExecutionError
from sa_partman.names import QualifiedName
from sa_partman.postgres.session import features_of
from sa_partman.postgres.table_reader import read_structures
from sa_partman.table.structure import StructureChange, changes_of, outdated

_INVALID = text("SELECT ARRAY(SELECT indexrelid FROM pg_catalog.pg_index WHERE NOT indisvalid)")

# Not pg_partition_tree(), which locks every partition: one of another application's table would end the whole run.
_INDEXES = text("""
SELECT n.nspname, i.relname, m.nspname, t.relname, t.oid, i.relkind = 'I',
    EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index b
            WHERE b.datname = pg_catalog.current_database() AND b.relid = t.oid),
    ARRAY(SELECT CAST(c.relname AS text) FROM pg_catalog.pg_inherits h
          JOIN pg_catalog.pg_index p ON p.indrelid = h.inhparent JOIN pg_catalog.pg_class c ON c.oid = p.indexrelid
          WHERE h.inhrelid = t.oid),
    w.lacking, w.below, w.attached, (WITH RECURSIVE tree AS (
            SELECT h.inhrelid FROM pg_catalog.pg_inherits h WHERE h.inhparent = t.oid
            UNION ALL SELECT h.inhrelid FROM pg_catalog.pg_inherits h JOIN tree p ON h.inhparent = p.inhrelid)
        SELECT min(CAST(CAST(f.oid AS regclass) AS text))
        FROM tree JOIN pg_catalog.pg_class f ON f.oid = tree.inhrelid WHERE f.relkind = 'f')
FROM unnest(CAST(:oids AS oid[])) AS u(oid) JOIN pg_catalog.pg_index x ON x.indexrelid = u.oid
JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = i.relnamespace
JOIN pg_catalog.pg_class t ON t.oid = x.indrelid JOIN pg_catalog.pg_namespace m ON m.oid = t.relnamespace
LEFT JOIN LATERAL (
    SELECT min(CASE WHEN d.indexrelid IS NULL THEN CAST(CAST(c.oid AS regclass) AS text) END) AS lacking,
        min(d.name) FILTER (WHERE NOT d.indisvalid) AS below, min(d.name) FILTER (WHERE d.indisvalid) AS attached
    FROM pg_catalog.pg_inherits h JOIN pg_catalog.pg_class c ON c.oid = h.inhrelid
    LEFT JOIN LATERAL (
        SELECT y.indexrelid, y.indisvalid, pg_catalog.format('%I.%I', o.nspname, j.relname) AS name
        FROM pg_catalog.pg_index y JOIN pg_catalog.pg_inherits g ON g.inhrelid = y.indexrelid
        JOIN pg_catalog.pg_class j ON j.oid = y.indexrelid JOIN pg_catalog.pg_namespace o ON o.oid = j.relnamespace
        WHERE y.indrelid = c.oid AND g.inhparent = x.indexrelid
    ) d ON true
    WHERE h.inhparent = t.oid AND i.relkind = 'I' AND c.relkind <> 'f'
) w ON true
WHERE i.relpersistence <> 't' AND NOT x.indisvalid
ORDER BY 1, 2
""")

# conenforced is PostgreSQL 18's: what is not enforced is never valid, and means to be so.
_CONSTRAINTS = text("""
SELECT k.conname, n.nspname, t.relname, t.oid
FROM (SELECT * FROM pg_catalog.pg_constraint WHERE NOT convalidated OFFSET 0) k
JOIN pg_catalog.pg_class t ON t.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
WHERE k.coninhcount = 0 AND coalesce(pg_catalog.to_jsonb(k) ->> 'conenforced', 'true') = 'true'
ORDER BY 2, 3, 1
""")

# Filtered first: nothing is pending nearly always, and a tree may have thousands of partitions.
_PENDING = text("""
SELECT m.nspname, p.relname, n.nspname, c.relname
FROM (SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits WHERE inhdetachpending OFFSET 0) i
JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class p ON p.oid = i.inhparent JOIN pg_catalog.pg_namespace m ON m.oid = p.relnamespace
WHERE pg_catalog.pg_partition_root(i.inhparent) = pg_catalog.pg_partition_root(CAST(CAST(:oid AS oid) AS regclass))
ORDER BY 1, 2, 3, 4
""")

# Between its two halves it holds no lock on the table, and waits for those who do. A text that the role may not see is
# NULL, as the state is then; an index that is built waits in the same way.
_RUNNING = text(r"""
WITH pending AS (
    SELECT u.name, i.inhparent, lower(CAST(c.relname AS text)) AS relation
    FROM unnest(CAST(:names AS text[])) AS u(name)
    JOIN pg_catalog.pg_inherits i ON i.inhrelid = CAST(pg_catalog.to_regclass(u.name) AS oid) AND i.inhdetachpending
    JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
)
SELECT p.name, min(a.pid)
FROM pending p JOIN pg_catalog.pg_stat_activity a
    ON a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid()
WHERE CASE WHEN a.state IS NULL
    THEN NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index x WHERE x.pid = a.pid)
    ELSE a.state = 'active' AND a.query ~* 'DETACH\s+PARTITION' END
AND (pg_catalog.strpos(lower(a.query), p.relation) > 0 OR EXISTS (
    SELECT FROM pg_catalog.pg_locks w JOIN pg_catalog.pg_locks h ON h.virtualtransaction = w.virtualxid
    WHERE w.pid = a.pid AND w.locktype = 'virtualxid' AND NOT w.granted AND h.locktype = 'relation'
        AND h.relation = p.inhparent AND h.granted))
GROUP BY p.name
""")

Pending = tuple[QualifiedName, QualifiedName]
"""A partitioned table, and its partition whose detach is pending."""


def invalid_indexes(connection: Connection) -> tuple[InvalidIndex, ...]:
    """All of the database; one quick query when there are none, because planning the other one takes longer."""
    found = connection.execute(_INVALID).scalar_one()
    rows = connection.execute(_INDEXES, {"oids": found}) if found else ()
    return tuple(_invalid(*row) for row in rows)


def _invalid(schema: str, name: str, table_schema: str, table: str, *rest: Any) -> InvalidIndex:
    relation, partitioned, built, above, *parts = rest
    names = QualifiedName(schema, name), QualifiedName(table_schema, table)
    return InvalidIndex(*names, relation, partitioned, built, tuple(above), *parts)


def unvalidated(connection: Connection) -> tuple[Unvalidated, ...]:
    """All of the database, each where it was declared."""
    rows = connection.execute(_CONSTRAINTS)
    return tuple(Unvalidated(row[0], QualifiedName(row[1], row[2]), row[3]) for row in rows)


def pending_around(connection: Connection, oid: int) -> tuple[Pending, ...]:
    """The pending detaches in the partition tree to which the relation *oid* belongs."""
    rows = connection.execute(_PENDING, {"oid": oid})
    return tuple((QualifiedName(row[0], row[1]), QualifiedName(row[2], row[3])) for row in rows)


def running_detaches(connection: Connection, partitions: Iterable[QualifiedName]) -> dict[QualifiedName, int]:
    """
    Those of *partitions*, whose detach is pending, that somebody is detaching right now, each with his backend.

    In the caller's pinned transaction.
    """
    names = {name.quoted: name for name in partitions}
    rows = connection.execute(_RUNNING, {"names": list(names)}) if names else ()
    return {names[row[0]]: row[1] for row in rows}


def changed_meanwhile(connection: Connection, pending: Iterable[Pending]) -> dict[Pending, tuple[StructureChange, ...]]:
    """
    Those of *pending*, parents each with a partition, that can't be finalized here, with what was changed on the
    parent.

    In the caller's pinned transaction. Where there are none, nothing is read.
    """
    pairs = tuple(pending)
    if not pairs or not features_of(connection).compares_constraints_to_finalize:
        return {}
    known = read_structures(connection, {name for pair in pairs for name in pair})
    changes = {
        (parent, partition): tuple(changes_of(parent, known[parent], known[partition]))
        for parent, partition in pairs
        if parent in known and partition in known
    }
    return {pair: found for pair, found in changes.items() if found}


def require_current(connection: Connection, attached: Iterable[tuple[QualifiedName, QualifiedName]]) -> None:
    """
    Args:
        attached: Partitioned tables, each with a table that is to be attached again.

    Raises:
        ExecutionError: A partitioned table was changed since; the message has what brings the other up to date.
    """
    for why in outdated_tables(connection, attached):
        raise ExecutionError(why)


def outdated_tables(
    connection: Connection,
    attached: Iterable[tuple[QualifiedName, QualifiedName]],
    first: tuple[str, ...] = (),
    last: tuple[str, ...] = (),
) -> Iterator[str]:
    """
    Why each of *attached* that its parent has left behind can't be attached, with the statements that help.

    Args:
        first: Statements that come before these.
        last: Statements that come behind them.
    """
    pairs = tuple(attached)
    if not pairs:
        return
    known = read_structures(connection, {name for pair in pairs for name in pair})
    for parent, table in pairs:
        if parent in known and table in known:
            why = outdated(parent, table, known[parent], known[table], first, last)
            if why:
                yield why
