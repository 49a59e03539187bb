"""
What migrations ask the catalog. Autogenerate: a fixed number of queries, and no row for a partition that nobody asks
about. Operations: what stands where Alembic's own would do harm.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from sa_partman.names import QualifiedName
from sa_partman.postgres.relations import Relation, oid_of, relation_of
from sa_partman.postgres.session import features_of, verbatim

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


class ListedRelation(NamedTuple):
    """
    A table or view, as it is listed.

    Args:
        partition: Its oid, if it is one.
        detached: By us; None where it has no comment.
        partition_by: None unless it is partitioned and no partition.
        plain: Nothing is said of it behind its columns: no storage parameters, no tablespace, no access method, no
            parents.
        inherits: Bytes of pg_inherits, the same in each row.
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


def listed_relations(connection: Connection, mapped: Iterable[str]) -> list[ListedRelation]:
    """
    All tables and views but partitions.

    Args:
        mapped: Names; partitions that have one of them are listed too.
    """
    return [ListedRelation._make(row) for row in connection.execute(_RELATIONS, {"mapped": list(mapped)})]


# A ghost descends from a key of the same table, an inherited key from one of another: of the table's own parent. Tables
# have no inherited keys unless they are partitions, so that for all others the parent need not be looked up.
_REAL_KEYS = text("""
WITH real AS MATERIALIZED (
    SELECT f.oid, f.conname, f.conrelid, f.confrelid, f.conkey, f.confkey, f.confupdtype, f.confdeltype,
        f.confmatchtype, f.condeferrable, f.condeferred
    FROM pg_catalog.pg_constraint f
    WHERE f.contype = 'f' AND (f.conparentid = 0 OR f.conrelid = ANY (CAST(:partitions AS oid[])) AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_constraint p WHERE p.oid = f.conparentid AND p.conrelid = f.conrelid))
), haunted AS MATERIALIZED (
    SELECT DISTINCT f.conrelid FROM real f JOIN pg_catalog.pg_class r ON r.oid = f.confrelid WHERE r.relkind = 'p'
)
SELECT n.nspname, c.relname, pg_catalog.pg_table_is_visible(c.oid), CAST(jsonb_agg(jsonb_build_object(
    'name', f.conname,
    'columns', ARRAY(
        SELECT a.attname FROM unnest(f.conkey) WITH ORDINALITY AS u(attnum, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = u.attnum ORDER BY u.place),
    'schema', m.nspname,
    'table', r.relname,
    'visible', pg_catalog.pg_table_is_visible(f.confrelid),
    'referred', ARRAY(
        SELECT a.attname FROM unnest(f.confkey) WITH ORDINALITY AS u(attnum, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = u.attnum ORDER BY u.place),
    'definition', pg_catalog.pg_get_constraintdef(f.oid, true),
    'onupdate', f.confupdtype,
    'ondelete', f.confdeltype,
    'match', f.confmatchtype,
    'deferrable', f.condeferrable,
    'deferred', f.condeferred,
    'comment', pg_catalog.obj_description(f.oid, 'pg_constraint')
) ORDER BY f.conname) AS text)
FROM haunted h JOIN real f ON f.conrelid = h.conrelid
JOIN pg_catalog.pg_class c ON c.oid = f.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class r ON r.oid = f.confrelid JOIN pg_catalog.pg_namespace m ON m.oid = r.relnamespace
GROUP BY n.nspname, c.relname, c.oid
""")


def real_keys_of(
    connection: Connection, partitions: Sequence[int]
) -> Iterator[tuple[str, str, bool, tuple[dict[str, Any], ...]]]:
    """
    Schema, name, whether the search path finds it, and its foreign keys that stand for themselves, of each table that
    refers to a partitioned one. Such a key has one more row in the catalog for each partition; none of these is read.

    Args:
        partitions: Oids of the partitions that are asked about too; only of these are inherited keys told.
    """
    for schema, name, visible, keys in connection.execute(_REAL_KEYS, {"partitions": list(partitions)}):
        yield schema, name, visible, tuple(json.loads(keys))


_HIDDEN = text("""
SELECT u.place - 1
FROM unnest(CAST(:schemas AS text[]), CAST(:names AS text[])) WITH ORDINALITY AS u(schema, name, place)
JOIN pg_catalog.pg_class c ON c.relname = u.name JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE CASE WHEN u.schema IS NULL THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = u.schema END
    AND (c.relispartition OR EXISTS (
        SELECT FROM pg_catalog.pg_description d
        WHERE d.objoid = c.oid AND d.classoid = CAST('pg_catalog.pg_class' AS regclass) AND d.objsubid = 0
            AND d.description LIKE 'sa_partman: detached from %'))
""")


