"""
Which partitions are expired: upper bound <= now - keep. By value, never by name.

Never expired: the default partition, one whose upper end is open, one that the codec can't place, one that was restored
from an archive and still says so. What belongs to a tenant that left expires like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sa_partman.bounds.bound import RangeBound
from sa_partman.bounds.grid import Position
from sa_partman.bounds.values import MINVALUE, KeyValue
from sa_partman.catalog import Parent, Partition
from sa_partman.compare.ranges import Line, cutoff_of, line_of, lines_of, retention_in
from sa_partman.compare.situation import Situation
from sa_partman.errors import DeclarationError
from sa_partman.marks import is_restored
from sa_partman.spec.axis import TimeAxis
from sa_partman.spec.declared import Level, RangeLevel
from sa_partman.spec.retention import Retention

Judge = Callable[[Partition], Retention | None]
"""Gives the retention by which a partition is expired; None while it is kept."""


def expiry_of(level: Level, parent: Parent, situation: Situation) -> Judge:
    """A judge for the partitions of *parent*; what holds for all of them is computed once."""
    if not isinstance(level, RangeLevel) or level.spec.retention is None:
        return _keep
    wanted = frozenset(lines_of(level, parent, situation))
    cutoffs: dict[Line, tuple[Retention, Position] | None] = {}

    def cutoff_in(line: Line) -> tuple[Retention, Position] | None:
        if line not in cutoffs:
            retention = _retention_in(line, level, situation, gone=line not in wanted)
            found = None if retention is None else (retention, cutoff_of(retention, level, parent, situation))
            cutoffs[line] = found
        return cutoffs[line]

    for line in wanted:  # what fails of the user's fails here
        cutoff_in(line)

    def judge(partition: Partition) -> Retention | None:
        bound = partition.bound
        if not isinstance(bound, RangeBound) or bound.open_above or is_restored(partition.comment):
            return None
        line = line_of(level, bound)
        found = None if line is None else cutoff_in(line)
        if line is None or found is None:
            return None
        retention, cutoff = found
        upper = level.axis.decode(bound.upper[line.place])
        if upper is None:
            return None
        if upper > cutoff:
            return None
        # Behind the ranged column anything but MINVALUE lets in rows of the upper value itself.
        whole = all(value is MINVALUE for value in bound.upper[line.place + 1 :])
        beyond = _beyond(level, bound.upper[line.place], upper)
        return retention if (beyond is None and (whole or upper < cutoff)) or _is_past(beyond, cutoff) else None

    return judge


def _retention_in(line: Line, level: RangeLevel, situation: Situation, *, gone: bool) -> Retention | None:
    try:
        return retention_in(line, level, situation)
    except DeclarationError:
        if gone or situation.gone:
            return None  # a callable need not know whom the tenants' source has forgotten
        raise


def _beyond(level: RangeLevel, value: KeyValue, position: Position) -> Position | None:
    """
    Where the values before *value* may still lie, when *value* itself stands between two positions: 2000.5, or a UUID
    that some other tool has filled up. None when *position* is exactly where it stands.
    """
    axis = level.axis
    if axis.encode(position) == value:
        return None
    codec = axis.codec if isinstance(axis, TimeAxis) else None
    step: Any = 1 if codec is None else codec.resolution
    return position + step


def _is_past(position: Position | None, cutoff: Position) -> bool:
    return position is not None and bool(position <= cutoff)


def _keep(_: Partition) -> None:
    return None
