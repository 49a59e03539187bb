"""How far a table has come: the cell of now, or of the highest key; and what is too old from there."""

from __future__ import annotations

from sa_partman.bounds.bound import RangeBound
from sa_partman.bounds.interval import Cell, Position
from sa_partman.catalog import Parent
from sa_partman.compare.situation import Situation
from sa_partman.spec.axis import TimeAxis
from sa_partman.spec.declared import RangeLevel
from sa_partman.spec.range_spec import Retention


def current_cell(level: RangeLevel, parent: Parent, situation: Situation) -> Cell:
    """The cell that holds now; for integers the highest value present, or else the start."""
    axis, spec = level.axis, level.spec
    if isinstance(axis, TimeAxis):
        return axis.grid.cell(axis.position(situation.now))
    highest = situation.highest.get(parent.oid)
    return axis.grid.cell(highest if highest is not None else axis.parse(spec.start or 0))


def here_of(level: RangeLevel, parent: Parent, situation: Situation) -> Position:
    """Now; for integers the highest value present, or else where the current cell begins."""
    if isinstance(level.axis, TimeAxis):
        return level.axis.position(situation.now)
    return situation.highest.get(parent.oid, current_cell(level, parent, situation).lower)


def cutoff_of(retention: Retention, level: RangeLevel, parent: Parent, situation: Situation) -> Position:
    """Partitions whose upper bound is at or before this are expired."""
    axis = level.axis
    if isinstance(retention.keep, int):
        lower = _surely_reached(level, parent, current_cell(level, parent, situation), situation)
        return axis.grid.back(lower, retention.keep)
    assert isinstance(axis, TimeAxis)
    return axis.back(axis.position(situation.now), retention.keep)


def _surely_reached(level: RangeLevel, parent: Parent, current: Cell, situation: Situation) -> Position:
    """
    Where the keys have come to for certain. Without an index on the key the end of the last partition with rows stands
    for the highest one; of a partition that is wider than an interval only the beginning tells what is long ago.
    """
    highest = situation.highest.get(parent.oid)
    if isinstance(level.axis, TimeAxis) or highest is None:
        return current.lower
    for each in parent.partitions:
        if isinstance(each.bound, RangeBound) and each.bound.upper[level.place] == highest + 1:
            lower = level.axis.decode(each.bound.lower[level.place])
            if lower is not None:
                return min(current.lower, level.axis.grid.cell(lower).lower)
    return current.lower
