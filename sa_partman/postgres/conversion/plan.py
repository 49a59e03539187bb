"""Plans a conversion in place, and its way back: reads the table, and decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, text

from sa_partman.compare.context import Context
from sa_partman.compare.shape import MISSING_TABLE, shape_finding
from sa_partman.ddl.render import quoted_sql
from sa_partman.ddl.rewriting import EMPTIED, TRIGGER
from sa_partman.ddl.rows import LOGICAL
from sa_partman.errors import Refused
from sa_partman.names import QualifiedName, quote
from sa_partman.plan.conversion.attach import INBOUND, attach_in_place, leaf_statistics_of, names_of, statistics_of
from sa_partman.plan.conversion.carry import history_name
from sa_partman.plan.conversion.detach import UndoRequest, detach_in_place, undo_names
from sa_partman.plan.conversion.fingerprint import fingerprint
from sa_partman.plan.conversion.refusals import Again, again, retyped, table_refusals, type_refusals
from sa_partman.plan.conversion.request import (
    Choices,
    ConversionPlan,
    ConversionRequest,
    Refusal,
    TargetRequest,
    key_index,
    proof,
    unserved,
)
from sa_partman.plan.steps import Step
from sa_partman.postgres.contents import estimated
from sa_partman.postgres.conversion.beside import users
from sa_partman.postgres.conversion.rows import analyzed, reach, rows_elsewhere, slots, without_match
from sa_partman.postgres.conversion.whereabouts import finished_of, history_of, nothing_in_progress
from sa_partman.postgres.journal import Conversion
from sa_partman.postgres.reflect import reflect
from sa_partman.postgres.relations import columns_of
from sa_partman.postgres.session import verbatim
from sa_partman.postgres.table_reader import read_table
from sa_partman.spec.declared import DeclaredTable, RangeLevel
from sa_partman.table.definition import Column, TableDefinition

PrimaryKey = Callable[[tuple[str, ...]], tuple[str, ...]]
"""The columns of the primary key that the table is to have, of those that it has."""


@dataclass(frozen=True, slots=True)
class PlannedConversion:
    """
    A plan, with what it was made from.

    Args:
        declaration: As Python.
        definition: The table that it was made for; None where there is nothing to do.
    """

    table: QualifiedName
    declaration: str
    plan: ConversionPlan
    definition: TableDefinition | None = None

    @property
    def mark(self) -> str:
        """The fingerprint of that table."""
        return "" if self.definition is None else mark_of(self.definition)

    @property
    def oid(self) -> int:
        return 0 if self.definition is None else self.definition.oid

    @property
    def primary_key(self) -> tuple[str, ...]:
        """That table's primary key, before."""
        return () if self.definition is None else key_columns(self.definition)


def plan_conversion(
    connection: Connection,
    declared: DeclaredTable,
    primary_key: PrimaryKey,
    context: Context,
    choices: Choices,
    *,
    lead: timedelta = timedelta(hours=1),
    boundary: Any = None,
    concurrently: bool = True,
) -> PlannedConversion:
    """
    Plans the conversion of one table, in the caller's pinned transaction.

    Args:
        declared: Its name carries the schema.
        primary_key: That of the partitioned table.
    """
    definition = read_table(connection, declared.name)
    declaration = repr(declared.spec)
    if definition is not None and definition.kind == "p":
        return PlannedConversion(declared.name, declaration, already_partitioned(connection, declared))
    missing = missing_table(declared) if definition is None else None
    refusal = missing or unserved(declared) or _endless(declared, boundary)
    if refusal is not None or definition is None:
        return PlannedConversion(declared.name, declaration, ConversionPlan((), (refusal,) if refusal else ()))
    columns = columns_of(connection, definition.oid)
    hopeless = (*table_refusals(definition), *type_refusals(declared, columns, definition))
    if hopeless:
        return PlannedConversion(declared.name, declaration, ConversionPlan((), hopeless))
    declared = retyped(declared, columns)
    history, found = reach(connection, declared, definition, context, lead, boundary)
    if isinstance(history, Refusal):
        return PlannedConversion(declared.name, declaration, ConversionPlan((), (history,)))
    wanted = primary_key(key_columns(definition))
    request = ConversionRequest(declared, wanted, context, choices, concurrently, history=history)
    unmatched = dict(unmatched_rows(connection, request, definition))
    found = replace(
        found,
        unmatched=unmatched,
        analyzed=analyzed(connection, declared.name),
        slots=slots(connection),
        older=_older(connection, request),
    )
    plan = attach_in_place(request, definition, found)
    if not plan.refusals:
        statistics = statistics_of(definition) | leaf_statistics_of(request, definition)
        taken = tuple(name_refusals(connection, names_of(request, definition), statistics, definition.oid))
        plan = ConversionPlan((), taken, plan.notes) if taken else plan
    return PlannedConversion(declared.name, declaration, plan, definition)


def _older(connection: Connection, request: ConversionRequest) -> int | None:
    outlived = request.outlived
    return None if outlived is None else estimated(connection, request.table, outlived.condition)


