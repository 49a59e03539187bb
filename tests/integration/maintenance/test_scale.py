"""Scale: how many statements a look takes, whatever the number of tables and partitions. Nothing is timed."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Column, Date, DateTime, Engine, Inspector, MetaData, Table, Text, create_engine

from sa_partman import Maintainer, PartitionByList, PartitionByRange, Retention
from sa_partman.maintenance.fleet import Fleet
from sa_partman.maintenance.results import RunResult
from sa_partman.postgres.reflect import LIMIT, known_to
from tests.support.builders import at
from tests.support.counting import statements
from tests.support.database import another, made, new_table, partitions, sql, upkeep

NOW = at("2024-01-15")
DAILY = PartitionByRange("created_at", interval="1 day", premake=0)


def many(engine: Engine, tables: int, days: int) -> MetaData:
    """*tables*, each with *days* partitions of the past that are all there."""
    metadata = MetaData()
    for number in range(tables):
        new_table(DAILY, metadata=metadata, name=f"t{number}")
    metadata.create_all(engine)
    first = date(2024, 1, 15) - timedelta(days=days)
    for number in range(tables):
        make = f"'CREATE TABLE t{number}_x%s PARTITION OF t{number} FOR VALUES FROM (%L) TO (%L)'"
        each = f"EXECUTE format({make}, d, date '{first}' + d, date '{first}' + d + 1)"
        sql(engine, f"DO $$ BEGIN FOR d IN 0..{days - 1} LOOP {each}; END LOOP; END $$")
    return metadata


def bounds(engine: Engine, table: Table) -> dict[str, str]:
    return {each.name: each.bound for each in upkeep(engine, table, NOW).status()[0].partitions}


def converged(engine: Engine, metadata: MetaData, **options: Any) -> Maintainer:
    maintainer = Maintainer(engine, metadata, now=NOW, **options)
    maintainer.run()
    assert not maintainer.plan()
    return maintainer


@pytest.mark.parametrize("verb", ["run", "plan", "status", "check"])
def test_as_many_statements_for_many_tables_and_partitions_as_for_one(engine: Engine, verb: str) -> None:
    counted = []
    for tables, days in ((1, 1), (6, 40)):
        metadata = many(engine, tables, days)
        maintainer = converged(engine, metadata)
        with statements(engine) as seen:
            getattr(maintainer, verb)()
        counted.append(len(seen))
        metadata.drop_all(engine)

    assert counted[0] == counted[1]


@pytest.mark.parametrize("verb", ["run", "plan", "status", "check"])
def test_the_inspector_is_never_asked(engine: Engine, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    maintainer = converged(engine, many(engine, 2, 3))
    monkeypatch.setattr(Inspector, "__init__", lambda *_: pytest.fail("an Inspector was made"))

    getattr(maintainer, verb)()


def test_a_bound_that_was_read_before_is_not_printed_again(engine: Engine) -> None:
    metadata = many(engine, 2, 5)
    converged(engine, metadata)
    with statements(engine) as seen:
        Maintainer(engine, metadata, now=NOW).plan()

    assert [] == [each for each in seen if "pg_get_expr(c.relpartbound" in each]


def test_another_engine_reads_them_itself(engine: Engine) -> None:
    metadata = many(engine, 1, 3)
    converged(engine, metadata)
    with another(engine) as other, statements(other) as seen:
        assert not Maintainer(other, metadata, now=NOW).plan()

    assert 1 == sum("pg_get_expr(c.relpartbound" in each for each in seen)


def test_a_bound_that_changed_is_read_again(engine: Engine) -> None:
    table = new_table(PartitionByRange("created_at", interval="1 month", premake=0))
    table.create(engine)
    upkeep(engine, table, NOW).run()
    before = bounds(engine, table)["public.events_p20240101"]
    sql(engine, "ALTER TABLE events DETACH PARTITION events_p20240101")
    sql(engine, "ALTER TABLE events ATTACH PARTITION events_p20240101 FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')")

    assert "[2024-01-01, 2024-02-01)" == before
    assert "[2024-02-01, 2024-03-01)" == bounds(engine, table)["public.events_p20240101"]


def test_a_label_of_an_enum_that_was_renamed_is_read_again(engine: Engine) -> None:
    sql(engine, "CREATE TYPE mood AS ENUM ('sad', 'ok')")
    sql(engine, "CREATE TABLE events (mood mood) PARTITION BY LIST (mood)")
    sql(engine, "CREATE TABLE events_x PARTITION OF events FOR VALUES IN ('sad')")
    table = new_table(PartitionByList("mood", values={"x": ["sad"]}), Column("mood", Text, nullable=False))
    before = bounds(engine, table)
    sql(engine, "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'")

    assert [{"public.events_x": "in (sad)"}, {"public.events_x": "in (blue)"}] == [before, bounds(engine, table)]


def test_a_known_bound_needs_no_lock(engine: Engine) -> None:
    """A partition that somebody holds exclusively stops nothing while nothing has to be printed."""
    metadata = many(engine, 1, 2)
    converged(engine, metadata)
    with engine.connect() as connection, connection.begin():
        connection.exec_driver_sql("LOCK TABLE t0_x1 IN ACCESS EXCLUSIVE MODE")
        result = Maintainer(engine, metadata, now=NOW).run()

    assert ([], ()) == (list(result.steps), result.findings)


def test_what_is_remembered_is_bounded(engine: Engine) -> None:
    metadata = many(engine, 1, 2)
    with engine.connect() as connection:
        known = known_to(connection)
        known.update((-number, (0, None)) for number in range(LIMIT + 1))  # type: ignore[misc]
    converged(engine, metadata)

    assert len(known) < 10


def test_expired_ones_among_many_go_in_order(engine: Engine) -> None:
    metadata = many(engine, 1, 10)
    spec = PartitionByRange(
        "created_at", interval="1 day", premake=0, retention=Retention("7 days", then="drop", foreign=True)
    )
    short = new_table(spec, name="t0")
    result = Maintainer(engine, [short.metadata], now=NOW).run()

    assert metadata.tables
    assert ["t0_p20240115", "t0_x0", "t0_x1", "t0_x2"] == made(result)


@pytest.mark.parametrize(
    ("kind", "bound"), [(DateTime(), "2024-01-02 12:00:00"), (DateTime(timezone=True), "2024-01-02 12:00:00+00")]
)
def test_what_is_missing_between_stretches_is_found(engine: Engine, kind: Any, bound: str) -> None:
    """Partitions that follow each other are passed over as one, up to the middle of a cell."""
    table = new_table(DAILY, Column("created_at", kind, nullable=False))
    table.create(engine)
    sql(engine, f"CREATE TABLE a PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('{bound}')")
    sql(engine, "CREATE TABLE b PARTITION OF events FOR VALUES FROM ('2024-01-05') TO ('2024-01-15')")
    upkeep(engine, table, "2024-01-15").run()

    assert not upkeep(engine, table, "2024-01-15").plan()
    assert {
        "events_p20240102_120000",
        "events_p20240103",
        "events_p20240104",
        "events_p20240115",
    } <= partitions(engine).keys()


def test_an_open_beginning_among_dates(engine: Engine) -> None:
    table = new_table(DAILY, Column("created_at", Date, nullable=False))
    table.create(engine)
    sql(engine, "CREATE TABLE old PARTITION OF events FOR VALUES FROM (MINVALUE) TO ('2024-01-10')")
    sql(engine, "CREATE TABLE far PARTITION OF events FOR VALUES FROM ('9000-01-01') TO ('9999-12-31')")

    assert [f"events_p202401{day}" for day in (15, 14, 13, 12, 11, 10)] == made(upkeep(engine, table, NOW).run())


def test_several_databases_of_which_one_is_gone(engine: Engine) -> None:
    table = new_table(DAILY)
    table.create(engine)
    with another(engine) as other:
        lost = other.url.set(database="nobody_made_this")
    nowhere = create_engine(lost)
    fleet = Fleet([Maintainer(each, table.metadata, now=NOW) for each in (nowhere, engine)])
    gone, done = fleet.run()

    assert (False, None) == (gone.ok, gone.value)
    assert "nobody_made_this" in str(gone.error)
    assert isinstance(done.value, RunResult)
    assert ["events_p20240115"] == made(done.value)
    assert [False, True] == [each.ok for each in fleet.status()]
    assert [False, True] == [each.ok for each in fleet.check()]
    assert [False, True] == [each.ok for each in fleet.plan()]
    nowhere.dispose()


def test_what_changed_since_the_last_look_is_seen(engine: Engine) -> None:
    """By the same engine, which remembers what it read: two that exchanged bounds, and one with another name."""
    table = many(engine, 1, 3).tables["t0"]
    before = bounds(engine, table)
    sql(
        engine,
        """
        ALTER TABLE t0 DETACH PARTITION t0_x0;
        ALTER TABLE t0 DETACH PARTITION t0_x1;
        ALTER TABLE t0 ATTACH PARTITION t0_x0 FOR VALUES FROM ('2024-01-13 00:00+00') TO ('2024-01-14 00:00+00');
        ALTER TABLE t0 ATTACH PARTITION t0_x1 FOR VALUES FROM ('2024-01-12 00:00+00') TO ('2024-01-13 00:00+00');
        ALTER TABLE t0_x2 RENAME TO renamed
        """.replace(":", r"\:"),
    )
    after = bounds(engine, table)

    first, second, third = (before.pop(f"public.t0_x{number}") for number in range(3))

    assert before | {"public.t0_x0": second, "public.t0_x1": first, "public.renamed": third} == after
