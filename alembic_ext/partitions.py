"""Creating, dropping, attaching and detaching one partition, on a server."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from contextlib import AbstractContextManager

from alembic.operations import Operations
from alembic.util import CommandError

from alembic_ext import ops
from alembic_ext.enums import refuse_unknown_labels
from alembic_ext.literals import typed_bound
from alembic_ext.session import (
    WAIT_LOG,
    OperationSession,
    announce_commit,
    bound_level,
    in_autocommit_block,
    may_autocommit,
    on_partitioned_table,
)
from sa_partman.bounds.bound import DEFAULT, Bound, HashBound, ListBound
from sa_partman.bounds.text import describe
from sa_partman.compare.context import Context
from sa_partman.ddl.blocks import drop_keys_to_partitioned
from sa_partman.ddl.render import sql_of
from sa_partman.engine.migration import apply_with_membership
from sa_partman.engine.outside import unhurried
from sa_partman.engine.statements import apply_actions, name_taken
from sa_partman.key import PartitionKey
from sa_partman.marks import is_detached_from, is_foreign, is_marked, unmarked
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import (
    Action,
    AttachPartition,
    CreatePartition,
    CreateTable,
    DetachPartition,
    DropTable,
    MarkDetached,
    MoveRows,
    UnmarkDetached,
)
from sa_partman.plan.provision import attached_from_the_top, first_partitions
from sa_partman.postgres.facts import from_lowest
from sa_partman.postgres.migrations import relation_named
from sa_partman.postgres.relations import Relation, columns_of, relation_of
from sa_partman.postgres.session import execute_sql
from sa_partman.spec.base import PartitionSpec


def create(operations: Operations, operation: ops.CreatePartitionOp) -> None:
    with _at(operations, operation) as session:
        bound = _bound_of(operation, _key_of(session.table))
        refuse_unknown_labels(session, bound, _key_of(session.table), operation.call)
        apply_as_members(session, _creation(session, _name(session, operation), bound, operation))


def _creation(
    session: OperationSession, name: QualifiedName, bound: Bound, operation: ops.CreatePartitionOp
) -> tuple[Action, ...]:
    """
    A new partition, or the table that we detached from there before.

    Raises:
        NameTaken: Something else bears the name.
    """
    parent, key = session.table.name, _key_of(session.table)
    attach = AttachPartition(parent, name, bound, key)
    default = None if session.table.default is None else relation_of(session.connection, session.table.default).name
    moved: tuple[MoveRows, ...] = ()
    if default is not None and bound != DEFAULT:
        moved = (_moved(session, default, name, bound, operation.limit, parent),)
    there = relation_named(session.connection, name)
    if there is not None and there.parent is None and is_detached_from(there.comment, parent):
        return (*moved, attach, UnmarkDetached(name, unmarked(there.comment)))
    taken = name_taken(session.connection, name)
    if taken is not None:
        raise taken
    by, inner = _below(session, name, bound, operation.partition_by, default)
    made = CreateTable(name, parent, by, operation.unlogged and by is None)
    return (made, *attached_from_the_top(attach, inner, moved))


def _moved(
    session: OperationSession,
    source: QualifiedName,
    target: QualifiedName,
    bound: Bound,
    limit: int,
    attached: QualifiedName | None = None,
) -> MoveRows:
    """
    Args:
        attached: Whose partition *source* stays while *target* is attached.

    Raises:
        CommandError: No condition tells the rows of a hash partition, and no default partition stands beside one.
    """
    if isinstance(bound, HashBound):
        raise CommandError(
            f"{target}: {source} is a default partition, and a table PARTITION BY HASH has none; write the bound as "
            f"values=, or lower= and upper="
        )
    return MoveRows(source, target, bound, _key_of(session.table), limit, attached=attached)


def _below(
    session: OperationSession,
    name: QualifiedName,
    bound: Bound,
    partition_by: PartitionSpec | str | None,
    default: QualifiedName | None,
) -> tuple[str | None, tuple[CreatePartition, ...]]:
    """What stands behind PARTITION BY, and the partitions of the next levels."""
    if partition_by is None or isinstance(partition_by, str):
        return partition_by, ()
    level = bound_level(name, partition_by, columns_of(session.connection, session.table.oid))
    if default is not None and bound != DEFAULT:
        level = from_lowest(session.connection, level, default, bound, _key_of(session.table))
    context = Context(session.now)
    inside = context.below(tuple(bound.values)) if isinstance(bound, ListBound) else context
    return level.partition_by, first_partitions(level, name, inside)


def drop(operations: Operations, operation: ops.DropPartitionOp) -> None:
    """
    Raises:
        CommandError: Its rows were to be moved, and it is a foreign table; nothing was changed.
    """
    with _at(operations, operation) as session:
        partition, bound = _attached(session, operation)
        parent, key = session.table.name, _key_of(session.table)
        default, foreign = session.table.default, partition.kind == "f"
        moved = operation.rows_to_default and default is not None and default != partition.oid and bound != DEFAULT
        if moved and foreign:
            raise CommandError(
                f"op.drop_partition({operation.name!r}, ..., rows_to_default=True): {partition.name} is a foreign "
                f"table, and its rows stay on the other server; nothing was changed. Leave rows_to_default= out."
            )
        apply_actions(session.connection, (DetachPartition(parent, partition.name, bound, key),))
        if moved and default is not None:
            target = relation_of(session.connection, default).name
            apply_actions(session.connection, (_moved(session, partition.name, target, bound, operation.limit),))
        apply_actions(session.connection, (DropTable(partition.name, foreign=foreign),))


def attach(operations: Operations, operation: ops.AttachPartitionOp) -> None:
    """
    Raises:
        CommandError: There is no such table; nothing was changed.
    """
    with _at(operations, operation) as session:
        name, bound = _name(session, operation), _bound_of(operation, _key_of(session.table))
        there = relation_named(session.connection, name)
        if there is None:
            raise CommandError(
                f"op.attach_partition: the table {name} does not exist; nothing was changed. Create it with its bound: "
                f"op.create_partition({name.name!r}, ...)"
            )
        actions: list[Action] = [AttachPartition(session.table.name, name, bound, _key_of(session.table))]
        if is_marked(there.comment):
            actions.append(UnmarkDetached(name, unmarked(there.comment)))
        apply_actions(session.connection, actions)


def detach(operations: Operations, operation: ops.DetachPartitionOp) -> None:
    """
    Raises:
        CommandError: It can't be detached concurrently, because the table has a default partition; nothing was changed.
    """
    context = operations.migration_context
    what = f"op.detach_partition({operation.name!r}, concurrently=True)"
    concurrently = operation.concurrently and may_autocommit(context)
    if concurrently:
        announce_commit(context, what)
    elif operation.concurrently:
        warnings.warn(f"{what}: the caller owns the transaction, so the partition is detached within it", stacklevel=2)
    with _at(operations, operation) as session:
        partition, bound = _attached(session, operation)
        if concurrently and session.table.default is not None:
            raise CommandError(
                f"{session.table.name} has a default partition, and PostgreSQL then refuses DETACH ... CONCURRENTLY; "
                f"nothing was changed. Leave concurrently= out."
            )
        parent, key = session.table.name, _key_of(session.table)
        action = DetachPartition(parent, partition.name, bound, key, concurrently)
        mark = MarkDetached(
            partition.name,
            parent,
            unmarked(partition.comment),
            session.now,
            bound,
            key,
            is_foreign(partition.comment),
        )
        # What somebody else's server holds is his from then on.
        marks = () if partition.kind == "f" else (mark,)
        # The mark comes first, so that a concurrent detach that is cut off leaves a table that is known to be ours.
        apply_actions(session.connection, marks if concurrently else (action, *marks))
    if concurrently:
        with in_autocommit_block(context) as connection, unhurried(connection, WAIT_LOG) as autocommit:
            for sql in sql_of((action,)):
                autocommit.concurrently(sql, parent, f"the detach of {partition.name}")
    if operation.without_foreign_keys:
        with on_partitioned_table(operations, operation.parent, operation.schema, operation.call) as session:
            execute_sql(session.connection, drop_keys_to_partitioned(partition.name))


def _attached(session: OperationSession, operation: ops.PartitionOp) -> tuple[Relation, Bound]:
    """
    Raises:
        CommandError: It is no partition of the parent, or one with another bound than the operation says.
    """
    name, key = _name(session, operation), _key_of(session.table)
    partition = relation_named(session.connection, name)
    if partition is None or partition.parent != session.table.oid:
        what = "does not exist" if partition is None else f"is not a partition of {session.table.name}"
        raise CommandError(f"op.{operation.verb}: {name} {what}; nothing was changed")
    bound = partition.bound_in(key)
    assert bound is not None
    wanted = bound if operation.bound is None else typed_bound(operation.bound, key.types)
    if wanted != bound:
        raise CommandError(
            f"op.{operation.verb}: {name} is the partition for {describe(bound)}, not for {describe(wanted)}; "
            f"nothing was changed"
        )
    return partition, bound


def _at(operations: Operations, operation: ops.PartitionOp) -> AbstractContextManager[OperationSession]:
    return on_partitioned_table(operations, operation.parent, operation.schema, operation.call)


def _name(session: OperationSession, operation: ops.PartitionOp) -> QualifiedName:
    return QualifiedName(operation.partition_schema or session.table.name.schema, operation.name)


def _bound_of(operation: ops.PartitionOp, key: PartitionKey) -> Bound:
    if operation.bound is None:
        raise CommandError(
            f"{operation.call} lacks the bound: values=, lower= and upper=, modulus= and remainder=, or default=True"
        )
    return typed_bound(operation.bound, key.types)


def _key_of(table: Relation) -> PartitionKey:
    assert table.key is not None
    return table.key


def apply_as_members(session: OperationSession, actions: Iterable[Action]) -> None:
    """Executes *actions*; the tables that they create get the owner, the grants and the rest of their table."""
    lacking = apply_with_membership(session.connection, session.table, actions)
    if lacking:
        warnings.warn(
            f"{session.table.name}: its new partitions don't have everything that the table has, because the "
            f"connected role may not; run this, and then sa-partman run --repair: {'; '.join(lacking)}",
            stacklevel=2,
        )
