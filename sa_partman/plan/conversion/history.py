"""Which bound the present rows take: the first decision of a conversion in place."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sa_partman.bounds.bound import MINVALUE, Bound, KeyValue, ListBound, RangeBound
from sa_partman.bounds.interval import Position
from sa_partman.catalog import Partition
from sa_partman.compare.expired_rows import Outlived, outlived_in
from sa_partman.compare.lists import wanted_labels
from sa_partman.compare.situation import Situation
from sa_partman.names import QualifiedName
from sa_partman.plan.conversion.steps import Refusal
from sa_partman.spec.axis import IntegerAxis, TimeAxis
from sa_partman.spec.declared import DeclaredTable, Level, ListLevel, RangeLevel

_COPY = (
    "its rows would have to move, and a conversion in place moves none: create the partitioned table under another "
    "name, copy the rows (INSERT ... SELECT) while nobody writes, and rename the two"
)


def unserved(declared: DeclaredTable) -> Refusal | None:
    """Why no table can be attached in place for this declaration, if so."""
    level = declared.level
    if declared.spec.strategy == "HASH":
        return Refusal("HASH spreads the rows over all partitions", _COPY)
    if declared.spec.has_expression:
        return Refusal("the partition key is an expression", _COPY)
    if isinstance(level, RangeLevel) and level.spec.tenants is not None:
        return Refusal("each tenant has partitions of its own", _COPY)
    return None


def range_history(
    level: RangeLevel, situation: Situation, highest: KeyValue, lead: timedelta, boundary: Position | None
) -> RangeBound:
    """
    From MINVALUE up to the first point of the grid that is after now + *lead* and after the highest key.

    Args:
        highest: The highest key present, or None when the table is empty.
        lead: How long the conversion may take until the cut-over: newer rows are refused meanwhile.
        boundary: The user's own end; it is put on the grid.
    """
    axis = level.axis
    reached = None if highest is None else axis.decode(highest)
    if boundary is not None:
        end = axis.grid.cell(boundary).lower
    elif isinstance(axis, TimeAxis):
        soon = axis.position(situation.now + lead)
        end = axis.grid.cell(soon if reached is None else max(soon, reached)).upper
    else:
        end = axis.grid.cell(reached if reached is not None else 0).upper
    rest = (MINVALUE,) * (len(level.key.parts) - 1)
    return RangeBound((MINVALUE, *rest), (axis.encode(end), *rest))


def list_history(level: ListLevel, situation: Situation, present: frozenset[KeyValue]) -> ListBound | Refusal:
    """
    The values of the one label that holds every value present.

    Args:
        present: The distinct values of the table.
    """
    for _, values in wanted_labels(level, situation):
        if present <= frozenset(values):
            return ListBound(frozenset(values))
    if not present:
        return Refusal("the declaration has no value yet, so there is no partition to become", "add the first value")
    shown = ", ".join(sorted(map(repr, present))[:5])
    return Refusal(f"the values present ({shown}) belong to no label, or to more than one", _COPY)


def outlived_history(
    level: Level, history: RangeBound | ListBound, name: QualifiedName, situation: Situation
) -> Outlived | None:
    """
    The rows of the history that outlive the retention.

    Args:
        history: Its bound, such as `range_history` gives.
        name: What the history is called.
    """
    partition = Partition(name, _HISTORY, history, "r")
    table = Partition(name, _TABLE, history, "p", partitions=(partition,))
    return outlived_in(level, table, partition, filled(level, history, situation, _TABLE))


def filled(level: Level, history: Bound, situation: Situation, oid: int) -> Situation:
    """
    *situation* with the rows of *history*: of integers, the highest key lies in its last interval.

    Args:
        oid: Of the table that the history is a partition of.
    """
    if isinstance(level, RangeLevel) and isinstance(level.axis, IntegerAxis) and isinstance(history, RangeBound):
        end = level.axis.decode(history.upper[level.place])
        return situation if end is None else replace(situation, highest={oid: end - 1})
    return situation


_TABLE, _HISTORY = 0, 1
"""Oids of what is not there yet."""
