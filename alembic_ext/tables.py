"""
The operations on whole tables, on a server: provisioning, repartitioning, and the gate of conversions, which are done
already, are done here, or have to be done before.
"""

from __future__ import annotations

from typing import Any

from alembic.operations import Operations
from alembic.util import CommandError

from alembic_ext.literals import wanted_lists
from alembic_ext.partitions import apply_as_members
from alembic_ext.session import OperationSession, bound_level, needs_connection, on_partitioned_table, on_table
from alembic_ext.table_ops import (
    ConversionOp,
    DeclarationOp,
    PartitionTableOp,
    ProvisionPartitionsOp,
    RepartitionTableOp,
    UnpartitionTableOp,
)
from sa_partman.catalog import FoundTable
from sa_partman.compare.context import Context
from sa_partman.compare.shape import shape_finding
from sa_partman.engine.migration import convert_inline, lock_exclusively, repartition, unpartition_inline
from sa_partman.errors import ConversionPending
from sa_partman.finding import Finding
from sa_partman.plan.conversion.request import Choices
from sa_partman.plan.provision import actions_at_once
from sa_partman.plan.repartition import RepartitionFailed, Repartitioning, hash_change, list_change
from sa_partman.postgres.contents import highest_of
from sa_partman.postgres.journal import lost, running
from sa_partman.postgres.reflect import reflect
from sa_partman.postgres.relations import columns_of, total_size
from sa_partman.spec.declared import DeclaredTable, HashLevel, Level, ListLevel

INLINE_MAX_BYTES = 64 * 1024 * 1024


def provision_partitions(operations: Operations, operation: ProvisionPartitionsOp) -> None:
    """
    Raises:
        CommandError: The table does not fit the declaration, or too many rows were to move; nothing was changed.
    """
    with on_partitioned_table(operations, operation.table, operation.schema, operation.call) as session:
        declared = _declared(session, operation)
        found = _found(session, operation, declared)
        context = Context(session.now, highest=highest_of(session.connection, declared, found))
        actions = actions_at_once(declared, found, context)
        if isinstance(actions, Finding):
            raise CommandError(f"{operation.call}: {actions.message}; nothing was changed: {actions.remedy}")
        apply_as_members(session, actions)


def repartition_table(operations: Operations, operation: RepartitionTableOp) -> None:
    """
    Raises:
        CommandError: Too many rows, rows without a place, triggers or foreign keys that moving would fire; nothing
            was changed.
    """
    with on_partitioned_table(operations, operation.table, operation.schema, operation.call) as session:
        lock_exclusively(session.connection, session.table.name)
        declared = _declared(session, operation)
        found = _found(session, operation, declared)
        change = _change(declared.level, found, operation.call)
        try:
            repartition(session.connection, found, declared.level, change, operation.limit, session.now)
        except RepartitionFailed as error:
            raise CommandError(str(error)) from error


def _change(level: Level, found: FoundTable, what: str) -> Repartitioning:
    if isinstance(level, ListLevel):
        if not level.spec.values.labelled:
            raise CommandError(
                f"{what}: the declaration names no values, so every partition would be detached; nothing was changed. "
                f"Write them: values={{'label': ['value', ...]}}"
            )
        return list_change(level, found, wanted_lists(level, found))
    if isinstance(level, HashLevel):
        return hash_change(level, found)
    raise CommandError(
        f"{what} is for LIST and HASH; nothing was changed. Change the interval of a RANGE in the model: the next run "
        f"makes new partitions of that width"
    )


def partition_table(operations: Operations, operation: PartitionTableOp) -> None:
    with on_table(operations, operation.table, operation.schema, operation.call) as session:
        _refuse_unfinished(session, operation)
        declared = _declared(session, operation)
        if session.table.key is not None:
            _found(session, operation, declared)
            return
        _require_small(operations, session, operation, f"sa-partman convert {_shown(operation)}")
        choices = Choices(operation.inbound, operation.unique)  # type: ignore[arg-type]
        convert_inline(session.connection, declared, operation.primary_key, Context(session.now), choices)


def unpartition_table(operations: Operations, operation: UnpartitionTableOp) -> None:
    with on_table(operations, operation.table, operation.schema, operation.call) as session:
        _refuse_unfinished(session, operation)
        if session.table.key is None:
            return
        _require_small(operations, session, operation, f"sa-partman convert {_shown(operation)} --undo")
        unpartition_inline(session.connection, session.table.name, operation.primary_key)


def refuse_offline(operations: Operations, operation: ConversionOp | RepartitionTableOp) -> None:
    """
    Raises:
        CommandError: Always: the operation has to look at the table.
    """
    counts = isinstance(operation, RepartitionTableOp)
    why = "it counts the rows that it moves" if counts else "it has to look at the table"
    needs_connection(operations, operation.call, f"{why}. Run this migration on a connection.")


def _declared(session: OperationSession, operation: DeclarationOp) -> DeclaredTable:
    columns, name = columns_of(session.connection, session.table.oid), session.table.name
    return DeclaredTable(name, bound_level(name, operation.declaration, columns))


def _found(session: OperationSession, operation: DeclarationOp, declared: DeclaredTable) -> FoundTable:
    """
    Raises:
        CommandError: The table is partitioned otherwise than declared.
    """
    found = reflect(session.connection, [declared])[declared.name]
    misfit = shape_finding(declared, found)
    if misfit is not None:
        raise CommandError(f"{operation.call}: {misfit.message}; nothing was changed")
    return found


def _refuse_unfinished(session: OperationSession, operation: ConversionOp) -> None:
    """
    Raises:
        CommandError: A conversion, or the undo of one, is in progress, or was and is forgotten.
    """
    unfinished = [each.unfinished for each in running(session.connection)]
    table = session.table
    found = next((each for each in unfinished if table.name == each.table or table.oid == each.oid), None)
    known = found or lost(session.connection, table.name)
    if known is not None:
        raise CommandError(f"{operation.call}: {known.message}; nothing was changed: {known.remedy}")


def _require_small(operations: Operations, session: OperationSession, operation: ConversionOp, command: str) -> None:
    """
    Raises:
        ConversionPending: The table is too large to be converted while everybody waits; nothing was changed.
    """
    configured: Any = operations.migration_context.opts.get("sa_partman") or {}
    limit = operation.inline_max_bytes
    if limit is None:
        limit = int(configured.get("inline_max_bytes", INLINE_MAX_BYTES))
    size = total_size(session.connection, session.table.oid)
    if size > limit:
        raise ConversionPending(str(session.table.name), bytes=size, limit=limit, command=command)


def _shown(operation: ConversionOp) -> str:
    return f"{operation.schema}.{operation.table}" if operation.schema else operation.table
