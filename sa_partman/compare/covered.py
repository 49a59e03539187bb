"""What partitions cover, in few words: a converged table is one stretch, however many partitions it has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sa_partman.bounds.bound import RangeBound
from sa_partman.bounds.grid import Cell, Grid, Position
from sa_partman.bounds.values import MINVALUE
from sa_partman.spec.axis import Axis


@dataclass(frozen=True, slots=True)
class Covered:
    """
    Args:
        stretches: Lower and upper position of each row of partitions without a gap between them; ascending.
        others: The bounds that lie in none of these.
    """

    stretches: tuple[tuple[Position, Position], ...]
    others: tuple[RangeBound, ...]


_COMPARABLE = frozenset({datetime, date, int, UUID})
"""Types of values that sort among each other as PostgreSQL sorts them."""


def covered_by(bounds: Sequence[RangeBound], axis: Axis, place: int = 0) -> Covered:
    """
    Args:
        bounds: Of one line, in any order.
        place: Which column of the key the axis cuts; what comes before it is the same in all of *bounds*.
    """
    kind = next((each for bound in bounds if (each := type(bound.lower[place])) in _COMPARABLE), None)
    rest = (MINVALUE,) * (len(bounds[0].lower) - place - 1) if bounds else ()
    plain: list[Any] = []
    others: list[RangeBound] = []
    for bound in bounds:
        whole = bound.lower[place + 1 :] == rest == bound.upper[place + 1 :]
        alike = type(bound.lower[place]) is kind is type(bound.upper[place])
        (plain if whole and alike else others).append(bound)
    plain.sort(key=lambda bound: bound.lower[place])
    stretches: list[tuple[Position, Position]] = []
    for row in _rows(plain, place):
        lower, upper = row[0].lower[place], max(bound.upper[place] for bound in row)
        begin, end = axis.decode(lower), axis.decode(upper)
        # A value that is no position by itself, such as a UUID with random bits, covers a little more or less than it.
        if begin is None or end is None or axis.encode(begin) != lower or axis.encode(end) != upper:
            others.extend(row)
        else:
            stretches.append((begin, end))
    return Covered(tuple(stretches), tuple(others))


def _rows(bounds: list[Any], column: int) -> Iterator[list[Any]]:
    """*bounds*, ascending, in rows without a gap."""
    start = 0
    for place in range(1, len(bounds)):
        if bounds[place].lower[column] > bounds[place - 1].upper[column]:
            yield bounds[start:place]
            start = place
    if bounds:
        yield bounds[start:]


def cells_outside(
    grid: Grid, first: Position, horizon: Position, stretches: Iterable[tuple[Position, Position]]
) -> Iterator[Cell]:
    """The cells from the one that holds *first* to *horizon*, but for those that lie wholly in one of *stretches*."""
    position = grid.cell(first).lower
    for lower, upper in (*stretches, (horizon, horizon)):
        while position < min(lower, horizon):
            cell = grid.cell(position)
            yield cell
            position = cell.upper
        if upper >= horizon:
            return
        if position < upper:
            position = grid.cell(upper).lower
