"""
Rows of a default partition that are expired: those whose partition would be, if they had one. They are known by a
condition on the key, with an end that is computed once, so that a row that expires meanwhile is left to the next run.

Never expired: a row with a NULL in its key, an infinite key, and one that the codec can't place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sa_partman.bounds.bound import MINVALUE, Extreme, KeyValue, RangeBound
from sa_partman.bounds.interval import Position
from sa_partman.bounds.text import literal
from sa_partman.catalog import Parent, Partition, default_of
from sa_partman.compare.expiry import retention_for
from sa_partman.compare.lines import Line, lines_of
from sa_partman.compare.reached import cutoff_of
from sa_partman.compare.situation import Situation
from sa_partman.key import TIME_FAMILIES, Family, PartitionKey
from sa_partman.spec.axis import TimeAxis
from sa_partman.spec.declared import Level, RangeLevel
from sa_partman.spec.range_spec import Retention

_End = tuple[tuple[KeyValue, ...], Retention]
"""A tenant, or nothing, and the retention of its rows."""


@dataclass(frozen=True, slots=True)
class ExpiredRows:
    """
    Rows that a retention deletes.

    Args:
        where: Their condition, on the key of the partitioned table.
        bound: Where they lie; None when that is not the same for all.
        retention: Why they go.
    """

    where: str
    bound: RangeBound | None
    retention: Retention


def expired_rows(level: Level, parent: Parent, situation: Situation) -> ExpiredRows | None:
    """Of the default partition of *parent*; None when there is none, or its retention deletes no rows."""
    if not isinstance(level, RangeLevel) or level.spec.retention is None or default_of(parent) is None:
        return None
    rule, key = level.spec.retention, parent.key or level.key
    ends: list[_End]
    if isinstance(rule, Retention):
        ends = [((), rule)]
    else:
        lines = lines_of(level, parent, situation)
        ends = [(line.prefix, found) for line in lines if (found := retention_for(line, level, situation))]
    several = list(_conditions(ends, level, parent, situation, key))
    if not several:
        return None
    if len(several) == 1:
        return ExpiredRows(*several[0])
    strictest = min((retention for _, _, retention in several), key=lambda each: bool(each.foreign))
    return ExpiredRows(" OR ".join(f"({where})" for where, _, _ in several), None, strictest)


def leaves_of(default: Partition) -> tuple[Partition, ...]:
    """The tables that hold the rows of *default*; what is on another server is not ours to delete."""
    return tuple(each for each in default.walk() if each.kind == "r")


def row_cutoff(retention: Retention, level: RangeLevel, parent: Parent, situation: Situation) -> Position | None:
    """
    Rows before this are deleted: on the grid, so that a row goes when its partition would. With a grace, that much
    later, because a row can't stand beside the table meanwhile. None: *retention* deletes no rows.
    """
    if retention.then != "drop":
        return None
    cutoff, axis = cutoff_of(retention, level, parent, situation), level.axis
    if retention.grace is not None:
        if not isinstance(axis, TimeAxis):
            return None  # numbers tell no time
        cutoff = axis.back(cutoff, retention.grace)
    return axis.grid.cell(cutoff).lower


def placeable(level: RangeLevel, key: PartitionKey) -> str:
    """The condition of a key that tells where its row belongs; *key* as the catalog has it."""
    column, family = key.parts[level.place].sql, key.types[level.place].family
    parts = [f"{column} IS NOT NULL"]
    if family in TIME_FAMILIES or family is Family.NUMERIC:
        parts.append(f"{column} > {literal(Extreme.NEGATIVE_INFINITY, key.types[level.place])}")
    codec = level.axis.codec if isinstance(level.axis, TimeAxis) else None
    misplaced = None if codec is None else codec.misplaced(column, family)
    if misplaced is not None:
        parts.append(f"NOT ({misplaced})")
    return " AND ".join(parts)


def _conditions(
    ends: list[_End],
    level: RangeLevel,
    parent: Parent,
    situation: Situation,
    key: PartitionKey,
) -> Iterator[tuple[str, RangeBound | None, Retention]]:
    columns, place = [part.sql for part in key.parts], level.place
    for prefix, retention in ends:
        cutoff = row_cutoff(retention, level, parent, situation)
        end = None if cutoff is None else _encoded(level, cutoff)
        if end is None or isinstance(end, Extreme):
            continue
        before = f"{columns[place]} < {literal(end, key.types[place])}"
        present = [f"{column} IS NOT NULL" for index, column in enumerate(columns) if index != place]
        tenant = [f"{columns[0]} = {literal(value, key.types[0])}" for value in prefix]
        where = " AND ".join((*present, *tenant, placeable(level, key), before))
        yield where, Line((), 0, len(columns)).bound(MINVALUE, end) if place == 0 else None, retention


def _encoded(level: RangeLevel, position: Position) -> KeyValue:
    try:
        return level.axis.encode(position)
    except ValueError:
        return None  # before what the codec can hold
