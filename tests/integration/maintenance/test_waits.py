"""Whoever waits for a run is told for whom the run waits: at each place where it can."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import BigInteger, Column, DateTime, Engine, ForeignKeyConstraint, MetaData, Table

from sa_partman import LockPolicy, PartitionByRange, Retention, WaitEvent
from sa_partman.engine.exclusion import LOCK_KEY
from sa_partman.errors import MaintainerBusy
from tests.support.database import another, new_table, partitions, put, scalar, sql, upkeep
from tests.support.faces import Face
from tests.support.killing import until
from tests.support.residues import leave_pending
from tests.support.waits import Bell, busy, busy_from

EARLY, LATER = "2030-01-15", "2030-06-15"
OLD = "events_p20300101"


def declared(**options: object) -> Table:
    retention = Retention("1 month", **{"then": "drop", **options})  # type: ignore[arg-type]
    return new_table(PartitionByRange("created_at", interval="1 month", premake=0, retention=retention))


def made(engine: Engine, table: Table) -> None:
    """With its partition of January, and a row in it."""
    sql(
        engine,
        "CREATE TABLE events (id bigint, created_at timestamptz NOT NULL, tenant text, region text, ref uuid) "
        "PARTITION BY RANGE (created_at)",
    )
    assert upkeep(engine, table, EARLY).run().ok
    put(engine, table, "2030-01-03")


def of(event: WaitEvent) -> tuple[int | None, str, str, str, str]:
    (holder,) = event.holders
    assert (holder.seconds or 0) > 0
    return holder.pid, holder.application, holder.state, holder.mode, holder.table


def test_prune_behind_an_open_transaction(engine: Engine, face: Face) -> None:
    """Pid, name, lock, table, and how long the transaction has been open; and that the wait is over."""
    table = declared()
    made(engine, table)
    with busy(engine, f"SELECT count(*) FROM {OLD}") as (pid, bell):
        result = face.maintainer(table, LATER, on_wait=bell).prune()

    assert result.ok, str(result)
    assert OLD not in partitions(engine)
    assert [False, True] == [*bell.over[:1], *bell.over[-1:]]
    assert "public.events" == bell.first.table
    assert "ACCESS EXCLUSIVE on public.events" in bell.first.what
    assert (pid, "nightly report", "idle in transaction", "AccessShareLock", f"public.{OLD}") == of(bell.first)
    assert 1 <= bell.first.seconds < bell.first.holders[0].seconds + 1  # type: ignore[operator]


def test_a_callback_may_be_asynchronous(engine: Engine, async_face: Face) -> None:
    table = declared()
    made(engine, table)
    with busy(engine, f"SELECT count(*) FROM {OLD}") as (_, bell):

        async def tell(event: WaitEvent) -> None:
            await asyncio.sleep(0)
            bell(event)

        assert async_face.maintainer(table, LATER, on_wait=tell).prune().ok

    assert [False, True] == bell.over


def test_a_prepared_transaction(engine: Engine) -> None:
    """It has no pid, and a name."""
    if not int(scalar(engine, "SHOW max_prepared_transactions")):
        pytest.skip("this server takes no prepared transactions")
    table = declared()
    made(engine, table)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(
            f"BEGIN; INSERT INTO {OLD} VALUES (1, '2030-01-04'); PREPARE TRANSACTION 'two phases'"
        )
    bell = Bell(lambda: _commit(engine))

    assert upkeep(engine, table, LATER, on_wait=bell).prune().ok
    assert (None, "two phases") == (bell.first.holders[0].pid, bell.first.holders[0].prepared)


def _commit(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("COMMIT PREPARED 'two phases'")


def test_a_concurrent_detach_in_the_server(engine: Engine, face: Face) -> None:
    """Somebody comes between our look and its statement: another connection sees for whom that waits."""
    table = declared(then="detach", concurrently=True)
    made(engine, table)
    with (
        another(engine) as own,
        busy_from(own, face.sync_engine, "CONCURRENTLY", "SELECT count(*) FROM events") as late,
    ):
        result = face.maintainer(table, LATER, on_wait=late.bell).prune()

    assert result.ok, str(result)
    assert f"DETACH PARTITION public.{OLD} CONCURRENTLY" in late.bell.first.what
    assert (late.pid, "nightly report", "idle in transaction", "AccessShareLock", "public.events") == of(
        late.bell.first
    )
    assert late.bell.over[-1]


def test_a_detach_that_is_finalized_waits_for_old_snapshots(engine: Engine, face: Face) -> None:
    """Whoever has one may hold no lock on the table at all."""
    table = declared(then="detach")
    made(engine, table)
    sql(engine, "CREATE TABLE other (id int)")
    leave_pending(engine, OLD)
    with another(engine) as own, busy(own, "SELECT count(*) FROM other", isolation="REPEATABLE READ") as (pid, bell):
        result = face.maintainer(table, LATER, on_wait=bell).prune()

    assert result.ok, str(result)
    assert (pid, "nightly report") == of(bell.first)[:2]
    assert [False, True] == bell.over


def test_a_row_that_somebody_has_locked(engine: Engine) -> None:
    """The lock of the table is free: who holds more than a reader's there is named."""
    parents = MetaData()
    table = new_table(
        PartitionByRange(
            "created_at",
            interval="1 month",
            premake=0,
            retention=Retention("1 month", "drop", referencing_tables=["notes"]),
        ),
        metadata=parents,
    )
    Table(
        "notes",
        parents,
        Column("event", BigInteger),
        Column("at", DateTime(timezone=True)),
        ForeignKeyConstraint(["event", "at"], ["events.id", "events.created_at"]),
    )
    made(engine, table)
    sql(engine, "ALTER TABLE events ADD PRIMARY KEY (id, created_at)")
    sql(engine, "CREATE TABLE notes (event bigint, at timestamptz, FOREIGN KEY (event, at) REFERENCES events)")
    sql(engine, "INSERT INTO notes SELECT id, created_at FROM events")
    with another(engine) as own, busy(own, "SELECT * FROM notes FOR UPDATE") as (pid, bell):
        result = upkeep(engine, parents, LATER, on_wait=bell).prune(["events"])

    assert result.ok, str(result)
    assert (pid, "RowShareLock", "public.notes") == (of(bell.first)[0], *of(bell.first)[3:])
    assert [False, True] == bell.over


