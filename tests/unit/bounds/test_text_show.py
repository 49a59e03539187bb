"""Bounds for people and for JSON."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

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
from sa_partman.bounds.text import Json, describe, to_json

JANUARY, FEBRUARY = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)

SHOWN = "[2024-01-01, 2024-02-01)"


def a_list(*values: KeyValue) -> ListBound:
    return ListBound(frozenset(values))


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        (RangeBound((JANUARY,), (FEBRUARY,)), SHOWN),
        (RangeBound((date(2024, 1, 1),), (MAXVALUE,)), "[2024-01-01, MAXVALUE)"),
        (RangeBound((MINVALUE,), (INFINITY,)), "[MINVALUE, infinity)"),
        (RangeBound((JANUARY.replace(hour=6),), (FEBRUARY,)), "[2024-01-01 06:00+00, 2024-02-01)"),
        (RangeBound((datetime(2024, 1, 1, 6, 30),), (datetime(2024, 1, 2),)), "[2024-01-01 06:30, 2024-01-02)"),
        (RangeBound((datetime(2024, 1, 1, 0, 0, 1),), (datetime(2024, 1, 2),)), "[2024-01-01 00:00:01, 2024-01-02)"),
        (RangeBound((datetime(2024, 1, 1, 0, 0, 0, 1),), (MAXVALUE,)), "[2024-01-01 00:00:00.000001, MAXVALUE)"),
        (RangeBound((datetime(2024, 1, 1, 5, 30, tzinfo=ZoneInfo("Asia/Kolkata")),), (FEBRUARY,)), SHOWN),
        (RangeBound(("t", JANUARY), ("t", FEBRUARY)), "[(t, 2024-01-01), (t, 2024-02-01))"),
        (RangeBound((0,), (100_000,)), "[0, 100000)"),
        (a_list("fr", "de"), "in (de, fr)"),
        (a_list("NULL", None, "a, b", "", "New York", "it's"), "in ('', 'NULL', New York, 'a, b', \"it's\", NULL)"),
        (a_list("two\nlines"), r"in ('two\nlines')"),
        (a_list(*range(8)), "in (0, 1, 2, 3, 4, 5, 6, 7)"),
        (a_list(*range(9)), "in (0, 1, 2, 3, 4, 5, 6, 7, ... 1 more)"),
        (a_list(True, False), "in (false, true)"),
        (HashBound(8, 3), "hash 3 of 8"),
        (DEFAULT, "default"),
    ],
)
def test_describe(bound: Bound, expected: str) -> None:
    """A few words on one line; a text in quotes where it could be taken for something else."""
    assert expected == describe(bound)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (JANUARY, "2024-01-01T00:00:00+00:00"),
        (datetime(2024, 1, 1), "2024-01-01T00:00:00"),
        (date(2024, 1, 1), "2024-01-01"),
        (42, 42),
        (True, True),
        (None, None),
        (Decimal("1.50"), "1.50"),
        (Decimal("1E+3"), "1000"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("a, b", "a, b"),
        (MINVALUE, "MINVALUE"),
        (NEGATIVE_INFINITY, "-infinity"),
        (NAN, "NaN"),
        (FarTime("0044-03-15 BC", -63_517_824_000 * 10**6), "0044-03-15 BC"),
        (RangeBound((1, MINVALUE), (1, MAXVALUE)), {"lower": [1, "MINVALUE"], "upper": [1, "MAXVALUE"]}),
        (a_list("b", None, "a"), {"values": ["a", "b", None]}),
        (HashBound(8, 3), {"modulus": 8, "remainder": 3}),
        (DEFAULT, {"default": True}),
    ],
)
def test_to_json(value: KeyValue | Bound, expected: Json) -> None:
    """Only what JSON has, and nothing lost: it survives the trip through a file."""
    assert expected == json.loads(json.dumps(to_json(value)))
