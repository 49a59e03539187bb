"""Grids tile: no gap, no overlap, whatever the unit, the zone and the instant."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from sa_partman.bounds.interval import (
    Grid,
    IntegerGrid,
    Interval,
    UtcGrid,
    WallGrid,
    ZonedGrid,
    cells_from,
    months_after,
    months_before,
    to_instant,
)
from tests.support.builders import at
from tests.support.strategies import INSTANTS, INTERVALS, NAIVE, ZONES

HALF_HOUR = timedelta(minutes=30)


@given(interval=INTERVALS, zone=ZONES, now=INSTANTS)
@example(Interval.parse("1 day"), "Pacific/Apia", at("2011-12-31 12:00+14:00"))
@example(Interval.parse("1 day"), "America/Havana", at("2024-11-03 00:30-04:00"))
@example(Interval.parse("15 minutes"), "Australia/Lord_Howe", at("2024-04-06 15:05"))
def test_cells_of_a_zone_meet(interval: Interval, zone: str, now: datetime) -> None:
    """Now lies in the current cell, and each cell begins where the one before ends, in both directions."""
    _tiles(ZonedGrid(interval, ZoneInfo(zone)), now)


@given(interval=INTERVALS, now=INSTANTS)
def test_cells_of_utc_meet(interval: Interval, now: datetime) -> None:
    """The same for the fast grid, which gives what the slow one gives."""
    _tiles(UtcGrid(interval), now)

    assert ZonedGrid(interval, ZoneInfo("UTC")).cell(now) == UtcGrid(interval).cell(now)


@given(interval=INTERVALS, now=NAIVE)
def test_cells_of_wall_clock_time_meet(interval: Interval, now: datetime) -> None:
    """The same without a zone."""
    _tiles(WallGrid(interval), now)


@given(width=st.integers(1, 10**6), position=st.integers(-(10**12), 10**12))
def test_cells_of_integers_meet(width: int, position: int) -> None:
    """The same for numbers."""
    _tiles(IntegerGrid(width), position)


def _tiles(grid: Grid, position: object) -> None:
    current = grid.cell(position)
    ahead = list(islice(cells_from(grid, position), 5))
    behind = [grid.cell(grid.back(current.lower, number)) for number in range(5, 0, -1)]
    cells = [*behind, *ahead]

    assert current.lower <= position < current.upper
    assert all(cell.lower < cell.upper for cell in cells)
    assert all(one.upper == other.lower for one, other in pairwise(cells))


@given(interval=INTERVALS, zone=ZONES, now=INSTANTS, part=st.floats(0, 0.99))
def test_every_instant_of_a_cell_gives_that_cell(interval: Interval, zone: str, now: datetime, part: float) -> None:
    """The grid does not depend on the instant that one asks for."""
    grid = ZonedGrid(interval, ZoneInfo(zone))
    cell = grid.cell(now)

    assert cell == grid.cell(cell.lower + (cell.upper - cell.lower) * part)
    assert cell == grid.cell(cell.lower)
    assert cell == grid.cell(cell.upper - timedelta(microseconds=1))


@given(interval=INTERVALS, zone=ZONES, now=INSTANTS)
def test_cells_begin_on_the_grid(interval: Interval, zone: str, now: datetime) -> None:
    """A cell begins where the zone's clocks show a point of the interval's grid."""
    lower = ZonedGrid(interval, ZoneInfo(zone)).cell(now).lower
    wall = lower.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    points = {interval.floor(wall + shift) for shift in (timedelta(0), HALF_HOUR, -timedelta(days=1))}

    assert any(to_instant(point, ZoneInfo(zone)) == lower for point in points)


@given(interval=INTERVALS, zone=ZONES, now=INSTANTS, number=st.integers(0, 20))
def test_ahead_is_the_way_back(interval: Interval, zone: str, now: datetime, number: int) -> None:
    """As many cells on as it was back, in a zone and by the wall clock."""
    pairs: tuple[tuple[Grid, datetime], ...] = (
        (ZonedGrid(interval, ZoneInfo(zone)), now),
        (WallGrid(interval), now.replace(tzinfo=None)),
    )
    for grid, position in pairs:
        lower = grid.cell(position).lower

        assert lower == grid.ahead(grid.back(lower, number), number)


@given(wall=NAIVE, months=st.integers(0, 500))
def test_months_after_are_the_first_from_which_months_before_reach(wall: datetime, months: int) -> None:
    """A microsecond earlier they do not."""
    after = months_after(wall, months)

    assert months_before(after, months) >= wall
    assert months_before(after - timedelta(microseconds=1), months) < wall