def test_another_maintainer(engine: Engine, face: Face) -> None:
    """Where the policy has the patience; without it, the answer comes at once and nothing is told."""
    table = declared()
    made(engine, table)
    take = f"SELECT pg_advisory_xact_lock({LOCK_KEY})"
    with busy(engine, take, name="sa_partman:other") as (pid, bell):
        with pytest.raises(MaintainerBusy):
            face.maintainer(table, LATER, on_wait=bell).prune()
        assert [] == bell.events

        assert face.maintainer(table, LATER, on_wait=bell, lock=LockPolicy(turn=60)).prune().ok

    assert "another maintainer of this database" == bell.first.what
    assert (pid, "sa_partman:other") == (bell.first.holders[0].pid, bell.first.holders[0].application)
    assert bell.over[-1]


def test_what_never_came_free_is_over_too(engine: Engine) -> None:
    table = declared()
    made(engine, table)
    with busy(engine, f"SELECT count(*) FROM {OLD}"):
        bell = Bell()
        result = upkeep(engine, table, LATER, on_wait=bell, lock=LockPolicy(budget=2)).prune()

    assert not result.ok
    assert [False, True] == bell.over


def test_a_service_says_it_too(engine: Engine) -> None:
    table = declared()
    made(engine, table)
    with busy(engine, f"SELECT count(*) FROM {OLD}") as (_, bell):
        service = upkeep(engine, table, LATER, on_wait=bell).serve(every=3600)
        with service:
            assert until(lambda: OLD not in partitions(engine))

    assert [False, True] == bell.over
