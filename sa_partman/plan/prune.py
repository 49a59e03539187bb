"""
Pruning: expired partitions are detached or dropped, at the level that declares the retention; and after the detach, a
table that bears our mark is archived and dropped when its grace is over.

What happens is what the declaration says now: the mark only says whose the table is, what it held and since when it
stands alone. So ``then="detach"`` keeps every detached table, and a later ``then="drop"`` drops those of before, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sa_partman.bounds.bound import MINVALUE, Bound, OrderKey, RangeBound, row_order
from sa_partman.bounds.interval import LAST, Duration, months_before
from sa_partman.bounds.read import parse_bound
from sa_partman.bounds.text import describe
from sa_partman.catalog import DetachedTable, FoundTable, Parent, Partition, default_of
from sa_partman.compare.context import Context
from sa_partman.compare.expired_rows import expired_rows, leaves_of
from sa_partman.compare.expiry import HAND_OVER, expiry_of, has_foreign
from sa_partman.compare.shape import descend, divides
from sa_partman.compare.window import cutoff_of, is_listed, retention_of_branch
from sa_partman.errors import UnreadableBound
from sa_partman.finding import Finding, Severity
from sa_partman.key import PartitionKey
from sa_partman.marks import unmarked
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import (
    Action,
    ArchiveTable,
    DeleteExpired,
    DetachPartition,
    DropDetached,
    DropPartition,
    DropTable,
    MarkDetached,
)
from sa_partman.plan.families import referencing_steps
from sa_partman.plan.steps import Purpose, Step
from sa_partman.spec.archive import Archive
from sa_partman.spec.declared import DeclaredTable, Level, RangeLevel
from sa_partman.spec.range_spec import Retention


def prune_steps(declared: DeclaredTable, found: FoundTable, context: Context) -> Iterator[Step | Finding]:
    """
    The steps of each expired partition, the oldest first, whatever order the catalog lists them in; then of the expired
    rows of default partitions; and a finding for what is kept, because we did not make it or it is a foreign table.
    """
    kept: list[Partition] = []
    away: list[Partition] = []
    yield from _level(found, declared.level, found, context, kept, away)
    yield from _kept_finding(found.name, kept)
    yield from _away_finding(found.name, away)


def _level(
    table: FoundTable,
    level: Level,
    parent: Parent,
    context: Context,
    kept: list[Partition],
    away: list[Partition],
) -> Iterator[Step | Finding]:
    expiry = expiry_of(level, parent, context)
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
            yield from leaving(table, level, parent, partition, retention, context)
        elif level.below is not None and divides(level.below, partition):
            yield from _level(table, level.below, partition, descend(level, partition.bound, context), kept, away)
    yield from _rows(table, level, parent, context)


def _rows(table: FoundTable, level: Level, parent: Parent, context: Context) -> Iterator[Step | Finding]:
    """The expired rows of the default partition of *parent*; it stays."""
    default = default_of(parent) if context.expired_rows else None
    if default is None:
        return
    there = [each for each in leaves_of(default) if context.expired_rows.get(each.oid)]
    expired = expired_rows(level, parent, context) if there else None
    if expired is None:
        return
    if not expired.retention.foreign and has_foreign(default):
        if expired.retention.foreign is None:
            yield _rows_finding(table.name, default, sum(context.expired_rows[each.oid] for each in there))
        return
    key = parent.key or level.key
    referencing = tuple(
        referencing_steps(table, parent, default, key, expired.retention, context.inbound, where=expired.where)
    )
    yield from referencing
    if any(isinstance(each, Finding) for each in referencing):
        return
    for each in there:
        rows = context.expired_rows[each.oid]
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
    context: Context,
    *,
    asked: bool = False,
) -> Iterator[Step | Finding]:
    """
    *partition* goes, and before it the rows of other tables that refer to it; or it stays, and a finding says why.

    Args:
        asked: See `removal`.
    """
    referencing = tuple(referencing_steps(table, parent, partition, level.key, retention, context.inbound))
    yield from referencing
    if not any(isinstance(each, Finding) for each in referencing):
        yield from removal(table, level, parent, partition, retention, context, asked=asked)


def removal(
    table: FoundTable,
    level: Level,
    parent: Parent,
    partition: Partition,
    retention: Retention,
    context: Context,
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
        partition.name, parent.name, unmarked(partition.comment), context.now, partition.bound, level.key, asked=asked
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
    if not table.referenced:
        foreign = partition.kind == "f"
        return (DropPartition(parent.name, partition.name, partition.bound, level.key, foreign=foreign),)
    return (
        DetachPartition(parent.name, partition.name, partition.bound, level.key),
        DropTable(partition.name),
    )


_SHOWN = 5


def _away_finding(table: QualifiedName, kept: Iterable[Partition]) -> Iterator[Finding]:
    """One for all that is expired and kept, because it is, or has, a foreign table."""
    all_kept = tuple(kept)
    if not all_kept:
        return
    shown = _listed([f"{each.name} {describe(each.bound)}" for each in all_kept])
    one = len(all_kept) == 1
    yield Finding(
        "foreign-table",
        Severity.WARNING,
        str(table),
        f"{len(all_kept)} expired {'partition is' if one else 'partitions are'} kept, because "
        f"{'it is a foreign table' if one else 'they are foreign tables'} or partitioned into some: {shown}",
        "declare Retention(..., foreign_tables=True) to drop or detach them like other partitions, which leaves the "
        "rows on the other server; or foreign_tables=False to keep them and hear no more of it",
    )


def _kept_finding(table: QualifiedName, kept: Iterable[Partition]) -> Iterator[Finding]:
    """One for all that is expired and kept, because nobody has handed it over."""
    all_kept = tuple(kept)
    if not all_kept:
        return
    shown = _listed([f"{each.name} {describe(each.bound)} ({_about(each)})" for each in all_kept])
    one = len(all_kept) == 1
    yield Finding(
        "foreign-partition",
        Severity.WARNING,
        str(table),
        f"{len(all_kept)} {'partition is' if one else 'partitions are'} expired and {'was' if one else 'were'} not "
        f"made by sa-partman, so {'it is' if one else 'they are'} kept: {shown}",
        HAND_OVER,
    )


def _rows_finding(table: QualifiedName, default: Partition, rows: int) -> Finding:
    """For a default partition that nobody has handed over, and that holds expired rows."""
    return Finding(
        "foreign-partition",
        Severity.WARNING,
        str(table),
        f"{default.name}, the default partition, was not made by sa-partman, so its expired rows are kept: {rows:,}",
        HAND_OVER,
    )


def _listed(texts: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more


def _about(partition: Partition) -> str:
    leaves = [each.rows for each in partition.walk() if each.strategy is None]
    if any(rows < 0 for rows in leaves):
        return "number of rows unknown: never analyzed"
    return f"about {sum(leaves):,.0f} rows"


_Place = tuple[Level, Parent, Context]


def aftermath_steps(
    declared: DeclaredTable, found: FoundTable, context: Context, attached: frozenset[QualifiedName]
) -> Iterator[Step]:
    """
    What is due for the tables that were detached from *found*, the longest detached first.

    Args:
        attached: Tables that the same plan makes partitions again.
    """
    places = {place[1].name: place for place in _places(declared.level, found, context)}
    for table in sorted(found.detached, key=lambda each: (each.at is not None, each.at or context.now, each.name)):
        if table.parent in places and table.name not in attached:
            yield from _due(found.name, table, places[table.parent], context.now)


def _places(level: Level, parent: Parent, context: Context) -> Iterator[_Place]:
    """Everything that is divided as declared."""
    yield level, parent, context
    if level.below is not None:
        for partition in parent.partitions:
            if divides(level.below, partition):
                yield from _places(level.below, partition, descend(level, partition.bound, context))


def _due(root: QualifiedName, table: DetachedTable, place: _Place, now: datetime) -> Iterator[Step]:
    level, parent, _ = place
    key = parent.key or level.key
    bound = _bound_of(table, key)
    retention = _retention_of(table, bound, place)
    if retention is None or retention.then == "detach" or (table.foreign and not retention.foreign):
        return
    if table.at is None:
        # Nobody knows since when it stands alone: its grace begins now that we see it.
        mark = MarkDetached(table.name, table.parent, table.comment, now, bound, key, table.foreign)
        yield Step(Purpose.HEAL, root, table.name, bound, (mark,))
    elif retention.grace is None or after(table.at, retention.grace) <= now:
        expired = None if bound is not None else _expired(place, retention)
        yield from end(root, table.parent, table.name, retention.archive, bound, key, expired)


def end(
    root: QualifiedName,
    parent: QualifiedName,
    table: QualifiedName,
    archive: Archive | None,
    bound: Bound | None,
    key: PartitionKey,
    expired: Bound | None = None,
    *,
    below: int = 0,
) -> Iterator[Step]:
    """
    Archive, if asked for, and drop the detached *table*: two steps, so that hooks are asked about each.

    Args:
        expired: See `DropDetached`.
        below: See `Step`.
    """
    if archive is not None:
        yield Step(
            Purpose.ARCHIVE, root, table, bound, (ArchiveTable(table, parent, archive, bound, key),), below=below
        )
    yield Step(Purpose.DROP, root, table, bound, (DropDetached(table, parent, archive, expired, key),), below=below)


def after(moment: datetime, duration: Duration) -> datetime:
    """*moment* plus *duration*, by the calendar; the end of year 9999 for what would be after it."""
    later = months_before(moment, -duration.months)
    try:
        return later + timedelta(days=duration.days, seconds=duration.seconds)
    except OverflowError:
        return LAST.replace(tzinfo=moment.tzinfo)


def _bound_of(table: DetachedTable, key: PartitionKey) -> Bound | None:
    try:
        return parse_bound(table.bound, key.types) if table.bound else None
    except UnreadableBound:
        return None  # the key has another type by now


def _retention_of(table: DetachedTable, bound: Bound | None, place: _Place) -> Retention | None:
    """By what the table is to go; None while it is not, or nobody can tell, or its tenant is back."""
    level, parent, context = place
    if bound is not None and table.asked:
        return None if is_listed(level, parent, bound, context) else retention_of_branch(level, bound)
    if bound is not None:
        return expiry_of(level, parent, context)(Partition(table.name, table.oid, bound, "r"))
    if not isinstance(level, RangeLevel) or level.spec.tenants is not None or table.bound:
        return None
    return level.spec.retention if isinstance(level.spec.retention, Retention) else None


def _expired(place: _Place, retention: Retention) -> RangeBound:
    """Everything that is expired now: what a table must lie in of which we don't know what it held."""
    level, parent, context = place
    assert isinstance(level, RangeLevel)
    rest = (MINVALUE,) * (len(level.key.parts) - 1)
    cutoff = level.axis.encode(cutoff_of(retention, level, parent, context))
    return RangeBound((MINVALUE, *rest), (cutoff, *rest))