def partitions_and_detached(connection: Connection, tables: Sequence[tuple[str | None, str]]) -> set[int]:
    """The places of those of *tables*, each a schema and a name, that are partitions or that we detached."""
    asked: dict[str, Any] = {"schemas": [schema for schema, _ in tables], "names": [name for _, name in tables]}
    return {row[0] for row in connection.execute(_HIDDEN, asked)}


_INHERITED = text("""
WITH partition AS MATERIALIZED (SELECT unnest(CAST(:partitions AS oid[])) AS oid)
SELECT p.oid, 'index', ARRAY[CAST(c.relname AS text)]
FROM partition p JOIN pg_catalog.pg_index i ON i.indrelid = p.oid
JOIN pg_catalog.pg_inherits h ON h.inhrelid = i.indexrelid JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
UNION ALL
SELECT p.oid, 'constraint', ARRAY[CAST(k.conname AS text)]
FROM partition p JOIN pg_catalog.pg_constraint k ON k.conrelid = p.oid WHERE k.conparentid <> 0 OR k.coninhcount > 0
UNION ALL
SELECT p.oid, 'reference', ARRAY[CAST(c.relname AS text)] || ARRAY(
    SELECT CAST(a.attname AS text) FROM unnest(k.conkey) WITH ORDINALITY AS u(attnum, place)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.place)
FROM partition p JOIN pg_catalog.pg_constraint k ON k.confrelid = p.oid
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid WHERE k.contype = 'f' AND k.conparentid <> 0
""")


def inherited_by(connection: Connection, partitions: Iterable[int]) -> set[tuple[int, str, tuple[str, ...]]]:
    """
    What *partitions* have from their tables: each with "index" or "constraint" and its name, or with "reference", the
    table that refers to it, and that table's columns.
    """
    asked = {"partitions": sorted(set(partitions))}
    return {(oid, kind, tuple(names)) for oid, kind, names in connection.execute(_INHERITED, asked)}


_GIVEN = text("""
SELECT a.privilege_type, a.is_grantable
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace,
    aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
WHERE c.relname = :name
    AND CASE WHEN CAST(:schema AS text) IS NULL THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = :schema END
    AND a.grantee = CASE WHEN upper(:role) = 'PUBLIC' THEN 0
        ELSE (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = :role) END
""")


def granted(connection: Connection, schema: str | None, table: str, role: str, *, grantable: bool) -> set[str]:
    """
    What *role*, or PUBLIC, was granted on *table*.

    Args:
        grantable: Only what it may grant to others.
    """
    rows = connection.execute(_GIVEN, {"schema": schema, "name": table, "role": role})
    return {name for name, may_grant in rows if may_grant or not grantable}


_SCHEMAS = text("""
SELECT u.place, n.nspname
FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS u(name, place)
JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(u.name)
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
""")


def schemas_of(connection: Connection, names: Iterable[QualifiedName]) -> dict[int, str]:
    """In which schema each of *names* is, by its place; those that do not exist are left out."""
    rows = connection.execute(_SCHEMAS, {"names": [name.quoted for name in names]})
    return {place - 1: schema for place, schema in rows}


_ENUMS = text("""
SELECT u.place - 1, n.nspname, ARRAY(
    SELECT CAST(e.enumlabel AS text) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder)
FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS u(name, place)
JOIN pg_catalog.pg_type t ON t.oid = CAST(pg_catalog.to_regtype(u.name) AS oid) AND t.typtype = 'e'
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
""")


def enums_of(connection: Connection, types: Iterable[str]) -> list[tuple[int, str, list[str]]]:
    """Of each of *types*, as SQL writes them, that is an enum: its place, its schema, and its labels in order."""
    rows = connection.execute(_ENUMS, {"names": list(types)})
    return [(place, schema, labels) for place, schema, labels in rows]


_TABLE = text("""
SELECT CAST(c.relkind AS text), n.nspname, CAST(CAST(i.inhparent AS regclass) AS text), m.nspname, p.relname,
    (SELECT d.description FROM pg_catalog.pg_description d
     WHERE d.objoid = c.oid AND d.classoid = CAST('pg_catalog.pg_class' AS regclass) AND d.objsubid = 0)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_inherits i ON c.relispartition AND i.inhrelid = c.oid
LEFT JOIN pg_catalog.pg_class p ON p.oid = i.inhparent LEFT JOIN pg_catalog.pg_namespace m ON m.oid = p.relnamespace
WHERE c.oid = CAST(pg_catalog.to_regclass(:name) AS oid)
""")


