"""LIST and HASH: values of every kind, enums that are renamed, moduli that are mixed."""

from __future__ import annotations

import enum
import uuid
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import BigInteger, Boolean, Column, Date, Engine, Enum, Numeric, String, Text, Uuid
from sqlalchemy.schema import CreateTable

from sa_partman import PartitionByHash, PartitionByList, PartitionByRange
from tests.support.bounds import HOSTILE_TEXTS
from tests.support.database import codes, leaves, made, new_table, outcomes, partitions, scalar, sql, upkeep

NOW = "2026-01-15"


class Mood(enum.Enum):
    happy = "h"
    sad = "s"


def test_hostile_values(engine: Engine) -> None:
    """Stored verbatim, read back as the same, no step planned twice."""
    table = new_table(PartitionByList("region", values=[*HOSTILE_TEXTS, None]))
    sql(engine, "CREATE TABLE events (id bigint, created_at timestamptz, region text) PARTITION BY LIST (region)")
    result = upkeep(engine, table).run()
    for value in (*HOSTILE_TEXTS, None):
        sql(engine, "INSERT INTO events VALUES (1, now(), :value)", value=value)

    assert result.ok, str(result)
    assert not upkeep(engine, table).plan()
    assert len(HOSTILE_TEXTS) + 1 == scalar(engine, "SELECT count(DISTINCT tableoid) FROM events")


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (BigInteger, [1, -2, 2**62]),
        (Boolean, [True, None]),
        (Date, [date(2024, 2, 29)]),
        (Numeric(10, 2), [Decimal("1.50"), 2]),
        (Uuid, [uuid.UUID(int=5)]),
        (String(3), ["a", "ab", "abc"]),
        (Enum(Mood, name="mood"), [Mood.happy, "sad"]),
        (Enum(Mood, name="Odd Mood"), ["happy"]),
        (Enum(Mood, native_enum=False), ["happy"]),
        (Text(collation="C"), ["a"]),
    ],
    ids=repr,
)
def test_types_of_values(engine: Engine, kind: Any, values: list[Any]) -> None:
    """Made by a run; compared as values, so a second plan is empty; also one level further down."""
    nullable = None in values
    flat = new_table(PartitionByList("k", values=values), Column("k", kind, nullable=nullable))
    below = PartitionByList("tenant", values=["t"], subpartition=PartitionByList("k", values=values, default=True))
    deep = new_table(below, Column("k", kind, nullable=nullable), name="deep", metadata=flat.metadata)
    flat.metadata.create_all(engine)
    for name in (*partitions(engine), *partitions(engine, "deep")):
        sql(engine, f'DROP TABLE "{name}"')
    result = upkeep(engine, deep).run()

    assert result.ok, str(result)
    assert len(values) == len(partitions(engine))
    assert len(values) + 1 == len(leaves(engine, "deep"))
    assert not upkeep(engine, deep).plan()


def test_an_enum_in_another_schema_below_a_range(engine: Engine) -> None:
    """Its name is found whatever the search path is pinned to."""
    sql(engine, 'CREATE SCHEMA "My Types"')
    mood = Enum(Mood, name="mood", schema="My Types")
    spec = PartitionByRange(
        "created_at", interval="1 month", premake=0, subpartition=PartitionByList("k", values=["happy", "sad"])
    )
    table = new_table(spec, Column("k", mood, nullable=False))
    table.metadata.create_all(engine)
    result = upkeep(engine, table, "2031-01-15").run()

    assert result.ok, str(result)
    assert not upkeep(engine, table, "2031-01-15").plan()


def test_an_enum_value_that_was_renamed(engine: Engine) -> None:
    """The bound changes its text with it; with the new label declared there is nothing to do."""
    sql(engine, "CREATE TYPE mood AS ENUM ('happy', 'glad')")
    sql(engine, "CREATE TABLE events (id bigint, k mood NOT NULL) PARTITION BY LIST (k)")
    sql(engine, "CREATE TABLE events_happy PARTITION OF events FOR VALUES IN ('happy')")
    sql(engine, "ALTER TYPE mood RENAME VALUE 'happy' TO 'merry'")
    table = new_table(
        PartitionByList("k", values={"happy": ["merry"]}),
        Column("k", Enum("merry", "glad", name="mood", create_type=False), nullable=False),
    )

    assert not upkeep(engine, table).plan()


MOOD = Enum("happy", "glad", name="mood", create_type=False)
RENAMED = "ALTER TYPE mood RENAME VALUE 'happy' TO 'merry'"
ENUM_LABEL = (
    "the enum mood lacks 'happy', so no partition is made for it; it has 'merry', which the declaration does not name: "
    "perhaps the same, renamed"
)


@pytest.mark.parametrize(
    "spec",
    [
        PartitionByList("k", values=["happy", "glad"]),
        PartitionByRange("k", "created_at", tenants=["happy", "glad"], interval="1 month", premake=0),
    ],
    ids=["list", "tenants"],
)
def test_a_label_that_was_renamed_is_no_tenant_that_left(engine: Engine, spec: Any) -> None:
    """It is said, with the way back; nobody is told to remove its partition, and no step fails."""
    sql(engine, "CREATE TYPE mood AS ENUM ('happy', 'glad')")
    table = new_table(spec, Column("k", MOOD, nullable=False))
    with engine.begin() as connection:
        connection.execute(CreateTable(table))
    assert upkeep(engine, table, NOW).run().ok
    sql(engine, RENAMED)
    result = upkeep(engine, table, "2026-02-15").run()
    found = upkeep(engine, table, "2026-02-15").check()

    assert [ENUM_LABEL] == [each.message for each in result.findings]
    assert not any(each.failed for each in result.steps)
    assert "enum-label" in codes(found)
    assert "tenant-gone" not in codes(found)
    sql(engine, "ALTER TYPE mood RENAME VALUE 'merry' TO 'happy'")
    assert upkeep(engine, table, "2026-02-15").run().ok


