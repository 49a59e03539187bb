"""Bounds as ``pg_get_expr`` prints them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

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
from sa_partman.bounds.read import bound_of, parse_bound
from sa_partman.errors import CatalogError
from sa_partman.key import Family, KeyType

TIMESTAMPTZ = KeyType.of("timestamp with time zone")
JANUARY, FEBRUARY = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)


def a_range(lower: KeyValue, upper: KeyValue) -> RangeBound:
    return RangeBound((lower,), (upper,))


def a_list(*values: KeyValue) -> ListBound:
    return ListBound(frozenset(values))


PRINTED: list[tuple[str, str, Bound]] = [
    ("integer", "DEFAULT", DEFAULT),
    ("integer", "FOR VALUES FROM ('-5') TO (10)", a_range(-5, 10)),
    ("integer", "FOR VALUES FROM (MINVALUE) TO ('-100')", a_range(MINVALUE, -100)),
    ("integer", "FOR VALUES FROM (100) TO (MAXVALUE)", a_range(100, MAXVALUE)),
    ("bigint", "FOR VALUES FROM ('20') TO ('9223372036854775807')", a_range(20, 2**63 - 1)),
    ("smallint", "FOR VALUES FROM ('-5') TO ('10')", a_range(-5, 10)),
    ("numeric", "FOR VALUES FROM ('1') TO (2.50)", a_range(Decimal(1), Decimal("2.5"))),
    ("numeric", "FOR VALUES FROM ('-3') TO ('-1.5')", a_range(Decimal(-3), Decimal("-1.5"))),
    ("numeric", "FOR VALUES FROM ('-Infinity') TO ('Infinity')", a_range(NEGATIVE_INFINITY, INFINITY)),
    ("numeric", "FOR VALUES FROM ('Infinity') TO ('NaN')", a_range(INFINITY, NAN)),
    ("numeric(10,2)", "FOR VALUES FROM (1.00) TO (2.50)", a_range(Decimal(1), Decimal("2.5"))),
    ("double precision", "FOR VALUES FROM ('3') TO ('1e+30')", a_range("3", "1e+30")),
    ("date", "FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')", a_range(date(2024, 1, 1), date(2024, 2, 1))),
    ("date", "FOR VALUES FROM ('-infinity') TO ('infinity')", a_range(NEGATIVE_INFINITY, INFINITY)),
    (
        "date",
        "FOR VALUES FROM ('0001-12-31 BC') TO ('0001-01-01')",
        a_range(FarTime("0001-12-31 BC", -62_135_683_200 * 10**6), date(1, 1, 1)),
    ),
    (
        "timestamp without time zone",
        "FOR VALUES FROM ('2024-01-01 00:00:00') TO ('2024-02-01 12:34:56.7')",
        a_range(datetime(2024, 1, 1), datetime(2024, 2, 1, 12, 34, 56, 700_000)),
    ),
    (
        "timestamp with time zone",
        "FOR VALUES FROM ('2024-01-01 00:00:00+00') TO ('2024-02-01 00:00:00+00')",
        a_range(JANUARY, FEBRUARY),
    ),
    (
        "timestamp(0) with time zone",
        "FOR VALUES FROM ('2024-01-01 05:30:00+05:30') TO ('2024-01-31 20:29:45-03:30:15')",
        a_range(JANUARY, FEBRUARY),
    ),
    (
        "timestamp with time zone",
        "FOR VALUES FROM ('9999-12-31 23:00:00+00') TO ('10000-01-01 00:00:00+00')",
        a_range(datetime(9999, 12, 31, 23, tzinfo=UTC), FarTime("10000-01-01 00:00:00+00", 253_402_300_800 * 10**6)),
    ),
    (
        "uuid",
        "FOR VALUES FROM ('018cc251-f400-7000-8000-000000000000') TO (MAXVALUE)",
        a_range(UUID("018cc251-f400-7000-8000-000000000000"), MAXVALUE),
    ),
    ("text", "FOR VALUES FROM ('a') TO ('it''s')", a_range("a", "it's")),
    ("text", "FOR VALUES IN ('de', NULL, 'NULL', '')", a_list("de", None, "NULL", "")),
    ("text", "FOR VALUES IN (NULL)", a_list(None)),
    ("text", "FOR VALUES IN ('it''s', 'back\\slash', 'new\nline')", a_list("it's", "back\\slash", "new\nline")),
    ("text", "FOR VALUES IN ('a, b)''c', 'FOR VALUES IN (1)')", a_list("a, b)'c", "FOR VALUES IN (1)")),
    ("text", "FOR VALUES IN ('MINVALUE', 'true', '1')", a_list("MINVALUE", "true", "1")),
    ("text", "FOR VALUES IN ('ends with \\', ', ')", a_list("ends with \\", ", ")),
    ("text", "FOR VALUES IN (' de ')", a_list(" de ")),
    ("character varying(5)", "FOR VALUES IN ('de ', 'ü')", a_list("de ", "ü")),
    ("character(5)", "FOR VALUES IN ('de   ', '     ')", a_list("de", "")),
    ("bpchar", "FOR VALUES IN (' de ')", a_list(" de")),
    ("boolean", "FOR VALUES IN (true, NULL)", a_list(True, None)),
    ("boolean", "FOR VALUES IN (false)", a_list(False)),
    ("integer", "FOR VALUES IN (1, '-2', NULL)", a_list(1, -2, None)),
    ("text[]", "FOR VALUES IN ('{a,b}', '{\"c d\",NULL}')", a_list("{a,b}", '{"c d",NULL}')),
    ("bytea", "FOR VALUES IN ('\\x00ff')", a_list("\\x00ff")),
    ("interval", "FOR VALUES FROM ('1 day') TO ('1 mon 2 days 03:04:05')", a_range("1 day", "1 mon 2 days 03:04:05")),
    ("jsonb", "FOR VALUES IN ('{\"a\": 1}')", a_list('{"a": 1}')),
    ("integer", "FOR VALUES WITH (modulus 8, remainder 3)", HashBound(8, 3)),
]


@pytest.mark.parametrize(("sql", "text", "expected"), PRINTED)
def test_parse_bound_reads_what_postgresql_prints(sql: str, text: str, expected: Bound) -> None:
    """Every text here came out of PostgreSQL 14 to 18."""
    assert expected == parse_bound(text, (KeyType.of(sql),))


@pytest.mark.parametrize(("sql", "text", "expected"), PRINTED)
def test_the_grammar_reads_the_same(sql: str, text: str, expected: Bound) -> None:
    """The grammar is the truth; `parse_bound` may take a shortcut past it, and no other way."""
    assert expected == bound_of(text, (KeyType.of(sql),))


@pytest.mark.parametrize(
    ("sql", "text", "expected"),
    [
        ("text", "FOR VALUES IN ('x'::text, 'NULL'::character varying(5), NULL::text)", a_list("x", "NULL", None)),
        ("numeric", "FOR VALUES FROM ((-1)::numeric(10,2)) TO (-.5)", a_range(Decimal(-1), Decimal("-0.5"))),
        ("numeric", "FOR VALUES FROM (1.5e3) TO (MAXVALUE)", a_range(Decimal(1500), MAXVALUE)),
        ("text", "FOR VALUES IN (E'back\\\\slash')", a_list("back\\slash")),
        ("text", "FOR VALUES IN ('x'::text COLLATE \"C\", ('y' COLLATE s.x))", a_list("x", "y")),
        ("boolean", "for values in (TRUE, 'f')", a_list(True, False)),
        ("timestamp with time zone", "FOR VALUES FROM ('infinity'::timestamp with time zone)\nTO (maxvalue)", None),
        ("integer", "FOR VALUES WITH (MODULUS 8, REMAINDER 3)", HashBound(8, 3)),
    ],
)
def test_parse_bound_reads_what_people_and_other_versions_write(sql: str, text: str, expected: Bound | None) -> None:
    """Casts, collations, parentheses, E strings and any case: the same values."""
    assert (expected or a_range(INFINITY, MAXVALUE)) == parse_bound(text, (KeyType.of(sql),))


def test_an_enum_value_may_look_like_a_cast() -> None:
    """A type's own quotes and parentheses do not end the value."""
    mood = KeyType.of('s."My (,) Enum"', is_enum=True)

    assert a_list("b'c", "d") == parse_bound("FOR VALUES IN ('b''c'::s.\"My (,) Enum\", 'd')", (mood,))


