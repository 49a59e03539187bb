"""Rows that are older than their retention: those of a default partition, and those that stay with younger ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from sa_partman.bounds.bound import MINVALUE, DefaultBound, Extreme, KeyValue, RangeBound
from sa_partman.bounds.interval import Position
from sa_partman.bounds.text import literal, shown, to_json
from sa_partman.catalog import FoundTable, Parent, Partition, default_of
from sa_partman.compare.context import Context
from sa_partman.compare.expiry import ended, retention_for
from sa_partman.compare.shape import descend, divides, shape_finding
from sa_partman.compare.window import Line, cutoff_of, line_of, lines_of, retention_in
from sa_partman.errors import DeclarationError
from sa_partman.key import TIME_FAMILIES, Family, PartitionKey
from sa_partman.marks import is_restored
from sa_partman.spec.declared import Axis, DeclaredTable, Level, RangeLevel, TimeAxis
from sa_partman.spec.range_spec import Retention

MOVED_AT_MOST = 100_000
"""Unless somebody says otherwise: meanwhile nobody reads or writes them."""


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


def expired_rows(level: Level, parent: Parent, context: Context) -> ExpiredRows | None:
    """Of the default partition of *parent*; None when there is none, or its retention deletes no rows."""
    if not isinstance(level, RangeLevel) or level.spec.retention is None or default_of(parent) is None:
        return None
    rule, key = level.spec.retention, parent.key or level.key
    ends: list[_End]
    if isinstance(rule, Retention):
        ends = [((), rule)]
    else:
        lines = lines_of(level, parent, context)
        ends = [(line.prefix, found) for line in lines if (found := retention_for(line, level, context))]
    several = list(_conditions(ends, level, parent, context, key))
    if not several:
        return None
    if len(several) == 1:
        return ExpiredRows(*several[0])
    strictest = min((retention for _, _, retention in several), key=lambda each: bool(each.foreign))
    return ExpiredRows(" OR ".join(f"({where})" for where, _, _ in several), None, strictest)


def leaves_of(default: Partition) -> tuple[Partition, ...]:
    """The tables that hold the rows of *default*; what is on another server is not ours to delete."""
    return tuple(each for each in default.walk() if each.kind == "r")


def row_cutoff(retention: Retention, level: RangeLevel, parent: Parent, context: Context) -> Position | None:
    """
    Rows before this are deleted: on the grid, so that a row goes when its partition would. With a grace, that much
    later, because a row can't stand beside the table meanwhile. None: *retention* deletes no rows.
    """
    if retention.then != "drop":
        return None
    cutoff, axis = cutoff_of(retention, level, parent, context), level.axis
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
    context: Context,
    key: PartitionKey,
) -> Iterator[tuple[str, RangeBound | None, Retention]]:
    columns, place = [part.sql for part in key.parts], level.place
    for prefix, retention in ends:
        cutoff = row_cutoff(retention, level, parent, context)
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


FEW = 1
"""The planner never estimates fewer rows than that."""


@dataclass(frozen=True, slots=True)
class Outlived:
    """
    Args:
        keep: The retention's, as text: "14 months", "12 intervals".
        until: From when on the partition is expired: an instant, a wall-clock time, or the key that has to be reached;
            None: never.
        condition: Of the rows that are older than the retention now; empty when that is no question of one key.
        why: Why it never expires; empty when it does.
        splits: The partition can be cut in intervals that expire one by one.
    """

    keep: str
    until: Position | None
    condition: str = ""
    why: str = ""
    splits: bool = field(default=False, compare=False)

    def told(self, where: str, rows: int | None) -> str:
        """
        In words.

        Args:
            where: The partition.
            rows: How many there are now, as the planner estimates it; None when it was not asked.
        """
        said = f"rows older than {self.keep} stay in {where} for good: {self.why}"
        if self.until is not None:
            ends = f"keys reach {self.until:,}" if isinstance(self.until, int) else shown(self.until)
            said = f"rows older than {self.keep} stay in {where} until {ends}, when all of it expires at once"
        if rows is None:
            return said
        return f"{said}; the planner estimates {f'{rows:,}' if rows > FEW else 'hardly any'} of them now"

    def to_dict(self, rows: int | None) -> dict[str, Any]:
        until = to_json(self.until) if self.until is not None else None
        return {"older_than": self.keep, "until": until, "rows": rows}


def outlived_of(
    declared: DeclaredTable, found: FoundTable | None, context: Context
) -> tuple[tuple[Partition, Outlived], ...]:
    """
    The partitions of any level that hold rows past their retention beside younger ones; none of a table that can't be
    judged, which other findings say.
    """
    if found is None or shape_finding(declared, found) is not None:
        return ()
    try:
        return tuple(_below(declared.level, found, context))
    except Exception:  # in a codec or a callable of the user's
        return ()


def _below(level: Level, parent: Parent, context: Context) -> Iterator[tuple[Partition, Outlived]]:
    for partition in parent.partitions:
        found = outlived_in(level, parent, partition, context)
        if found is not None:
            yield partition, found
        if level.below is not None and divides(level.below, partition):
            yield from _below(level.below, partition, descend(level, partition.bound, context))


def outlived_in(level: Level, parent: Parent, partition: Partition, context: Context) -> Outlived | None:
    """
    What of *partition* may be older than the retention, and stays; None where partitions go one interval at a time.
    """
    bound = partition.bound
    if partition.detach_pending or is_restored(partition.comment) or isinstance(bound, DefaultBound):
        return None
    if isinstance(level, RangeLevel) and isinstance(bound, RangeBound) and level.spec.retention is not None:
        found = _beside(level, parent, bound, context)
        whole = partition.kind == "r" and partition.strategy is None
        return found if found is None else replace(found, splits=whole)
    below = level.below
    if not isinstance(below, RangeLevel) or below.spec.tenants is not None or divides(below, partition):
        return None
    return _undivided(below, partition, descend(level, bound, context))


def _beside(level: RangeLevel, parent: Parent, bound: RangeBound, context: Context) -> Outlived | None:
    """Of a range that is wider than an interval, or has no end."""
    axis, line = level.axis, line_of(level, bound)
    if line is None:
        return None
    lower, upper = (axis.decode(end[line.place]) for end in (bound.lower, bound.upper))
    if upper is None and not bound.open_above:
        return None
    if lower is not None and upper is not None and axis.grid.cell(lower).upper >= upper:
        return None
    retention = _retention(line, level, context)
    if retention is None:
        return None
    cutoff = cutoff_of(retention, level, parent, context)
    if lower is not None and lower >= cutoff:
        return None
    if upper is None:
        return Outlived(kept(retention), None, _older(level, cutoff), "it has no upper bound")
    end = ended(level, bound, line.place, upper)
    if end <= cutoff:
        return None
    until = expires(retention, axis, end)
    return Outlived(kept(retention), until, _older(level, cutoff), "" if until is not None else "it ends too far ahead")


def _undivided(below: RangeLevel, partition: Partition, inside: Context) -> Outlived | None:
    """Of a partition that is not divided by the level that has the retention."""
    retention = _retention(Line((), below.place, len(below.key.parts)), below, inside)
    if retention is None:
        return None
    known = isinstance(below.axis, TimeAxis)
    condition = _older(below, cutoff_of(retention, below, partition, inside)) if known else ""
    return Outlived(kept(retention), None, condition, f"it is not PARTITION BY {below.partition_by}")


def _retention(line: Line, level: RangeLevel, context: Context) -> Retention | None:
    try:
        return retention_in(line, level, context)
    except DeclarationError:  # for whom it is not to fail, judging what expires fails too, and says so
        return None


def expires(retention: Retention, axis: Axis, end: Position) -> Position | None:
    """
    The first moment at which a partition whose rows lie before *end* is expired, as a position; for integers the
    beginning of the interval that the keys have to reach. None where Python's calendar ends before.
    """
    if isinstance(retention.keep, int):
        cell = axis.grid.cell(end)
        begins = axis.grid.ahead(cell.lower if cell.lower == end else cell.upper, retention.keep)
        return begins if axis.grid.cell(begins).upper > begins else None
    assert isinstance(axis, TimeAxis)
    return axis.ahead(end, retention.keep)


def kept(retention: Retention) -> str:
    """How long, in words."""
    if not isinstance(retention.keep, int):
        return str(retention.keep)
    return f"{retention.keep} interval{'s' * (retention.keep != 1)}"


def _older(level: RangeLevel, cutoff: Position) -> str:
    part = level.key.parts[level.place]
    try:
        value = level.axis.encode(cutoff)
    except ValueError:  # before the first instant of the codec
        return ""
    return "" if isinstance(value, Extreme) else f"{part.sql} < {literal(value, part.type)}"
