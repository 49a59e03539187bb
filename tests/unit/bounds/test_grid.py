"""Grids: known cells, at the places where calendars and clocks are odd."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from sa_partman.bounds.interval import Cell, IntegerGrid, Interval, UtcGrid, WallGrid, ZonedGrid, cells_from
from tests.support.builders import at


def zoned(interval: str, zone: str) -> ZonedGrid:
    return ZonedGrid(Interval.parse(interval), ZoneInfo(zone))


def test_the_month_of_the_31st() -> None:
    """2024-01-31 lies in January."""
    grid = UtcGrid(Interval.parse("1 month"))

    assert Cell(at("2024-01-01"), at("2024-02-01")) == grid.cell(at("2024-01-31"))


def test_four_quarters_back() -> None:
    """From 2026-03-31: this one, and the three before."""
    grid = UtcGrid(Interval.parse("1 quarter"))
    current = grid.cell(at("2026-03-31"))
    lowers = [grid.back(current.lower, number) for number in range(5)]

    assert [at(f"{day}") for day in ("2026-01-01", "2025-10-01", "2025-07-01", "2025-04-01", "2025-01-01")] == lowers


def test_five_years_back() -> None:
    """From 2026-12-31 to 2021-01-01."""
    grid = UtcGrid(Interval.parse("1 year"))

    assert at("2021-01-01") == grid.back(grid.cell(at("2026-12-31")).lower, 5)


def test_the_week_of_new_years_eve() -> None:
    """A week starts on Monday and may end in the next year."""
    grid = UtcGrid(Interval.parse("1 week"))

    assert Cell(at("2024-12-30"), at("2025-01-06")) == grid.cell(at("2024-12-31"))


def test_three_hours_from_13_37() -> None:
    """Three different partitions."""
    cells = islice(cells_from(UtcGrid(Interval.parse("1 hour")), at("2024-05-05 13:37")), 3)

    assert [13, 14, 15] == [cell.lower.hour for cell in cells]


def test_a_week_in_paris_ends_by_the_new_clock() -> None:
    """The week of 2025-03-24 ends 2025-03-31 00:00+02, an hour early."""
    cell = zoned("1 week", "Europe/Paris").cell(at("2025-03-24 12:00"))

    assert Cell(at("2025-03-24 00:00+01:00"), at("2025-03-31 00:00+02:00")) == cell
    assert timedelta(days=7, hours=-1) == cell.upper - cell.lower


def test_a_week_in_paris_in_autumn() -> None:
    """And the one of 2025-10-20 is an hour longer."""
    cell = zoned("1 week", "Europe/Paris").cell(at("2025-10-22"))

    assert timedelta(days=7, hours=1) == cell.upper - cell.lower


@pytest.mark.parametrize(
    ("zone", "day", "lower", "hours"),
    [
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04 01:00-02:00", 23),  # no midnight
        ("Asia/Beirut", "2024-03-31", "2024-03-31 01:00+03:00", 23),
        ("Africa/Cairo", "2024-04-26", "2024-04-26 01:00+03:00", 23),
        ("America/Havana", "2024-11-03", "2024-11-03 00:00-05:00", 24),  # two midnights: the second
        ("Atlantic/Azores", "2024-10-27", "2024-10-27 00:00-01:00", 24),
        ("Australia/Lord_Howe", "2024-10-06", "2024-10-06 00:00+10:30", 23.5),
    ],
)
def test_a_day_whose_midnight_is_odd(zone: str, day: str, lower: str, hours: float) -> None:
    """PostgreSQL's answer: the second of two midnights, and the first instant after a missing one."""
    noon = datetime.combine(date.fromisoformat(day), datetime.min.time(), ZoneInfo(zone)) + timedelta(hours=12)
    cell = zoned("1 day", zone).cell(noon.astimezone(UTC))

    assert at(lower) == cell.lower
    assert timedelta(hours=hours) == cell.upper - cell.lower


def test_the_day_before_two_midnights_is_longer() -> None:
    """The hour that is repeated belongs to it."""
    cell = zoned("1 day", "America/Havana").cell(at("2024-11-02 12:00-04:00"))

    assert timedelta(hours=25) == cell.upper - cell.lower


def test_a_day_that_never_was() -> None:
    """Apia went from the 29th of December 2011 to the 31st: no cell for the 30th."""
    cells = list(islice(cells_from(zoned("1 day", "Pacific/Apia"), at("2011-12-29 12:00-10:00")), 2))

    assert [at("2011-12-29 00:00-10:00"), at("2011-12-31 00:00+14:00")] == [cell.lower for cell in cells]
    assert cells[0].upper == cells[1].lower


def test_the_cell_before_is_the_one_that_ends_there() -> None:
    """Also across a day that never was."""
    grid = zoned("1 day", "Pacific/Apia")
    new_year = grid.cell(at("2011-12-31 12:00+14:00"))

    assert new_year.lower == grid.cell(grid.back(new_year.lower, 1)).upper


def test_a_wall_grid_knows_no_zone() -> None:
    """Keys of type date and timestamp."""
    grid = WallGrid(Interval.parse("1 day"))

    assert Cell(datetime(2025, 3, 30), datetime(2025, 3, 31)) == grid.cell(datetime(2025, 3, 30, 2, 30))
    assert datetime(2025, 3, 29) == grid.back(datetime(2025, 3, 30), 1)


@pytest.mark.parametrize(("position", "lower"), [(0, 0), (99, 0), (100, 100), (-1, -100), (-100, -100)])
def test_integers(position: int, lower: int) -> None:
    """Anchored at 0, below it as well."""
    assert Cell(lower, lower + 100) == IntegerGrid(100).cell(position)


def test_integers_back() -> None:
    """The cell that ends at 0."""
    assert -100 == IntegerGrid(100).back(0, 1)
