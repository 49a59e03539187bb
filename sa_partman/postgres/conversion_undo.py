"""Draws the way back of a conversion in place."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, text

from sa_partman.anatomy import Anatomy
from sa_partman.errors import Refused
from sa_partman.names import QualifiedName
from sa_partman.plan.conversion.detach import UndoRequest, detach_in_place
from sa_partman.postgres import conversion_state as state
from sa_partman.postgres.anatomy import read_anatomy
from sa_partman.postgres.conversion_plan import Drawn, key_columns, mark_of
from sa_partman.postgres.conversion_state import Conversion

_HISTORY = text("""
SELECT n.nspname AS schema, c.relname AS name,
    (SELECT k.conname FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p') AS key,
    ARRAY(SELECT s.stxname FROM pg_statistic_ext s WHERE s.stxrelid = c.oid) AS statistics
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = CAST(:parent AS oid)
WHERE c.oid = CAST(:oid AS oid)
""")

_INDEXES = text("""
SELECT p.relname, h.relname FROM pg_inherits i
JOIN pg_class p ON p.oid = i.inhparent
JOIN pg_class h ON h.oid = i.inhrelid
JOIN pg_index x ON x.indexrelid = h.oid
WHERE x.indrelid = CAST(:oid AS oid)
""")


def draw_undo(connection: Connection, table: QualifiedName, limit: int) -> Drawn:
    """
    Plans the way back, in the caller's pinned transaction.

    Raises:
        Refused: *table* was not converted in place, or its history is no partition of it any more.
    """
    conversion = state.last(connection, table)
    if conversion is None or conversion.kind != "convert" or conversion.status != "done":
        raise Refused(f"{table}: there is no finished conversion to take back; nothing was changed")
    anatomy = read_anatomy(connection, table)
    if anatomy is None:
        raise Refused(f"{table} does not exist; nothing was changed")
    history = connection.execute(_HISTORY, {"parent": anatomy.oid, "oid": conversion.oid}).one_or_none()
    if history is None:
        raise Refused(
            f"{table}: the partition with the rows from before the conversion is gone (dropped or detached); "
            f"nothing was changed"
        )
    plan = detach_in_place(_request(connection, conversion, anatomy, history, limit))
    return Drawn(table, conversion.declaration, plan, mark_of(anatomy), anatomy.oid, key_columns(anatomy))


def _request(
    connection: Connection, conversion: Conversion, anatomy: Anatomy, history: Row[Any], limit: int
) -> UndoRequest:
    name = QualifiedName(history.schema, history.name)
    elsewhere = (
        f"SELECT count(*) FROM (SELECT FROM {anatomy.name.quoted} WHERE tableoid <> {conversion.oid} "
        f"LIMIT {limit + 1}) AS other"
    )
    not_null = next((step.undo for step in conversion.steps if step.id == "not_null"), ())
    return UndoRequest(
        anatomy,
        name,
        history.key,
        dict(connection.execute(_INDEXES, {"oid": conversion.oid}).tuples().all()),
        tuple(history.statistics),
        conversion.primary_key,
        connection.execute(text(elsewhere.replace(":", r"\:"))).scalar_one(),
        limit,
        not_null,
    )
