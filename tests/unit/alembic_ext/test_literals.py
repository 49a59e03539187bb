"""Bounds in migration files are plain literals, and come back as they went."""

from __future__ import annotations

import ast
import datetime
from collections.abc import Sequence
from typing import Any

import pytest
from alembic.util import CommandError
from hypothesis import assume
from hypothesis import given as given_by
from hypothesis import strategies as st

from alembic_ext import MAXVALUE, MINVALUE
from alembic_ext.literals import bound_arguments, bound_from_arguments, guessed_types, typed_bound, value_as
from sa_partman.bounds.bound import DEFAULT, NAN, Bound, HashBound, ListBound, RangeBound
from sa_partman.key import KeyType
from tests.support.bounds import bounds

DATE, INTEGER, TEXT = KeyType.of("date"), KeyType.of("integer"), KeyType.of("text")


@given_by(bounds())
def test_every_bound_comes_back_from_the_text_of_a_file(pair: tuple[Bound, Sequence[KeyType]]) -> None:
    bound, types = pair
    assume(not isinstance(bound, RangeBound) or bound.lower != bound.upper)
    written = {name: repr(value) for name, value in bound_arguments(bound).items()}

    read = {name: eval(text, {"MINVALUE": MINVALUE, "MAXVALUE": MAXVALUE}) for name, text in written.items()}
    found = bound_from_arguments(**read)

    assert found is not None
    assert bound == typed_bound(found, types)


@given_by(bounds())
def test_only_literals_are_written(pair: tuple[Bound, Sequence[KeyType]]) -> None:
    """Beside MINVALUE and MAXVALUE, which are imported."""
    for value in bound_arguments(pair[0]).values():
        text = repr(value).replace("MINVALUE", "None").replace("MAXVALUE", "None")

        assert ast.literal_eval(text) is not NotImplemented


@pytest.mark.parametrize(
    ("said", "bound"),
    [
        ({"values": ["a", None]}, ListBound(frozenset({"a", None}))),
        ({"values": [NAN]}, ListBound(frozenset({NAN}))),
        ({"lower": 1, "upper": 2}, RangeBound((1,), (2,))),
        ({"lower": (1, "a"), "upper": [2, "b"]}, RangeBound((1, "a"), (2, "b"))),
        ({"lower": 0, "upper": MAXVALUE}, RangeBound((0,), (MAXVALUE,))),
        ({"modulus": 4, "remainder": 0}, HashBound(4, 0)),
        ({"default": True}, DEFAULT),
        ({}, None),
    ],
)
def test_what_arguments_say(said: dict[str, Any], bound: Bound | None) -> None:
    assert bound == bound_from_arguments(**said)


@pytest.mark.parametrize(
    "said",
    [
        {"values": ["a"], "default": True},
        {"values": ["a"], "modulus": 2, "remainder": 0},
        {"lower": 1},
        {"upper": 1},
        {"modulus": 2},
        {"remainder": 1},
        {"values": "de"},
    ],
)
def test_half_a_bound_or_two_are_refused(said: dict[str, Any]) -> None:
    with pytest.raises(CommandError):
        bound_from_arguments(**said)


@pytest.mark.parametrize(
    ("value", "sql", "expected"),
    [
        ("2024-01-01", "date", datetime.date(2024, 1, 1)),
        (datetime.datetime(2024, 1, 1, 5), "date", datetime.date(2024, 1, 1)),
        ("2024-01-01 00:00:00", "timestamp", datetime.datetime(2024, 1, 1)),
        ("2024-01-01", "timestamp", datetime.datetime(2024, 1, 1)),
        ("2024-01-01T02:00:00+02:00", "timestamptz", datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)),
        ("5", "integer", 5),
        ("ab   ", "character(5)", "ab"),
        (7, "text", "7"),
    ],
)
def test_values_are_read_as_the_keys_type(value: Any, sql: str, expected: Any) -> None:
    assert expected == value_as(value, KeyType.of(sql))


@pytest.mark.parametrize(
    ("value", "sql"),
    [("yesterday", "date"), ("2024-01-01", "timestamptz"), ("2024-01-01 00:00:00+00", "timestamp"), ("x", "integer")],
)
def test_what_is_no_value_of_the_type_is_refused(value: Any, sql: str) -> None:
    with pytest.raises(CommandError, match="is no"):
        value_as(value, KeyType.of(sql))


def test_as_many_values_as_key_columns() -> None:
    with pytest.raises(CommandError, match="2 columns"):
        typed_bound(RangeBound((1,), (2,)), (INTEGER, DATE))


@given_by(st.sampled_from([1, True, "a", datetime.date(2024, 1, 1), datetime.datetime(2024, 1, 1)]))
def test_without_a_server_the_values_tell_their_type(value: Any) -> None:
    kinds = {bool: "boolean", int: "bigint", str: "unknown", datetime.date: "date", datetime.datetime: "timestamp"}

    assert (kinds[type(value)],) == tuple(kind.sql for kind in guessed_types(ListBound(frozenset({value, None}))))
