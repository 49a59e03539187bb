"""Expired rows of a default partition are deleted where retention drops, and nothing else of it is."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, DateTime, Engine, MetaData, Table, Uuid, create_engine

from sa_partman import Archive, PartitionByList, PartitionByRange, Retention, StepEvent, UUIDv7, Veto, before
from sa_partman.finding import Severity
from tests.support.archives import MARCH, january
from tests.support.builders import at
from tests.support.database import (
    HASTY,
    another,
    codes,
    holding,
    new_table,
    outcomes,
    partitions,
    put,
    scalar,
    sql,
    upkeep,
)
from tests.support.faces import Face
from tests.support.killing import declaring, process

DROP = Retention("1 month", then="drop")
"""In the middle of March, what is before February has been over for a month."""
MONTHLY = PartitionByRange("created_at", interval="1 month", premake=0, default=True, retention=DROP)
BATCH = 5_000
OLD, YOUNG = ["2025-05-05", "2025-12-31"], ["2026-02-01", "2027-07-07"]
"""What sits in the default partition when the partition of March is there."""


def spilled(engine: Engine, spec: PartitionByRange = MONTHLY, *columns: Column[Any]) -> Table:
    """Made in January; in its default partition a row of 2025, the last before the cutoff, and the first after it."""
    table = new_table(spec, *columns)
    january(engine, table, 0)
    put(engine, table, "2025-05-05", "2025-12-31 23:59:59.999999", "2026-02-01", "2026-03-03", "2027-07-07")
    sql(engine, "DROP TABLE events_p20260101")
    return table


def referred(engine: Engine, action: str, *columns: Column[Any]) -> Table:
    """As `spilled`, with ``notes`` that refer to it; the partition of March is there."""
    table = spilled(engine, MONTHLY, *keyed(), *columns)
    upkeep(engine, table, MARCH).provision()
    sql(engine, f"CREATE TABLE notes (e bigint, at timestamptz, FOREIGN KEY (e, at) REFERENCES events {action})")
    return table


def many(engine: Engine, rows: int, moment: str = "2025-05-05") -> None:
    sql(engine, f"INSERT INTO events (id, created_at) SELECT 100 + g, '{moment}' FROM generate_series(1, {rows}) g")


def left(engine: Engine) -> list[str]:
    """The keys of the default partition, in order."""
    shown = "to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')"
    return [row[0] for row in sql(engine, f"SELECT {shown} FROM events_default ORDER BY created_at")]


def test_expired_rows_go_and_no_others(face: Face, engine: Engine) -> None:
    """First their partitions are made for those that have one coming; a second run has nothing to do."""
    table = spilled(engine)
    maintainer = face.maintainer(table, MARCH)
    planned = str(maintainer.plan()).split("\n")
    result = maintainer.run()

    assert "- delete    2 expired rows of public.events_default  [MINVALUE, 2026-02-01)" == planned[-1]
    assert ["done"] * 2 == outcomes(result)
    assert 2 == result.steps[-1].rows
    assert {"created": 1} == result.counts
    assert YOUNG == left(engine)
    assert 3 == scalar(engine, "SELECT count(*) FROM events")
    assert "events_default" in partitions(engine)
    assert not maintainer.run()


def test_provisioning_deletes_nothing(engine: Engine) -> None:
    table = spilled(engine)
    upkeep(engine, table, MARCH).provision()

    assert OLD + YOUNG == left(engine)


def test_a_row_that_tells_no_time_stays(engine: Engine) -> None:
    """NULL, and what is infinitely old: nobody knows since when it is there. A year before Christ is long ago."""
    table = spilled(engine)
    sql(engine, "ALTER TABLE events ALTER created_at DROP NOT NULL")
    sql(engine, "INSERT INTO events (id, created_at) VALUES (7, NULL), (8, '-infinity'), (9, '0044-03-15 BC')")
    upkeep(engine, table, MARCH).run()

    assert {7, 8, 2, 4} == {row[0] for row in sql(engine, "SELECT id FROM events_default")}


def test_a_key_that_the_codec_cannot_place_stays(engine: Engine) -> None:
    """A UUID of chance may begin with any digits."""
    spec = PartitionByRange("ref", interval="1 month", premake=0, codec=UUIDv7(), default=True, retention=DROP)
    table = new_table(spec, Column("ref", Uuid, nullable=False))
    january(engine, table, 0)
    old, chance = "01900000-0000-7000-8000-000000000000", "01900000-0000-4000-8000-000000000000"
    sql(engine, f"INSERT INTO events (id, created_at, ref) VALUES (1, now(), '{old}'), (2, now(), '{chance}')")
    found = {each.code: each.message for each in upkeep(engine, table, MARCH).check()}
    upkeep(engine, table, MARCH).run()

    assert "(1 rows) are expired, and the next run deletes them" in found["default-rows"]
    assert {"misplaced-rows"} <= found.keys()
    assert [(2,)] == sql(engine, "SELECT id FROM events_default")


def test_any_name_of_a_column(engine: Engine) -> None:
    """Those of the block's own variables too; and moving rows knows them apart as well."""
    for number, name in enumerate(("key", "gone", "referred", "waiting", "names", "a:b")):
        spec = PartitionByRange(name, interval="1 month", premake=0, default=True, retention=DROP)
        moment = Column(name, DateTime(timezone=True), nullable=False)
        table = Table(f"t{number}", MetaData(), Column("id", BigInteger), moment, spec)
        january(engine, table, 0)
        with engine.begin() as connection:
            connection.execute(table.insert(), [{name: at("2025-05-05")}, {name: at("2026-03-03")}])
        result = upkeep(engine, table, MARCH).run()

        assert (True, 1) == (result.ok, scalar(engine, f"SELECT count(*) FROM t{number}")), str(result)


