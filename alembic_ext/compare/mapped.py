"""
Partitions that have classes of their own: what they have from their table, and our mark, is not theirs to give away.

A generator of models writes such classes, with a foreign key to each partition that the table's own key has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from alembic.operations.ops import (
    CreateForeignKeyOp,
    CreateTableCommentOp,
    DropConstraintOp,
    DropIndexOp,
    DropTableCommentOp,
    MigrateOperation,
)
from sqlalchemy import Connection, text

from alembic_ext.compare.catalog import Key
from sa_partman.marks import mark_lines

_Thing = tuple[int, str, tuple[str, ...]]
"""The partition's oid, what kind of thing it has, and what tells it from others of the kind."""

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


def inherited(
    connection: Connection, partitions: Mapping[Key, int], operations: Iterable[MigrateOperation]
) -> Iterator[MigrateOperation]:
    """
    Those of *operations* that would take from a partition what it has from its table, or give it that once more.

    Args:
        partitions: The mapped ones, with their oids.
    """
    about = [(operation, thing) for operation in operations if (thing := _about(operation, partitions)) is not None]
    if not about:
        return
    asked = {"partitions": sorted({oid for _, (oid, _, _) in about})}
    known = {(oid, kind, tuple(names)) for oid, kind, names in connection.execute(_INHERITED, asked)}
    yield from (operation for operation, thing in about if thing in known or thing[1] == "mark")


def _about(operation: MigrateOperation, partitions: Mapping[Key, int]) -> _Thing | None:
    match operation:
        case DropIndexOp(index_name=str(name), table_name=str(table), schema=schema) if (schema, table) in partitions:
            return (partitions[schema, table], "index", (name,))
        case DropConstraintOp(constraint_name=str(name), table_name=table, schema=schema) if (
            schema,
            table,
        ) in partitions:
            return (partitions[schema, table], "constraint", (name,))
        case CreateForeignKeyOp(referent_table=table, source_table=source, local_cols=columns):
            key = (operation.kw.get("referent_schema"), table)
            return (partitions[key], "reference", (source, *columns)) if key in partitions else None
        case CreateTableCommentOp() | DropTableCommentOp():
            key = (operation.schema, operation.table_name)
            return (
                (partitions[key], "mark", ()) if key in partitions and mark_lines(operation.existing_comment) else None
            )
    return None
