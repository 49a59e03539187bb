"""Dates and times as PostgreSQL writes them with DateStyle ISO."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from sa_partman.bounds.bound import INFINITY, NEGATIVE_INFINITY, FarTime, KeyValue, order_key
from sa_partman.bounds.text import read_time, write_time
from sa_partman.key import Family

DAY = 86_400 * 10**6


@pytest.mark.parametrize(
    ("text", "family", "expected"),
    [
        ("2024-02-29", Family.DATE, date(2024, 2, 29)),
        ("0001-01-01", Family.DATE, date(1, 1, 1)),
        ("9999-12-31", Family.DATE, date(9999, 12, 31)),
        ("2024-01-01 00:00:00", Family.TIMESTAMP, datetime(2024, 1, 1)),
        ("2024-01-01 12:34:56.7", Family.TIMESTAMP, datetime(2024, 1, 1, 12, 34, 56, 700_000)),
        ("2024-01-01 00:00:00.000001", Family.TIMESTAMP, datetime(2024, 1, 1, 0, 0, 0, 1)),
        ("2024-01-01 00:00:00+00", Family.TIMESTAMPTZ, datetime(2024, 1, 1, tzinfo=UTC)),
        ("2024-01-01 00:00:00+05:30", Family.TIMESTAMPTZ, datetime(2023, 12, 31, 18, 30, tzinfo=UTC)),
        ("2024-01-01 00:00:00-08", Family.TIMESTAMPTZ, datetime(2024, 1, 1, 8, tzinfo=UTC)),
        ("1880-01-01 00:00:00-03:30:15", Family.TIMESTAMPTZ, datetime(1880, 1, 1, 3, 30, 15, tzinfo=UTC)),
        ("infinity", Family.DATE, INFINITY),
        ("-infinity", Family.TIMESTAMPTZ, NEGATIVE_INFINITY),
    ],
)
def test_read_time_within_pythons_years(text: str, family: Family, expected: KeyValue) -> None:
    """What Python has is a date or a datetime, instants in UTC whatever offset they were printed with."""
    assert (expected, type(expected)) == (read_time(text, family), type(read_time(text, family)))


@pytest.mark.parametrize(
    ("text", "family", "ordinal"),
    [
        ("0001-12-31 BC", Family.DATE, (date(1, 1, 1) - date(1970, 1, 1)).days * DAY - DAY),
        ("10000-01-01", Family.DATE, (date(9999, 12, 31) - date(1970, 1, 1)).days * DAY + DAY),
        ("10000-01-01 00:00:01+00", Family.TIMESTAMPTZ, 253_402_300_801 * 10**6),
        # The rest as extract(epoch FROM ...) of PostgreSQL 18 says.
        ("0044-03-15 12:00:00.123456+00 BC", Family.TIMESTAMPTZ, -63_517_780_799_876_544),
        ("4714-11-24 00:00:00 BC", Family.TIMESTAMP, -210_866_803_200 * 10**6),
        ("294276-12-31 23:59:59.999999+00", Family.TIMESTAMPTZ, 9_224_318_016_000 * 10**6 - 1),
        ("5874897-12-31", Family.DATE, 185_331_706_992_000 * 10**6),
    ],
)
def test_read_time_beyond_pythons_years(text: str, family: Family, ordinal: int) -> None:
    """A far time keeps PostgreSQL's text, and its place on the line of microseconds."""
    assert FarTime(text, ordinal) == read_time(text, family)


def test_far_times_are_equal_whatever_their_offset() -> None:
    """The same instant, printed in two zones, is one value."""
    expected = read_time("10000-01-01 00:00:00+00", Family.TIMESTAMPTZ)

    assert expected == read_time("10000-01-01 05:30:00+05:30", Family.TIMESTAMPTZ)


def test_an_offset_may_move_a_time_across_the_end_of_pythons_years() -> None:
    """The year that is printed does not decide; the instant does."""
    first = read_time("0001-01-01 00:00:00+05", Family.TIMESTAMPTZ)
    last = read_time("10000-01-01 00:00:00+05", Family.TIMESTAMPTZ)

    assert (FarTime("0001-12-31 19:00:00+00 BC", -62_135_614_800 * 10**6), datetime(9999, 12, 31, 19, tzinfo=UTC)) == (
        first,
        last,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0001-01-01 05:00:00+05", datetime(1, 1, 1, tzinfo=UTC)),
        ("10000-01-01 04:59:59.999999+05", datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ],
)
def test_the_first_and_the_last_of_pythons_instants(text: str, expected: datetime) -> None:
    """Both ends still belong to Python."""
    assert expected == read_time(text, Family.TIMESTAMPTZ)