def test_days_end_in_the_zone_of_the_declaration(engine: Engine) -> None:
    """In New York the first of February begins at five in the morning."""
    table = new_table(MONTHLY.with_(timezone="America/New_York"))
    january(engine, table, 0)
    put(engine, table, "2025-05-05", "2026-02-01 04:59:59", "2026-02-01 05:00:00")
    sql(engine, "DROP TABLE events_p20260101")
    sql(engine, f"ALTER DATABASE {engine.url.database} SET timezone = 'Pacific/Kiritimati'")
    with another(engine) as other:
        upkeep(other, table, MARCH).run()

    assert [("2026-02-01 05:00",)] == sql(
        engine, "SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') FROM events"
    )


def test_a_hook_keeps_them(engine: Engine) -> None:
    """Who is against drops is against this one."""
    table, seen = spilled(engine), []

    @before("drop")
    def veto(event: StepEvent) -> None:
        seen.append((event.partition.name, "DELETE FROM ONLY" in event.sql[-1]))
        raise Veto("not today")

    result = upkeep(engine, table, MARCH, hooks=[veto]).run()

    assert [("events_default", True)] == [each for each in seen if each[0] == "events_default"]
    assert "vetoed" in outcomes(result)
    assert OLD + YOUNG == left(engine)


@pytest.mark.parametrize(("limit", "rows"), [(0, 4), (1, 2)])
def test_the_limit_counts_it_as_one_removal(engine: Engine, limit: int, rows: int) -> None:
    table = spilled(engine)
    result = upkeep(engine, table, MARCH, limit=limit).run()

    assert rows == len(left(engine))
    assert (["limit"] if limit == 0 else []) == codes(result.findings)


def test_the_printed_script_deletes_them_all(engine: Engine) -> None:
    """Batch after batch, by whoever pastes it; what is not expired stays."""
    table = spilled(engine)
    many(engine, 2 * BATCH)
    upkeep(engine, table, MARCH).provision()
    script = upkeep(engine, table, MARCH).plan().sql()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in script.partition("SET lock_timeout")[2].split(";\nRESET")[:1]:
            setting, _, block = statement.partition(";\n")
            connection.exec_driver_sql(f"SET lock_timeout{setting}")
            connection.connection.cursor().execute(block)

    assert YOUNG == left(engine)


def test_the_record_has_the_rows(engine: Engine) -> None:
    table = spilled(engine)
    upkeep(engine, table, MARCH, audit=True).run()

    assert [("drop", "public.events_default", 2, "done")] == sql(
        engine,
        "SELECT purpose, partition, rows, outcome FROM sa_partman_steps WHERE partition LIKE '%default'",
    )


# -- what refers to the rows ------------------------------------------------------------------------------------------


def keyed() -> tuple[Column[Any], ...]:
    return (
        Column("id", BigInteger, primary_key=True, autoincrement=False),
        Column("created_at", DateTime(timezone=True), primary_key=True),
    )


ACTIONS = ["", "ON DELETE RESTRICT", "ON DELETE CASCADE", "ON DELETE SET NULL", "ON DELETE SET DEFAULT"]


