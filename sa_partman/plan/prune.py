"""Pruning: expired partitions are detached or dropped, at the level that declares the retention."""

from __future__ import annotations

from collections.abc import Iterator

from sa_partman.bounds.bound import RangeBound
from sa_partman.bounds.values import OrderKey, row_order
from sa_partman.catalog import FoundTable, Parent, Partition
from sa_partman.compare.descend import descend, divides
from sa_partman.compare.expiry import expiry_of
from sa_partman.compare.lists import is_active
from sa_partman.compare.situation import Situation
from sa_partman.plan.actions import Action, DetachPartition, DropPartition, DropTable, MarkDetached
from sa_partman.plan.steps import Purpose, Step
from sa_partman.spec.declared import DeclaredTable, Level
from sa_partman.spec.retention import Retention


def prune_steps(declared: DeclaredTable, found: FoundTable, situation: Situation) -> Iterator[Step]:
    """One or two steps per expired partition, the oldest first, whatever order the catalog lists them in."""
    yield from _level(found, declared.level, found, situation)


def _level(table: FoundTable, level: Level, parent: Parent, situation: Situation) -> Iterator[Step]:
    expiry = expiry_of(level, parent, situation)
    for partition in sorted(parent.partitions, key=_place):
        if partition.detach_pending:
            continue
        retention = expiry(partition)
        if retention is not None:
            yield from removal(table, level, parent, partition, retention)
        elif (
            level.below is not None and divides(level.below, partition) and is_active(level, partition.bound, situation)
        ):
            yield from _level(table, level.below, partition, descend(level, partition.bound, situation))


def _place(partition: Partition) -> tuple[tuple[OrderKey, ...], str]:
    """Ranges in key order, others by name."""
    bound = partition.bound
    return (row_order(bound.lower) if isinstance(bound, RangeBound) else (), partition.name.name)


def removal(
    table: FoundTable, level: Level, parent: Parent, partition: Partition, retention: Retention
) -> Iterator[Step]:
    """Detach or drop *partition*."""
    if retention.then == "drop":
        yield Step(Purpose.DROP, table.name, partition.name, partition.bound, dropped(table, level, parent, partition))
        return
    mark = MarkDetached(partition.name, parent.name, partition.comment)
    detach = DetachPartition(
        parent.name, partition.name, partition.bound, level.key, concurrently=bool(retention.concurrently)
    )
    if not detach.concurrently:
        yield Step(Purpose.DETACH, table.name, partition.name, partition.bound, (detach, mark))
        return
    # The mark comes first, so that a detach which is cut off leaves a table that is known to be ours.
    yield Step(Purpose.DETACH, table.name, partition.name, partition.bound, (mark,))
    yield Step(Purpose.DETACH, table.name, partition.name, partition.bound, (detach,))


def dropped(table: FoundTable, level: Level, parent: Parent, partition: Partition) -> tuple[Action, ...]:
    """
    One drop; behind a detach where another table refers to this one.

    Source: PostgreSQL refuses to drop an attached partition of a referenced table (2BP01), and with CASCADE would drop
    the foreign key of the whole table.
    """
    by = None if level.below is None or partition.strategy is None else level.below.partition_by
    unlogged = level.spec.unlogged and by is None
    if not table.referenced:
        return (DropPartition(parent.name, partition.name, partition.bound, level.key, by, unlogged),)
    return (
        DetachPartition(parent.name, partition.name, partition.bound, level.key),
        DropTable(partition.name, parent.name, by, unlogged),
    )
