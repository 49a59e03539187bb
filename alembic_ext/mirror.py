"""Sub-partitions for rows that come from elsewhere: the same that they lay in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sa_partman.bounds.bound import Bound, DefaultBound, HashBound, ListBound, RangeBound
from sa_partman.catalog import Partition
from sa_partman.compare.shape import divides
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import CreatePartition
from sa_partman.plan.naming import partition_name
from sa_partman.spec.declared import Level


def mirrored(
    level: Level, target: QualifiedName, sources: Iterable[Partition], there: Iterable[Bound]
) -> Iterator[CreatePartition]:
    """
    Partitions of *target* for the bounds that those of *sources* have.

    Args:
        level: How *target* is partitioned.
        there: Bounds that it has already; what overlaps one of them is left out.
    """
    taken = list(there)
    for source in sources:
        if not divides(level, source):
            continue
        for each in source.partitions:
            if not any(_overlap(each.bound, other) for other in taken):
                taken.append(each.bound)
                yield from _one(level, target, each)


def _one(level: Level, target: QualifiedName, like: Partition) -> Iterator[CreatePartition]:
    below = level.below if level.below is not None and divides(level.below, like) else None
    name = partition_name(level, target, like.bound)
    by = None if below is None else below.partition_by
    yield CreatePartition(target, name, like.bound, level.key, by, level.spec.unlogged and below is None)
    if below is not None:
        yield from mirrored(below, name, (like,), ())


def _overlap(one: Bound, other: Bound) -> bool:
    match one, other:
        case (RangeBound(), RangeBound()):
            return one.overlaps(other)
        case (ListBound(), ListBound()):
            return one.overlaps(other)
        case (HashBound(), HashBound()):
            return one.overlaps(other)
    return isinstance(one, DefaultBound) and isinstance(other, DefaultBound)
