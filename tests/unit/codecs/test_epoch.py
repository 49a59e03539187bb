"""Numbers that count time since 1970."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

import pytest

from sa_partman.bounds.bound import MINVALUE, NAN, KeyValue
from sa_partman.codecs import Epoch
from sa_partman.errors import DeclarationError
from sa_partman.key import Family

Unit = Literal["s", "ms", "us", "ns"]
NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("s", 1704067200), ("ms", 1704067200 * 10**3), ("us", 1704067200 * 10**6), ("ns", 1704067200 * 10**9)],
)
def test_the_bound_of_an_instant(unit: Unit, expected: int) -> None:
    """``extract(epoch FROM '2024-01-01 00:00+00')``, in each unit, and back."""
    bound = Epoch(unit).encode(NEW_YEAR, Family.INTEGER)

    assert (expected, int, NEW_YEAR) == (bound, type(bound), Epoch(unit).decode(bound))


def test_a_numeric_column_gets_a_decimal() -> None:
    """The value that the catalog shows for such a column."""
    bound = Epoch("s").encode(NEW_YEAR, Family.NUMERIC)

    assert (1704067200, Decimal) == (bound, type(bound))


@pytest.mark.parametrize(
    ("unit", "value", "expected"),
    [
        ("s", Decimal("1704067200.5"), NEW_YEAR + timedelta(milliseconds=500)),
        ("ns", 1704067200 * 10**9 + 999, NEW_YEAR),
        ("s", -1, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("ns", -1, datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ],
)
def test_what_python_cannot_hold_is_rounded_down(unit: Unit, value: KeyValue, expected: datetime) -> None:
    """Down, on both sides of 1970, so that a value never leaves its partition."""
    assert expected == Epoch(unit).decode(value)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("s", "0:00:01"), ("ms", "0:00:00.001000"), ("us", "0:00:00.000001"), ("ns", "0:00:00.000001")],
)
def test_the_resolution(unit: Unit, expected: str) -> None:
    """One unit, and for nanoseconds what Python can tell apart."""
    assert expected == str(Epoch(unit).resolution)


def test_nanoseconds_end_in_2262_for_a_bigint() -> None:
    """The error names the way out; a numeric column goes on."""
    far = datetime(2263, 1, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="use a numeric column"):
        Epoch("ns").encode(far, Family.INTEGER)

    assert far == Epoch("ns").decode(Epoch("ns").encode(far, Family.NUMERIC))


@pytest.mark.parametrize("value", ["1704067200", None, True, MINVALUE, NAN, Decimal("Infinity"), 10**15])
def test_what_is_no_time_is_refused(value: KeyValue) -> None:
    """Text, NULL, ends of ranges, and years that Python lacks."""
    with pytest.raises(ValueError):
        Epoch("s").decode(value)


def test_an_unknown_unit_is_refused() -> None:
    """A wrong declaration fails where it is written."""
    with pytest.raises(DeclarationError, match="'s', 'ms', 'us' or 'ns'"):
        Epoch("minutes")  # type: ignore[arg-type]


def test_a_naive_instant_is_refused() -> None:
    """It would depend on the zone of the machine."""
    with pytest.raises(ValueError, match="no time zone"):
        Epoch("s").encode(datetime(2024, 1, 1), Family.INTEGER)
