"""Time hidden in other types, end to end: made, written to, pruned, and what can't be placed is reported."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, Engine, Integer, MetaData, Numeric, String, Uuid
from sqlalchemy.schema import CreateTable

from sa_partman import ULID, Converter, Epoch, PartitionByHash, PartitionByRange, Retention, Snowflake, UUIDv7
from sa_partman.bounds.bound import KeyValue
from sa_partman.key import Family
from tests.support.builders import at
from tests.support.database import codes, made, new_table, partitions, scalar, sql, upkeep

NOW = "2026-01-15 12:00"


@dataclass(frozen=True)
class Reference:
    """A user's own: ``YYYYMM-`` and a number, in a text."""

    families = frozenset({Family.TEXT})
    resolution = timedelta(days=1)

    def encode(self, instant: datetime, family: Family) -> str:
        return f"{instant:%Y%m%d}-"

    def decode(self, value: KeyValue) -> datetime:
        return at(f"{str(value)[:4]}-{str(value)[4:6]}-{str(value)[6:8]}")

    def misplaced(self, column: str, family: Family) -> str | None:
        return f"{column} !~ '^[0-9]{{8}}-'"


CODECS: list[tuple[Any, Any]] = [
    (UUIDv7(), Uuid),
    (ULID(), String(26, collation="C")),
    (ULID(), Uuid),
    (Epoch("s"), BigInteger),
    (Epoch("s"), Integer),
    (Epoch("ms"), BigInteger),
    (Epoch("us"), Numeric(20, 0)),
    (Epoch("ns"), BigInteger),
    (Snowflake("2015-01-01"), BigInteger),
    (Snowflake(1_288_834_974_657, shift=20), Numeric),
    (Reference(), String(20, collation="C")),
]


@pytest.mark.parametrize(("codec", "kind"), CODECS, ids=repr)
def test_a_table_over_a_year(engine: Engine, codec: Any, kind: Any) -> None:
    """Provisioned, caught up, pruned; the first value of a month lies in its partition, the one before does not."""
    spec = PartitionByRange(
        "k", interval="1 month", premake=1, codec=codec, retention=Retention("3 months", then="drop")
    )
    table = new_table(spec, Column("k", kind, nullable=False))
    table.create(engine)
    sql(engine, "DROP TABLE " + ", ".join(partitions(engine)))
    upkeep(engine, table, "2025-06-15").run()
    result = upkeep(engine, table, NOW).run()
    family = Family.UUID if kind is Uuid else Family.TEXT if isinstance(kind, String) else Family.INTEGER
    with engine.begin() as connection:
        for month in (11, 12):
            value = codec.encode(at(f"2025-{month}-01"), family)
            connection.execute(table.insert().values(id=month, created_at=at(NOW), k=value))
    spread = sql(engine, "SELECT id, CAST(CAST(tableoid AS regclass) AS text) FROM events ORDER BY id")

    assert result.ok, str(result)
    assert "events_p20251001" == min(partitions(engine))
    assert "events_p20260201" == max(partitions(engine))
    assert [(11, "events_p20251101"), (12, "events_p20251201")] == [tuple(row) for row in spread]
    assert not upkeep(engine, table, NOW).plan()
    assert () == upkeep(engine, table, NOW).check()


def test_uuids_of_another_version(engine: Engine) -> None:
    """A UUIDv4 lies in some partition by chance, or in the default one; the check counts those in the ranges."""
    table = new_table(PartitionByRange("ref", interval="1 month", start="2024-01-01", premake=0))
    table.create(engine)
    four = uuid.UUID("018cc251-f400-4abc-8def-000000000001")
    sql(
        engine,
        "INSERT INTO events (id, created_at, ref) VALUES (1, now(), :ref)",
        ref=uuid.UUID(int=four.int + (1 << 80)),
    )
    findings = [each for each in upkeep(engine, table).check() if each.code == "misplaced-rows"]

    assert 1 == len(findings)
    assert "1 rows in public.events_p20240101" in findings[0].message


def test_ulids_in_a_uuid_column_are_never_misplaced(engine: Engine) -> None:
    """Any UUID could be one."""
    table = new_table(PartitionByRange("ref", interval="1 year", codec=ULID(), start="1971-01-01"))
    table.create(engine)
    sql(
        engine,
        "INSERT INTO events (id, created_at, ref) VALUES (1, now(), :ref)",
        ref=ULID().encode(at(NOW), Family.UUID),
    )

    assert () == upkeep(engine, table).check()


def test_text_that_is_no_ulid(engine: Engine) -> None:
    """It is reported where it lies."""
    spec = PartitionByRange("k", interval="10 years", codec=ULID(), start="1971-01-01")
    table = new_table(spec, Column("k", String(26, collation="C"), nullable=False))
    table.create(engine)
    sql(engine, "INSERT INTO events (id, created_at, k) VALUES (1, now(), '01HZZZ-not-a-ulid')")

    assert ["misplaced-rows"] == codes(upkeep(engine, table).check())


