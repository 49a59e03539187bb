"""
Grids: endless lines of cells over the positions of a range key.

A position is an aware instant in UTC (timestamptz, codecs), a naive wall-clock time (timestamp, date) or an integer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from sa_partman.bounds.interval import Interval
from sa_partman.bounds.zone import to_instant, to_wall

Position = Any
"""``datetime`` (aware or naive) or ``int``; one grid uses one of them throughout."""

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Cell:
    """``lower <= position < upper``."""

    lower: Position
    upper: Position


class Grid(Protocol):
    """Cells that tile the line without gap or overlap, whatever position is asked for."""

    def cell(self, position: Position) -> Cell:
        """The cell that holds *position*."""
        ...

    def before(self, lower: Position) -> Cell:
        """The cell that ends at *lower*, the lower end of another."""
        ...


def cells_from(grid: Grid, position: Position) -> Iterator[Cell]:
    """The cell that holds *position*, then each next one, without end."""
    while True:
        cell = grid.cell(position)
        yield cell
        position = cell.upper


def cells_back(grid: Grid, lower: Position) -> Iterator[Cell]:
    """The cell that ends at *lower*, then each earlier one, without end."""
    while True:
        cell = grid.before(lower)
        yield cell
        lower = cell.lower


@dataclass(frozen=True, slots=True)
class WallGrid:
    """Cells in wall-clock time that belongs to no zone: keys of type date and timestamp."""

    interval: Interval

    def cell(self, position: datetime) -> Cell:
        lower = self.interval.floor(position)
        return Cell(lower, self.interval.after(lower))

    def before(self, lower: datetime) -> Cell:
        return self.cell(lower - _TICK)


@dataclass(frozen=True, slots=True)
class UtcGrid:
    """`ZonedGrid` for UTC, where nothing is ever turned; some ten times as fast."""

    interval: Interval

    def cell(self, position: datetime) -> Cell:
        lower = self.interval.floor(position.replace(tzinfo=None))
        return Cell(lower.replace(tzinfo=UTC), self.interval.after(lower).replace(tzinfo=UTC))

    def before(self, lower: datetime) -> Cell:
        return self.cell(lower - _TICK)


@dataclass(frozen=True, slots=True)
class ZonedGrid:
    """
    Instants cut where the clocks of *zone* show the points of the interval's grid.

    A skipped hour gives no cell of its own and a repeated one makes its cell longer, so the cells still tile.
    """

    interval: Interval
    zone: ZoneInfo

    def cell(self, position: datetime) -> Cell:
        wall = self.interval.floor(to_wall(position, self.zone))
        lower = to_instant(wall, self.zone)
        while lower > position:
            wall = self.interval.floor(wall - _TICK)
            lower = to_instant(wall, self.zone)
        while True:
            wall = self.interval.after(wall)
            upper = to_instant(wall, self.zone)
            if upper > position:
                return Cell(lower, upper)
            lower = upper

    def before(self, lower: datetime) -> Cell:
        return self.cell(lower - _TICK)


@dataclass(frozen=True, slots=True)
class IntegerGrid:
    """Cells of a fixed *width*, anchored at 0."""

    width: int

    def cell(self, position: int) -> Cell:
        lower = position - position % self.width
        return Cell(lower, lower + self.width)

    def before(self, lower: int) -> Cell:
        return self.cell(lower - 1)
