"""
Grids: endless lines of cells over the positions of a range key.

A position is an aware instant in UTC (timestamptz, codecs), a naive wall-clock time (timestamp, date) or an integer.
Cells of time end where Python's calendar does: the first one begins with year 1, the last one ends with year 9999.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from sa_partman.bounds.interval import FIRST, LAST, Interval
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

    def back(self, lower: Position, cells: int) -> Position:
        """The lower end of the cell that is *cells* before the one that begins at *lower*."""
        ...

    def ahead(self, lower: Position, cells: int) -> Position:
        """The lower end of the cell that is *cells* after the one that begins at *lower*."""
        ...

    def count(self, lower: Position, upper: Position) -> int:
        """How many cells have a part in ``lower <= position < upper``, which is not empty; nothing is counted out."""
        ...


def cells_from(grid: Grid, position: Position) -> Iterator[Cell]:
    """The cell that holds *position*, then each next one, to the end of time."""
    while (cell := grid.cell(position)).upper > position:
        yield cell
        position = cell.upper


@dataclass(frozen=True, slots=True)
class WallGrid:
    """Cells in wall-clock time that belongs to no zone: keys of type date and timestamp."""

    interval: Interval

    def cell(self, position: datetime) -> Cell:
        return Cell(self.interval.floor(position), self.interval.after(position))

    def back(self, lower: datetime, cells: int) -> datetime:
        return self.interval.moved(lower, -cells)

    def ahead(self, lower: datetime, cells: int) -> datetime:
        return self.interval.moved(lower, cells)

    def count(self, lower: datetime, upper: datetime) -> int:
        return self.interval.index(upper - _TICK) - self.interval.index(lower) + 1


@dataclass(frozen=True, slots=True)
class UtcGrid:
    """`ZonedGrid` for UTC, where nothing is ever turned; some ten times as fast."""

    interval: Interval

    def cell(self, position: datetime) -> Cell:
        wall = position.replace(tzinfo=None)
        return Cell(self.interval.floor(wall).replace(tzinfo=UTC), self.interval.after(wall).replace(tzinfo=UTC))

    def back(self, lower: datetime, cells: int) -> datetime:
        return self.interval.moved(lower.replace(tzinfo=None), -cells).replace(tzinfo=UTC)

    def ahead(self, lower: datetime, cells: int) -> datetime:
        return self.back(lower, -cells)

    def count(self, lower: datetime, upper: datetime) -> int:
        return WallGrid(self.interval).count(lower.replace(tzinfo=None), upper.replace(tzinfo=None))


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
            if wall == FIRST:
                lower = FIRST.replace(tzinfo=UTC)
                break
            wall = self.interval.floor(wall - _TICK)
            lower = to_instant(wall, self.zone)
        while True:
            wall = self.interval.after(wall)
            upper = LAST.replace(tzinfo=UTC) if wall == LAST else to_instant(wall, self.zone)
            if upper > position or wall == LAST:
                return Cell(lower, upper)
            lower = upper

    def back(self, lower: datetime, cells: int) -> datetime:
        """Behind the first `STEPS` ones skipped hours are counted like others."""
        for _ in range(min(cells, STEPS)):
            if lower.replace(tzinfo=None) == FIRST:
                return lower
            lower = self.cell(lower - _TICK).lower
        return self._jump(lower, cells - STEPS) if cells > STEPS else lower

    def ahead(self, lower: datetime, cells: int) -> datetime:
        """As `back`, the other way."""
        for _ in range(min(cells, STEPS)):
            lower = self.cell(lower).upper
            if lower.replace(tzinfo=None) == LAST:
                return lower
        return self._jump(lower, STEPS - cells) if cells > STEPS else lower

    def _jump(self, lower: datetime, cells: int) -> datetime:
        return to_instant(self.interval.moved(to_wall(lower, self.zone), -cells), self.zone)

    def count(self, lower: datetime, upper: datetime) -> int:
        """A skipped hour is counted like any other."""
        return WallGrid(self.interval).count(to_wall(lower, self.zone), to_wall(upper, self.zone))


STEPS = 1_000
"""Cells that are looked at one by one."""


@dataclass(frozen=True, slots=True)
class IntegerGrid:
    """Cells of a fixed *width*, anchored at 0."""

    width: int

    def cell(self, position: int) -> Cell:
        lower = position - position % self.width
        return Cell(lower, lower + self.width)

    def back(self, lower: int, cells: int) -> int:
        return lower - cells * self.width

    def ahead(self, lower: int, cells: int) -> int:
        return lower + cells * self.width

    def count(self, lower: int, upper: int) -> int:
        return (upper - 1) // self.width - lower // self.width + 1
