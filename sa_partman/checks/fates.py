"""What becomes of rows that sit in the default partition of ranges."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sa_partman.bounds.bound import RangeBound, row_order
from sa_partman.bounds.interval import Cell
from sa_partman.bounds.text import check_predicate, describe
from sa_partman.catalog import Parent, Partition, default_of
from sa_partman.checks.data import Blocked, Fate
from sa_partman.compare.expired_rows import ExpiredRows, row_cutoff
from sa_partman.compare.lines import lines_of, retention_in
from sa_partman.compare.ranges import lacking_in
from sa_partman.compare.reached import current_cell, cutoff_of
from sa_partman.compare.situation import Situation
from sa_partman.compare.strangers import has_foreign
from sa_partman.spec.axis import TimeAxis
from sa_partman.spec.declared import RangeLevel
from sa_partman.spec.range_spec import Retention

Telling = Callable[[Cell, RangeBound, int], Blocked]
"""Takes a cell, its bound and the number of its rows."""


def fates(level: RangeLevel, parent: Parent, situation: Situation) -> Telling:
    """For the cells of *parent*, whose key has no tenants: what holds for all of them is computed once."""
    (line,) = lines_of(level, parent, situation)
    lacking = lacking_in(line, level, parent, situation)
    missing = () if situation.gone else (*lacking.ahead, *lacking.past)
    made = [(row_order(each.lower), row_order(each.upper)) for each in missing]
    retention = retention_in(line, level, situation)
    cutoff = None if retention is None else cutoff_of(retention, level, parent, situation)
    rows_until = None if retention is None else row_cutoff(retention, level, parent, situation)
    default = default_of(parent)
    ahead = current_cell(level, parent, situation).upper
    key = parent.key or level.key
    names = [part.sql for part in key.parts]

    def fate(cell: Cell, bound: RangeBound) -> Fate:
        lower, upper = row_order(bound.lower), row_order(bound.upper)
        if any(first < upper and lower < last for first, last in made):
            return Fate.NEXT
        if retention is not None and cutoff is not None and cell.upper <= cutoff:
            if rows_until is None:
                return Fate.TIMELESS if retention.then == "drop" else Fate.STAYING
            deleted = _deleted(default, retention)
            return Fate.GRACE if deleted is Fate.DELETED and cell.upper > rows_until else deleted
        return Fate.LATER if cell.lower >= ahead and not situation.gone else Fate.NONE

    def told(cell: Cell, bound: RangeBound, rows: int) -> Blocked:
        at = cell.lower.isoformat() if isinstance(level.axis, TimeAxis) and isinstance(cell.lower, datetime) else ""
        return Blocked(
            describe(level.readable(bound)), rows, fate(cell, bound), at, check_predicate(bound, names, key.types) or ""
        )

    return told


def told_of(expired: ExpiredRows, default: Partition, rows: int) -> Blocked:
    """For a key with tenants, whose rows are not told apart."""
    return Blocked("those past their retention", rows, _deleted(default, expired.retention), where=expired.where)


def _deleted(default: Partition | None, retention: Retention) -> Fate:
    if default is None or retention.foreign or not has_foreign(default):
        return Fate.DELETED
    return Fate.FOREIGN if retention.foreign is None else Fate.KEPT
