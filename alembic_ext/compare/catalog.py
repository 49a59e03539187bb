"""What autogenerate must know beforehand: two queries, however many partitions there are."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

Key = tuple[str | None, str]
"""A table as Alembic calls it: the schema is None for what the search path finds."""

# Partitions of every level, partitioned tables, and tables that bear our mark.
_RELATIONS = text("""
SELECT n.nspname, c.relname, pg_catalog.pg_table_is_visible(c.oid), c.relispartition,
    CASE WHEN c.relkind = 'p' AND NOT c.relispartition THEN pg_catalog.pg_get_partkeydef(c.oid) END
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND n.nspname <> 'pg_catalog' AND (c.relispartition OR c.relkind = 'p' OR EXISTS (
    SELECT FROM pg_catalog.pg_description d
    WHERE d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = CAST('pg_catalog.pg_class' AS regclass)
        AND d.description LIKE 'sa_partman: detached from %'))
""")

# A foreign key to a partitioned table has one more row in pg_constraint for each of its partitions. What is read is the
# few that are no such ghosts, of the tables that have ghosts.
_REAL_KEYS = text("""
SELECT n.nspname, c.relname, pg_catalog.pg_table_is_visible(c.oid),
    coalesce(array_agg(CAST(f.conname AS text)) FILTER (WHERE NOT f.ghost), '{}')
FROM (
    SELECT f.conrelid, f.conname, f.conparentid <> 0 AND (NOT c.relispartition OR r.relispartition) AS ghost
    FROM pg_catalog.pg_constraint f
    JOIN pg_catalog.pg_class c ON c.oid = f.conrelid JOIN pg_catalog.pg_class r ON r.oid = f.confrelid
    WHERE f.contype = 'f'
) f
JOIN pg_catalog.pg_class c ON c.oid = f.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
GROUP BY n.nspname, c.relname, c.oid HAVING bool_or(f.ghost)
""")


@dataclass(frozen=True, slots=True)
class Catalog:
    """
    Args:
        hidden: Partitions, and tables that we detached.
        partitions: The attached among them.
        partitioned: Partitioned tables that are no partitions, each with what stands behind PARTITION BY.
        real_keys: The foreign keys of tables that also have ghosts: such that stand for another one.
    """

    hidden: frozenset[Key]
    partitions: frozenset[Key]
    partitioned: dict[Key, str]
    real_keys: dict[Key, frozenset[str]]

    def is_ghost(self, schema: str | None, table: str, name: object) -> bool:
        known = self.real_keys.get((schema, table))
        return known is not None and name not in known


def read_catalog(connection: Connection) -> Catalog:
    hidden: set[Key] = set()
    partitions: set[Key] = set()
    partitioned: dict[Key, str] = {}
    for schema, name, visible, attached, partition_by in connection.execute(_RELATIONS):
        for key in _keys(schema, name, visible):
            if partition_by is not None:
                partitioned[key] = partition_by
            else:
                hidden.add(key)
            if attached:
                partitions.add(key)
    real_keys = {
        key: frozenset(names)
        for schema, name, visible, names in connection.execute(_REAL_KEYS)
        for key in _keys(schema, name, visible)
    }
    return Catalog(frozenset(hidden), frozenset(partitions), partitioned, real_keys)


def _keys(schema: str, name: str, visible: bool) -> tuple[Key, ...]:
    """With include_schemas a table of the search path is called by its schema and also without."""
    return ((schema, name), (None, name)) if visible else ((schema, name),)
