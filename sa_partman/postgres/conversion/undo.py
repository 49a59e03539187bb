"""Draws the way back of a conversion in place."""

from __future__ import annotations

from sqlalchemy import Connection, TextClause, text

from sa_partman.anatomy import Anatomy
from sa_partman.ddl.stored import statements_of
from sa_partman.errors import Refused
from sa_partman.names import QualifiedName, quote
from sa_partman.plan.conversion.attach import INBOUND, statistics_of
from sa_partman.plan.conversion.detach import UndoRequest, detach_in_place, undo_names
from sa_partman.plan.conversion.parts import history_name
from sa_partman.plan.conversion.steps import ConversionPlan
from sa_partman.plan.moving import LOGICAL
from sa_partman.postgres.conversion.anatomy import read_anatomy
from sa_partman.postgres.conversion.elsewhere import rows_elsewhere
from sa_partman.postgres.conversion.lost import nothing_in_progress
from sa_partman.postgres.conversion.names import name_refusals
from sa_partman.postgres.conversion.partitions import users
from sa_partman.postgres.conversion.plan import Drawn, key_columns, mark_of
from sa_partman.postgres.conversion.profile import slots
from sa_partman.postgres.conversion.whereabouts import finished_of, history_of
from sa_partman.postgres.journal import Conversion

_INDEXES = text("""
SELECT p.relname, h.relname FROM pg_inherits i
JOIN pg_class p ON p.oid = i.inhparent
JOIN pg_class h ON h.oid = i.inhrelid
JOIN pg_index x ON x.indexrelid = h.oid
WHERE x.indrelid = CAST(:oid AS oid)
""")

_SENDING = text(f"""
SELECT p.pubname FROM pg_catalog.pg_publication p
WHERE {LOGICAL} AND p.pubinsert AND CAST(p.pubname AS text) = ANY (CAST(:names AS text[])) ORDER BY p.pubname
""")

_SAMPLE = 5


def draw_undo(connection: Connection, table: QualifiedName, limit: int) -> Drawn:
    """
    Plans the way back, in the caller's pinned transaction.

    Raises:
        Refused: *table* was not converted in place, or its history is no partition of it any more.
    """
    conversion = finished_of(connection, table)  # an aborted undo changed nothing
    if conversion is None or conversion.kind != "convert" or conversion.status != "done":
        raise nothing_in_progress(connection, table, "finished conversion to take back")
    anatomy = read_anatomy(connection, table)
    if anatomy is None:
        raise Refused(f"{table} does not exist; nothing was changed")
    found = history_of(connection, conversion, table)
    history = None if found is None else read_anatomy(connection, found.name)
    if history is None:
        raise Refused(
            f"{table}: the partition with the rows from before the conversion is gone (dropped or detached); "
            f"nothing was changed. If it was detached, attach it again; or make the table plain as it is: take the "
            f"declaration off the model, and alembic revision --autogenerate writes op.unpartition_table(...)"
        )
    request = _request(connection, conversion, anatomy, history, limit)
    plan = detach_in_place(request)
    if not plan.refusals:
        taken = tuple(name_refusals(connection, undo_names(request), statistics_of(anatomy, back=True), anatomy.oid))
        plan = ConversionPlan((), taken) if taken else plan
    return Drawn(table, conversion.declaration, plan, mark_of(anatomy), anatomy.oid, key_columns(anatomy))


def _request(
    connection: Connection, conversion: Conversion, anatomy: Anatomy, history: Anatomy, limit: int
) -> UndoRequest:
    if anatomy.missing_rights:
        return UndoRequest(anatomy, history, {}, conversion.primary_key, 0, limit)
    return UndoRequest(
        anatomy,
        history,
        _indexes(connection, history),
        conversion.primary_key,
        rows_elsewhere(connection, anatomy.oid, history.oid, limit),
        limit,
        _twice(connection, conversion.primary_key, anatomy, history),
        next((statements_of(step.undo) for step in conversion.steps if step.id == "not_null"), ()),
        {
            step.id.removeprefix(INBOUND): statements_of(step.undo)
            for step in conversion.steps
            if step.id.startswith(INBOUND)
        },
        users(connection, anatomy.oid, history.oid),
        slots(connection, active=True),
        tuple(
            connection.execute(
                _SENDING, {"names": [each.name for each in anatomy.covers if not each.excepted]}
            ).scalars()
        ),
    )


def _indexes(connection: Connection, history: Anatomy) -> dict[str, str]:
    """
    The history's index for each of the table's: the one that the conversion named after it, because PostgreSQL may pair
    two of the same definition crosswise.
    """
    paired = {row[0]: row[1] for row in connection.execute(_INDEXES, {"oid": history.oid})}
    present = {index.name for index in history.indexes}
    named = {name: history_name(name) for name in paired}
    return {name: named[name] if named[name] in present else theirs for name, theirs in paired.items()}


def _twice(connection: Connection, primary_key: tuple[str, ...], anatomy: Anatomy, history: Anatomy) -> tuple[str, ...]:
    """Keys of rows outside the history that another row has too; the index of the history finds its own."""
    if not primary_key:
        return ()
    pairs = " AND ".join(f"o.{quote(name)} = e.{quote(name)}" for name in primary_key)
    shown = ", ".join(f"CAST(e.{quote(name)} AS text)" for name in primary_key)
    sql = (
        f"SELECT DISTINCT concat_ws(', ', {shown}) FROM {anatomy.name.quoted} e JOIN {anatomy.name.quoted} o "
        f"ON {pairs} AND (e.tableoid <> o.tableoid OR e.ctid <> o.ctid) WHERE e.tableoid <> {history.oid} "
        f"LIMIT {_SAMPLE}"
    )
    return tuple(connection.execute(_sql(sql)).scalars())


def _sql(statement: str) -> TextClause:
    """``text()`` takes ``:name`` for a parameter."""
    return text(statement.replace(":", r"\:"))
