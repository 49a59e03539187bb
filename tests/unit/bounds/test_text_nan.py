"""NaN of numeric: a value that Python compares with nothing, and PostgreSQL with everything."""

from __future__ import annotations

from decimal import Decimal

from sa_partman.bounds.bound import INFINITY, MAXVALUE, NAN, KeyValue, RangeBound, order_key


def test_nan_is_the_greatest_number() -> None:
    """Above infinity, below MAXVALUE."""
    expected: list[KeyValue] = [Decimal(10**30), INFINITY, NAN, MAXVALUE]

    assert expected == sorted([expected[place] for place in (2, 3, 0, 1)], key=order_key)


def test_a_range_up_to_nan_is_open_above() -> None:
    """Every number lies below it, so it has no upper end that a retention could reach."""
    assert RangeBound((Decimal(0),), (NAN,)).open_above
