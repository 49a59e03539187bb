"""
Which partitions are expired: upper bound <= now - keep. By value, never by name.

Never expired: the default partition, one whose upper end is open, one that the codec can't place, one of a tenant that
is gone.
"""

from __future__ import annotations

from sa_partman.bounds.bound import RangeBound
from sa_partman.bounds.values import MINVALUE
from sa_partman.catalog import Parent, Partition
from sa_partman.compare.ranges import cutoff_of, line_of, lines_of, retention_in
from sa_partman.compare.situation import Situation
from sa_partman.spec.declared import Level, RangeLevel
from sa_partman.spec.retention import Retention


def expired_by(level: Level, parent: Parent, partition: Partition, situation: Situation) -> Retention | None:
    """The retention by which *partition* is expired; None while it is kept."""
    bound = partition.bound
    if not isinstance(level, RangeLevel) or level.spec.retention is None:
        return None
    if not isinstance(bound, RangeBound) or bound.open_above:
        return None
    line = line_of(level, bound)
    if line is None or line not in lines_of(level, parent, situation):
        return None
    retention = retention_in(line, level, situation)
    upper = level.axis.decode(bound.upper[line.place])
    if retention is None or upper is None:
        return None
    cutoff = cutoff_of(retention, level, parent, situation)
    # Behind the ranged column anything but MINVALUE lets in rows of the upper value itself.
    exact = all(value is MINVALUE for value in bound.upper[line.place + 1 :])
    return retention if upper < cutoff or (exact and upper == cutoff) else None
