"""What autogenerate must know beforehand: two queries, and no row for a partition that nobody asks about."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, ForeignKeyConstraint, text

from alembic_ext.compare.ghosts import RealKey, real_keys_of
from sa_partman.catalog import UnfinishedConversion
from sa_partman.postgres.conversion.whereabouts import unfinished

Key = tuple[str | None, str]
"""A table as Alembic calls it: the schema is None for what the search path finds."""

# No index of pg_class tells partitions apart, so it is read from end to end, once. What has a row type is kept first:
# an early column says so, and most rows are indexes. OFFSET 0 and MATERIALIZED are fences; without them the planner
# tests everything on each row, and reads the whole once for each schema. Of partitions those of a name in use are told.
_RELATIONS = text("""
WITH relation AS MATERIALIZED (
    SELECT c.* FROM (
        SELECT c.oid, c.relname, c.relnamespace, c.relkind, c.relpersistence, c.relispartition, c.relam,
            c.reltablespace, c.reloptions
        FROM pg_catalog.pg_class c WHERE c.reltype <> 0 OFFSET 0
    ) c WHERE NOT c.relispartition AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
  UNION ALL
    SELECT c.oid, c.relname, c.relnamespace, c.relkind, c.relpersistence, c.relispartition, c.relam,
        c.reltablespace, c.reloptions
    FROM pg_catalog.pg_class c
    WHERE c.relname = ANY (CAST(:mapped AS name[])) AND c.relkind IN ('r', 'p', 'f') AND c.relispartition
)
SELECT n.nspname, c.relname, pg_catalog.pg_table_is_visible(c.oid), CAST(c.relkind AS text), c.relpersistence = 't',
    CASE WHEN c.relispartition THEN c.oid END,
    (SELECT d.description LIKE 'sa_partman: detached from %' FROM pg_catalog.pg_description d
     WHERE d.objoid = c.oid AND d.classoid = CAST('pg_catalog.pg_class' AS regclass) AND d.objsubid = 0),
    CASE WHEN c.relkind = 'p' AND NOT c.relispartition THEN pg_catalog.pg_get_partkeydef(c.oid) END,
    c.reloptions IS NULL AND c.reltablespace = 0 AND (c.relam = 0 OR c.relam = m.oid)
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid),
    (SELECT pg_catalog.pg_relation_size('pg_catalog.pg_inherits'))
FROM relation c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_am m ON m.amname = pg_catalog.current_setting('default_table_access_method')
WHERE n.nspname <> 'pg_catalog'
""")

_INHERITS = 44
"""Bytes of a row of pg_inherits."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """
    What autogenerate may see: neither partitions nor tables that we detached, unless the user has mapped them himself.

    Args:
        seen: Tables and views of every kind.
        tables: Those among them that SQLAlchemy lists as tables, by their schema.
        foreign: Foreign tables, by their schema.
        plain: Those among them all that nothing is said of behind their columns: no storage parameters, no tablespace,
            no access method, no parents.
        most_partitions: No more than so many are there, told by the size of pg_inherits.
        mapped_partitions: Partitions that the user has mapped, with their oids.
        partitioned: Partitioned tables that are no partitions, each with what stands behind PARTITION BY.
        real_keys: The foreign keys of tables that also have ghosts: such that stand for another one.
        converting: Tables with a conversion in progress.
        helpers: What these conversions build beside them.
    """

    seen: frozenset[Key]
    tables: dict[str | None, tuple[str, ...]]
    foreign: dict[str | None, tuple[str, ...]]
    plain: frozenset[Key]
    most_partitions: int
    mapped_partitions: dict[Key, int]
    partitioned: dict[Key, str]
    real_keys: dict[Key, tuple[RealKey, ...]]
    converting: dict[Key, UnfinishedConversion]
    helpers: frozenset[Key]

    def is_ghost(self, schema: str | None, table: str, name: object) -> bool:
        known = self.real_keys.get((schema, table))
        return known is not None and all(each.name != name for each in known)


class _Relation(NamedTuple):
    """
    A row of the query.

    Args:
        partition: Its oid, if it is one.
        detached: By us; None where it has no comment.
        partition_by: None unless it is partitioned and no partition.
        plain: See `Catalog`.
        inherits: Bytes of pg_inherits.
    """

    schema: str
    name: str
    visible: bool
    kind: str
    temporary: bool
    partition: int | None
    detached: bool | None
    partition_by: str | None
    plain: bool
    inherits: int


def read_catalog(connection: Connection, mapped: Set[Key]) -> Catalog:
    """
    Args:
        mapped: The tables of the metadata.
    """
    names = sorted({str(name) for _, name in mapped})
    converting = unfinished(connection)
    called = [(name, each) for each in converting for name in (each.table, each.now) if name is not None]
    tables = {(name.schema, name.name): each for name, each in called}
    helpers = {(each.helper.schema, each.helper.name) for each in converting}
    rows = [_Relation._make(row) for row in connection.execute(_RELATIONS, {"mapped": names})]
    all_keys = [(key, row) for row in rows for key in _keys(row.schema, row.name, row.visible)]
    seen = {key: row for key, row in all_keys if key in mapped or not (row.detached or row.partition is not None)}
    permanent = {key: row for key, row in seen.items() if not row.temporary and row.kind in ("r", "p", "f")}
    partitions = [row.partition for row in rows if row.partition is not None]
    return Catalog(
        seen=frozenset(seen),
        tables=_by_schema(key for key, row in permanent.items() if row.kind != "f"),
        foreign=_by_schema(key for key, row in permanent.items() if row.kind == "f"),
        plain=frozenset(key for key, row in permanent.items() if row.plain),
        most_partitions=rows[0].inherits // _INHERITS if rows else 0,
        mapped_partitions={key: row.partition for key, row in seen.items() if row.partition is not None},
        partitioned={key: row.partition_by for key, row in all_keys if row.partition_by is not None},
        real_keys={
            key: keys
            for schema, name, visible, keys in real_keys_of(connection, partitions)
            for key in _keys(schema, name, visible)
        },
        converting={key: tables[row.schema, row.name] for key, row in all_keys if (row.schema, row.name) in tables},
        helpers=frozenset(key for key, row in all_keys if (row.schema, row.name) in helpers),
    )


def _by_schema(keys: Iterable[Key]) -> dict[str | None, tuple[str, ...]]:
    found: dict[str | None, list[str]] = {}
    for schema, name in keys:
        found.setdefault(schema, []).append(name)
    return {schema: tuple(names) for schema, names in found.items()}


def referred_table(key: ForeignKeyConstraint) -> Key:
    """The table that *key* refers to, by its text: what was reflected may refer to a table that was never read."""
    table, _, _ = key.elements[0].target_fullname.rpartition(".")
    schema, dot, name = table.rpartition(".")
    return (schema if dot else None, name)


def _keys(schema: str, name: str, visible: bool) -> tuple[Key, ...]:
    """With include_schemas a table of the search path is called by its schema and also without."""
    return ((schema, name), (None, name)) if visible else ((schema, name),)
