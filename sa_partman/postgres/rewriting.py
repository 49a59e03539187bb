"""What a rewrite has to know of partitions and their rows: sizes, what they have for themselves, the keys present."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from sa_partman.bounds.bound import KeyValue
from sa_partman.bounds.text import literal, value_of
from sa_partman.catalog import Partition
from sa_partman.ddl.rows import LOGICAL
from sa_partman.key import TIME_FAMILIES, Family, PartitionKey
from sa_partman.names import QualifiedName
from sa_partman.plan.conversion.request import Refusal
from sa_partman.plan.rewrite.request import Source
from sa_partman.postgres.conversion.beside import own_of
from sa_partman.postgres.session import verbatim
from sa_partman.postgres.table_reader import read_members
from sa_partman.table.definition import TableDefinition

_SOURCE = text("""
SELECT pg_catalog.pg_get_expr(c.relpartbound, 0), c.reltuples,
    pg_catalog.pg_relation_size(c.oid) / CAST(pg_catalog.current_setting('block_size') AS bigint),
    pg_catalog.pg_total_relation_size(c.oid), pg_catalog.row_security_active(c.oid)
FROM pg_catalog.pg_class c WHERE c.oid = CAST(:oid AS oid)
""")

_ROOTS = text("""
SELECT s.nspname, r.relname FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class r ON r.oid = pg_catalog.pg_partition_root(c.oid)
JOIN pg_catalog.pg_namespace s ON s.oid = r.relnamespace
WHERE c.relispartition AND CAST(:name AS text) IN (c.relname, n.nspname || '.' || c.relname)
""")

_MISSING = text("""
SELECT name FROM pg_catalog.unnest(CAST(:names AS text[])) AS name WHERE pg_catalog.to_regclass(name) IS NULL
""")

_IS_LOGICAL = text(f"SELECT {LOGICAL}")

_TAKEN = text("""
SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = :schema
""")


def source_of(connection: Connection, partition: Partition) -> Source:
    """*partition* as a rewrite has to know it."""
    printed, rows, pages, bytes, hidden = connection.execute(_SOURCE, {"oid": partition.oid}).one()
    own = own_of(connection, partition.oid)
    return Source(partition.name, partition.bound, printed, rows, pages, bytes, own, hidden, partition.kind)


def missing_of(connection: Connection, quoted: Sequence[str]) -> frozenset[str]:
    """Those of the *quoted* names that no table has."""
    return frozenset(connection.execute(_MISSING, {"names": list(quoted)}).scalars())


def roots_of(connection: Connection, partition: str) -> tuple[QualifiedName, ...]:
    """The tables that *partition* belongs to, which may be named without its schema."""
    return tuple(QualifiedName(*row) for row in connection.execute(_ROOTS, {"name": partition}))


def sending(
    connection: Connection, definition: TableDefinition, partitions: Sequence[Partition]
) -> tuple[Refusal, ...]:
    """Why subscribers would not be sent the truth: publications of the copies, and of partitions as such."""
    covers = (each for each in definition.covers if not each.excepted)
    found = [f"the publication {each.name} ({each.scope}) would send each copied row again" for each in covers]
    by_root = [each.name for each in definition.publications if each.via_root]
    if not connection.execute(_IS_LOGICAL).scalar():
        # Whatever the log level is, rows of a published table can't be deleted before it has a replica identity.
        by_root = []
    else:
        found += [
            f"the publication {each.name} sends the partitions of {definition.name} under their own names"
            for each in definition.publications
            if not each.via_root
        ]
        members = read_members(connection, [each.oid for each in partitions])
        for each in partitions:
            names = sorted(publication.name for publication in members[each.oid].publications)
            found += [f"the publication {name} sends {each.name}" for name in names]
    out = "take the table out of the publication while this is done"
    by_root_instead = ", or publish it via its root" if definition.features.sends_attached else ""
    refused = [Refusal(why, out + by_root_instead) for why in found]
    if not definition.features.sends_attached:
        refused += [
            Refusal(
                f"PostgreSQL {definition.server} would not send what is written into the new partitions after the swap "
                f"to subscribers of the publication {name}, because they were written to before they were partitions",
                f"upgrade to PostgreSQL 15, or {out}",
            )
            for name in by_root
        ]
    return tuple(refused)


_HIDDEN = text("SELECT pg_catalog.row_security_active(CAST(:oid AS oid))")


def hides_rows(connection: Connection, oid: int) -> bool:
    """Whether row security keeps rows of the table from the connected role."""
    return bool(connection.execute(_HIDDEN, {"oid": oid}).scalar())


_ABOVE = text("SELECT pg_catalog.pg_get_partition_constraintdef(CAST(:oid AS oid))")


def condition_of(connection: Connection, oid: int) -> str:
    """What is true of every row of a partition, by its bound and those above it; empty for a table that is none."""
    return str(connection.execute(_ABOVE, {"oid": oid}).scalar() or "")


_BASES = text("""
WITH RECURSIVE behind AS (
    SELECT a.attname, t.typtype, t.typbasetype, t.typtypmod
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = CAST(:oid AS oid) AND a.attnum > 0 AND NOT a.attisdropped AND t.typtype = 'd'
  UNION ALL
    SELECT b.attname, t.typtype, t.typbasetype, t.typtypmod
    FROM behind b JOIN pg_catalog.pg_type t ON t.oid = b.typbasetype WHERE t.typtype = 'd'
)
SELECT b.attname, pg_catalog.format_type(b.typbasetype, b.typtypmod) FROM behind b
JOIN pg_catalog.pg_type t ON t.oid = b.typbasetype WHERE t.typtype <> 'd'
""")


def base_types(connection: Connection, oid: int) -> tuple[tuple[str, str], ...]:
    """The columns of the table that are of a domain, each with the type behind it."""
    return tuple((row[0], row[1]) for row in connection.execute(_BASES, {"oid": oid}))


def names_in(connection: Connection, schema: str | None) -> frozenset[QualifiedName]:
    """Every relation of *schema*."""
    rows = connection.execute(_TAKEN, {"schema": schema}).scalars()
    return frozenset(QualifiedName(schema, name) for name in rows)


def reach_of(
    connection: Connection, table: QualifiedName, key: PartitionKey, place: int
) -> tuple[KeyValue, KeyValue] | None:
    """The lowest and the highest value in one column of the key; None when there is no row with any."""
    column, kind = f"t.{key.parts[place].sql}" if key.parts[place].column else key.parts[place].sql, key.types[place]
    rows = f"FROM ONLY {table.quoted} t"
    if kind.family in _MEASURED:
        lowest, highest = (f"CAST(pg_catalog.{end}({column}) AS text)" for end in ("min", "max"))
        sql = f"SELECT {lowest}, {highest} {rows}"
    else:
        ends = (
            f"(SELECT CAST({column} AS text) {rows} WHERE {column} IS NOT NULL ORDER BY {column} {way} LIMIT 1)"
            for way in ("ASC", "DESC")
        )
        sql = f"SELECT {', '.join(ends)}"
    low, high = connection.execute(verbatim(sql)).one()
    return None if low is None or high is None else (value_of(low, kind), value_of(high, kind))


_MEASURED = TIME_FAMILIES | {Family.INTEGER, Family.NUMERIC}
"""What min() and max() take on every server: without an index, the rows are read once for both."""


def filled(
    connection: Connection, table: QualifiedName, key: PartitionKey, place: int, ends: Sequence[KeyValue]
) -> dict[int, int]:
    """
    How many rows lie between two neighbours of *ends*, by the number of the first one; empty ones are left out.

    Args:
        ends: Ascending.
    """
    column, kind = key.parts[place].sql, key.types[place]
    listed = ", ".join(literal(each, kind) for each in ends)
    sql = (
        f"SELECT b, count(*) FROM (SELECT pg_catalog.width_bucket({column}, ARRAY[{listed}]) AS b "
        f"FROM ONLY {table.quoted} WHERE {column} IS NOT NULL) AS buckets "
        f"WHERE b BETWEEN 1 AND {len(ends) - 1} GROUP BY b"
    )
    return {row[0] - 1: row[1] for row in connection.execute(verbatim(sql))}
