"""Axes: how key values, positions and the clock meet."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from sa_partman import PartitionByRange, UUIDv7
from sa_partman.bounds.bound import INFINITY, MAXVALUE, MINVALUE, FarTime, KeyValue
from sa_partman.bounds.interval import Duration
from sa_partman.key import KeyType
from sa_partman.spec.declared import IntegerAxis, TimeAxis, axis_of, within
from tests.support.builders import TIMESTAMP, TIMESTAMPTZ, at


def time_axis(sql: str = TIMESTAMPTZ, **changes: Any) -> TimeAxis:
    spec = PartitionByRange("k", interval="1 day", timezone="Europe/Paris").with_(**changes)
    axis = axis_of(spec, KeyType.of(sql))
    assert isinstance(axis, TimeAxis)
    return axis


@pytest.mark.parametrize(
    ("sql", "position", "value"),
    [
        (TIMESTAMPTZ, at("2026-01-01"), at("2026-01-01")),
        (TIMESTAMP, datetime(2026, 1, 1), datetime(2026, 1, 1)),
        ("date", datetime(2026, 1, 1), date(2026, 1, 1)),
    ],
)
def test_values_and_positions(sql: str, position: datetime, value: KeyValue) -> None:
    """A date is its midnight."""
    axis = time_axis(sql)

    assert value == axis.encode(position)
    assert type(value) is type(axis.encode(position))
    assert position == axis.decode(value)


@pytest.mark.parametrize("value", [None, INFINITY, MINVALUE, FarTime("10000-01-01", 10**18), "text", 5])
def test_what_has_no_position(value: KeyValue) -> None:
    """Open ends, far times, and what is no time at all."""
    assert time_axis().decode(value) is None


def test_what_a_codec_can_not_place() -> None:
    """No position, and no error."""
    axis = time_axis("uuid", codec=UUIDv7())

    assert axis.decode("text") is None
    assert at("2024-01-01") == axis.decode(axis.encode(at("2024-01-01")))


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (TIMESTAMPTZ, at("2026-01-01 23:30")),
        (TIMESTAMP, datetime(2026, 1, 2, 0, 30)),
        ("date", datetime(2026, 1, 2, 0, 30)),
    ],
)
def test_where_the_clock_stands(sql: str, expected: datetime) -> None:
    """Keys without a zone are read by the clocks of the declared one."""
    assert expected == time_axis(sql).position(at("2026-01-01 23:30"))


@pytest.mark.parametrize(
    ("sql", "text", "expected"),
    [
        (TIMESTAMPTZ, "2026-01-01", at("2025-12-31 23:00")),
        (TIMESTAMPTZ, "2026-01-01T00:00:00+00:00", at("2026-01-01")),
        (TIMESTAMP, "2026-01-01", datetime(2026, 1, 1)),
        (TIMESTAMP, "2026-01-01T00:00:00+00:00", datetime(2026, 1, 1, 1)),
        ("date", "2026-01-01", datetime(2026, 1, 1)),
    ],
)
def test_the_start(sql: str, text: str, expected: datetime) -> None:
    """Without an offset it is meant by the clocks of the declared zone."""
    assert expected == time_axis(sql).parse(text)


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (Duration(days=1), "2025-03-29 12:00+01:00"),
        (Duration(seconds=86_400), "2025-03-29 11:00+01:00"),
        (Duration(months=1), "2025-02-28 12:00+01:00"),
        (Duration(months=1, seconds=3600), "2025-02-28 11:00+01:00"),
    ],
)
def test_back_in_time(length: Duration, expected: str) -> None:
    """From 2025-03-30 12:00 in Paris: months and days by the wall clock, hours as they pass."""
    assert at(expected) == time_axis().back(at("2025-03-30 12:00+02:00"), length)


@pytest.mark.parametrize(
    ("sql", "inside", "outside", "end"),
    [
        ("smallint", 32767, 32768, MAXVALUE),
        ("integer", -(2**31), -(2**31) - 1, MINVALUE),
        ("bigint", 2**63 - 1, 2**63, MAXVALUE),
        ("numeric", 2**70, None, None),
    ],
)
def test_the_ends_of_a_type(sql: str, inside: int, outside: int | None, end: KeyValue) -> None:
    """Where a type has no larger number, the range is open."""
    assert inside == within(inside, KeyType.of(sql))
    if outside is not None:
        assert end == within(outside, KeyType.of(sql))


def test_integers() -> None:
    """Positions are the numbers themselves; a numeric is read as one."""
    from decimal import Decimal

    axis = IntegerAxis(100, KeyType.of("bigint"))

    assert 5 == axis.decode(Decimal("5"))
    assert axis.decode(MAXVALUE) is None
    assert ("p100", "pm100") == (axis.suffix(100), axis.suffix(-100))
    assert 7 == axis.parse("7")


def test_utc_under_another_name() -> None:
    """The grid is the same."""
    one, other = time_axis(timezone="UTC"), time_axis(timezone="Etc/UTC")

    assert one.grid.cell(at("2026-01-01 05:00")) == other.grid.cell(datetime(2026, 1, 1, 5, tzinfo=UTC))
