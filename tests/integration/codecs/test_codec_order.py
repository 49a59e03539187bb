"""Codecs on a server: its order, its own uuidv7(), and rows that can't be placed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from sa_partman.bounds.bound import KeyValue, RangeBound
from sa_partman.bounds.text import for_values, literal
from sa_partman.codecs import ULID, Codec, Epoch, Snowflake, UUIDv7
from sa_partman.key import KeyType

INSTANTS = [datetime(1995, 1, 1, tzinfo=UTC) + timedelta(days=37.3 * number) for number in range(300)]
CASES: list[tuple[Codec, str]] = [
    (UUIDv7(), "uuid"),
    (ULID(), "uuid"),
    (ULID(), 'text COLLATE "C"'),
    (ULID(), 'text COLLATE "und-x-icu"'),
    (Epoch("ns"), "bigint"),
    (Epoch("s"), "numeric"),
    (Snowflake(epoch="2015-01-01"), "bigint"),
]


def sorted_by_server(engine: Engine, values: Sequence[KeyValue], sql: str) -> list[KeyValue]:
    kind = KeyType.of(sql.partition(" COLLATE")[0])
    rows = ", ".join(f"({number}, {literal(value, kind)})" for number, value in enumerate(values))
    collation = "".join(sql.partition(" COLLATE")[1:])
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT n FROM (VALUES {rows}) AS r (n, k) ORDER BY k{collation}"))
        return [values[number] for number in found.scalars()]


@pytest.mark.parametrize(("codec", "sql"), CASES)
def test_the_server_sorts_bounds_by_their_instants(engine: Engine, codec: Codec, sql: str) -> None:
    """The order of the column's type, in its collation, is the order of time."""
    with engine.connect() as connection:
        icu = connection.execute(text("SELECT count(*) FROM pg_collation WHERE collname = 'und-x-icu'")).scalar_one()
    if "icu" in sql and not icu:
        pytest.skip("this server was built without ICU")
    family = KeyType.of(sql.partition(" COLLATE")[0]).family
    values = [codec.encode(instant, family) for instant in INSTANTS]
    shuffled = random.Random(7).sample(values, len(values))

    assert values == sorted_by_server(engine, shuffled, sql)


def test_a_uuid_of_the_server_lies_in_the_partition_of_now(engine: Engine, server_major: int) -> None:
    """``uuidv7()`` of PostgreSQL 18 falls between the bounds of its hour."""
    if server_major < 18:
        pytest.skip("uuidv7() came with PostgreSQL 18")
    with engine.begin() as connection:
        now = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        ends = [UUIDv7().encode(now + timedelta(hours=hours)) for hours in (-1, 1)]
        bound = for_values(RangeBound((ends[0],), (ends[1],)), [KeyType.of("uuid")])
        connection.execute(text("CREATE TABLE events (id uuid DEFAULT uuidv7()) PARTITION BY RANGE (id)"))
        connection.execute(text(f"CREATE TABLE events_now PARTITION OF events {bound}"))
        made = connection.execute(text("INSERT INTO events DEFAULT VALUES RETURNING id")).scalar_one()

    assert abs(UUIDv7().decode(made) - now) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("codec", "sql", "good", "bad"),
    [
        (
            UUIDv7(),
            "uuid",
            ["018cc251-f400-7000-8000-000000000000", "018cc251-f400-7fff-bfff-ffffffffffff"],
            ["5e5b0b0c-9a5e-4c1e-8f5e-0123456789ab", "00000000-0000-0000-0000-000000000000"],
        ),
        (
            ULID(),
            "text",
            ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"],
            [
                "01arz3ndektsv4rrffq69g5fav",
                "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
                "01ARZ3NDEKTSV4RRFFQ69G5FAU",
                "01ARZ3NDEK",
                "01ARZ3NDEKTSV4RRFFQ69G5FAV\n",
                "",
            ],
        ),
    ],
)
def test_misplaced_rows_are_found(engine: Engine, codec: Codec, sql: str, good: list[str], bad: list[str]) -> None:
    """Exactly the rows whose time can't be told, whatever the search path is."""
    kind = KeyType.of(sql)
    values = [UUID(value) if sql == "uuid" else value for value in [*good, *bad]]
    rows = ", ".join(f"({literal(value, kind)})" for value in values)
    with engine.begin() as connection:
        connection.exec_driver_sql(f'CREATE TABLE events AS SELECT k AS "the Key" FROM (VALUES {rows}) AS r (k)')
        condition = codec.misplaced('"the Key"', kind.family)
        found = connection.exec_driver_sql(f'SELECT "the Key"::text FROM events WHERE {condition}').scalars()

        assert sorted(bad) == sorted(found)