def test_every_column_is_read_by_its_own_type() -> None:
    """The composite form of go_partman: a tenant, then time."""
    expected = RangeBound(("t, 1", JANUARY, MINVALUE), ("t, 1", FEBRUARY, MINVALUE))
    text = (
        "FOR VALUES FROM ('t, 1', '2024-01-01 00:00:00+00', MINVALUE) TO ('t, 1', '2024-02-01 00:00:00+00', MINVALUE)"
    )

    assert expected == parse_bound(text, (KeyType.of("text"), TIMESTAMPTZ, KeyType.of("integer")))


def test_numbers_are_equal_by_value() -> None:
    """``1``, ``1.0`` and ``'1.00'`` are one bound of a numeric key."""
    numeric = (KeyType.of("numeric"),)
    texts = ["FOR VALUES IN ('1')", "FOR VALUES IN (1.0)", "FOR VALUES IN (1.00)"]

    assert {a_list(Decimal(1))} == {parse_bound(text, numeric) for text in texts}


def test_a_nan_equals_itself() -> None:
    """Two readings of a NaN bound are one value, unlike Python's own NaN."""
    numeric = (KeyType.of("numeric"),)

    assert parse_bound("FOR VALUES IN ('NaN')", numeric) == parse_bound("FOR VALUES IN ('NaN')", numeric)


