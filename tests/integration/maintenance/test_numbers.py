"""Ranges of integers: as many partitions ahead as premake says, from the highest value present."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, Engine, Integer, Numeric

from sa_partman import PartitionByHash, PartitionByList, PartitionByRange, Retention
from tests.support.database import another, leaves, made, new_table, partitions, scalar, sql, upkeep

SPEC = PartitionByRange("id", interval=1000, premake=2)


def fill(engine: Engine, low: int, high: int) -> None:
    sql(engine, f"INSERT INTO events (id, created_at) SELECT n, now() FROM generate_series({low}, {high}) AS n")


def test_an_empty_table(engine: Engine) -> None:
    """From 0 on."""
    table = new_table(SPEC)
    table.metadata.create_all(engine)

    assert ["events_p0", "events_p1000", "events_p2000"] == list(partitions(engine))
    assert "FOR VALUES FROM ('0') TO ('1000')" == partitions(engine)["events_p0"]


def test_ahead_of_the_highest_value(engine: Engine) -> None:
    """Two whole partitions beyond the one that holds it, and not one more."""
    table = new_table(SPEC)
    table.metadata.create_all(engine)
    fill(engine, 1, 1000)
    result = upkeep(engine, table).run()

    assert ["events_p3000"] == made(result)
    assert not upkeep(engine, table).plan()


def test_a_gap_far_ahead(engine: Engine) -> None:
    """
    Somebody made a wide partition: what lies between is filled, and without an index on the key its end counts as the
    highest value.
    """
    table = new_table(SPEC)
    table.metadata.create_all(engine)
    sql(engine, "CREATE TABLE far PARTITION OF events FOR VALUES FROM (10000) TO (20000)")
    fill(engine, 15000, 15001)
    upkeep(engine, table).run()

    assert [f"events_p{low}" for low in (*range(0, 10000, 1000), 20000, 21000)] == sorted(
        (name for name in partitions(engine) if name != "far"), key=lambda name: int(name[8:])
    )
    assert not upkeep(engine, table).plan()


@pytest.mark.parametrize("upper", ["1000000", "MAXVALUE"])
def test_what_a_wide_partition_keeps(engine: Engine, upper: str) -> None:
    """
    Nobody knows how far its rows have come, without an index: what is certain is where it begins, and three intervals
    before that stay.
    """
    retention = Retention(3, then="drop", foreign=True)
    table = new_table(PartitionByRange("id", interval=1000, premake=0, retention=retention))
    table.create(engine)
    sql(engine, "DROP TABLE events_p0")
    for low in range(0, 5000, 1000):
        sql(engine, f"CREATE TABLE n_{low} PARTITION OF events FOR VALUES FROM ({low}) TO ({low + 1000})")
    sql(engine, f"CREATE TABLE wide PARTITION OF events FOR VALUES FROM (5000) TO ({upper})")
    fill(engine, 0, 5500)
    upkeep(engine, table).run()

    assert 2000 == scalar(engine, "SELECT min(id) FROM events")


def test_a_bound_between_two_numbers(engine: Engine) -> None:
    """2000.2 is not behind 2000, whoever asks for whole thousands."""
    spec = PartitionByRange("id", interval=1000, premake=0, retention=Retention(3, then="drop"))
    table = new_table(spec, Column("id", Numeric, nullable=False))
    table.create(engine)
    sql(engine, "DROP TABLE events_p0")
    sql(engine, "CREATE TABLE low PARTITION OF events FOR VALUES FROM (0) TO (2000.5)")
    sql(engine, "CREATE TABLE high PARTITION OF events FOR VALUES FROM (2000.5) TO (6000)")
    sql(engine, "INSERT INTO events (id, created_at) VALUES (2000.2, now()), (5500, now())")
    upkeep(engine, table).run()

    assert 2 == scalar(engine, "SELECT count(*) FROM events")


def test_a_foreign_partition_that_can_not_be_read(engine: Engine) -> None:
    """Its server is away: that costs neither its table nor another."""
    table = new_table(SPEC)
    table.metadata.create_all(engine)
    sql(engine, "CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw")
    sql(
        engine,
        "CREATE FOREIGN TABLE far PARTITION OF events FOR VALUES FROM (-1000) TO (0) "
        "SERVER files OPTIONS (filename '/nowhere')",
    )
    result = upkeep(engine, table).run()

    assert result.ok, str(result)
    assert not upkeep(engine, table).run()


@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "not indexed"])
def test_no_table_is_scanned(engine: Engine, indexed: bool) -> None:
    """Finding the highest value reads a handful of rows, with an index on the key or without."""
    table = new_table(SPEC)
    table.metadata.create_all(engine)
    fill(engine, 0, 2999)
    if indexed:
        sql(engine, "CREATE INDEX ON events (id)")
    sql(engine, "ANALYZE events")
    engine.dispose()
    read = "SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0) FROM pg_stat_user_tables WHERE relname LIKE 'events%'"
    before = _settled(engine, read)
    with another(engine) as other:
        plan = upkeep(other, table).plan()
    after = _settled(engine, read)

    assert 2 == len(list(plan.steps))
    assert after - before < 50


def _settled(engine: Engine, query: str) -> int:
    """Statistics come in late."""
    import time

    seen = [-1, -2]
    while seen[-1] != seen[-2]:
        sql(engine, "SELECT pg_stat_clear_snapshot()")
        time.sleep(0.3)
        seen.append(int(scalar(engine, query)))
    return seen[-1]


def test_negative_numbers(engine: Engine) -> None:
    """The grid goes on below 0."""
    table = new_table(SPEC.with_(start=-1500))
    table.metadata.create_all(engine)

    assert {"events_pm2000", "events_pm1000", "events_p0"} <= set(partitions(engine))
    fill(engine, -1500, -1500)


def test_retention_by_number(engine: Engine) -> None:
    """The last two partitions behind the current one are kept."""
    table = new_table(SPEC.with_(retention=Retention(2, then="drop")))
    table.metadata.create_all(engine)
    fill(engine, 0, 2999)
    upkeep(engine, table).run()
    fill(engine, 3000, 4500)
    upkeep(engine, table).run()

    assert "events_p2000" == min(partitions(engine))
    assert not upkeep(engine, table).plan()


@pytest.mark.parametrize("kind", [Integer, Numeric(20, 3)])
def test_other_number_types(engine: Engine, kind: object) -> None:
    """Quoted by the server or not: no difference is seen."""
    table = new_table(SPEC, Column("n", kind, nullable=False))  # type: ignore[arg-type]
    spec = PartitionByRange("n", interval=10, premake=1)
    table = new_table(spec, Column("n", kind, nullable=False))  # type: ignore[arg-type]
    table.metadata.create_all(engine)
    sql(engine, "INSERT INTO events (id, created_at, n) VALUES (1, now(), 15)")
    upkeep(engine, table).run()

    assert ["events_p0", "events_p10", "events_p20"] == list(partitions(engine))
    assert not upkeep(engine, table).plan()


def test_the_end_of_a_type(engine: Engine) -> None:
    """Near the largest integer the last partition ends where the type does, and nothing fails."""
    table = new_table(PartitionByRange("n", interval=2**30, premake=4), Column("n", Integer, nullable=False))
    table.metadata.create_all(engine)
    sql(engine, "INSERT INTO events (id, created_at, n) VALUES (1, now(), 2147483647)")

    assert upkeep(engine, table).run().ok
    assert not upkeep(engine, table).plan()


def test_integers_below_a_list(engine: Engine) -> None:
    """Each branch has a highest value of its own."""
    spec = PartitionByList("tenant", values=["a", "b"], subpartition=SPEC.with_(premake=0))
    table = new_table(spec)
    table.metadata.create_all(engine)
    sql(engine, "CREATE TABLE more PARTITION OF events_a FOR VALUES FROM (1000) TO (5000)")
    sql(engine, "INSERT INTO events (id, created_at, tenant) VALUES (4999, now(), 'a')")
    upkeep(engine, table).run()

    assert ["events_a_p0", "events_b_p0", "more"] == leaves(engine)


def test_integers_with_sub_partitions(engine: Engine) -> None:
    """The highest value is found through partitioned partitions."""
    table = new_table(SPEC.with_(premake=1, subpartition=PartitionByHash("id", modulus=2)))
    table.metadata.create_all(engine)
    fill(engine, 0, 1999)
    upkeep(engine, table).run()

    assert ["events_p0", "events_p1000", "events_p2000"] == list(partitions(engine))
