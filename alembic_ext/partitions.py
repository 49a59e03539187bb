"""Creating, dropping, attaching and detaching one partition, on a server."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from alembic.operations import Operations
from alembic.util import CommandError
from sqlalchemy import Connection

from alembic_ext import ops
from alembic_ext.enums import refuse_unknown_labels
from alembic_ext.literals import typed
from alembic_ext.session import WAITS, Place, announce, may_leave, outside, place, relation_named
from sa_partman.bounds.bound import DEFAULT, Bound, HashBound, ListBound
from sa_partman.bounds.text import check_predicate, describe
from sa_partman.compare.situation import Situation
from sa_partman.ddl.blocks import drop_keys_to_partitioned
from sa_partman.ddl.render import render
from sa_partman.engine.execute import apply_actions, name_taken
from sa_partman.engine.index import unhurried
from sa_partman.key import PartitionKey
from sa_partman.marks import is_foreign, is_marked, parent_of, unmarked
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
from sa_partman.plan.membership import as_members, makes
from sa_partman.plan.provision import attached_from_the_top, first_partitions
from sa_partman.plan.steps import Purpose, Step
from sa_partman.postgres.columns import Relation, columns_of, relation_of
from sa_partman.postgres.facts import lowest_value
from sa_partman.postgres.membership.reading import memberships
from sa_partman.postgres.migrations import keys_to
from sa_partman.postgres.privileges import privileges_of
from sa_partman.postgres.session import acting_as
from sa_partman.spec.base import PartitionSpec
from sa_partman.spec.declared import ColumnType, Level, RangeLevel, bind


def create(operations: Operations, operation: ops.CreatePartitionOp) -> None:
    with _at(operations, operation) as here:
        bound = _bound_of(operation, key_of(here.table))
        refuse_unknown_labels(here, bound, key_of(here.table), f"op.create_partition({operation.name!r}, ...)")
        apply_as_members(here, creation(here, _name(here, operation), bound, operation))


def creation(here: Place, name: QualifiedName, bound: Bound, operation: ops.CreatePartitionOp) -> tuple[Action, ...]:
    """
    A new partition, or the table that we detached from there before.

    Raises:
        NameTaken: Something else bears the name.
    """
    parent, key = here.table.name, key_of(here.table)
    attach = AttachPartition(parent, name, bound, key)
    default = None if here.table.default is None else relation_of(here.connection, here.table.default).name
    moved: tuple[MoveRows, ...] = ()
    if default is not None and bound != DEFAULT:
        moved = (rows_moved(here, default, name, bound, operation.limit, parent),)
    there = relation_named(here.connection, name)
    if there is not None and there.parent is None and is_ours(there, parent):
        return (*moved, attach, UnmarkDetached(name, parent, unmarked(there.comment)))
    taken = name_taken(here.connection, name)
    if taken is not None:
        raise taken
    by, inner = _below(here, name, bound, operation.partition_by, default)
    made = CreateTable(name, parent, by, operation.unlogged and by is None)
    return (made, *attached_from_the_top(attach, inner, moved))


def rows_moved(
    here: Place,
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
    return MoveRows(source, target, bound, key_of(here.table), limit, attached=attached)


def is_ours(there: Relation, parent: QualifiedName) -> bool:
    """Whether we detached it from *parent*; a mark that names no schema means the same one."""
    marked = parent_of(there.comment or "")
    return marked is not None and QualifiedName(marked.schema or parent.schema, marked.name) == parent


def _below(
    here: Place,
    name: QualifiedName,
    bound: Bound,
    partition_by: PartitionSpec | str | None,
    default: QualifiedName | None,
) -> tuple[str | None, tuple[CreatePartition, ...]]:
    """What stands behind PARTITION BY, and the partitions of the next levels."""
    if partition_by is None or isinstance(partition_by, str):
        return partition_by, ()
    level = bound_level(name, partition_by, columns_of(here.connection, here.table.oid))
    if default is not None and bound != DEFAULT:
        level = from_lowest(here.connection, level, default, bound, key_of(here.table))
    situation = Situation(here.now)
    inside = situation.below(tuple(bound.values)) if isinstance(bound, ListBound) else situation
    return level.partition_by, first_partitions(level, name, inside)


def bound_level(name: QualifiedName, spec: PartitionSpec, columns: Mapping[str, ColumnType]) -> Level:
    """
    Raises:
        CommandError: The table lacks a column that *spec* names.
    """
    for each in spec.levels():
        for column in each.columns:
            if column not in columns:
                raise CommandError(
                    f"{name}: {spec!r} names the column {column!r}, which the table lacks; it has {', '.join(columns)}"
                )
    return bind(name, spec, columns).level


def drop(operations: Operations, operation: ops.DropPartitionOp) -> None:
    with _at(operations, operation) as here:
        partition, bound = _attached(here, operation)
        parent, key = here.table.name, key_of(here.table)
        default, foreign = here.table.default, partition.kind == "f"
        moved = operation.rows_to_default and default is not None and default != partition.oid and bound != DEFAULT
        if moved and foreign:
            raise CommandError(
                f"op.drop_partition({operation.name!r}, ..., rows_to_default=True): {partition.name} is a foreign "
                f"table, and its rows stay on the other server; nothing was changed. Leave rows_to_default= out."
            )
        apply_actions(here.connection, (DetachPartition(parent, partition.name, bound, key),))
        if moved and default is not None:
            target = relation_of(here.connection, default).name
            apply_actions(here.connection, (rows_moved(here, partition.name, target, bound, operation.limit),))
        apply_actions(here.connection, (DropTable(partition.name, parent, foreign=foreign),))


def attach(operations: Operations, operation: ops.AttachPartitionOp) -> None:
    with _at(operations, operation) as here:
        name, bound = _name(here, operation), _bound_of(operation, key_of(here.table))
        there = relation_named(here.connection, name)
        if there is None:
            raise CommandError(
                f"op.attach_partition: the table {name} does not exist; nothing was changed. Create it with its bound: "
                f"op.create_partition({name.name!r}, ...)"
            )
        actions: list[Action] = [AttachPartition(here.table.name, name, bound, key_of(here.table))]
        if is_marked(there.comment):
            actions.append(UnmarkDetached(name, here.table.name, unmarked(there.comment)))
        apply_actions(here.connection, actions)


def detach(operations: Operations, operation: ops.DetachPartitionOp) -> None:
    context = operations.migration_context
    what = f"op.detach_partition({operation.name!r}, concurrently=True)"
    concurrently = operation.concurrently and may_leave(context)
    if concurrently:
        announce(context, what)
    elif operation.concurrently:
        warnings.warn(f"{what}: the caller owns the transaction, so the partition is detached within it", stacklevel=2)
    with _at(operations, operation) as here:
        partition, bound = _attached(here, operation)
        if concurrently and here.table.default is not None:
            raise CommandError(
                f"{here.table.name} has a default partition, and PostgreSQL then refuses DETACH ... CONCURRENTLY; "
                f"nothing was changed. Leave concurrently= out."
            )
        parent, key = here.table.name, key_of(here.table)
        action = DetachPartition(parent, partition.name, bound, key, concurrently)
        mark = MarkDetached(
            partition.name,
            parent,
            unmarked(partition.comment),
            here.now,
            bound,
            key,
            is_foreign(partition.comment),
        )
        # What somebody else's server holds is his from then on.
        marks = () if partition.kind == "f" else (mark,)
        # The mark comes first, so that a concurrent detach that is cut off leaves a table that is known to be ours.
        apply_actions(here.connection, marks if concurrently else (action, *marks))
    if concurrently:
        with outside(context) as connection, unhurried(connection, WAITS) as pace:
            for statement in render(action):
                with pace.concurrently(connection, str(parent), f"the detach of {partition.name}"):
                    context.impl._exec(statement)
    if operation.without_foreign_keys:
        with place(operations, operation.parent, operation.schema, _what(operation)) as here:
            here.connection.exec_driver_sql(drop_keys_to_partitioned(partition.name).replace("%", "%%"))


def _attached(here: Place, operation: ops.PartitionOp) -> tuple[Relation, Bound]:
    """
    Raises:
        CommandError: It is no partition of the parent, or one with another bound than the operation says.
    """
    name, key = _name(here, operation), key_of(here.table)
    partition = relation_named(here.connection, name)
    if partition is None or partition.parent != here.table.oid:
        what = "does not exist" if partition is None else f"is not a partition of {here.table.name}"
        raise CommandError(f"op.{operation.verb}: {name} {what}; nothing was changed")
    bound = partition.bound_in(key)
    assert bound is not None
    wanted = bound if operation.bound is None else typed(operation.bound, key.types)
    if wanted != bound:
        raise CommandError(
            f"op.{operation.verb}: {name} is the partition for {describe(bound)}, not for {describe(wanted)}; "
            f"nothing was changed"
        )
    return partition, bound


def _at(operations: Operations, operation: ops.PartitionOp) -> AbstractContextManager[Place]:
    return place(operations, operation.parent, operation.schema, _what(operation))


def _what(operation: ops.PartitionOp) -> str:
    return f"op.{operation.verb}({operation.name!r}, ...)"


def _name(here: Place, operation: ops.PartitionOp) -> QualifiedName:
    return QualifiedName(operation.partition_schema or here.table.name.schema, operation.name)


def _bound_of(operation: ops.PartitionOp, key: PartitionKey) -> Bound:
    if operation.bound is None:
        raise CommandError(
            f"op.{operation.verb}({operation.name!r}, ...) lacks the bound: values=, lower= and upper=, modulus= and "
            f"remainder=, or default=True"
        )
    return typed(operation.bound, key.types)


def key_of(table: Relation) -> PartitionKey:
    assert table.key is not None
    return table.key


def apply_as_members(here: Place, actions: Iterable[Action]) -> None:
    """Executes *actions*; the tables that they create get the owner, the grants and the rest of their table."""
    step = Step(Purpose.PROVISION, here.table.name, here.table.name, None, tuple(actions))
    if not makes(step):
        apply_actions(here.connection, step.actions)
        return
    with _as_owner(here):
        apply_actions(here.connection, _whole(here, step).actions)


def _whole(here: Place, step: Step) -> Step:
    membership = memberships(here.connection, [here.table.oid])[here.table.oid]
    if not membership.lacking:
        return as_members(step, membership)
    warnings.warn(
        f"{here.table.name}: its new partitions don't have everything that the table has, because the connected role "
        f"may not; run this, and then sa-partman run --repair: {'; '.join(membership.lacking)}",
        stacklevel=2,
    )
    return step


def _as_owner(here: Place) -> AbstractContextManager[None]:
    """Whoever owns the table is to own its partitions, if we may take its place and it may create."""
    privileges = privileges_of(here.connection, [here.table])[here.table.name]
    if privileges.is_same or not privileges.may_set_role or not privileges.may_create:
        return nullcontext()
    return acting_as(here.connection, privileges.owner)


def from_lowest(connection: Connection, level: Level, default: QualifiedName, bound: Bound, key: PartitionKey) -> Level:
    """*level*, which begins with the lowest row that *bound* takes out of *default*, when that is early."""
    predicate = check_predicate(bound, tuple(part.sql for part in key.parts), key.types)
    if not isinstance(level, RangeLevel) or level.spec.tenants is not None or predicate is None:
        return level
    part = level.key.parts[level.place]
    lowest = lowest_value(connection, part.sql, part.type, default, predicate)
    position = None if lowest is None else level.axis.decode(lowest)
    if position is None:
        return level
    start = position if isinstance(position, int) else position.isoformat()
    if level.spec.start is not None and level.axis.parse(level.spec.start) <= position:
        return level
    return replace(level, spec=level.spec.with_(start=start))


def refuse_references(connection: Connection, oid: int, what: str) -> None:
    """
    Raises:
        CommandError: A foreign key refers to the table, whose partitions can't be detached then while it is used.
    """
    keys = keys_to(connection, oid)
    if keys:
        shown = ", ".join(f"{name} of {table}" for name, table in keys[:5])
        raise CommandError(
            f"{what}: the foreign key {shown} refers to it, and its partitions can't be taken apart meanwhile; "
            f"nothing was changed. Drop the foreign key before and create it again after this operation."
        )