def test_a_renamed_label_below_a_range_stops_no_month(engine: Engine) -> None:
    """The others of the new month are made."""
    sql(engine, "CREATE TYPE mood AS ENUM ('merry', 'glad')")
    below = PartitionByList("k", values=["happy", "glad"])
    spec = PartitionByRange("created_at", interval="1 month", premake=0, subpartition=below)
    table = new_table(spec, Column("k", MOOD, nullable=False))
    with engine.begin() as connection:
        connection.execute(CreateTable(table))
    result = upkeep(engine, table, NOW).run()

    assert [ENUM_LABEL] == [each.message for each in result.findings]
    assert ["events_p20260101_glad"] == leaves(engine)


def test_varchar_and_text_are_one(engine: Engine) -> None:
    """Declared text, found varchar: the values are the same."""
    sql(engine, "CREATE TABLE events (id bigint, region varchar(10)) PARTITION BY LIST (region)")
    sql(engine, "CREATE TABLE x PARTITION OF events FOR VALUES IN ('de', NULL)")

    assert not upkeep(engine, new_table(PartitionByList("region", values={"eu": ["de", None]}))).plan()


def test_a_label_of_which_a_value_is_missing(engine: Engine) -> None:
    """A partition's values change in a migration only; the run says so and makes the other labels."""
    sql(engine, "CREATE TABLE events (id bigint, region text) PARTITION BY LIST (region)")
    sql(engine, "CREATE TABLE events_eu PARTITION OF events FOR VALUES IN ('de')")
    table = new_table(PartitionByList("region", values={"eu": ["de", "fr"], "us": ["us", None]}))
    result = upkeep(engine, table).run()

    assert ["events_us"] == made(result)
    assert ["list-values"] == codes(result.findings)
    assert "'fr'" in result.findings[0].message
    assert "alembic revision --autogenerate" in result.findings[0].remedy


def test_rows_of_a_new_value_leave_the_default_partition(engine: Engine) -> None:
    """They move into the new one, in the transaction that attaches it."""
    old = new_table(PartitionByList("region", values=["de"], default=True))
    old.metadata.create_all(engine)
    for region in ("de", "fr", "fr", "us", None):
        sql(engine, "INSERT INTO events (id, created_at, region) VALUES (1, now(), :region)", region=region)
    table = new_table(PartitionByList("region", values=["de", "fr", None], default=True))
    blocked = [each.message for each in upkeep(engine, table).check() if each.code == "default-rows"]
    result = upkeep(engine, table).run()

    assert "4 rows sit in the default partition public.events_default" in blocked[0]
    assert "in (fr) (2 rows)" in blocked[0]
    assert result.ok, str(result)
    assert (2, 1, 1) == tuple(
        scalar(engine, f"SELECT count(*) FROM events_{label}") for label in ("fr", "null", "default")
    )


def test_too_many_rows_in_the_default_partition(engine: Engine) -> None:
    """Above the limit it is an error with the number of rows, and nothing is changed."""
    old = new_table(PartitionByList("region", values=["de"], default=True))
    old.metadata.create_all(engine)
    sql(engine, "INSERT INTO events (id, created_at, region) SELECT n, now(), 'fr' FROM generate_series(1, 100001) n")
    result = upkeep(engine, new_table(PartitionByList("region", values=["de", "fr"], default=True))).run()

    assert ["failed"] == outcomes(result)
    assert "100001 rows of public.events_default" in result.steps[0].error
    assert "nothing was changed" in result.steps[0].error
    assert 100_001 == scalar(engine, "SELECT count(*) FROM events_default")


def test_hash_partitions(engine: Engine) -> None:
    """A missing one is made again."""
    table = new_table(PartitionByHash("tenant", "id", modulus=4))
    table.metadata.create_all(engine)
    sql(engine, "DROP TABLE events_h2")

    assert ["no-current"] != codes(upkeep(engine, table).check())
    assert ["events_h2"] == made(upkeep(engine, table).run())


def test_mixed_moduli(engine: Engine) -> None:
    """Half of the hashes divided finer by hand: all is covered, and the finding says what is declared."""
    sql(engine, "CREATE TABLE events (id bigint) PARTITION BY HASH (id)")
    for modulus, remainder in ((2, 0), (8, 1), (8, 3), (8, 5)):
        sql(
            engine,
            f"CREATE TABLE h{modulus}_{remainder} PARTITION OF events FOR VALUES WITH (modulus {modulus}, "
            f"remainder {remainder})",
        )
    table = new_table(PartitionByHash("id", modulus=8))
    result = upkeep(engine, table).run()

    assert ["events_h7"] == made(result)
    assert ["modulus"] == codes(result.findings)
    assert not upkeep(engine, table).plan()


def test_a_changed_modulus(engine: Engine) -> None:
    """Rows would have to move: the finding names the operation, nothing is made."""
    new_table(PartitionByHash("id", modulus=2)).metadata.create_all(engine)
    result = upkeep(engine, new_table(PartitionByHash("id", modulus=4))).run()

    assert not result
    assert "op.repartition_table('events'" in result.findings[0].remedy
