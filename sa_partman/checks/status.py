"""The status of a table: its partitions in key order, each with its state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sa_partman.bounds.bound import Bound, DefaultBound, HashBound, ListBound, RangeBound, order_key, row_order
from sa_partman.bounds.interval import Position
from sa_partman.bounds.text import describe, shown, to_json
from sa_partman.catalog import FoundTable, LostConversion, Parent, Partition, UnfinishedConversion, default_of
from sa_partman.checks.coverage import Runway, runways_of, shortest
from sa_partman.checks.rows import together
from sa_partman.compare.context import Context
from sa_partman.compare.expired_rows import FEW, Outlived, outlived_in
from sa_partman.compare.expiry import Judge, expiry_of
from sa_partman.compare.shape import descend, divides, shape_finding
from sa_partman.compare.window import current_cell, line_of
from sa_partman.finding import Finding, Severity
from sa_partman.spec.base import readable
from sa_partman.spec.declared import DeclaredTable, Level, RangeLevel, TimeAxis
from sa_partman.spec.range_spec import RangeSpec, Retention

BLOCK = 8_192
"""Bytes of a page, unless the server was built otherwise."""


class State(StrEnum):
    """What a partition is to its table now."""

    EXPIRED = "expired"
    KEPT = "kept"
    CURRENT = "current"
    AHEAD = "ahead"
    DEFAULT = "default"
    PENDING = "detach pending"
    DETACHED = "detached"


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """
    Args:
        depth: 1 for a partition of the table, 2 for one of its sub-partitions.
        shown: The bound for people, with the instants that a codec hides in its values.
        rows: The planner's estimate; None when the partition was never analyzed.
        bytes: Without indexes: as of the last analyze, or measured before the first one; None when nobody knows.
        tenant: Whose line of ranges it lies in, as text; empty where there are none.
        begins: Where it begins on its axis: an instant, a wall-clock time or a number; None when it does not.
        ends: Where it ends, likewise.
        outlived: What of it is older than the retention and stays, if anything is.
        older: How many rows that are, as the planner estimates it; None when nobody knows.
    """

    name: str
    bound: str
    lower: Any
    upper: Any
    state: State
    depth: int
    rows: int | None
    bytes: int | None
    shown: str = ""
    tenant: str = ""
    begins: Position | None = None
    ends: Position | None = None
    outlived: Outlived | None = None
    older: int | None = None

    @property
    def lingering(self) -> str:
        """What is worth saying of such rows: nothing while there are hardly any."""
        if self.outlived is None or (self.older is not None and self.older <= FEW):
            return ""
        return self.outlived.told(self.name, self.older)

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "bound": self.bound,
            "lower": self.lower,
            "upper": self.upper,
            "state": self.state.value,
            "depth": self.depth,
            "rows": self.rows,
            "bytes": self.bytes,
            "outlived": None if self.outlived is None else self.outlived.to_dict(self.older),
        }


@dataclass(frozen=True, slots=True)
class TableStatus:
    """
    Args:
        declaration: The declaration as Python.
        problem: Why it can't be maintained, or empty.
        horizon: The upper bound up to which inserts are safe from now on, as text; None without a range.
        ahead: Whole intervals from the current one's end to the horizon, -1 when there is no partition for now; None
            without a range, or without an end.
        partitions: In key order, sub-partitions behind their parent; then detached tables.
        runway: Seconds from now to the horizon; None without a range of time, or without an end.
        until: The horizon for people: as an instant, also where a codec hides it in the key.
        information: What is going on with it, and is no problem; or empty.
        spills: Rows for which there is no partition fall into a default partition.
    """

    table: str
    declaration: str
    partition_by: str
    retention: str
    now: datetime
    problem: str
    horizon: str | None
    ahead: int | None
    partitions: tuple[PartitionStatus, ...]
    runway: float | None = None
    spills: bool = False
    until: str | None = None
    information: str = ""

    @property
    def lingering(self) -> str:
        """What is to be said of rows past their retention, of all partitions; or nothing."""
        told = [each.lingering for each in self.partitions if each.lingering]
        return together(told) if told else ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "table": self.table,
            "declaration": self.declaration,
            "partition_by": self.partition_by,
            "retention": self.retention,
            "now": self.now.isoformat(),
            "problem": self.problem,
            "information": self.information,
            "horizon": self.horizon,
            "ahead": self.ahead,
            "runway": self.runway,
            "spills": self.spills,
            "partitions": [partition.to_dict() for partition in self.partitions],
        }


def status_of(declared: DeclaredTable, found: FoundTable | None, context: Context) -> TableStatus:
    """The status of one table, whether it fits its declaration or not."""
    misfit = shape_finding(declared, found)
    partitions: tuple[PartitionStatus, ...] = ()
    horizon, until, ahead, runway, spills = None, None, None, None, False
    if found is not None and misfit is None:
        partitions = (*_level(declared.level, found, context, 1), *_detached(found, context))
        runway = shortest(runways_of(declared, found, context))
        horizon, until, ahead = _horizon(declared, runway)
        spills = _spills(found, runway)
    return TableStatus(
        str(declared.name if found is None else found.name),
        repr(declared.spec),
        declared.level.partition_by,
        _retention(declared.spec),
        context.now,
        _problem(found, misfit),
        horizon,
        ahead,
        partitions,
        None if runway is None else runway.seconds,
        spills,
        until,
        _information(found),
    )


def _spills(found: FoundTable, runway: Runway | None) -> bool:
    """Whether the parent whose partitions end first has a default partition."""
    parents: tuple[Parent, ...] = (found, *found.walk())
    return any(default_of(each) is not None for each in parents if runway is None or each.name == runway.parent)


def _problem(found: FoundTable | None, misfit: Finding | None) -> str:
    lost = None if found is None or not isinstance(found.conversion, LostConversion) else found.conversion
    if lost is not None:
        return f"{lost.message}; {lost.remedy}"
    return "" if misfit is None or misfit.severity is not Severity.ERROR else misfit.message


def _information(found: FoundTable | None) -> str:
    """A conversion in progress: nothing is wrong with the table, and what there is to say is how it goes on."""
    going_on = None if found is None or not isinstance(found.conversion, UnfinishedConversion) else found.conversion
    return "" if going_on is None else f"{going_on.message}; {going_on.remedy}"


def _retention(spec: Any) -> str:
    rules = [level.retention for level in spec.levels() if isinstance(level, RangeSpec)]
    said = (str(rule) if isinstance(rule, Retention) else readable(rule) for rule in rules if rule is not None)
    return "; ".join(said) or "kept for ever"


def _level(level: Level, parent: Parent, context: Context, depth: int) -> Iterator[PartitionStatus]:
    expiry = expiry_of(level, parent, context)
    for partition in sorted(parent.partitions, key=_place):
        state = _state(level, parent, partition, context, expiry)
        one = _one(level, partition, state, context, depth)
        yield replace(
            one,
            outlived=outlived_in(level, parent, partition, context),
            older=context.outlived.get(partition.oid),
        )
        if level.below is not None and divides(level.below, partition):
            yield from _level(level.below, partition, descend(level, partition.bound, context), depth + 1)


def _place(partition: Partition) -> Any:
    """Ranges in key order, hashes by remainder, lists by name; the default last."""
    bound = partition.bound
    if isinstance(bound, RangeBound):
        return (0, row_order(bound.lower), "")
    if isinstance(bound, HashBound):
        return (0, ((0, bound.remainder), (0, bound.modulus)), "")
    return (1 if isinstance(bound, ListBound) else 2, (), partition.name.name)


def _one(level: Level, partition: Partition, state: State, context: Context, depth: int) -> PartitionStatus:
    bound = partition.bound
    rows = None if partition.rows < 0 else int(partition.rows)
    if not isinstance(bound, RangeBound):
        size = _bytes(partition, context)
        return PartitionStatus(
            str(partition.name), describe(bound), None, None, state, depth, rows, size, describe(bound)
        )
    lower, upper = _ends(bound)
    read = level if isinstance(level, RangeLevel) else None
    line = None if read is None else line_of(read, bound)
    return PartitionStatus(
        str(partition.name),
        describe(bound),
        lower,
        upper,
        state,
        depth,
        rows,
        _bytes(partition, context),
        describe(level.readable(bound)),
        "" if line is None or not line.prefix else shown(line.prefix[0]),
        None if read is None else read.axis.decode(bound.lower[read.place]),
        None if read is None else read.axis.decode(bound.upper[read.place]),
    )


def _bytes(partition: Partition, context: Context) -> int | None:
    """A divided one has none of its own; 0 pages before the first analyze mean nothing."""
    if partition.kind == "p":
        return 0
    if partition.rows >= 0 or partition.pages > 0:
        return partition.pages * BLOCK
    return context.sizes.get(partition.oid)


def _ends(bound: Bound) -> tuple[Any, Any]:
    if not isinstance(bound, RangeBound):
        return None, None
    lower, upper = ([to_json(value) for value in end] for end in (bound.lower, bound.upper))
    return (lower[0], upper[0]) if len(lower) == 1 else (lower, upper)


def _state(level: Level, parent: Parent, partition: Partition, context: Context, expiry: Judge) -> State:
    if partition.detach_pending:
        return State.PENDING
    if isinstance(partition.bound, DefaultBound):
        return State.DEFAULT
    if not isinstance(partition.bound, RangeBound) or not isinstance(level, RangeLevel):
        return State.CURRENT
    if expiry(partition):
        return State.EXPIRED
    return _range_state(level, parent, partition.bound, context)


def _range_state(level: RangeLevel, parent: Parent, bound: RangeBound, context: Context) -> State:
    axis = level.axis
    here: Position
    if isinstance(axis, TimeAxis):
        here = axis.position(context.now)
    else:
        highest = context.highest.get(parent.oid)
        here = current_cell(level, parent, context).lower if highest is None else highest
    # By the values themselves: not every bound can be placed in time.
    now = order_key(axis.encode(here))
    if order_key(bound.lower[level.place]) > now:
        return State.AHEAD
    if order_key(bound.upper[level.place]) <= now:
        return State.KEPT
    return State.CURRENT


def _detached(found: FoundTable, context: Context) -> Iterator[PartitionStatus]:
    for table in sorted(found.detached, key=lambda each: each.name):
        size = context.sizes.get(table.oid)
        yield PartitionStatus(str(table.name), "", None, None, State.DETACHED, 1, None, size)


def _horizon(declared: DeclaredTable, runway: Runway | None) -> tuple[str | None, str | None, int | None]:
    """The horizon, also for people, and the intervals ahead; of several tenants or branches, of the first to end."""
    if runway is not None:
        return runway.horizon, runway.until, runway.ahead
    level = declared.level
    endless = "infinity" if isinstance(level, RangeLevel) and level.spec.tenants is None else None
    return endless, endless, None
