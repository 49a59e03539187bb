"""The partitions that a declaration asks for, when the migration runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic.operations import Operations
from alembic.util import CommandError

from alembic_ext import table_ops
from alembic_ext.partitions import apply_as_members, bound_level
from alembic_ext.session import (
    Place,
    in_transaction,
    lock_timeout,
    needs_connection,
    place,
    translated,
    translated_name,
)
from alembic_ext.table_ops import ConversionOp, PartitionTableOp, UnpartitionTableOp
from sa_partman.compare.shape import shape_finding
from sa_partman.compare.situation import Situation
from sa_partman.engine.inline import convert_inline, unpartition_inline
from sa_partman.errors import ConversionPending
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName
from sa_partman.plan.conversion.request import Choices
from sa_partman.plan.provision import AT_ONCE, first_partitions, provision_steps
from sa_partman.plan.steps import Step
from sa_partman.ports import appointed
from sa_partman.postgres.columns import columns_of, oid_of, relation_of
from sa_partman.postgres.conversion.lost import lost
from sa_partman.postgres.journal import running
from sa_partman.postgres.reflect import reflect
from sa_partman.postgres.session import pinned
from sa_partman.postgres.sizes import total_size
from sa_partman.postgres.sources import highest_of
from sa_partman.spec.declared import DeclaredTable


def provision(operations: Operations, operation: table_ops.ProvisionPartitionsOp) -> None:
    what = f"op.{operation.verb}({operation.table!r}, ...)"
    with place(operations, operation.table, operation.schema, what) as here:
        columns = columns_of(here.connection, here.table.oid)
        declared = DeclaredTable(here.table.name, bound_level(here.table.name, operation.declaration, columns))
        found = reflect(here.connection, [declared])[declared.name]
        misfit = shape_finding(declared, found)
        if misfit is not None:
            raise CommandError(f"{what}: {misfit.message}; nothing was changed")
        situation = Situation(here.now, highest=highest_of(here.connection, declared, found))
        steps = tuple(provision_steps(declared, found, situation))
        wrong = next((each for each in steps if isinstance(each, Finding) and each.severity is Severity.ERROR), None)
        if wrong is not None:
            raise CommandError(f"{what}: {wrong.message}; nothing was changed: {wrong.remedy}")
        if not found.partitions and not found.detached:
            apply_as_members(here, first_partitions(declared.level, declared.name, situation))
            return
        made = [each for each in steps if isinstance(each, Step)]
        past = [each for each in made if each.past][:AT_ONCE]
        wanted = [*(each for each in made if not each.past), *past]
        apply_as_members(here, [action for each in wanted for action in each.actions])


INLINE_MAX_BYTES = 64 * 1024 * 1024


def partition(operations: Operations, operation: PartitionTableOp) -> None:
    with _place(operations, operation) as here:
        _refuse_unfinished(here, operation)
        columns = columns_of(here.connection, here.table.oid)
        declared = DeclaredTable(here.table.name, bound_level(here.table.name, operation.declaration, columns))
        if here.table.key is not None:
            _require_same(here, operation, declared)
            return
        _require_small(operations, here, operation, f"sa-partman convert {_shown(operation)}")
        choices = Choices(operation.inbound, operation.unique)  # type: ignore[arg-type]
        convert_inline(here.connection, declared, operation.primary_key, Situation(here.now), choices)


def unpartition(operations: Operations, operation: UnpartitionTableOp) -> None:
    with _place(operations, operation) as here:
        _refuse_unfinished(here, operation)
        if here.table.key is None:
            return
        _require_small(operations, here, operation, f"sa-partman convert {_shown(operation)} --undo")
        unpartition_inline(here.connection, here.table.name, operation.primary_key)


def not_offline(operations: Operations, operation: ConversionOp) -> None:
    what = f"op.{operation.verb}({operation.table!r}, ...)"
    needs_connection(operations, what, "it has to look at the table. Run this migration on a connection.")


@contextmanager
def _place(operations: Operations, operation: ConversionOp) -> Iterator[Place]:
    """A pinned session around the table, plain or partitioned."""
    what = f"op.{operation.verb}({operation.table!r}, ...)"
    connection = operations.get_bind()
    with translated(what):
        name = QualifiedName(operation.schema, operation.table)
        oid = oid_of(connection, translated_name(connection, name))
        if oid is None:
            raise CommandError(f"{what}: the table {name} does not exist; nothing was changed")
        with in_transaction(connection), pinned(connection, lock_timeout(connection)) as session:
            yield Place(connection, relation_of(connection, oid), appointed() or session.now)


def _refuse_unfinished(here: Place, operation: ConversionOp) -> None:
    """
    Raises:
        CommandError: A conversion, or the undo of one, is in progress, or was and is forgotten.
    """
    unfinished = [each.unfinished for each in running(here.connection)]
    found = next((each for each in unfinished if here.table.name == each.table or here.table.oid == each.oid), None)
    known = found or lost(here.connection, here.table.name)
    if known is not None:
        what = f"op.{operation.verb}({operation.table!r}, ...)"
        raise CommandError(f"{what}: {known.message}; nothing was changed: {known.remedy}")


def _require_same(here: Place, operation: ConversionOp, declared: DeclaredTable) -> None:
    found = reflect(here.connection, [declared])[declared.name]
    misfit = shape_finding(declared, found)
    if misfit is not None:
        raise CommandError(f"op.{operation.verb}({operation.table!r}, ...): {misfit.message}; nothing was changed")


def _require_small(operations: Operations, here: Place, operation: ConversionOp, command: str) -> None:
    """
    Raises:
        ConversionPending: The table is too large to be converted while everybody waits; nothing was changed.
    """
    configured: Any = operations.migration_context.opts.get("sa_partman") or {}
    limit = operation.inline_max_bytes
    if limit is None:
        limit = int(configured.get("inline_max_bytes", INLINE_MAX_BYTES))
    size = total_size(here.connection, here.table.oid)
    if size > limit:
        raise ConversionPending(str(here.table.name), bytes=size, limit=limit, command=command)


def _shown(operation: ConversionOp) -> str:
    return f"{operation.schema}.{operation.table}" if operation.schema else operation.table
