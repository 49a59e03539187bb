"""Bounds as FOR VALUES clauses."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from sa_partman.bounds.bound import (
    DEFAULT,
    INFINITY,
    MAXVALUE,
    MINVALUE,
    NAN,
    NEGATIVE_INFINITY,
    Bound,
    FarTime,
    HashBound,
    KeyValue,
    ListBound,
    RangeBound,
)
from sa_partman.bounds.text import for_values
from sa_partman.key import KeyType

INTEGER, TEXT = KeyType.of("integer"), KeyType.of("text")
TIMESTAMPTZ = KeyType.of("timestamp with time zone")


@pytest.mark.parametrize(
    ("bound", "types", "expected"),
    [
        (DEFAULT, [INTEGER], "DEFAULT"),
        (HashBound(8, 3), [INTEGER], "FOR VALUES WITH (MODULUS 8, REMAINDER 3)"),
        (RangeBound((-5,), (MAXVALUE,)), [INTEGER], "FOR VALUES FROM ('-5'::integer) TO (MAXVALUE)"),
        (ListBound(frozenset({"de"})), [TEXT], "FOR VALUES IN ('de'::text)"),
        (
            RangeBound(("t", datetime(2024, 1, 1, tzinfo=UTC)), ("t", MAXVALUE)),
            [TEXT, TIMESTAMPTZ],
            "FOR VALUES FROM ('t'::text, '2024-01-01 00:00:00+00'::timestamp with time zone) TO ('t'::text, MAXVALUE)",
        ),
    ],
)
def test_for_values(bound: Bound, types: list[KeyType], expected: str) -> None:
    """What stands behind ATTACH PARTITION."""
    assert expected == for_values(bound, types)


@pytest.mark.parametrize(
    ("values", "sql", "expected"),
    [
        ({"us", None, "de"}, "text", "'de'::text, 'us'::text, NULL"),
        ({10, 9, -1}, "integer", "'-1'::integer, '9'::integer, '10'::integer"),
        ({True, None, False}, "boolean", "false, true, NULL"),
        (
            {NAN, INFINITY, Decimal(5), NEGATIVE_INFINITY},
            "numeric",
            "'-Infinity'::numeric, '5'::numeric, 'Infinity'::numeric, 'NaN'::numeric",
        ),
        (
            {INFINITY, date(2024, 1, 1), FarTime("10000-01-01", 253_402_300_800 * 10**6)},
            "date",
            "'2024-01-01'::date, '10000-01-01'::date, 'infinity'::date",
        ),
    ],
)
def test_list_values_stand_in_order(values: set[KeyValue], sql: str, expected: str) -> None:
    """A set has no order, and the same plan must print the same SQL: by value, NULL last."""
    assert f"FOR VALUES IN ({expected})" == for_values(ListBound(frozenset(values)), [KeyType.of(sql)])


def test_a_bound_of_more_columns_than_the_key_is_refused() -> None:
    """A value without a type is never left out."""
    with pytest.raises(ValueError, match="argument"):
        for_values(RangeBound((MINVALUE, 1), (2, 3)), [INTEGER])
