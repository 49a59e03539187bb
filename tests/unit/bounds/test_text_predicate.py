"""The CHECK that spares ATTACH PARTITION its scan."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sa_partman.bounds.bound import (
    DEFAULT,
    INFINITY,
    MAXVALUE,
    MINVALUE,
    NEGATIVE_INFINITY,
    Bound,
    HashBound,
    KeyValue,
    ListBound,
    RangeBound,
)
from sa_partman.bounds.predicate import check_predicate
from sa_partman.key import KeyType

INTEGER, TEXT = KeyType.of("integer"), KeyType.of("text")
TIMESTAMPTZ = KeyType.of("timestamp with time zone")
NOT_NULL = "a IS NOT NULL AND b IS NOT NULL AND c IS NOT NULL"


def test_a_range_of_time() -> None:
    """Not null, and between typed literals with their offset."""
    bound = RangeBound((datetime(2024, 1, 1, tzinfo=UTC),), (datetime(2024, 2, 1, tzinfo=UTC),))
    expected = (
        "k IS NOT NULL AND k >= '2024-01-01 00:00:00+00'::timestamp with time zone "
        "AND k < '2024-02-01 00:00:00+00'::timestamp with time zone"
    )

    assert expected == check_predicate(bound, ["k"], [TIMESTAMPTZ])


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        (MINVALUE, 5, "k IS NOT NULL AND k < '5'::integer"),
        (5, MAXVALUE, "k IS NOT NULL AND k >= '5'::integer"),
        (MINVALUE, MAXVALUE, "k IS NOT NULL"),
    ],
)
def test_an_open_end_gives_no_condition(lower: KeyValue, upper: KeyValue, expected: str) -> None:
    """MINVALUE and MAXVALUE can't be compared with; NULL is still outside."""
    assert expected == check_predicate(RangeBound((lower,), (upper,)), ["k"], [INTEGER])


def test_infinity_is_a_value_like_any_other() -> None:
    """``infinity`` lies below MAXVALUE, so it is a condition."""
    bound = RangeBound((NEGATIVE_INFINITY,), (INFINITY,))

    assert "k IS NOT NULL AND k >= '-infinity'::date AND k < 'infinity'::date" == check_predicate(
        bound, ["k"], [KeyType.of("date")]
    )


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        ((1, 2, 3), (1, 2, 5), "a = 1 AND b = 2 AND c >= 3 AND c < 5"),
        ((1, 2, 3), (1, 4, 5), "a = 1 AND ((b > 2) OR (b = 2 AND c >= 3)) AND ((b < 4) OR (b = 4 AND c < 5))"),
        (
            (1, 2, 3),
            (3, 4, 5),
            (
                "((a > 1) OR (a = 1 AND b > 2) OR (a = 1 AND b = 2 AND c >= 3)) "
                "AND ((a < 3) OR (a = 3 AND b < 4) OR (a = 3 AND b = 4 AND c < 5))"
            ),
        ),
        ((1, MINVALUE, MINVALUE), (1, 5, MAXVALUE), "a = 1 AND b <= 5"),
        ((1, MINVALUE, MINVALUE), (2, MAXVALUE, MAXVALUE), "a >= 1 AND a <= 2"),
        ((1, MAXVALUE, MAXVALUE), (2, 7, MINVALUE), "a > 1 AND ((a < 2) OR (a = 2 AND b < 7))"),
        ((1, 2, MAXVALUE), (1, 3, MINVALUE), "a = 1 AND b > 2 AND b < 3"),
    ],
)
def test_a_range_of_several_columns(lower: tuple[KeyValue, ...], upper: tuple[KeyValue, ...], expected: str) -> None:
    """PostgreSQL's own form, as ``pg_get_partition_constraintdef`` prints it."""
    found = check_predicate(RangeBound(lower, upper), ["a", "b", "c"], [INTEGER] * 3)

    assert f"{NOT_NULL} AND {expected}" == (found or "").replace("::integer", "").replace("'", "")


@pytest.mark.parametrize(
    ("values", "sql", "expected"),
    [
        ({"fr", "de"}, "text", "k IS NOT NULL AND k IN ('de'::text, 'fr'::text)"),
        ({"de", None}, "text", "k IS NULL OR k IN ('de'::text)"),
        ({None}, "text", "k IS NULL"),
        ({"{b}", "{a}"}, "text[]", "k IS NOT NULL AND (k = '{a}'::text[] OR k = '{b}'::text[])"),
        ({"{b}", None}, "text[]", "k IS NULL OR k = '{b}'::text[]"),
        ({"{b}"}, "text[]", "k IS NOT NULL AND k = '{b}'::text[]"),
    ],
)
def test_a_list(values: set[KeyValue], sql: str, expected: str) -> None:
    """NULL belongs to the list that names it, and to no other."""
    assert expected == check_predicate(ListBound(frozenset(values)), ["k"], [KeyType.of(sql)])


@pytest.mark.parametrize("bound", [HashBound(8, 3), DEFAULT])
def test_what_depends_on_the_parent_has_no_predicate(bound: Bound) -> None:
    """A hash needs the parent's oid, a default partition the bounds of all the others."""
    assert check_predicate(bound, ["k"], [TEXT]) is None


def test_an_empty_range_is_refused() -> None:
    """PostgreSQL refuses it too; a CHECK of it would be either useless or wrong."""
    with pytest.raises(AssertionError, match="is empty"):
        check_predicate(RangeBound((1, MINVALUE), (1, MINVALUE)), ["a", "b"], [INTEGER] * 2)
