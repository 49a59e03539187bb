"""What autogenerate must know beforehand: two queries, however many partitions there are."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from alembic_ext.compare.ghosts import RealKey, real_keys_of

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
    real_keys: dict[Key, tuple[RealKey, ...]]

    def is_ghost(self, schema: str | None, table: str, name: object) -> bool:
        known = self.real_keys.get((schema, table))
        return known is not None and all(each.name != name for each in known)


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
        key: keys for schema, name, visible, keys in real_keys_of(connection) for key in _keys(schema, name, visible)
    }
    return Catalog(frozenset(hidden), frozenset(partitions), partitioned, real_keys)


def _keys(schema: str, name: str, visible: bool) -> tuple[Key, ...]:
    """With include_schemas a table of the search path is called by its schema and also without."""
    return ((schema, name), (None, name)) if visible else ((schema, name),)