@pytest.mark.parametrize("action", ACTIONS)
def test_a_row_that_is_referred_to_stays(engine: Engine, action: str) -> None:
    """As it keeps its partition: nothing of other tables is deleted or emptied without a word."""
    table = referred(engine, action)
    sql(engine, "INSERT INTO notes SELECT id, created_at FROM events WHERE id = 0")
    result = upkeep(engine, table, MARCH).run()

    assert ["failed"] == outcomes(result)
    assert "notes" in result.steps[-1].error
    assert "Retention(referencing_tables=...)" in result.steps[-1].error
    assert 1 == scalar(engine, "SELECT count(*) FROM notes WHERE e = 0 AND at IS NOT NULL")
    sql(engine, "DELETE FROM notes")
    assert upkeep(engine, table, MARCH).run().ok
    assert YOUNG == left(engine)


def test_a_row_that_is_referred_to_meanwhile_stays(engine: Engine) -> None:
    """Whoever refers to it after the look has to wait for our lock; here somebody was a moment earlier."""
    table = referred(engine, "ON DELETE CASCADE")
    refers = "INSERT INTO notes SELECT id, created_at FROM events WHERE id = 0"
    with holding(engine, refers):
        result = upkeep(engine, table, MARCH, lock=HASTY).run()

    assert ["deferred"] == outcomes(result)
    assert OLD + YOUNG == left(engine)


@pytest.mark.parametrize("action", ["", "ON DELETE CASCADE"])
def test_the_table_refers_to_itself(engine: Engine, action: str) -> None:
    """An expired row that a younger one refers to stays; those that refer to each other go."""
    up: tuple[Column[Any], ...] = (Column("up", BigInteger), Column("up_at", DateTime(timezone=True)))
    table = spilled(engine, MONTHLY, *keyed(), *up)
    upkeep(engine, table, MARCH).provision()
    sql(engine, f"ALTER TABLE events ADD FOREIGN KEY (up, up_at) REFERENCES events {action}")
    of = "SELECT o.id, o.created_at FROM events o WHERE o.id = {old}"
    sql(engine, f"UPDATE events SET (up, up_at) = ({of.format(old=0)}) WHERE id = 1")
    sql(engine, f"UPDATE events SET (up, up_at) = ({of.format(old=1)}) WHERE id = 3")
    result = upkeep(engine, table, MARCH).run()

    assert "failed" == outcomes(result)[-1]
    assert 5 == scalar(engine, "SELECT count(*) FROM events")
    sql(engine, "UPDATE events SET up = NULL, up_at = NULL WHERE id = 3")
    assert upkeep(engine, table, MARCH).run().ok
    assert 3 == scalar(engine, "SELECT count(*) FROM events")


def test_referencing_tables_go_first(engine: Engine) -> None:
    """Those of expired rows, and no others."""
    table = spilled(
        engine, MONTHLY.with_(retention=Retention("1 month", "drop", referencing_tables=("notes",))), *keyed()
    )
    sql(engine, "CREATE TABLE notes (e bigint, at timestamptz, FOREIGN KEY (e, at) REFERENCES events)")
    sql(engine, "INSERT INTO notes SELECT id, created_at FROM events")
    result = upkeep(engine, table, MARCH).run()

    assert [2, 2] == [each.rows for each in result.steps[-2:]]
    assert {2, 3, 4} == {row[0] for row in sql(engine, "SELECT e FROM notes")}


# -- others ------------------------------------------------------------------------------------------------------------


def test_a_row_that_somebody_has_locked(engine: Engine) -> None:
    """What was deleted before stays deleted; the next run goes on."""
    table = spilled(engine)
    many(engine, BATCH)
    upkeep(engine, table, MARCH).provision()
    with holding(engine, f"SELECT FROM events WHERE id = {100 + BATCH} FOR UPDATE"):
        result = upkeep(engine, table, MARCH, lock=HASTY).run()

    assert ["deferred"] == outcomes(result)
    assert "; 5,000 rows were deleted before." in result.steps[0].error
    assert 0 < len(left(engine)) < BATCH
    assert upkeep(engine, table, MARCH).run().ok
    assert YOUNG == left(engine)


def test_a_row_that_gets_a_young_key_meanwhile_stays(engine: Engine) -> None:
    """It is looked at again when the writer's lock is gone."""
    table = spilled(engine)
    upkeep(engine, table, MARCH).provision()
    results: list[Any] = []
    with engine.connect() as writer:
        writer.exec_driver_sql("UPDATE events_default SET created_at = '2028-08-08' WHERE id = 0")
        runner = threading.Thread(target=lambda: results.append(upkeep(engine, table, MARCH).run()))
        runner.start()
        with engine.connect() as other:
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
            while not other.exec_driver_sql(waits).scalar():
                other.rollback()
        writer.commit()
        runner.join()

    assert results[0].ok
    assert [*YOUNG, "2028-08-08"] == left(engine)