def unmatched_rows(
    connection: Connection, request: TargetRequest, definition: TableDefinition
) -> Iterator[tuple[tuple[QualifiedName, str], int]]:
    """By referencing table and foreign key: how many of its rows refer to no row by its composite form."""
    for key in definition.inbound:
        form = again(key, request, definition)
        if isinstance(form, Again) and form.composite:
            yield (key.table, key.name), without_match(connection, request.table, form)


def missing_table(declared: DeclaredTable) -> Refusal:
    """Why nothing that is not there is converted."""
    return Refusal(f"{declared.name} does not exist", MISSING_TABLE)


def _endless(declared: DeclaredTable, boundary: Any) -> Refusal | None:
    if boundary is None or isinstance(declared.level, RangeLevel):
        return None
    return Refusal(
        f"the boundary {boundary} would do nothing: the history of a table PARTITION BY {declared.level.partition_by} "
        f"has values and no end",
        "leave --boundary (boundary=) out",
    )


def already_partitioned(connection: Connection, declared: DeclaredTable) -> ConversionPlan:
    """No steps: the table is what it is to be, or partitioned otherwise."""
    misfit = shape_finding(declared, reflect(connection, [declared])[declared.name])
    if misfit is not None:
        return ConversionPlan((), (Refusal(misfit.message, misfit.remedy),))
    return ConversionPlan((), (), (f"{declared.name} is partitioned already, as the model declares it",))


def mark_of(definition: TableDefinition, more: Any = None) -> str:
    """The fingerprint of a table and *more* of it, but for what its own conversion adds before the cut-over."""
    own = frozenset({proof(definition.name), key_index(definition.name)})
    triggers = tuple(each for each in definition.triggers if each.name not in (TRIGGER, EMPTIED))
    definition = replace(definition, triggers=triggers)
    return fingerprint(definition, own, tuple(column.name for column in definition.columns), more)


def key_columns(definition: TableDefinition) -> tuple[str, ...]:
    """The columns of the primary key; empty when there is none."""
    present = definition.primary_key
    return () if present is None else tuple(str(column) for column in present.columns)


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


def plan_undo(connection: Connection, table: QualifiedName, limit: int) -> PlannedConversion:
    """
    Plans the way back, in the caller's pinned transaction.

    Raises:
        Refused: *table* was not converted in place, or its history is no partition of it any more.
    """
    conversion = finished_of(connection, table)  # an aborted undo changed nothing
    if conversion is None or conversion.kind != "convert" or conversion.status != "done":
        raise nothing_in_progress(connection, table, "finished conversion to take back")
    definition = read_table(connection, table)
    if definition is None:
        raise Refused(f"{table} does not exist; nothing was changed")
    found = history_of(connection, conversion, table)
    history = None if found is None else read_table(connection, found.name)
    if history is None:
        raise Refused(
            f"{table}: the partition with the rows from before the conversion is gone (dropped or detached); "
            f"nothing was changed. If it was detached, attach it again; or make the table plain as it is: take the "
            f"declaration off the model, and alembic revision --autogenerate writes op.unpartition_table(...)"
        )
    request = _request(connection, conversion, definition, history, limit)
    plan = detach_in_place(request)
    if not plan.refusals:
        taken = tuple(
            name_refusals(connection, undo_names(request), statistics_of(definition, back=True), definition.oid)
        )
        plan = ConversionPlan((), taken) if taken else plan
    return PlannedConversion(table, conversion.declaration, plan, definition)


def _request(
    connection: Connection, conversion: Conversion, definition: TableDefinition, history: TableDefinition, limit: int
) -> UndoRequest:
    if definition.missing_rights:
        return UndoRequest(definition, history, {}, conversion.primary_key, 0, limit)
    return UndoRequest(
        definition,
        history,
        _indexes(connection, history),
        conversion.primary_key,
        rows_elsewhere(connection, definition.oid, history.oid, limit),
        limit,
        _twice(connection, conversion.primary_key, definition, history),
        next((step.undo for step in conversion.steps if step.id == "not_null"), ()),
        {step.id.removeprefix(INBOUND): step.undo for step in conversion.steps if step.id.startswith(INBOUND)},
        users(connection, definition.oid, history.oid),
        slots(connection, active=True),
        tuple(
            connection.execute(
                _SENDING, {"names": [each.name for each in definition.covers if not each.excepted]}
            ).scalars()
        ),
    )


def _indexes(connection: Connection, history: TableDefinition) -> dict[str, str]:
    """
    The history's index for each of the table's: the one that the conversion named after it, because PostgreSQL may pair
    two of the same definition crosswise.
    """
    paired = {row[0]: row[1] for row in connection.execute(_INDEXES, {"oid": history.oid})}
    present = {index.name for index in history.indexes}
    named = {name: history_name(name) for name in paired}
    return {name: named[name] if named[name] in present else theirs for name, theirs in paired.items()}