@dataclass(frozen=True, slots=True)
class MigratedTable:
    """
    A table, or an index, that an operation of Alembic's is about.

    Args:
        kind: ``pg_class.relkind``.
        parent: What it is a partition of, if anything.
        parent_shown: The same, as the session prints it.
    """

    kind: str
    schema: str
    parent: QualifiedName | None
    parent_shown: str | None
    comment: str | None


def migrated_table(connection: Connection, name: QualifiedName) -> MigratedTable | None:
    """What *name* means under the session's search path; None when there is nothing."""
    row = connection.execute(_TABLE, {"name": name.quoted}).one_or_none()
    if row is None:
        return None
    kind, own, shown, schema, parent, comment = row
    return MigratedTable(kind, own, None if parent is None else QualifiedName(schema, parent), shown, comment)


# Keys of every level: a column of a sub-partition's key can't be changed either.
_KEY_OF = text("""
SELECT CAST(CAST(p.partrelid AS regclass) AS text) FROM pg_catalog.pg_partitioned_table p
JOIN pg_catalog.pg_partition_tree(CAST(pg_catalog.to_regclass(:name) AS regclass)) t ON t.relid = p.partrelid
JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attname = :column
WHERE a.attnum = ANY (p.partattrs) ORDER BY t.level LIMIT 1
""")


def partitioned_by_column(connection: Connection, table: QualifiedName, column: str) -> str | None:
    """What has *column* in its partition key: *table*, or a partition of it; None when nothing has."""
    found: str | None = connection.execute(_KEY_OF, {"name": table.quoted, "column": column}).scalar()
    return found


_REFERENCES = text("""
SELECT f.conname, CAST(CAST(f.conrelid AS regclass) AS text) FROM pg_catalog.pg_constraint f
WHERE f.contype = 'f' AND f.confrelid = CAST(:oid AS oid) ORDER BY 2, 1
""")


def keys_to(connection: Connection, oid: int) -> list[tuple[str, str]]:
    """The foreign keys that refer to the table, its own among them: each with the table that has it."""
    return [(name, table) for name, table in connection.execute(_REFERENCES, {"oid": oid})]


def relation_named(connection: Connection, name: QualifiedName) -> Relation | None:
    """A relation by its schema and name, in a pinned session."""
    oid = oid_of(connection, name)
    return None if oid is None else relation_of(connection, oid)


_IDENTITY = text("""
SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = CAST(:oid AS oid) AND attidentity <> '')
""")


def passes_identity_on(connection: Connection, oid: int) -> bool:
    """Whether partitions of the table have its identity columns."""
    if not features_of(connection).has_identity_on_partitions:
        return False
    return bool(connection.execute(_IDENTITY, {"oid": oid}).scalar_one())


def row_count(connection: Connection, table: QualifiedName, where: str = "true") -> int:
    sql = f"SELECT count(*) FROM {table.quoted} WHERE {where}"
    found: int = connection.execute(verbatim(sql)).scalar_one()
    return found


# SQLAlchemy's queries of keys and indexes unnest an array for each index, and the planner takes each to have a thousand
# elements: it then reads all of pg_attribute, where some index lookups do. A target list is evaluated from the left.
_PLANNER = ("enable_hashjoin", "enable_mergejoin", "jit")
_INDEX_LOOKUPS = text(
    "SELECT "
    + ", ".join(f"pg_catalog.current_setting('{name}')" for name in _PLANNER)
    + ", "
    + ", ".join(f"pg_catalog.set_config('{name}', 'off', true)" for name in _PLANNER)
)
_AS_BEFORE = text("SELECT " + ", ".join(f"pg_catalog.set_config('{name}', :{name}, true)" for name in _PLANNER))


@contextmanager
def index_lookups(connection: Connection) -> Iterator[None]:
    """
    The planner takes index lookups. Settings of the transaction, put back at the end unless it failed; without a
    transaction they do nothing.
    """
    before = connection.execute(_INDEX_LOOKUPS).one()
    yield
    connection.execute(_AS_BEFORE, dict(zip(_PLANNER, before, strict=False)))
