"""Interval words, and the grid that each interval lays over the calendar."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from sa_partman.bounds.interval import Duration, Interval, months_before


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("1 month", Duration(months=1)),
        ("14 months", Duration(months=14)),
        ("1 year 6 months", Duration(months=18)),
        ("1 quarter", Duration(months=3)),
        ("2 weeks", Duration(days=14)),
        ("1 day", Duration(days=1)),
        ("90 minutes", Duration(seconds=5400)),
        ("1 mon, 2 days 3 hours", Duration(1, 2, 10800)),
        ("  5MINS ", Duration(seconds=300)),
        (timedelta(days=2, hours=1), Duration(days=2, seconds=3600)),
    ],
)
def test_words(words: str | timedelta, expected: Duration) -> None:
    """PostgreSQL's own, in any case, one or several; or a timedelta."""
    assert expected == Duration.parse(words)


@pytest.mark.parametrize(
    "words",
    ["1 month", "14 months", "2 years", "1 year 6 months", "3 weeks", "30 days", "1 hour", "1 day 1 hour 1 minute"],
)
def test_words_and_back(words: str) -> None:
    """What is printed is what was read, whatever the unit is called."""
    assert Duration.parse(words) == Duration.parse(str(Duration.parse(words)))


@pytest.mark.parametrize("words", ["1 month 1 day", "1 year 1 hour", "1 day 1 hour"])
def test_a_mixture_is_no_width(words: str) -> None:
    """It is a length all the same, for retention."""
    assert Duration.parse(words)
    with pytest.raises(ValueError, match="no common grid"):
        Interval.parse(words)


@pytest.mark.parametrize(
    ("words", "moment", "lower", "upper"),
    [
        ("1 month", "2024-01-31 12:00", "2024-01-01", "2024-02-01"),
        ("1 month", "2024-02-29 23:59:59.999999", "2024-02-01", "2024-03-01"),
        ("1 month", "2024-12-31", "2024-12-01", "2025-01-01"),
        ("3 months", "2026-03-31", "2026-01-01", "2026-04-01"),
        ("1 quarter", "2026-12-31", "2026-10-01", "2027-01-01"),
        ("5 months", "2026-03-31", "2025-11-01", "2026-04-01"),
        ("1 year", "2026-12-31", "2026-01-01", "2027-01-01"),
        ("10 years", "2026-12-31", "2020-01-01", "2030-01-01"),
        ("1 week", "2024-12-31", "2024-12-30", "2025-01-06"),
        ("1 week", "2021-01-01", "2020-12-28", "2021-01-04"),
        ("2 weeks", "2001-01-14 23:00", "2001-01-01", "2001-01-15"),
        ("1 day", "2024-02-29 13:37", "2024-02-29", "2024-03-01"),
        ("1 hour", "2024-02-29 13:37", "2024-02-29 13:00", "2024-02-29 14:00"),
        ("15 minutes", "2024-02-29 13:37", "2024-02-29 13:30", "2024-02-29 13:45"),
        ("1 day", "1999-12-31 23:59", "1999-12-31", "2000-01-01"),
    ],
)
def test_the_cell_of_a_moment(words: str, moment: str, lower: str, upper: str) -> None:
    """Anchored in the calendar, whatever day it is; before the anchor as well."""
    interval = Interval.parse(words)
    floor = interval.floor(datetime.fromisoformat(moment))

    assert (datetime.fromisoformat(lower), datetime.fromisoformat(upper)) == (floor, interval.after(floor))


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        ("2026-03-31", 1, "2026-02-28"),
        ("2024-03-31", 1, "2024-02-29"),
        ("2024-02-29", 12, "2023-02-28"),
        ("2026-01-15", 1, "2025-12-15"),
        ("2026-12-31", 14, "2025-10-31"),
        ("2026-07-31", 0, "2026-07-31"),
    ],
)
def test_months_back(day: str, months: int, expected: str) -> None:
    """A day that the month lacks becomes its last one, as in PostgreSQL."""
    assert datetime.fromisoformat(expected) == months_before(datetime.fromisoformat(day), months)


def test_a_thousand_months_from_the_31st_stay_on_the_grid() -> None:
    """The grid is walked from point to point, so no 31st is lost on the way."""
    interval, point = Interval.parse("1 month"), datetime(2024, 1, 1)
    for _ in range(1000):
        point = interval.after(point)

    assert datetime(2107, 5, 1) == point
