"""
Which partitions are expired: upper bound <= now - keep. By value, never by name.

Never expired: the default partition, one whose upper end is open, one that the codec can't place, one that was restored
from an archive and still says so. What belongs to a tenant that left expires like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sa_partman.bounds.bound import MINVALUE, RangeBound
from sa_partman.bounds.interval import Position
from sa_partman.catalog import Parent, Partition
from sa_partman.compare.lines import Line, line_of, lines_of, retention_in
from sa_partman.compare.reached import cutoff_of
from sa_partman.compare.situation import Situation
from sa_partman.errors import DeclarationError
from sa_partman.marks import is_restored
from sa_partman.spec.axis import TimeAxis
from sa_partman.spec.declared import Level, RangeLevel
from sa_partman.spec.range_spec import Retention

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
            retention = retention_for(line, level, situation, gone=line not in wanted)
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
        if upper is None or upper > cutoff:
            return None
        return retention if ended(level, bound, line.place, upper) <= cutoff else None

    return judge


def retention_for(line: Line, level: RangeLevel, situation: Situation, *, gone: bool = False) -> Retention | None:
    """
    What the declaration says for *line*.

    Args:
        gone: It is of a tenant that left.
    """
    try:
        return retention_in(line, level, situation)
    except DeclarationError:
        if gone or situation.gone:
            return None  # a callable need not know whom the tenants' source has forgotten
        raise


def ended(level: RangeLevel, bound: RangeBound, place: int, upper: Position) -> Position:
    """
    The first position that lies behind every row of *bound*: *upper*, as a rule.

    Args:
        upper: The position of its upper end.
    """
    axis, value = level.axis, bound.upper[place]
    if axis.encode(upper) == value:
        # Behind the ranged column anything but MINVALUE lets in rows of the upper value itself.
        step: Any = None if all(each is MINVALUE for each in bound.upper[place + 1 :]) else axis.tick
    else:
        # The value itself lies between two positions: 2000.5, or a UUID that some other tool has filled up.
        codec = axis.codec if isinstance(axis, TimeAxis) else None
        step = 1 if codec is None else codec.resolution
    try:
        return upper if step is None else upper + step
    except OverflowError:  # the end of Python's calendar
        return upper


def _keep(_: Partition) -> None:
    return None
