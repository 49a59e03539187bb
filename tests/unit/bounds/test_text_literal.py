"""Values as SQL literals."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from sa_partman.bounds.bound import INFINITY, MAXVALUE, MINVALUE, NAN, NEGATIVE_INFINITY, FarTime, KeyValue
from sa_partman.bounds.text import literal, value_of
from sa_partman.key import Family, KeyType

ENUM = KeyType.of('"My Enum"', is_enum=True)


@pytest.mark.parametrize(
    ("value", "sql", "expected"),
    [
        (datetime(2024, 1, 1, tzinfo=UTC), "timestamp with time zone", "'2024-01-01 00:00:00+00'::{}"),
        (datetime(2024, 1, 1, 1, 2, 3, 40), "timestamp without time zone", "'2024-01-01 01:02:03.00004'::{}"),
        (date(2024, 1, 1), "date", "'2024-01-01'::{}"),
        (INFINITY, "date", "'infinity'::{}"),
        (NEGATIVE_INFINITY, "timestamp with time zone", "'-infinity'::{}"),
        (FarTime("0044-03-15 BC", -63_517_824_000 * 10**6), "date", "'0044-03-15 BC'::{}"),
        (42, "bigint", "'42'::{}"),
        (-1, "smallint", "'-1'::{}"),
        (Decimal("1.50"), "numeric", "'1.50'::{}"),
        (Decimal("1E+3"), "numeric", "'1000'::{}"),
        (7, "numeric", "'7'::{}"),
        (INFINITY, "numeric", "'Infinity'::{}"),
        (NAN, "numeric", "'NaN'::{}"),
        (UUID(int=1), "uuid", "'00000000-0000-0000-0000-000000000001'::{}"),
        ("de", "text", "'de'::{}"),
        ("NULL", "text", "'NULL'::{}"),
        ("it's", "text", "'it''s'::{}"),
        ("", "character varying", "''::{}"),
        ("back\\slash's", "text", "E'back\\\\slash''s'::{}"),
        ("{a,b}", "text[]", "'{{a,b}}'::{}"),
        ("101", "bit(3)", "'101'::{}"),
        (True, "s.flag", "'true'::{}"),
        ("x", "public.citext", "'x'::{}"),
    ],
)
def test_a_literal_bears_its_type(value: KeyValue, sql: str, expected: str) -> None:
    """Type and offset are explicit, so no setting of the session changes what is meant."""
    kind = KeyType(sql, Family.BOOLEAN) if sql == "s.flag" else KeyType.of(sql)

    assert expected.format(sql) == literal(value, kind)


@pytest.mark.parametrize(
    ("value", "sql", "expected"),
    [
        (None, "text", "NULL"),
        (MINVALUE, "integer", "MINVALUE"),
        (MAXVALUE, "timestamp with time zone", "MAXVALUE"),
        (True, "boolean", "true"),
        (False, "boolean", "false"),
    ],
)
def test_words_stand_bare(value: KeyValue, sql: str, expected: str) -> None:
    """NULL, MINVALUE, MAXVALUE, true and false are no strings."""
    assert expected == literal(value, KeyType.of(sql))


def test_a_type_that_may_not_be_on_the_search_path_is_left_out() -> None:
    """A bare literal takes the type of its column; with a schema the type is found anyhow, and is SQL already."""
    assert "'x'" == literal("x", ENUM)
    assert '\'x\'::"My Schema"."My Enum"' == literal("x", KeyType.of('"My Schema"."My Enum"', is_enum=True))


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("character varying(2)", "'abc'::character varying"),
        ("character(2)", "'abc'::bpchar"),
        ("character", "'abc'::bpchar"),
    ],
)
def test_a_literal_has_no_length(sql: str, expected: str) -> None:
    """An explicit cast to varchar(2) would cut 'abc' without a word; an assignment refuses it."""
    assert expected == literal("abc", KeyType.of(sql))


def test_a_literal_has_no_precision() -> None:
    """The same for the precision of numbers and times."""
    both = [
        literal(Decimal("1.555"), KeyType.of("numeric(10,2)")),
        literal(datetime(2024, 1, 1), KeyType.of("timestamp(3) without time zone")),
    ]

    assert ["'1.555'::numeric", "'2024-01-01 00:00:00'::timestamp without time zone"] == both


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        ("nul\0byte", "text"),
        ("1", "integer"),
        (True, "integer"),
        (1, "boolean"),
        (1.5, "numeric"),
        (Decimal("NaN"), "numeric"),
        (Decimal(1), "integer"),
        (INFINITY, "integer"),
        (NAN, "date"),
        (5, "text"),
        (UUID(int=1), "text"),
        ("00000000-0000-0000-0000-000000000001", "uuid"),
        (datetime(2024, 1, 1), "timestamp with time zone"),
        (datetime(2024, 1, 1), "date"),
        (date(2024, 1, 1), "bytea"),
        (FarTime("10000-01-01", 253_402_300_800 * 10**6), "text"),
    ],
)
def test_a_value_of_another_type_is_refused(value: KeyValue, sql: str) -> None:
    """What PostgreSQL would read back as something else is not written in the first place."""
    with pytest.raises(ValueError):
        literal(value, KeyType.of(sql))


@pytest.mark.parametrize(
    ("text", "sql", "expected"),
    [("1.0", "numeric", Decimal(1)), ("t", "boolean", True), ("de ", "character(5)", "de"), ("7", "oid", "7")],
)
def test_value_of_reads_one_value(text: str, sql: str, expected: KeyValue) -> None:
    """What a program has as text (a list value of a uuid column, say) becomes the value that the catalog shows."""
    assert expected == value_of(text, KeyType.of(sql))
