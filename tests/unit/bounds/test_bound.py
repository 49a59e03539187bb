"""Bounds as values: overlap, open ends, order."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sa_partman.bounds.bound import (
    INFINITY,
    MAXVALUE,
    MINVALUE,
    NAN,
    NEGATIVE_INFINITY,
    FarTime,
    HashBound,
    KeyValue,
    ListBound,
    RangeBound,
    order_key,
    row_order,
)
from tests.support.builders import at, holds, numbers


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (numbers(0, 10), False),
        (numbers(20, 30), False),
        (numbers(0, 11), True),
        (numbers(19, 30), True),
        (numbers(12, 13), True),
        (numbers(MINVALUE, MAXVALUE), True),
        (numbers(MINVALUE, 10), False),
        (numbers(20, MAXVALUE), False),
    ],
)
def test_ranges_overlap(other: RangeBound, expected: bool) -> None:
    """Half-open: where one ends the other may begin."""
    assert expected == numbers(10, 20).overlaps(other) == other.overlaps(numbers(10, 20))


def test_tenants_do_not_overlap() -> None:
    """``(t1, x)`` to ``(t1, y)`` and the same of t1_2 touch nowhere."""
    one, other = (RangeBound((name, at("2024-01-01")), (name, at("2024-02-01"))) for name in ("t1", "t1_2"))

    assert not one.overlaps(other)


@pytest.mark.parametrize(
    ("upper", "expected"),
    [
        ((MAXVALUE,), True),
        ((INFINITY,), True),
        ((NAN,), True),
        ((5,), False),
        ((NEGATIVE_INFINITY,), False),
    ],
)
def test_open_above(upper: tuple[KeyValue, ...], expected: bool) -> None:
    """No end is known, so it never expires."""
    assert expected == RangeBound((MINVALUE,), upper).open_above


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        (("a", 1), ("a", MAXVALUE), True),
        (("a", 1), ("a", 5), False),
        (("a", 1), ("b", MINVALUE), False),
        (("a", MINVALUE), (MAXVALUE, MAXVALUE), True),
    ],
)
def test_open_above_of_a_tenant(lower: tuple[KeyValue, ...], upper: tuple[KeyValue, ...], expected: bool) -> None:
    """The first column that differs counts."""
    assert expected == RangeBound(lower, upper).open_above


@pytest.mark.parametrize(("lower", "upper"), [((), ()), ((1,), (1, 2))])
def test_ends_of_different_width(lower: tuple[KeyValue, ...], upper: tuple[KeyValue, ...]) -> None:
    """They belong to no key."""
    with pytest.raises(ValueError, match="as many upper as lower"):
        RangeBound(lower, upper)


def test_lists_overlap() -> None:
    """One value in common is enough; NULL is a value like any other here."""
    assert holds("de", None).overlaps(holds(None))
    assert not holds("de").overlaps(holds("DE"))


def test_lists_are_equal_whatever_their_order_and_type_of_number() -> None:
    """1 and 1.0 are one value to PostgreSQL too."""
    assert holds(2, 1) == holds(Decimal("1.0"), Decimal(2))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (HashBound(4, 0), HashBound(4, 1), False),
        (HashBound(4, 0), HashBound(8, 4), True),
        (HashBound(4, 0), HashBound(8, 1), False),
        (HashBound(2, 1), HashBound(8, 7), True),
        (HashBound(1, 0), HashBound(16, 9), True),
    ],
)
def test_hashes_overlap(one: HashBound, other: HashBound, expected: bool) -> None:
    """Where some hash has both remainders."""
    assert expected == one.overlaps(other) == other.overlaps(one)


@pytest.mark.parametrize(("modulus", "remainder"), [(4, 4), (4, -1), (0, 0)])
def test_a_remainder_outside_its_modulus(modulus: int, remainder: int) -> None:
    """There is no such partition."""
    with pytest.raises(ValueError, match="not below the modulus"):
        HashBound(modulus, remainder)


def test_the_order_of_values() -> None:
    """MINVALUE, -infinity, far past, near, far future, infinity, NaN, MAXVALUE."""
    wanted: list[KeyValue] = [
        MINVALUE,
        NEGATIVE_INFINITY,
        FarTime("0044-03-15 BC", -(10**17)),
        at("2024-01-01"),
        FarTime("10000-01-01", 10**18),
        INFINITY,
        NAN,
        MAXVALUE,
    ]

    assert wanted == sorted([*wanted[3:], *wanted[:3]], key=order_key)


def test_columns_behind_an_open_end_do_not_count() -> None:
    """``(MINVALUE, 5)`` and ``(MINVALUE, 6)`` are one place."""
    assert row_order((MINVALUE, 5)) == row_order((MINVALUE, 6))
    assert row_order((1, 5)) != row_order((1, 6))


def test_a_bound_of_lists_hashes() -> None:
    """Bounds are looked up in sets."""
    assert 1 == len({ListBound(frozenset({"a", "b"})), ListBound(frozenset({"b", "a"}))})


def test_where_migrations_import_extremes_from() -> None:
    """`render` wrote this module's name into them."""
    from sa_partman.bounds import values

    assert [INFINITY, MAXVALUE, MINVALUE, NAN, NEGATIVE_INFINITY] == [getattr(values, name) for name in values.__all__]
