"""The CHECK of a bound spares ATTACH PARTITION its scan: PostgreSQL itself says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg
import pytest
from sqlalchemy import Engine

from sa_partman.bounds.bound import (
    INFINITY,
    MAXVALUE,
    MINVALUE,
    NEGATIVE_INFINITY,
    Bound,
    KeyValue,
    ListBound,
    RangeBound,
)
from sa_partman.bounds.predicate import check_predicate
from sa_partman.bounds.text import for_values, value_of
from sa_partman.key import KeyType
from tests.support.bounds import HOSTILE_TEXTS

INTEGER, TEXT, DATE = KeyType.of("integer"), KeyType.of("text"), KeyType.of("date")
TIMESTAMPTZ = KeyType.of("timestamp with time zone")
MOOD = KeyType.of('public."My Mood"', is_enum=True)


class Server:
    """One plain psycopg connection, and what the server told it."""

    def __init__(self, connection: psycopg.Connection[tuple[str | bool, ...]]) -> None:
        self._connection = connection
        self.notices: list[str] = []
        connection.add_notice_handler(lambda notice: self.notices.append(notice.message_primary or ""))

    def execute(self, *statements: str) -> None:
        for statement in statements:
            self._connection.execute(statement.encode())

    def rows(self, query: str) -> list[tuple[str | bool, ...]]:
        return self._connection.execute(query.encode()).fetchall()


@pytest.fixture
def server(engine: Engine) -> Iterator[Server]:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        found = Server(driver)
        found.execute(
            "SET TimeZone = 'UTC'",
            "SET search_path = pg_catalog",
            "SET client_min_messages = debug1",
            f"CREATE TYPE {MOOD.sql} AS ENUM ('a', 'it''s')",
            "CREATE DOMAIN public.number AS integer",
        )
        yield found


def implied(server: Server, key: str, columns: str, bound: Bound, types: Sequence[KeyType], check: str | None) -> bool:
    """Whether a table with that CHECK is attached without a scan."""
    strategy = "LIST" if isinstance(bound, ListBound) else "RANGE"
    server.execute(
        f"CREATE TABLE public.events ({columns}) PARTITION BY {strategy} ({key})",
        f"CREATE TABLE public.events_1 ({columns}{f', CHECK ({check})' if check else ''})",
    )
    server.notices.clear()
    server.execute(f"ALTER TABLE public.events ATTACH PARTITION public.events_1 {for_values(bound, types)}")
    return any('"events_1" is implied by existing constraints' in notice for notice in server.notices)


def a_range(sql: str, lower: str, upper: str) -> tuple[KeyType, Bound]:
    kind = KeyType.of(sql)
    return kind, RangeBound((value_of(lower, kind),), (value_of(upper, kind),))


def a_list(kind: KeyType | str, *values: KeyValue) -> tuple[KeyType, Bound]:
    return KeyType.of(kind) if isinstance(kind, str) else kind, ListBound(frozenset(values))


ONE_COLUMN = [
    a_range("timestamp with time zone", "2024-01-01 00:00:00+00", "2024-02-01 00:00:00+00"),
    a_range("timestamp with time zone", "-infinity", "10000-01-01 00:00:00+00"),
    a_range("timestamp(0) with time zone", "2024-01-01 00:00:00+00", "2024-02-01 00:00:00+00"),
    a_range("timestamp without time zone", "0044-03-15 00:00:00 BC", "2024-02-01 00:00:00"),
    a_range("date", "2024-01-01", "infinity"),
    a_range("smallint", "-5", "5"),
    a_range("integer", "0", "100000"),
    a_range("bigint", "0", "9223372036854775807"),
    a_range("numeric", "-1.5", "NaN"),
    a_range("numeric(10,2)", "1", "2.50"),
    a_range("uuid", "018cc251-f400-7000-8000-000000000000", "0194bece-a000-7000-8000-000000000000"),
    a_range("text", "a", "b"),
    a_range("character varying(20)", "01HK153X00", "01JJZCX800"),
    a_range("double precision", "0.1", "1e+30"),
    a_range("public.number", "1", "5"),
    a_list("text", "de"),
    a_list("text", *HOSTILE_TEXTS),
    a_list("text", *HOSTILE_TEXTS, None),
    a_list("text", *(f"tenant {number}" for number in range(500))),
    a_list("text", None),
    a_list("character varying(5)", "de", "fr"),
    a_list("character varying(5)", "de"),
    a_list("character(5)", "de", "fr"),
    a_list("integer", 1, 2, None),
    a_list("integer", *range(500)),
    a_list("boolean", True),
    a_list("boolean", False, True),
    a_list("boolean", True, None),
    a_list(MOOD, "a", "it's"),
    a_list("text[]", "{a,b}", '{"c d"}'),
    a_list("text[]", "{a,b}", None),
    a_list("bytea", "\\x00ff", "\\x"),
    a_list("public.number", "1", "2"),
]
NAMES = [f"{kind.sql}-{type(bound).__name__}-{number}" for number, (kind, bound) in enumerate(ONE_COLUMN)]


@pytest.mark.parametrize(("kind", "bound"), ONE_COLUMN, ids=NAMES)
def test_attach_does_not_scan(server: Server, kind: KeyType, bound: Bound) -> None:
    """For every family and every strategy that has a predicate; the key may be NULL as far as the table knows."""
    check = check_predicate(bound, ['"the Key"'], [kind])

    assert implied(server, '"the Key"', f'"the Key" {kind.sql}', bound, [kind], check)


@pytest.mark.parametrize("check", [None, "k >= '2024-01-01'::date AND k < '2024-02-01'::date"])
def test_attach_scans_without_it(server: Server, check: str | None) -> None:
    """Without a CHECK, or with one that NULL passes, nothing is implied: these tests can fail."""
    kind, bound = a_range("date", "2024-01-01", "2024-02-01")

    assert not implied(server, "k", "k date", bound, [kind], check)


@pytest.mark.parametrize(
    ("key", "columns", "expression", "kind", "bound"),
    [
        (
            "date_trunc('month', at)",
            "at timestamp",
            "date_trunc('month', at)",
            *a_range("timestamp without time zone", "2024-01-01 00:00:00", "2024-02-01 00:00:00"),
        ),
        ("(id % 10)", "id integer", "(id % 10)", *a_list("integer", 3, 4)),
        ("lower(name)", "name text", "lower(name)", *a_list("text", "de", "it's")),
    ],
)
def test_attach_does_not_scan_for_an_expression(
    server: Server, key: str, columns: str, expression: str, kind: KeyType, bound: Bound
) -> None:
    """An expression key is compared as it stands."""
    check = check_predicate(bound, [expression], [kind])

    assert implied(server, key, columns, bound, [kind], check)


THREE = "a integer, b integer, c integer"
SEVERAL_COLUMNS = [
    ((1, 2, 3), (1, 2, 5)),
    ((1, 2, 3), (1, 4, 5)),
    ((1, 2, 3), (3, 4, 5)),
    ((1, MINVALUE, MINVALUE), (1, 5, MAXVALUE)),
    ((1, MINVALUE, MINVALUE), (1, MAXVALUE, MAXVALUE)),
    ((1, MINVALUE, MINVALUE), (2, MAXVALUE, MAXVALUE)),
    ((1, MAXVALUE, MAXVALUE), (2, MINVALUE, MINVALUE)),
    ((1, MAXVALUE, MAXVALUE), (2, 3, MINVALUE)),
    ((1, 2, MAXVALUE), (1, 3, MINVALUE)),
    ((1, 2, MAXVALUE), (1, 3, 4)),
    ((1, 2, 3), (1, MAXVALUE, MAXVALUE)),
    ((MINVALUE, MINVALUE, MINVALUE), (1, 3, 4)),
    ((1, 3, 4), (MAXVALUE, MAXVALUE, MAXVALUE)),
    ((MINVALUE, MINVALUE, MINVALUE), (MAXVALUE, MAXVALUE, MAXVALUE)),
]


@pytest.mark.parametrize(("lower", "upper"), SEVERAL_COLUMNS)
def test_attach_does_not_scan_for_several_columns(
    server: Server, lower: tuple[KeyValue, ...], upper: tuple[KeyValue, ...]
) -> None:
    """Shared prefixes, and open ends in every place."""
    bound = RangeBound(lower, upper)
    check = check_predicate(bound, ["a", "b", "c"], [INTEGER] * 3)

    assert implied(server, "a, b, c", THREE, bound, [INTEGER] * 3, check)


@pytest.mark.parametrize(("lower", "upper"), SEVERAL_COLUMNS)
def test_the_predicate_agrees_with_postgresql(
    server: Server, lower: tuple[KeyValue, ...], upper: tuple[KeyValue, ...]
) -> None:
    """Row by row it is what ``pg_get_partition_constraintdef`` says, NULL included: never narrower, never wider."""
    bound = RangeBound(lower, upper)
    check = check_predicate(bound, ["a", "b", "c"], [INTEGER] * 3)
    server.execute(
        f"CREATE TABLE public.events ({THREE}) PARTITION BY RANGE (a, b, c)",
        f"CREATE TABLE public.events_1 PARTITION OF public.events {for_values(bound, [INTEGER] * 3)}",
    )
    ((theirs,),) = server.rows("SELECT pg_get_partition_constraintdef('public.events_1'::regclass)")
    values = "(VALUES (0), (1), (2), (3), (4), (5), (6), (NULL))"
    rows = server.rows(
        f"SELECT a::text, b::text, c::text FROM {values} AS x (a), {values} AS y (b), {values} AS z (c) "
        f"WHERE ({check}) IS DISTINCT FROM ({theirs})"
    )

    assert [] == rows


def test_attach_does_not_scan_for_a_tenant_and_time(server: Server) -> None:
    """``RANGE (project_id, created_at)``, as go_partman makes it."""
    types = [TEXT, TIMESTAMPTZ]
    lower, upper = (value_of(f"2024-0{month}-01 00:00:00+00", TIMESTAMPTZ) for month in (1, 2))
    bound = RangeBound(("a, b)'c", lower), ("a, b)'c", upper))
    check = check_predicate(bound, ["p", "t"], types)

    assert implied(server, "p, t", "p text, t timestamptz", bound, types, check)


def test_infinite_ends_in_a_later_column(server: Server) -> None:
    """``infinity`` is a value there too."""
    bound = RangeBound((1, NEGATIVE_INFINITY), (1, INFINITY))
    check = check_predicate(bound, ["a", "d"], [INTEGER, DATE])

    assert implied(server, "a, d", "a integer, d date", bound, [INTEGER, DATE], check)
