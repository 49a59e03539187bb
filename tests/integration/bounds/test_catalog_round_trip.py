"""Bounds through a real catalog: what we write, PostgreSQL prints, and we read as the same value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine

from sa_partman.bounds.bound import (
    DEFAULT,
    MAXVALUE,
    MINVALUE,
    Bound,
    HashBound,
    KeyValue,
    ListBound,
    RangeBound,
    order_key,
    row_order,
)
from sa_partman.bounds.predicate import check_predicate
from sa_partman.bounds.read import parse_bound, printed_bound
from sa_partman.bounds.text import for_values, literal, value_of
from sa_partman.key import Family, KeyType
from tests.support.bounds import ENUM, ENUM_LABELS, HOSTILE_TEXTS, VALUES, ascending

PINNED = (
    "SET TimeZone = 'UTC'",
    "SET DateStyle = 'ISO, YMD'",
    "SET IntervalStyle = 'postgres'",
    "SET extra_float_digits = 1",
    "SET bytea_output = 'hex'",
    "SET standard_conforming_strings = on",
    "SET backslash_quote = safe_encoding",
    "SET search_path = pg_catalog",
)
MISLEADING = (
    "SET TimeZone = 'Asia/Kathmandu'",
    "SET DateStyle = 'German, DMY'",
    "SET IntervalStyle = 'iso_8601'",
    "SET extra_float_digits = -5",
    "SET standard_conforming_strings = off",
    "SET escape_string_warning = off",
    "SET search_path = pg_catalog",
)
INTEGER, TEXT = KeyType.of("integer"), KeyType.of("text")
TIMESTAMPTZ = KeyType.of("timestamp with time zone")
KINDS = pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.sql)
BATCH = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """Autocommit and pinned; ``%`` and ``:`` mean nothing."""
    with engine.connect() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT", no_parameters=True)
        execute(connection, *PINNED)
        labels = ", ".join(literal(label, TEXT).removesuffix("::text") for label in ENUM_LABELS)
        execute(connection, f"CREATE TYPE {ENUM.sql} AS ENUM ({labels})")
        yield connection


def execute(connection: Connection, *statements: str) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


def create(connection: Connection, types: Sequence[KeyType], bounds: Sequence[Bound]) -> None:
    """``public.events`` anew, partitioned by columns k0, k1, ..., with a partition for each bound."""
    strategy = {RangeBound: "RANGE", ListBound: "LIST", HashBound: "HASH"}[type(bounds[0])]
    columns = [f"k{number}" for number in range(len(types))]
    defined = ", ".join(f"{column} {kind.sql}{collation(kind)}" for column, kind in zip(columns, types, strict=True))
    execute(
        connection,
        "DROP TABLE IF EXISTS public.events",
        f"CREATE TABLE public.events ({defined}) PARTITION BY {strategy} ({', '.join(columns)})",
        "; ".join(
            f"CREATE TABLE public.events_{number} PARTITION OF public.events {for_values(bound, types)}"
            for number, bound in enumerate(bounds)
        ),
    )


def collation(kind: KeyType) -> str:
    return ' COLLATE "C"' if kind.family is Family.TEXT else ""


def printed(connection: Connection) -> list[str]:
    """What the catalog says of the partitions of ``public.events``, in the order of their creation."""
    rows = connection.exec_driver_sql(
        "SELECT pg_get_expr(relpartbound, oid) FROM pg_class JOIN pg_inherits ON inhrelid = oid "
        "WHERE inhparent = 'public.events'::regclass ORDER BY oid"
    )
    return list(rows.scalars())


def round_trip(connection: Connection, types: Sequence[KeyType], bounds: Sequence[Bound]) -> list[Bound]:
    create(connection, types, bounds)
    return [parse_bound(text, types) for text in printed(connection)]


@KINDS
@BATCH
@given(data=st.data())
def test_ranges_of_every_family(connection: Connection, kind: KeyType, data: st.DataObject) -> None:
    """A line of ranges from MINVALUE to MAXVALUE comes back as it was written."""
    ends = ascending(data.draw(st.lists(VALUES[kind], min_size=1, max_size=12)))
    expected = [RangeBound((lower,), (upper,)) for lower, upper in pairwise([MINVALUE, *ends, MAXVALUE])]

    assert expected == round_trip(connection, [kind], expected)


@KINDS
@BATCH
@given(data=st.data())
def test_lists_of_every_family(connection: Connection, kind: KeyType, data: st.DataObject) -> None:
    """Lists of many values, of one, of NULL: the same sets of values come back."""
    values = ascending(data.draw(st.lists(VALUES[kind], min_size=2, max_size=60)))
    expected: list[Bound] = [ListBound(frozenset({None, values[0]})), DEFAULT]
    if values[1:]:
        expected.append(ListBound(frozenset(values[1:])))

    assert expected == round_trip(connection, [kind], expected)


@BATCH
@given(data=st.data())
def test_ranges_of_several_columns(connection: Connection, data: st.DataObject) -> None:
    """Every column by its own type, MINVALUE and MAXVALUE in any of them."""
    types = data.draw(st.lists(st.sampled_from(list(VALUES)), min_size=2, max_size=3))
    full = st.tuples(*(VALUES[kind] for kind in types))
    cut = st.tuples(VALUES[types[0]], st.sampled_from([MINVALUE, MAXVALUE])).map(
        lambda pair: (pair[0], *[pair[1]] * (len(types) - 1))
    )
    rows = sorted(set(data.draw(st.lists(full | cut, min_size=2, max_size=10))), key=row_order)
    expected = [RangeBound(lower, upper) for lower, upper in pairwise(rows)]
    if not expected:
        return

    assert expected == round_trip(connection, types, expected)


@pytest.mark.parametrize("sql", ["text", "character varying", "character varying(1000)"])
def test_hostile_texts(connection: Connection, sql: str) -> None:
    """Each alone, then all in one list: quotes, backslashes, newlines, and words that look like the grammar."""
    expected = [ListBound(frozenset({text})) for text in HOSTILE_TEXTS]
    together = [ListBound(frozenset({*HOSTILE_TEXTS, None}))]

    assert expected == round_trip(connection, [KeyType.of(sql)], expected)
    assert together == round_trip(connection, [KeyType.of(sql)], together)


@pytest.mark.parametrize(
    ("sql", "texts"),
    [
        ("double precision", ["0.30000000000000004", "-Infinity", "NaN", "1e+30"]),
        ("real", ["0.1", "-1"]),
        ("bytea", ["\\x00ff", "\\x"]),
        ("interval", ["1 mon 2 days 03:04:05", "-1 days"]),
        ("time without time zone", ["24:00:00", "00:00:00.5"]),
        ("time with time zone", ["12:00:00+05:30"]),
        ("inet", ["10.0.0.1", "::1/64"]),
        ("text[]", ["{a,b}", '{"c d",NULL,it\'s,"\\\\"}']),
        ("integer[]", ["{1,2}", "{}"]),
        ("int4range", ["[1,5)", "empty"]),
        ("bit(3)", ["101"]),
        ("bit varying(3)", ["10", ""]),
        ("jsonb", ['{"a": "it\'s"}', "[1, 2]"]),
        ("oid", ["4000000000"]),
        ("money", ["$1,000.00"]),
        ('"char"', ["a", ""]),
        ("pg_lsn", ["0/1"]),
        ("public.price", ["1.50", "-2"]),
    ],
)
def test_other_types_are_kept_as_text(connection: Connection, sql: str, texts: list[str]) -> None:
    """Types without a family of their own, domains too: their text comes back to the letter."""
    execute(connection, "CREATE DOMAIN public.price AS numeric")
    expected = [ListBound(frozenset({text})) for text in texts]

    assert expected == round_trip(connection, [KeyType.of(sql)], expected)


def test_padded_characters(connection: Connection) -> None:
    """``character(5)`` is printed with its padding, which does not count."""
    expected = [ListBound(frozenset({"de"})), ListBound(frozenset({"", " fr"}))]

    assert expected == round_trip(connection, [KeyType.of("character(5)")], expected)


def test_a_domain_of_known_base(connection: Connection) -> None:
    """Whoever knows the base type of a domain may say so; bounds are then values."""
    execute(connection, "CREATE DOMAIN public.flag AS boolean", "CREATE DOMAIN public.number AS integer")
    flag, number = KeyType("public.flag", Family.BOOLEAN), KeyType("public.number", Family.INTEGER)
    flags, numbers = [ListBound(frozenset({True, None}))], [RangeBound((-5,), (10,))]

    assert flags == round_trip(connection, [flag], flags)
    assert numbers == round_trip(connection, [number], numbers)


def test_hashes(connection: Connection) -> None:
    """Mixed moduli, over several columns."""
    expected = [HashBound(4, 0), HashBound(8, 1), HashBound(8, 5), HashBound(4, 2)]

    assert expected == round_trip(connection, [INTEGER, TEXT], expected)


@pytest.mark.parametrize(
    ("sql", "written", "same"),
    [
        ("numeric", ["1"], ["1.0", "'1'", "1.00"]),
        ("bigint", ["1"], ["'1'", "1::smallint"]),
        ("timestamp with time zone", ["'2024-01-01 00:00:00+00'"], ["'2024-01-01 05:30:00+05:30'"]),
        ("character varying", ["'de'"], ["'de'::text", "E'\\x64e'"]),
        ("boolean", ["true"], ["'yes'", "1::boolean"]),
    ],
)
def test_bounds_that_others_wrote_are_equal_by_value(
    connection: Connection, sql: str, written: list[str], same: list[str]
) -> None:
    """However the bound was spelled when it was made, the value is the same."""
    found = set()
    for spelling in [*written, *same]:
        execute(
            connection,
            "DROP TABLE IF EXISTS public.events",
            f"CREATE TABLE public.events (k {sql}) PARTITION BY LIST (k)",
            f"CREATE TABLE public.events_0 PARTITION OF public.events FOR VALUES IN ({spelling})",
        )
        found |= {parse_bound(text, [KeyType.of(sql)]) for text in printed(connection)}

    assert 1 == len(found)


def test_an_enum_value_that_was_renamed(connection: Connection) -> None:
    """The bound changes its text with the label, and is read as the new one."""
    create(connection, [ENUM], [ListBound(frozenset({"de"}))])
    execute(connection, f"ALTER TYPE {ENUM.sql} RENAME VALUE 'de' TO 'it''s so'")

    assert [ListBound(frozenset({"it's so"}))] == [parse_bound(text, [ENUM]) for text in printed(connection)]


def test_a_misleading_session_changes_nothing_that_we_write(connection: Connection) -> None:
    """Zone, DateStyle and string syntax of the writing session do not reach the bounds."""
    types = [TIMESTAMPTZ, KeyType.of("date"), TEXT]
    instants = [value_of(f"2024-0{month}-01 00:00:00+00", TIMESTAMPTZ) for month in (1, 2)]
    days = [value_of(f"2024-02-0{day}", types[1]) for day in (3, 4)]
    expected = [RangeBound((instants[0], days[0], "back\\slash's"), (instants[1], days[1], "\\"))]
    execute(connection, *MISLEADING)
    create(connection, types, expected)
    execute(connection, *PINNED)

    assert expected == [parse_bound(text, types) for text in printed(connection)]


@pytest.mark.parametrize("sql", ["character varying(3)", "character(3)"])
def test_a_text_that_does_not_fit_is_refused_and_not_cut(connection: Connection, sql: str) -> None:
    """A bound that silently lost its end would be another partition."""
    with pytest.raises(Exception, match="value too long"):
        create(connection, [KeyType.of(sql)], [ListBound(frozenset({"abcd"}))])


@KINDS
@BATCH
@given(data=st.data())
def test_everything_printed_takes_the_shortcut(connection: Connection, kind: KeyType, data: st.DataObject) -> None:
    """No bound of a real catalog falls back on the grammar, which is slower."""
    values = frozenset(data.draw(st.lists(VALUES[kind] | st.none(), min_size=1, max_size=30)))
    create(connection, [kind], [ListBound(values)])
    texts = printed(connection)

    assert [ListBound(values)] == [printed_bound(text, [kind]) for text in texts]


@KINDS
@BATCH
@given(data=st.data())
def test_the_predicate_holds_for_the_rows_of_the_bound(
    connection: Connection, kind: KeyType, data: st.DataObject
) -> None:
    """PostgreSQL evaluates the CHECK over values of the type: true inside, false outside and for NULL."""
    values = ascending(data.draw(st.lists(VALUES[kind], min_size=2, max_size=10, unique_by=order_key)))
    lower = data.draw(st.integers(0, len(values) - 2))
    upper = data.draw(st.integers(lower + 1, len(values) - 1))
    between = RangeBound((values[lower],), (values[upper],))
    among = ListBound(frozenset(values[lower : upper + 1]))
    rows = [*values, None]
    expected = [(lower <= place < upper, lower <= place <= upper) for place in range(len(rows) - 1)] + [(False, False)]

    assert expected == evaluated(connection, kind, rows, [between, among])


def evaluated(
    connection: Connection, kind: KeyType, rows: Sequence[KeyValue], bounds: Sequence[Bound]
) -> list[tuple[bool, ...]]:
    """For each row, whether each bound's CHECK holds."""
    column = 'k COLLATE "C"' if kind.family is Family.TEXT else "k"
    checks = ", ".join(f"({check_predicate(bound, [column], [kind])})" for bound in bounds)
    written = ", ".join(f"({number}, {literal(row, kind)})" for number, row in enumerate(rows))
    found = connection.exec_driver_sql(f"SELECT {checks} FROM (VALUES {written}) AS r (n, k) ORDER BY n")
    return [tuple(row) for row in found]
