"""
``--sql`` mode: what can be written without a server; the types of keys come from the script's own CREATE TABLE.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from alembic.ddl.impl import DefaultImpl
from alembic.operations import Operations
from alembic.util import CommandError
from sqlalchemy import Table, event

from alembic_ext import ops, table_ops
from alembic_ext.literals import guessed_types, typed_bound
from alembic_ext.session import bound_level
from sa_partman.bounds.bound import Bound, ListBound
from sa_partman.compare.context import Context
from sa_partman.ddl.blocks import drop_keys_to_partitioned
from sa_partman.ddl.render import sql_of
from sa_partman.key import KeyPart, PartitionKey
from sa_partman.names import QualifiedName
from sa_partman.orm.registry import key_type
from sa_partman.plan.actions import (
    Action,
    AttachPartition,
    CreatePartition,
    CreateTable,
    DetachPartition,
    DropTable,
    MarkDetached,
)
from sa_partman.plan.provision import first_partitions
from sa_partman.postgres.session import appointed
from sa_partman.spec.declared import ColumnType

Columns = dict[str, ColumnType]

_TABLES: WeakKeyDictionary[DefaultImpl, dict[QualifiedName, Table]] = WeakKeyDictionary()
_PARTITIONS: WeakKeyDictionary[DefaultImpl, set[QualifiedName]] = WeakKeyDictionary()


@event.listens_for(Table, "after_create")
def _remember(target: Table, connection: Any, _ddl_runner: Any = None, **_: Any) -> None:
    if isinstance(_ddl_runner, DefaultImpl) and _ddl_runner.as_sql:
        _TABLES.setdefault(_ddl_runner, {})[QualifiedName(target.schema, target.name)] = target


def columns_in_script(operations: Operations, name: QualifiedName) -> Columns | None:
    """The columns of a table that this script has created; None when it did not."""
    table = _TABLES.get(operations.migration_context.impl, {}).get(name)
    if table is None:
        return None
    return {column.name: ColumnType(column.name, key_type(column)) for column in table.columns}


def is_made_in_script(operations: Operations, name: QualifiedName) -> bool:
    """Whether this script has created the table."""
    return name in _TABLES.get(operations.migration_context.impl, {})


def is_partitioned_in_script(operations: Operations, name: QualifiedName) -> bool:
    """Whether this script has created the table, partitioned."""
    table = _TABLES.get(operations.migration_context.impl, {}).get(name)
    return table is not None and table.dialect_options["postgresql"].get("partition_by") is not None


def is_partition_in_script(operations: Operations, name: QualifiedName) -> bool:
    """Whether this script has made the table a partition, and not taken it out again."""
    return name in _PARTITIONS.get(operations.migration_context.impl, ())


def provision(operations: Operations, operation: table_ops.ProvisionPartitionsOp) -> None:
    """
    Raises:
        CommandError: The script does not create the table, so nobody knows the types of its key; nothing was changed.
    """
    name = QualifiedName(operation.schema, operation.table)
    columns = columns_in_script(operations, name)
    if columns is None:
        raise CommandError(
            f"op.provision_partitions({operation.table!r}, ...) with --sql knows the key's types only when the same "
            f"script creates the table; begin the script at that revision, or run this migration on a connection"
        )
    now = appointed() or datetime.now(UTC)
    actions = first_partitions(bound_level(name, operation.declaration, columns), name, Context(now))
    note(operations, f"the partitions of {name} as of {now:%Y-%m-%d %H:%M:%S}+00, when this script was written")
    write(operations, actions)


def create(operations: Operations, operation: ops.CreatePartitionOp) -> None:
    """
    Raises:
        CommandError: As of `provision`; nothing was changed.
    """
    parent, name = QualifiedName(operation.schema, operation.parent), _name(operation)
    bound = _bound(operation)
    by, inner = operation.partition_by, tuple[Action, ...]()
    if by is not None and not isinstance(by, str):
        columns = columns_in_script(operations, parent)
        if columns is None:
            raise CommandError(
                f"op.create_partition({operation.name!r}, ..., partition_by={by!r}) with --sql knows the types of the "
                f"key only when the same script creates the table; write partition_by='RANGE (...)' as text, or run "
                f"this migration on a connection"
            )
        level, now = bound_level(name, by, columns), appointed() or datetime.now(UTC)
        context = Context(now).below(tuple(bound.values)) if isinstance(bound, ListBound) else Context(now)
        by, inner = level.partition_by, first_partitions(level, name, context)
        note(operations, f"partitions of {name} as of {now:%Y-%m-%d %H:%M:%S}+00, when this script was written")
    made = CreateTable(name, parent, by, operation.unlogged and by is None)
    write(operations, (made, AttachPartition(parent, name, bound, _key(bound)), *inner))


def attach(operations: Operations, operation: ops.AttachPartitionOp) -> None:
    bound = _bound(operation)
    parent = QualifiedName(operation.schema, operation.parent)
    write(operations, (AttachPartition(parent, _name(operation), bound, _key(bound)),))


def detach(operations: Operations, operation: ops.DetachPartitionOp) -> None:
    """A comment that the table had is lost: without a server nothing tells it."""
    parent, name = QualifiedName(operation.schema, operation.parent), _name(operation)
    mark = MarkDetached(name, parent)
    if not operation.concurrently:
        write(operations, (_detach(parent, name, False), mark))
    else:
        write(operations, (mark,))
        with operations.migration_context.autocommit_block():
            write(operations, (_detach(parent, name, True),))
    if operation.without_foreign_keys:
        impl = operations.migration_context.impl
        impl.static_output(drop_keys_to_partitioned(name) + impl.command_terminator)


def drop(operations: Operations, operation: ops.DropPartitionOp) -> None:
    parent, name = QualifiedName(operation.schema, operation.parent), _name(operation)
    if operation.rows_to_default:
        note(operations, f"the rows of {name} are dropped with it: whether there is a default partition is unknown")
    write(operations, (_detach(parent, name, False), DropTable(name)))


def write(operations: Operations, actions: Iterable[Action]) -> None:
    # Not impl._exec(): it turns tabs into blanks, in literals too.
    impl = operations.migration_context.impl
    known = _PARTITIONS.setdefault(impl, set())
    actions = tuple(actions)
    for action in actions:
        if isinstance(action, AttachPartition | DetachPartition):
            (known.add if isinstance(action, AttachPartition) else known.discard)(action.partition)
        elif isinstance(action, CreatePartition):
            known.add(action.name)
    for sql in sql_of(actions):
        impl.static_output(sql + impl.command_terminator)


def note(operations: Operations, text: str) -> None:
    """A comment in the script."""
    operations.migration_context.impl.static_output("-- " + text.replace("\n", " "))


def _detach(parent: QualifiedName, name: QualifiedName, concurrently: bool) -> DetachPartition:
    # Neither bound nor key is written.
    return DetachPartition(parent, name, ListBound(frozenset()), PartitionKey(()), concurrently)


def _name(operation: ops.PartitionOp) -> QualifiedName:
    return QualifiedName(operation.partition_schema or operation.schema, operation.name)


def _bound(operation: ops.PartitionOp) -> Bound:
    if operation.bound is None:
        raise CommandError(f"op.{operation.verb}({operation.name!r}, ...) lacks the bound, such as values=")
    types = guessed_types(operation.bound)
    return typed_bound(operation.bound, types) if types else operation.bound


def _key(bound: Bound) -> PartitionKey:
    """Where the key is unknown: as the bound's own values have it."""
    return PartitionKey(tuple(KeyPart(None, "", kind) for kind in guessed_types(bound)))
