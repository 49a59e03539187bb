"""
After the detach: a table that bears our mark is archived and dropped when its grace is over.

What happens is what the declaration says now: the mark only says whose the table is, what it held and since when it
stands alone. So ``then="detach"`` keeps every detached table, and a later ``then="drop"`` drops those of before, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from sa_partman.bounds.bound import MINVALUE, Bound, RangeBound
from sa_partman.bounds.interval import LAST, Duration, months_before
from sa_partman.bounds.read import parse_bound
from sa_partman.catalog import DetachedTable, FoundTable, Parent, Partition
from sa_partman.compare.expiry import expiry_of
from sa_partman.compare.shape import descend, divides
from sa_partman.compare.situation import Situation
from sa_partman.compare.window import cutoff_of, is_listed, retention_of_branch
from sa_partman.errors import UnreadableBound
from sa_partman.key import PartitionKey
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import ArchiveTable, DropDetached, MarkDetached
from sa_partman.plan.steps import Purpose, Step
from sa_partman.spec.archive import Archive
from sa_partman.spec.declared import DeclaredTable, Level, RangeLevel
from sa_partman.spec.range_spec import Retention

_Place = tuple[Level, Parent, Situation]


def aftermath_steps(
    declared: DeclaredTable, found: FoundTable, situation: Situation, attached: frozenset[QualifiedName]
) -> Iterator[Step]:
    """
    What is due for the tables that were detached from *found*, the longest detached first.

    Args:
        attached: Tables that the same plan makes partitions again.
    """
    if not found.detached:
        return
    places = {place[1].name: place for place in _places(declared.level, found, situation)}
    for table in sorted(found.detached, key=lambda each: (each.at is not None, each.at or situation.now, each.name)):
        if table.parent in places and table.name not in attached:
            yield from _due(found.name, table, places[table.parent], situation.now)


def _places(level: Level, parent: Parent, situation: Situation) -> Iterator[_Place]:
    """Everything that is divided as declared."""
    yield level, parent, situation
    if level.below is not None:
        for partition in parent.partitions:
            if divides(level.below, partition):
                yield from _places(level.below, partition, descend(level, partition.bound, situation))


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
    level, parent, situation = place
    if bound is not None and table.asked:
        return None if is_listed(level, parent, bound, situation) else retention_of_branch(level, bound)
    if bound is not None:
        return expiry_of(level, parent, situation)(Partition(table.name, table.oid, bound, "r"))
    if not isinstance(level, RangeLevel) or level.spec.tenants is not None or table.bound:
        return None
    return level.spec.retention if isinstance(level.spec.retention, Retention) else None


def _expired(place: _Place, retention: Retention) -> RangeBound:
    """Everything that is expired now: what a table must lie in of which we don't know what it held."""
    level, parent, situation = place
    assert isinstance(level, RangeLevel)
    rest = (MINVALUE,) * (len(level.key.parts) - 1)
    cutoff = level.axis.encode(cutoff_of(retention, level, parent, situation))
    return RangeBound((MINVALUE, *rest), (cutoff, *rest))
