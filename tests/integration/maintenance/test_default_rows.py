"""Rows of the default partition that belong into a new one, and what stands in the way of moving them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, DateTime, Engine, MetaData, Table, create_engine
from sqlalchemy.schema import CreateTable

from sa_partman import LockPolicy, PartitionByList, PartitionByRange
from sa_partman.throwaway import Server
from tests.support.archives import JANUARY, MARCH, january
from tests.support.database import new_table, put, scalar, sql, upkeep
from tests.support.faces import Face

MONTHLY = PartitionByRange("created_at", interval="1 month", premake=0)


def test_a_provision_never_advises_to_remove_rows(engine: Engine) -> None:
    """That is what one says of a removal."""
    sql(engine, "CREATE TABLE nothing ()")
    metadata = MetaData()
    columns: list[Any] = [
        Column("id", BigInteger, primary_key=True, autoincrement=False),
        Column("created_at", DateTime(timezone=True), primary_key=True),
    ]
    table = Table("events", metadata, *columns, MONTHLY.with_(default=True))
    january(engine, table, 0)
    sql(
        engine,
        "CREATE TABLE notes (e bigint, at timestamptz, FOREIGN KEY (e, at) REFERENCES events (id, created_at))",
    )
    put(engine, table, "2026-03-03")
    sql(engine, "INSERT INTO notes SELECT id, created_at FROM events")
    result = upkeep(engine, table, MARCH).provision()

    assert "Remove the rows" not in str(result)


def test_rows_of_a_published_default_partition(own_server: Server) -> None:
    """Subscribers would see the DELETE from it, and no INSERT, because the new partition is not attached yet."""
    first = create_engine(own_server.url())
    with first.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ALTER SYSTEM SET wal_level = logical")
    first.dispose()
    own_server.restart_immediate()
    engine = create_engine(own_server.url())
    table = new_table(MONTHLY.with_(default=True), Column("id", BigInteger, primary_key=False, nullable=False))
    with engine.begin() as connection:
        connection.execute(CreateTable(table))
    upkeep(engine, table, JANUARY).run()
    sql(engine, "ALTER TABLE events REPLICA IDENTITY FULL; ALTER TABLE events_default REPLICA IDENTITY FULL")
    sql(engine, "CREATE PUBLICATION p FOR TABLE events")
    sql(engine, "SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
    put(engine, table, "2026-03-03")
    result = upkeep(engine, table, MARCH).run()
    rows = sql(
        engine,
        "SELECT chr(get_byte(data, 0)) FROM pg_logical_slot_peek_binary_changes("
        "'s', NULL, NULL, 'proto_version', '1', 'publication_names', 'p')",
    )
    sent = "".join(row[0] for row in rows)
    engine.dispose()

    assert 1 == sent.count("I") - sent.count("D"), str(result)


def many(engine: Engine, table: Table, rows: int) -> None:
    """*rows* of March, while there is no partition for it."""
    january(engine, table, 0)
    sql(engine, f"INSERT INTO events (id, created_at) SELECT g, '2026-03-03' FROM generate_series(1, {rows}) g")


def test_any_number_of_rows_is_moved_by_whoever_says_so(face: Face, engine: Engine) -> None:
    """Refused with the number to say; with it all are moved, although that takes longer than a step may take."""
    table = new_table(MONTHLY.with_(default=True))
    many(engine, table, 100_001)
    brief = LockPolicy(lock_timeout=0.05, budget=0.1)
    refused = face.maintainer(table, MARCH).run()

    assert not refused.ok
    assert "sa-partman run --max-rows 100001" in str(refused)
    assert 100_001 == scalar(engine, "SELECT count(*) FROM events_default")
    again = face.maintainer(table, MARCH, lock=brief).run(max_rows=100_001)

    assert again.ok, str(again)
    assert (0, 100_001) == (
        scalar(engine, "SELECT count(*) FROM ONLY events_default"),
        scalar(engine, "SELECT count(*) FROM events_p20260301"),
    )


def test_what_is_said_of_rows_is_what_becomes_of_them(engine: Engine) -> None:
    """Each kind by itself, in one default partition; after the run those of old and those ahead are left."""
    table = new_table(MONTHLY.with_(default=True))
    january(engine, table, 0)
    put(engine, table, "2009-05-05", "2026-03-03", "2027-03-03")
    found = [each for each in upkeep(engine, table, MARCH).check() if each.code == "default-rows"]
    before = {each.message.partition("; of these, ")[2] for each in found}
    result = upkeep(engine, table, MARCH).run()

    assert {
        "the next run moves [2026-03-01, 2026-04-01) (1 rows) into partitions that it makes",
        "[2027-03-01, 2027-04-01) (1 rows) lie ahead; the run that makes their partitions moves them",
        "no run makes a partition for [2009-05-01, 2009-06-01) (1 rows)",
    } == before
    assert result.ok
    assert 2 == scalar(engine, "SELECT count(*) FROM events_default")
    upkeep(engine, table, "2009-05-01").provision()
    assert 1 == scalar(engine, "SELECT count(*) FROM events_default")


TRIGGER = (
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
    "CREATE TRIGGER t BEFORE {} ON events FOR EACH ROW EXECUTE FUNCTION f()"
)
LISTED = PartitionByList("tenant", values={"a": ["t1"]}, default=True)


@pytest.mark.parametrize("spec", [MONTHLY.with_(default=True), LISTED], ids=["range", "list"])
@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("CREATE PUBLICATION p FOR TABLE events", "subscribers of p would get only one half of the move"),
        ("CREATE PUBLICATION p FOR ALL TABLES", "subscribers of p would get only one half of the move"),
        (TRIGGER.format("DELETE"), "that would fire the row triggers t on public.events_default"),
        (TRIGGER.format("INSERT"), ""),
        (TRIGGER.format("UPDATE"), ""),
        ("SELECT", ""),
    ],
    ids=["published", "all-tables", "delete", "insert", "update", "none"],
)
def test_a_move_that_a_run_refuses_is_not_promised(engine: Engine, spec: Any, given: str, why: str) -> None:
    """What keeps the rows where they are is said before, and a run that moves them is promised only where it does."""
    table = new_table(spec)
    with engine.begin() as connection:
        connection.execute(CreateTable(table))
    sql(engine, "CREATE TABLE events_default PARTITION OF events DEFAULT")
    put(engine, table, "2026-03-03")
    sql(engine, given)
    (finding,) = [each for each in upkeep(engine, table, MARCH).check() if each.code == "default-rows"]
    result = upkeep(engine, table, MARCH).run()

    assert ("the next run moves" in finding.message) is result.ok is (not why)
    assert finding.message.endswith(f": {why}" if why else "into partitions that it makes")
    assert (1 if why else 0) == scalar(engine, "SELECT count(*) FROM ONLY events_default")


def test_what_makes_partitions_for_old_rows_leaves_other_tables_alone(engine: Engine) -> None:
    """Otherwise they, too, would get partitions of 2009, and the next run would fill what lies between."""
    table = new_table(MONTHLY.with_(default=True))
    january(engine, table, 0)
    put(engine, table, "2009-05-05")
    (finding,) = [each for each in upkeep(engine, table, MARCH).check() if each.code == "default-rows"]

    assert finding.remedy.endswith(": sa-partman provision --table events --at 2009-05-01T00:00:00+00:00")