def _twice(
    connection: Connection, primary_key: tuple[str, ...], definition: TableDefinition, history: TableDefinition
) -> tuple[str, ...]:
    """Keys of rows outside the history that another row has too; the index of the history finds its own."""
    if not primary_key:
        return ()
    pairs = " AND ".join(f"o.{quote(name)} = e.{quote(name)}" for name in primary_key)
    shown = ", ".join(f"CAST(e.{quote(name)} AS text)" for name in primary_key)
    sql = (
        f"SELECT DISTINCT concat_ws(', ', {shown}) FROM {definition.name.quoted} e JOIN {definition.name.quoted} o "
        f"ON {pairs} AND (e.tableoid <> o.tableoid OR e.ctid <> o.ctid) WHERE e.tableoid <> {history.oid} "
        f"LIMIT {_SAMPLE}"
    )
    return tuple(connection.execute(verbatim(sql)).scalars())


# What changes without a lock that a SHARE UPDATE EXCLUSIVE one keeps out: grants, views, functions.
_LOOSE = text("""
SELECT CAST(c.relacl AS text), ARRAY(SELECT CAST(attacl AS text) FROM pg_attribute WHERE attrelid = c.oid),
    (SELECT count(*) FROM pg_depend WHERE refclassid = CAST('pg_class' AS regclass) AND refobjid = c.oid)
FROM pg_class c WHERE c.oid = to_regclass(:name)
""")


@dataclass(frozen=True, slots=True)
class Marks:
    """
    Two fingerprints of one look at a table.

    Args:
        plan: As the plan's author sees it.
        full: What is stored, and compared before the swap.
    """

    plan: str
    full: str


def marks(connection: Connection, table: QualifiedName, steps: tuple[Step, ...]) -> Marks | None:
    """
    The fingerprints of *table*; None when it is not there.

    Args:
        steps: Of the conversion: what they change themselves does not count.
    """
    definition = read_table(connection, table)
    if definition is None:
        return None
    ours, seen = _made_not_null(steps), mark_of(definition)
    columns = [_column(each, ours) for each in definition.columns]
    return Marks(seen, mark_of(definition, columns))


def full_mark(connection: Connection, table: QualifiedName, steps: tuple[Step, ...]) -> str | None:
    """What `marks` stores of *table* now; None when it is not there."""
    found = marks(connection, table, steps)
    return None if found is None else found.full


def loose_mark(connection: Connection, table: QualifiedName) -> tuple[Any, ...]:
    """What a lock on the table does not keep others from changing; quick to read."""
    return tuple(connection.execute(_LOOSE, {"name": table.quoted}).one())


def _made_not_null(steps: tuple[Step, ...]) -> str:
    return " ".join(sql for step in steps if step.id == "not_null" for sql in quoted_sql(step.actions))


def _column(column: Column, ours: str) -> tuple[Any, ...]:
    not_null = column.not_null or f"ALTER COLUMN {quote(column.name)} SET NOT NULL" in ours
    return (column.name, not_null, column.expression, column.collation, column.storage, column.compression)


# A table also makes a type of its name; a constraint's name is only taken within its table.
_TAKEN = text("""
SELECT w.schema || '.' || w.name AS name, pg_describe_object(h.classid, h.objid, 0) AS holder
FROM unnest(CAST(:schemas AS text[]), CAST(:names AS text[])) AS w(schema, name)
JOIN pg_namespace n ON n.nspname = w.schema
CROSS JOIN LATERAL (
    SELECT CAST('pg_class' AS regclass), c.oid FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = w.name
    UNION ALL
    SELECT CAST('pg_type' AS regclass), t.oid FROM pg_type t WHERE t.typnamespace = n.oid AND t.typname = w.name
        AND t.typrelid = 0 AND t.typelem = 0
    UNION ALL
    SELECT CAST('pg_constraint' AS regclass), k.oid FROM pg_constraint k WHERE k.conrelid = :oid
        AND k.conname = w.name AND k.contype NOT IN ('p', 'u', 'x')
) AS h(classid, objid)
ORDER BY 1, 2
""")

_STATISTICS = text("""
SELECT w.schema || '.' || w.name AS name, pg_describe_object(CAST('pg_statistic_ext' AS regclass), s.oid, 0) AS holder
FROM unnest(CAST(:schemas AS text[]), CAST(:names AS text[])) AS w(schema, name)
JOIN pg_namespace n ON n.nspname = w.schema
JOIN pg_statistic_ext s ON s.stxnamespace = n.oid AND s.stxname = w.name
ORDER BY 1
""")


def name_refusals(
    connection: Connection, relations: Iterable[QualifiedName], statistics: Iterable[QualifiedName], oid: int
) -> Iterator[Refusal]:
    """
    Args:
        relations: Also the names of constraints of the table.
        statistics: They have names of their own.
        oid: The table's.
    """
    for query, names in ((_TAKEN, tuple(relations)), (_STATISTICS, tuple(statistics))):
        parameters = {"schemas": [each.schema for each in names], "names": [each.name for each in names]}
        if query is _TAKEN:
            parameters |= {"oid": oid}
        for row in connection.execute(query, parameters):
            yield Refusal(f"the name {row.name}, which the conversion needs, is taken by {row.holder}", "rename that")