def test_a_list_of_a_thousand_values() -> None:
    """Long lists are read whole."""
    text = f"FOR VALUES IN ({', '.join(str(number) for number in range(1000))})"

    assert a_list(*range(1000)) == parse_bound(text, (KeyType.of("integer"),))


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("integer", ""),
        ("integer", "DEFAULT DEFAULT"),
        ("integer", "'DEFAULT'"),
        ("integer", "FOR VALUES"),
        ("integer", "FOR VALUES FROM (1)"),
        ("integer", "FOR VALUES FROM (1) TO (2"),
        ("integer", "FOR VALUES FROM (1) TO (2) TO (3)"),
        ("integer", "FOR VALUES FROM (1, 2) TO (3, 4)"),
        ("integer", "FOR VALUES FROM (NULL) TO (1)"),
        ("integer", "FOR VALUES FROM () TO ()"),
        ("integer", "FOR VALUES FROM (now()) TO (1)"),
        ("integer", "FOR VALUES FROM (1 + 1) TO (3)"),
        ("integer", "FOR VALUES FROM ('1_0') TO (20)"),
        ("integer", "FOR VALUES FROM (1.5) TO (2)"),
        ("integer", "FOR VALUES IN ()"),
        ("integer", "FOR VALUES IN (MINVALUE)"),
        ("integer", "FOR VALUES IN (1,)"),
        ("integer", "FOR VALUES WITH (modulus 8)"),
        ("integer", "FOR VALUES WITH (modulus 8, remainder 8)"),
        ("integer", "FOR VALUES WITH (modulus 8, remainder 'x')"),
        ("numeric", "FOR VALUES IN (1.2.3)"),
        ("numeric", "FOR VALUES IN ('1_0')"),
        ("numeric", "FOR VALUES IN ('sNaN')"),
        ("boolean", "FOR VALUES IN ('maybe')"),
        ("uuid", "FOR VALUES IN ('018cc251')"),
        ("text", "FOR VALUES IN ('open)"),
        ("date", "FOR VALUES FROM ('31/03/2024') TO ('30/04/2024')"),
        ("timestamp with time zone", "FOR VALUES FROM ('31/03/2024 00:00:00 CET') TO (MAXVALUE)"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(sql: str, text: str) -> None:
    """Nothing is guessed: the error names the text, the type, and what to look at."""
    with pytest.raises(CatalogError) as caught:
        parse_bound(text, (KeyType.of(sql),))

    assert [True, True, True] == [part in str(caught.value) for part in (repr(text), f"({sql})", "DateStyle")]


def test_a_list_of_several_columns_is_refused() -> None:
    """PostgreSQL has no LIST of two columns, so such a text belongs to another key."""
    with pytest.raises(CatalogError, match="a list has one key column, not 2"):
        parse_bound("FOR VALUES IN (1)", (KeyType.of("integer"), KeyType.of("integer")))


def test_a_long_text_is_cut_in_the_message() -> None:
    """A list of ten thousand values does not fill the terminal."""
    text = f"FOR VALUES IN ({', '.join(['1'] * 5000)}"
    with pytest.raises(CatalogError) as caught:
        parse_bound(text, (KeyType.of("integer"),))

    assert len(str(caught.value)) < 1000


def test_a_domain_is_read_by_its_base_type() -> None:
    """Whoever knows what a domain is made of says so in the family; a boolean one is printed ``'t'``."""
    domain = KeyType("s.flag", Family.BOOLEAN)

    assert a_list(True) == parse_bound("FOR VALUES IN ('t')", (domain,))
