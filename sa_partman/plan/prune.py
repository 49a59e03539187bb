"""
Pruning: expired partitions are detached or dropped, at the level that declares the retention.

What becomes of a detached table is told in `aftermath`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sa_partman.bounds.bound import OrderKey, RangeBound, row_order
from sa_partman.catalog import FoundTable, Parent, Partition, default_of
from sa_partman.compare.expired_rows import expired_rows, leaves_of
from sa_partman.compare.expiry import expiry_of, has_foreign
from sa_partman.compare.shape import descend, divides
from sa_partman.compare.situation import Situation
from sa_partman.finding import Finding
from sa_partman.marks import unmarked
from sa_partman.plan.actions import Action, DeleteExpired, DetachPartition, DropPartition, DropTable, MarkDetached
from sa_partman.plan.adopt import away_finding, kept_finding, rows_finding
from sa_partman.plan.aftermath import end
from sa_partman.plan.families import satellite_steps
from sa_partman.plan.steps import Purpose, Step
from sa_partman.spec.declared import DeclaredTable, Level
from sa_partman.spec.range_spec import Retention


def prune_steps(declared: DeclaredTable, found: FoundTable, situation: Situation) -> Iterator[Step | Finding]:
    """
    The steps of each expired partition, the oldest first, whatever order the catalog lists them in; then of the expired
    rows of default partitions; and a finding for what is kept, because we did not make it or it is a foreign table.
    """
    kept: list[Partition] = []
    away: list[Partition] = []
    yield from _level(found, declared.level, found, situation, kept, away)
    yield from kept_finding(found.name, kept)
    yield from away_finding(found.name, away)


def _level(
    table: FoundTable,
    level: Level,
    parent: Parent,
    situation: Situation,
    kept: list[Partition],
    away: list[Partition],
) -> Iterator[Step | Finding]:
    expiry = expiry_of(level, parent, situation)
    # Most runs remove nothing, so what is not concerned is not sorted.
    concerned = parent.partitions if level.below is not None else [each for each in parent.partitions if expiry(each)]
    for partition in sorted(concerned, key=_place):
        if partition.detach_pending:
            continue
        retention = expiry(partition)
        if retention is not None:
            if not retention.foreign_tables and partition.has_foreign_tables:
                away += [_shown(level, partition)] if retention.foreign_tables is None else []
                continue
            if not retention.foreign and has_foreign(partition):
                kept += [_shown(level, partition)] if retention.foreign is None else []
                continue
            yield from leaving(table, level, parent, partition, retention, situation)
        elif level.below is not None and divides(level.below, partition):
            yield from _level(table, level.below, partition, descend(level, partition.bound, situation), kept, away)
    yield from _rows(table, level, parent, situation)


def _rows(table: FoundTable, level: Level, parent: Parent, situation: Situation) -> Iterator[Step | Finding]:
    """The expired rows of the default partition of *parent*; it stays."""
    default = default_of(parent) if situation.expired_rows else None
    if default is None:
        return
    there = [each for each in leaves_of(default) if situation.expired_rows.get(each.oid)]
    expired = expired_rows(level, parent, situation) if there else None
    if expired is None:
        return
    if not expired.retention.foreign and has_foreign(default):
        if expired.retention.foreign is None:
            yield rows_finding(table.name, default, sum(situation.expired_rows[each.oid] for each in there))
        return
    key = parent.key or level.key
    satellites = tuple(
        satellite_steps(table, parent, default, key, expired.retention, situation.inbound, where=expired.where)
    )
    yield from satellites
    if any(isinstance(each, Finding) for each in satellites):
        return
    for each in there:
        rows = situation.expired_rows[each.oid]
        delete = DeleteExpired(each.name, default.name, parent.name, expired.where, key, rows=rows)
        yield Step(Purpose.DROP, table.name, default.name, expired.bound, (delete,))


def _shown(level: Level, partition: Partition) -> Partition:
    """With its bound as a finding tells it."""
    return replace(partition, bound=level.readable(partition.bound))


def _place(partition: Partition) -> tuple[tuple[OrderKey, ...], str]:
    """Ranges in key order, others by name."""
    bound = partition.bound
    return (row_order(bound.lower) if isinstance(bound, RangeBound) else (), partition.name.name)


def leaving(
    table: FoundTable,
    level: Level,
    parent: Parent,
    partition: Partition,
    retention: Retention,
    situation: Situation,
    *,
    asked: bool = False,
) -> Iterator[Step | Finding]:
    """
    *partition* goes, and before it what its satellites hold of it; or it stays, and a finding says why.

    Args:
        asked: See `removal`.
    """
    satellites = tuple(satellite_steps(table, parent, partition, level.key, retention, situation.inbound))
    yield from satellites
    if not any(isinstance(each, Finding) for each in satellites):
        yield from removal(table, level, parent, partition, retention, situation, asked=asked)


def removal(
    table: FoundTable,
    level: Level,
    parent: Parent,
    partition: Partition,
    retention: Retention,
    situation: Situation,
    *,
    asked: bool = False,
) -> Iterator[Step]:
    """
    Detach or drop *partition*; without a grace, what follows a detach is done in the same run.

    Args:
        asked: It is the branch of a tenant, which goes whatever it holds.
    """
    below = below_of(partition)
    if not retention.detaches:
        gone = dropped(table, level, parent, partition)
        yield Step(Purpose.DROP, table.name, partition.name, partition.bound, gone, below=below)
        return
    mark = MarkDetached(
        partition.name, parent.name, unmarked(partition.comment), situation.now, partition.bound, level.key, asked=asked
    )
    detach = DetachPartition(
        parent.name, partition.name, partition.bound, level.key, concurrently=bool(retention.concurrently)
    )
    # Where they can't share a transaction the mark comes first: a detach that is cut off leaves a table known as ours.
    actions: tuple[Action, ...] = (mark, detach) if detach.concurrently else (detach, mark)
    if partition.kind == "f":
        actions = (detach,)  # what somebody else's server holds is his from then on
    yield Step(Purpose.DETACH, table.name, partition.name, partition.bound, actions, below=below)
    if retention.archive is not None and retention.grace is None:
        yield from end(
            table.name, parent.name, partition.name, retention.archive, partition.bound, level.key, below=below
        )


def below_of(partition: Partition) -> int:
    """How many partitions, of all levels, go with *partition*."""
    return sum(1 for _ in partition.walk()) - 1


def dropped(table: FoundTable, level: Level, parent: Parent, partition: Partition) -> tuple[Action, ...]:
    """
    One drop; behind a detach where another table refers to this one.

    Source: PostgreSQL refuses to drop an attached partition of a referenced table (2BP01), and with CASCADE would drop
    the foreign key of the whole table.
    """
    by = None if level.below is None or partition.strategy is None else level.below.partition_by
    unlogged = level.spec.unlogged and by is None
    if not table.referenced:
        foreign = partition.kind == "f"
        return (DropPartition(parent.name, partition.name, partition.bound, level.key, by, unlogged, foreign=foreign),)
    return (
        DetachPartition(parent.name, partition.name, partition.bound, level.key),
        DropTable(partition.name, parent.name, by, unlogged),
    )