def test_times_sort_across_the_ends_of_pythons_years() -> None:
    """Year 1 BC is followed by year 1, and 9999 by 10000."""
    texts = ["-infinity", "4714-11-24 BC", "0002-01-01 BC", "0001-12-31 BC", "0001-01-01", "9999-12-31", "10000-01-01"]
    values = [read_time(text, Family.DATE) for text in [*texts, "5874897-12-31", "infinity"]]

    assert values == sorted(values, key=order_key)


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("31/03/2024", Family.DATE),
        ("03/31/2024 00:00:00 CET", Family.TIMESTAMPTZ),
        ("Sun Mar 31 00:00:00 2024 CET", Family.TIMESTAMPTZ),
        ("31.03.2024", Family.DATE),
        ("2024-01-01", Family.TIMESTAMP),
        ("2024-01-01 00:00:00", Family.DATE),
        ("2024-01-01 00:00:00", Family.TIMESTAMPTZ),
        ("2024-01-01 00:00:00+00", Family.TIMESTAMP),
        ("2024-01-01T00:00:00+00", Family.TIMESTAMPTZ),
        ("2024-1-1", Family.DATE),
        ("20240101", Family.DATE),
        ("2023-02-29", Family.DATE),
        ("10001-02-29", Family.DATE),
        ("2024-13-01 00:00:00+00", Family.TIMESTAMPTZ),
        ("0000-01-01", Family.DATE),
        ("٢٠٢٤-01-01", Family.DATE),
        ("NULL", Family.DATE),
        ("", Family.DATE),
    ],
)
def test_read_time_refuses_what_is_not_iso(text: str, family: Family) -> None:
    """Another DateStyle swaps days and months without a word, so nothing else is ever guessed at."""
    with pytest.raises(ValueError):
        read_time(text, family)


@pytest.mark.parametrize(
    ("value", "family", "expected"),
    [
        (date(2024, 1, 1), Family.DATE, "2024-01-01"),
        (date(33, 4, 3), Family.DATE, "0033-04-03"),
        (datetime(2024, 1, 1), Family.TIMESTAMP, "2024-01-01 00:00:00"),
        (datetime(2024, 1, 1, 12, 34, 56, 700_000), Family.TIMESTAMP, "2024-01-01 12:34:56.7"),
        (datetime(2024, 1, 1, tzinfo=UTC), Family.TIMESTAMPTZ, "2024-01-01 00:00:00+00"),
        (datetime(2024, 7, 1, tzinfo=ZoneInfo("Asia/Kolkata")), Family.TIMESTAMPTZ, "2024-06-30 18:30:00+00"),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))), Family.TIMESTAMPTZ, "0001-12-31 19:00:00+00 BC"),
    ],
)
def test_write_time(value: date, family: Family, expected: str) -> None:
    """Times are written as PostgreSQL prints them, instants in UTC."""
    assert expected == write_time(value, family)


def test_the_second_of_a_repeated_hour_is_another_instant() -> None:
    """``fold`` is heard: Havana's second midnight of 2024-11-03 is an hour after the first."""
    havana = ZoneInfo("America/Havana")
    both = [write_time(datetime(2024, 11, 3, fold=fold, tzinfo=havana), Family.TIMESTAMPTZ) for fold in (0, 1)]

    assert ["2024-11-03 04:00:00+00", "2024-11-03 05:00:00+00"] == both


@pytest.mark.parametrize(
    ("value", "family"),
    [
        (datetime(2024, 1, 1), Family.TIMESTAMPTZ),
        (datetime(2024, 1, 1, tzinfo=UTC), Family.TIMESTAMP),
        (datetime(2024, 1, 1), Family.DATE),
        (date(2024, 1, 1), Family.TIMESTAMP),
        (date(2024, 1, 1), Family.TIMESTAMPTZ),
    ],
)
def test_write_time_refuses_a_value_of_another_family(value: date, family: Family) -> None:
    """A naive time would be read in the zone of the session: an hour of rows in the wrong partition."""
    with pytest.raises(ValueError, match="give a date"):
        write_time(value, family)
