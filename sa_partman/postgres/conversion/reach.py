"""
How far the rows of a table reach, and so which bound they take: one scan where all of them fit, and none where an index
answers.

The highest key itself is rarely needed. A bound is proposed from the clock, and the question is only whether a row lies
outside it: in that form an index answers that begins with the key, a BRIN index, and since PostgreSQL 18 one that has
the key in another place. The question is asked before anything is touched, and not left to VALIDATE: from the promise
on the server refuses such rows, and an application that writes them would be the one to notice.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from sa_partman.anatomy import Anatomy, Index
from sa_partman.bounds.bound import Bound, KeyValue, ListBound, RangeBound
from sa_partman.bounds.interval import Position
from sa_partman.compare.situation import Situation
from sa_partman.plan.conversion.history import list_history, range_history
from sa_partman.plan.conversion.request import Profile
from sa_partman.plan.conversion.steps import Refusal
from sa_partman.postgres.conversion.profile import (
    VALUES,
    beyond,
    distinct_values,
    highest_key,
    null_keys,
    profile,
)
from sa_partman.spec.axis import TimeAxis
from sa_partman.spec.declared import DeclaredTable, ListLevel, RangeLevel


def reach(
    connection: Connection,
    declared: DeclaredTable,
    anatomy: Anatomy,
    situation: Situation,
    lead: timedelta,
    boundary: Any,
) -> tuple[RangeBound | ListBound | Refusal, Profile]:
    """
    The bound of the present rows, and the rows that it does not take.

    Args:
        lead: As of `range_history`.
        boundary: The user's own end, or None.
    """
    level = declared.level
    if isinstance(level, RangeLevel):
        end = None if boundary is None else level.axis.parse(boundary)
        history, fits = _Rows(connection, declared, level, anatomy).range(situation, lead, end)
        return history, _outside(connection, declared, history, fits)
    if not isinstance(level, ListLevel):
        raise TypeError(level)
    values = distinct_values(connection, declared.name, level.key)
    found = list_history(level, situation, values)
    if isinstance(found, Refusal):
        return found, Profile()
    # Fewer than were asked for: these are all, and the label holds every one.
    return found, _outside(connection, declared, found, len(values) < VALUES)


def _outside(connection: Connection, declared: DeclaredTable, history: Bound, fits: bool) -> Profile:
    """Only a conversion that is refused pays for the exact numbers."""
    return Profile() if fits else profile(connection, declared.name, declared.level.key, history)


class _Rows:
    """The rows of one table under a RANGE key."""

    def __init__(self, connection: Connection, declared: DeclaredTable, level: RangeLevel, anatomy: Anatomy) -> None:
        self.connection, self.table, self.level, self.key = connection, declared.name, level, level.key
        self.nullable = tuple(name for name in level.key.columns if not anatomy.column(name).not_null)
        self.indexed = any(map(self._leads, anatomy.indexes))

    def range(self, situation: Situation, lead: timedelta, end: Position | None) -> tuple[RangeBound, bool]:
        """The bound, and whether it is known to take every row."""
        if end is not None or (isinstance(self.level.axis, TimeAxis) and not self.indexed):
            return self._proposed(situation, lead, end)
        return self._measured(situation, lead)

    def _proposed(self, situation: Situation, lead: timedelta, end: Position | None) -> tuple[RangeBound, bool]:
        """A bound that does not depend on the rows; above them, where some lie beyond and it is ours to choose."""
        history = range_history(self.level, situation, None, lead, end)
        found = beyond(self.connection, self.table, self.key, self.nullable, history.upper[0])
        if not found.rows or end is not None:
            return history, not found.rows and not found.nulls
        return self._above(situation, lead, found.highest, found.nulls)

    def _measured(self, situation: Situation, lead: timedelta) -> tuple[RangeBound, bool]:
        """The highest key first: an index tells it at once, and an integer has no clock to propose a bound from."""
        if self.indexed:
            highest = highest_key(self.connection, self.table, self.key)
            nulls = null_keys(self.connection, self.table, self.nullable)
        else:
            found = beyond(self.connection, self.table, self.key, self.nullable, None)
            highest, nulls = found.highest, found.nulls
        return self._above(situation, lead, highest, nulls)

    def _above(self, situation: Situation, lead: timedelta, highest: KeyValue, nulls: int) -> tuple[RangeBound, bool]:
        # An infinite key, or one that the codec can't place, is above every bound.
        placed = highest is None or self.level.axis.decode(highest) is not None
        return range_history(self.level, situation, highest, lead, None), placed and not nulls

    def _leads(self, index: Index) -> bool:
        """Whether it tells the highest key at once."""
        first = index.columns[:1] == (self.key.columns[0],)
        return first and index.valid and not index.partial and index.tail.startswith("USING btree ")
