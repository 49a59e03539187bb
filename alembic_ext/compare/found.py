"""The tables that are compared, as the database has them: one query for where they are, one for all the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, Table, text

from alembic_ext.session import lock_timeout
from sa_partman.catalog import FoundTable, Parent, Partition
from sa_partman.names import QualifiedName
from sa_partman.postgres.columns import oid_of, relation_of
from sa_partman.postgres.reflect import reflect
from sa_partman.postgres.session import pinned
from sa_partman.spec.declared import DeclaredTable, HashLevel
from sa_partman.spec.hash_spec import HashSpec

Pair = tuple[Table, DeclaredTable]

_WHERE = text("""
SELECT u.place, n.nspname
FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS u(name, place)
JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(u.name)
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
""")


def found_tables(connection: Connection, pairs: Sequence[Pair]) -> list[tuple[Table, DeclaredTable, FoundTable]]:
    """Those of *pairs* that exist, in order. Of range partitions only the default ones are read: others are policy."""
    if not pairs:
        return []
    names = [declared.name.quoted for _, declared in pairs]
    schemas = {row[0] - 1: row[1] for row in connection.execute(_WHERE, {"names": names})}
    there = [
        (table, declared.renamed(QualifiedName(schemas[place], declared.name.name)))
        for place, (table, declared) in enumerate(pairs)
        if place in schemas
    ]
    if not there:
        return []
    with pinned(connection, lock_timeout(connection)):
        found = reflect(connection, [declared for _, declared in there], ranges=False)
    return [(table, declared, found[declared.name]) for table, declared in there if declared.name in found]


def partitions_of(
    connection: Connection, schema: str | None, name: str
) -> tuple[FoundTable, Iterator[tuple[Parent, Partition]]]:
    """A partitioned table that nothing declares, and each of its partitions behind its parent."""
    oid = oid_of(connection, QualifiedName(schema, name))
    assert oid is not None
    with pinned(connection, lock_timeout(connection)):
        relation = relation_of(connection, oid)
        assert relation.key is not None
        # The key is what reading the bounds needs; the strategy is the catalog's.
        known = DeclaredTable(relation.name, HashLevel(0, relation.key, None, HashSpec("unused", modulus=1)))
        found = reflect(connection, [known])[relation.name]
    return found, _pairs(found)


def _pairs(parent: Parent) -> Iterator[tuple[Parent, Partition]]:
    for partition in parent.partitions:
        yield parent, partition
        yield from _pairs(partition)
