"""Going down a level: which partitions are divided as declared, and what is so inside them."""

from __future__ import annotations

from dataclasses import replace

from sa_partman.bounds.bound import Bound, ListBound, RangeBound
from sa_partman.catalog import Partition
from sa_partman.compare.lists import is_active
from sa_partman.compare.situation import Situation
from sa_partman.spec.declared import Level, RangeLevel


def divides(below: Level, partition: Partition) -> bool:
    """Whether *partition* is divided as *below* says; one of another form is respected as it is."""
    if partition.detach_pending or partition.key is None or partition.strategy != below.spec.strategy:
        return False
    return partition.key.columns == below.key.columns


def descend(level: Level, bound: Bound, situation: Situation) -> Situation:
    """The situation inside the partition of *bound*; `Situation.gone` where nobody wants that any more."""
    if isinstance(bound, ListBound):
        inside = situation.below(tuple(bound.values))
        return inside if situation.gone or is_active(level, bound, situation) else replace(inside, gone=True)
    if isinstance(bound, RangeBound) and isinstance(level, RangeLevel):
        lower, upper = (level.axis.decode(end[level.place]) for end in (bound.lower, bound.upper))
        branch = situation if level.spec.tenants is None else situation.below((bound.lower[0],))
        known = lower is not None and upper is not None
        return replace(branch, within=(level.spec.ranged, lower, upper) if known else None)
    return situation