def test_a_trigger_that_keeps_the_rows(engine: Engine) -> None:
    """It is said, and the run ends."""
    table = spilled(engine)
    upkeep(engine, table, MARCH).provision()
    sql(
        engine,
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "
        "CREATE TRIGGER keep BEFORE DELETE ON events_default FOR EACH ROW EXECUTE FUNCTION keep()",
    )
    result = upkeep(engine, table, MARCH).run()

    assert "a trigger or rule of public.events_default keeps its rows" in result.steps[-1].error
    assert OLD + YOUNG == left(engine)


# -- whose default partition it is -------------------------------------------------------------------------------------


def hand_made(engine: Engine, retention: Retention) -> Table:
    """As `spilled`, with a default partition that somebody made."""
    table = spilled(engine, MONTHLY.with_(retention=retention))
    sql(engine, "COMMENT ON TABLE events_default IS 'ours'")
    return table


def test_a_default_partition_of_others_keeps_its_rows_until_it_is_handed_over(engine: Engine) -> None:
    """As a partition of theirs stays; once is enough."""
    table = hand_made(engine, DROP)
    result = upkeep(engine, table, MARCH).run()
    (checked,) = [each for each in upkeep(engine, table, MARCH).check() if "expired" in each.message]

    assert ["foreign-partition"] == codes(result.findings)
    assert "its expired rows are kept: 2" in result.findings[0].message
    assert "(1 rows) are expired, and kept, because" in checked.message
    assert "sa-partman run --adopt" in checked.remedy
    assert OLD + YOUNG == left(engine)
    assert upkeep(engine, table, MARCH).run(adopt=True).ok
    assert YOUNG == left(engine)


@pytest.mark.parametrize(("foreign", "rows"), [(True, 2), (False, 4)])
def test_the_declaration_may_say_it(engine: Engine, foreign: bool, rows: int) -> None:
    table = hand_made(engine, Retention("1 month", "drop", foreign=foreign))
    checked = [each.message for each in upkeep(engine, table, MARCH).check() if each.code == "default-rows"]
    result = upkeep(engine, table, MARCH).run()

    assert [] == codes(result.findings)
    assert rows == len(left(engine))
    assert foreign == any("expired" in message for message in checked)


def test_a_default_partition_that_is_partitioned_itself(engine: Engine) -> None:
    """Made by hand, and handed over: its leaves are emptied."""
    table = new_table(MONTHLY.with_(default=False))
    january(engine, table, 0)
    sql(engine, "CREATE TABLE rest PARTITION OF events DEFAULT PARTITION BY LIST (tenant)")
    sql(engine, "CREATE TABLE rest_1 PARTITION OF rest FOR VALUES IN ('t1')")
    sql(engine, "CREATE TABLE rest_2 PARTITION OF rest DEFAULT")
    for tenant in ("t1", "t2"):
        put(engine, table, "2025-05-05", "2027-07-07", tenant=tenant)
    assert upkeep(engine, table, MARCH).run(adopt=True).ok

    assert [("t1", 2027), ("t2", 2027)] == sql(
        engine, "SELECT tenant, CAST(extract(year FROM created_at) AS int) FROM rest ORDER BY 1"
    )


def test_each_branch_by_its_own_retention(engine: Engine) -> None:
    """Also of a tenant that left."""
    below = MONTHLY.with_(retention={"acme": DROP, "blue": Retention("6 months", "drop")})
    spec = PartitionByList("tenant", values=["acme", "blue"], subpartition=below)
    table = new_table(spec)
    january(engine, table, 0)
    for tenant in ("acme", "blue"):
        put(engine, table, "2025-05-05", "2025-12-12", tenant=tenant)
    upkeep(engine, new_table(spec.with_(values=["blue"])), MARCH).run()

    assert [("blue", 12)] == sql(engine, "SELECT tenant, CAST(extract(month FROM created_at) AS int) FROM events")