def test_bounds_of_zeros_are_understood(engine: Engine) -> None:
    """Others write milliseconds and nothing but zeros: respected, and bridged."""
    sql(engine, "CREATE TABLE events (id bigint, ref uuid NOT NULL) PARTITION BY RANGE (ref)")
    low, high = (f"{int(at(day).timestamp() * 1000):012x}".ljust(32, "0") for day in ("2026-01-01", "2026-02-01"))
    sql(engine, f"CREATE TABLE theirs PARTITION OF events FOR VALUES FROM ('{low}') TO ('{high}')")
    table = new_table(PartitionByRange("ref", interval="1 month", premake=1))
    result = upkeep(engine, table, NOW).run()

    assert result.ok, str(result)
    assert "events_p20260201" in made(result)
    assert not upkeep(engine, table, NOW).plan()


def test_a_bound_in_the_middle_of_a_period(engine: Engine) -> None:
    """Somebody cut a day in two: what lies before the cut is as young as that day's end."""
    spec = PartitionByRange(
        "k", interval="1 day", premake=0, codec=Reference(), retention=Retention("6 hours", then="drop", foreign=True)
    )
    table = new_table(spec, Column("k", String(20, collation="C"), nullable=False))
    table.create(engine)
    for name in partitions(engine):
        sql(engine, f"DROP TABLE {name}")
    sql(engine, "CREATE TABLE half PARTITION OF events FOR VALUES FROM ('20260114-') TO ('20260115-5')")
    sql(engine, "INSERT INTO events (id, created_at, k) VALUES (1, now(), '20260115-4')")

    assert upkeep(engine, table, "2026-01-15 23:00").run().ok
    assert 1 == scalar(engine, "SELECT count(*) FROM events")
    assert upkeep(engine, table, "2026-01-16 06:00").run().ok
    assert 0 == scalar(engine, "SELECT count(*) FROM events")


@dataclass(frozen=True)
class Broken(Reference):
    """A user's own with a fault in it."""

    def decode(self, value: KeyValue) -> datetime:
        raise KeyError(value)


def test_a_codec_with_a_fault_costs_its_own_table_alone(engine: Engine) -> None:
    """A run and a check say so, and do the others."""
    metadata = MetaData()
    spec = PartitionByRange("k", interval="1 month", premake=0, codec=Broken(), retention=Retention("1 month"))
    text = Column("k", String(20, collation="C"), nullable=False)
    broken = new_table(spec, text, metadata=metadata)
    other = new_table(PartitionByRange("created_at", interval="1 month", premake=0), metadata=metadata, name="other")
    with engine.begin() as connection:
        for table in (broken, other):
            connection.execute(CreateTable(table))
    sql(engine, "CREATE TABLE there PARTITION OF events FOR VALUES FROM ('20260101-') TO ('20260201-')")
    result = upkeep(engine, metadata, NOW).run()

    assert ["other_p20260101"] == made(result)
    assert ["declaration"] == codes(result.findings)
    assert "KeyError" in result.findings[0].message
    assert "declaration" in codes(upkeep(engine, metadata, NOW).check())


@pytest.mark.parametrize(("codec", "kind"), CODECS, ids=repr)
def test_a_plan_a_run_and_a_conversion_tell_the_instants(engine: Engine, codec: Any, kind: Any) -> None:
    """So do findings about what is expired and kept; the values as they are stand in SQL and JSON."""
    table = new_table(
        PartitionByRange("k", interval="1 month", premake=0, codec=codec, retention=Retention("1 month")),
        Column("k", kind, nullable=False),
    )
    sql(engine, str(CreateTable(table).compile(engine)))
    plan = upkeep(engine, table, NOW).plan()

    assert "[2026-01-01, 2026-02-01)" in str(plan)
    assert "2026-02-01" not in str(plan.to_dict()["steps"][0]["bound"]) or isinstance(codec, Reference)
    assert "[2026-01-01, 2026-02-01)" in str(upkeep(engine, table, NOW).run())
    sql(engine, "COMMENT ON TABLE events_p20260101 IS NULL")
    (kept,) = [each for each in upkeep(engine, table, "2026-06-15").plan().findings if each.code == "foreign-partition"]
    assert "public.events_p20260101 [2026-01-01, 2026-02-01) (" in kept.message

    sql(engine, "DROP TABLE events")
    plain = new_table(PartitionByHash("id", modulus=1), Column("k", kind, nullable=False))
    sql(engine, str(CreateTable(plain).compile(engine)).partition(" PARTITION BY")[0])
    steps = Converter(engine, table.metadata, now=at(NOW)).plan("events").steps
    assert "promise [MINVALUE, 2026-02-01) for new rows" in [each.title for each in steps]