def test_a_tenant_in_front_of_the_range(engine: Engine) -> None:
    """All rows of a retention for all; where each tenant has his, those of tenants that are declared."""
    by: dict[str, Any] = {"tenants": ["acme", "blue"], "interval": "1 month", "premake": 0, "default": True}
    table = new_table(PartitionByRange("tenant", "created_at", retention=DROP, **by))
    january(engine, table, 0)
    for tenant in ("acme", "left"):
        put(engine, table, "2025-05-05", "2027-07-07", tenant=tenant)
    rule = {"acme": DROP}
    one = new_table(PartitionByRange("tenant", "created_at", retention=rule, **by))
    checked = {each.code: each.message for each in upkeep(engine, one, MARCH).check()}
    upkeep(engine, one, MARCH).run()

    assert "those past their retention (1 rows) are expired, and the next run deletes them" in checked["default-rows"]
    assert [("acme", 2027), ("left", 2025), ("left", 2027)] == sql(
        engine, "SELECT tenant, CAST(extract(year FROM created_at) AS int) FROM events ORDER BY 1, 2"
    )
    upkeep(engine, table, MARCH).run()
    assert 2 == scalar(engine, "SELECT count(*) FROM events")


def test_integers(engine: Engine) -> None:
    """Counted back from the highest partition with rows."""
    spec = PartitionByRange("id", interval=100, premake=0, default=True, retention=Retention(2, "drop"))
    table = new_table(spec)
    table.create(engine)
    sql(engine, "INSERT INTO events (id, created_at) SELECT g, now() FROM generate_series(0, 99) g")
    sql(engine, "CREATE TABLE high PARTITION OF events FOR VALUES FROM (1000) TO (1100)")
    sql(engine, "INSERT INTO events (id, created_at) VALUES (-5, now()), (799, now()), (800, now()), (1050, now())")
    upkeep(engine, table, MARCH).run(adopt=True)

    assert [800, 1050] == [row[0] for row in sql(engine, "SELECT id FROM events ORDER BY 1")]


# -- where retention does not drop -------------------------------------------------------------------------------------


def test_a_grace_is_added(engine: Engine) -> None:
    """A row can't be detached, so it stays where it is for that long."""
    table = spilled(engine, MONTHLY.with_(retention=Retention("1 month", "drop", grace="60 days")))
    checked = [each for each in upkeep(engine, table, MARCH).check() if "grace=" in each.message]
    upkeep(engine, table, MARCH).run()

    assert [Severity.INFO] == [each.severity for each in checked]
    assert [OLD[1], *YOUNG] == left(engine)
    upkeep(engine, table, "2026-05-15").run()
    assert YOUNG == left(engine)


@pytest.mark.parametrize("archived", [True, False])
def test_where_retention_keeps_what_leaves_rows_stay(engine: Engine, tmp_path: Any, archived: bool) -> None:
    """And what `check` says makes partitions of them, which go the way of all others."""
    then: Any = Archive(tmp_path) if archived else "detach"
    table = spilled(engine, MONTHLY.with_(retention=Retention("1 month", then)))
    result = upkeep(engine, table, MARCH).run()
    (finding,) = [each for each in upkeep(engine, table, MARCH).check() if "expired" in each.message]

    assert result.ok
    assert OLD + YOUNG == left(engine)
    assert "rows of a default partition can't be detached" in finding.message
    for month in ("2025-05-01", "2025-12-01"):
        assert f"sa-partman provision --table events --at {month}T00:00:00+00:00" in finding.remedy
        upkeep(engine, table, month).provision()
    upkeep(engine, table, MARCH).run()
    assert YOUNG[1:] == left(engine)
    assert archived == bool(list(tmp_path.glob("events_p20250501*.csv.gz")) or list(tmp_path.glob("*p20250501*.gz")))


# -- killed ------------------------------------------------------------------------------------------------------------


@pytest.mark.campaign
@pytest.mark.parametrize("statement", ["sa_partman.deleted', coalesce", "COMMIT"])
def test_killed_at_every_batch(database_url: str, statement: str) -> None:
    """With writers at work: what is not expired is all there, once; the next run ends it."""
    engine = create_engine(database_url)
    table = spilled(engine)
    many(engine, 3 * BATCH)
    now, stop, written = at(MARCH), threading.Event(), []

    def write() -> None:
        number = 1_000_000
        while not stop.is_set():
            number += 1
            sql(engine, f"INSERT INTO events (id, created_at) VALUES ({number}, '2027-08-08'), (1, '2025-05-05')")
            written.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    point = killed = 0
    while True:
        point += 1
        child = process(database_url, now, MONTHLY, point, statement, target=declaring)
        child.join(120)
        if child.exitcode == 0:
            break
        assert -signal.SIGKILL == child.exitcode
        killed += 1
    stop.set()
    writer.join()
    assert upkeep(engine, table, MARCH).run().ok
    kept = [row[0] for row in sql(engine, "SELECT id FROM events ORDER BY id")]
    engine.dispose()

    assert killed > 2
    assert [2, 3, 4, *written] == kept
