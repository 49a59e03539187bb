"""The lock protocol: the conversion gives way, names who is in its way, and makes nobody wait for long."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event, Thread, Timer
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from sa_partman import LockPolicy
from sa_partman.engine.exclusion import Exclusion
from sa_partman.engine.guard import WouldScan, no_scan
from sa_partman.engine.running import Running
from sa_partman.engine.transaction import TableTransaction
from sa_partman.errors import ExecutionError, LockNotAcquired
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import Stored
from sa_partman.plan.steps import Purpose, Step
from sa_partman.ports import Sleeping
from sa_partman.throwaway import Server
from tests.integration.conversion.test_faults_abort import stopped_after
from tests.support.catalog_snapshot import difference, snapshot
from tests.support.converting import BRISK, HASTY, HOLDS, TABLE, WAITS, Ends, at_point, converter, set_up, until
from tests.support.database import another, holding, scalar, sql

NAME = QualifiedName("public", TABLE)


@contextmanager
def probing(engine: Engine) -> Iterator[list[float]]:
    """An application that reads and writes the table without a pause: how long each of its statements took."""
    waits: list[float] = []
    over = Event()

    def probe() -> None:
        with another(engine) as own:
            while not over.is_set():
                for statement in ("SELECT id FROM events LIMIT 1", "INSERT INTO events (org_id) VALUES (2)"):
                    began = time.monotonic()
                    sql(own, statement)
                    waits.append(time.monotonic() - began)

    thread = Thread(target=probe)
    thread.start()
    try:
        yield waits
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("step", ["check", "cutover"])
def test_behind_a_long_reader_a_step_is_deferred_and_nobody_waits(step: str, events: Engine) -> None:
    """It does not even queue: the holder is seen twice, and named with his pid and application."""
    before = "unique_index" if step == "check" else "parent"
    stopped_after(events, "convert", before)
    shown = snapshot(events)
    with (
        another(events, connect_args={"application_name": "nightly report"}) as reporter,
        holding(reporter, "SELECT count(*) FROM events") as pid,
        probing(events) as waits,
        pytest.raises(LockNotAcquired) as caught,
    ):
        converter(events, HASTY).resume(TABLE)

    assert f"pid {pid} (nightly report) idle in transaction" in str(caught.value)
    assert caught.value.attempts <= HASTY.attempts
    assert max(waits) < HASTY.lock_timeout + 0.3
    assert [] == [each for each in difference(shown, snapshot(events)).splitlines() if "last value" not in each]
    assert "done" == converter(events).resume(TABLE).status


def test_a_prepared_transaction_is_named_by_its_name(events: Engine) -> None:
    """It has no process, and outlives every connection."""
    stopped_after(events, "convert", "unique_index")
    with events.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("INSERT INTO events (org_id) VALUES (1)")
        connection.exec_driver_sql("PREPARE TRANSACTION 'two phases'")
        try:
            with pytest.raises(LockNotAcquired, match="the prepared transaction 'two phases' with RowExclusiveLock"):
                converter(events, HASTY).resume(TABLE)
        finally:
            connection.exec_driver_sql("ROLLBACK PREPARED 'two phases'")

    assert "done" == converter(events).resume(TABLE).status


def test_a_writer_that_does_not_end_defers_the_build_before_it_begins(events: Engine) -> None:
    """A concurrent build would wait for him at its end, after all its work."""
    with (
        holding(events, "INSERT INTO events (org_id) VALUES (1)") as pid,
        pytest.raises(LockNotAcquired, match=f"pid {pid} "),
    ):
        converter(events, HASTY).convert(TABLE)

    assert not scalar(events, "SELECT count(*) FROM pg_class WHERE relname = 'events_pkey_new'")
    assert "done" == converter(events).resume(TABLE).status


def test_a_reader_does_not_defer_the_build(events: Engine) -> None:
    with holding(events, "SELECT count(*) FROM events"):
        stopped_after(events, "convert", "unique_index")


def test_an_old_snapshot_defers_the_build_by_name_too(events: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it left is invalid, and is built again."""
    monkeypatch.setattr("sa_partman.engine.outside.PATIENCE", 1)
    old = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
    with holding(events, old, "SELECT count(*) FROM events") as pid, pytest.raises(LockNotAcquired, match=f"pid {pid}"):
        converter(events, HASTY).convert(TABLE)

    assert [(False,)] == sql(events, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'events_pkey_new'::regclass")
    assert "done" == converter(events).resume(TABLE).status


def test_the_whole_transaction_is_tried_again_when_the_holder_leaves(events: Engine, undisturbed: Ends) -> None:
    """A holder that comes between the look and the lock costs one lock_timeout, and the next attempt succeeds."""
    stopped_after(events, "convert", "not_null")
    ready, leave = Event(), Event()

    def hold() -> None:
        with holding(events, "SELECT count(*) FROM events"):
            ready.set()
            leave.wait(10)

    holder = Thread(target=hold)

    def come() -> None:
        holder.start()
        ready.wait(10)

    with at_point(events, 1, come, "ACCESS EXCLUSIVE MODE"), at_point(events, 2, leave.set, "SHARE UPDATE EXCLUSIVE"):
        leaving = Timer(1, leave.set)
        leaving.start()
        converter(events).resume(TABLE)
    holder.join()
    leaving.join()

    undisturbed.check(events, "convert")


def test_the_wait_for_access_exclusive_is_below_half_of_the_deadlock_timeout(events: Engine) -> None:
    """So that in any lock order it is the conversion that gives way: the server never has to choose a victim."""
    sql(events, f"ALTER DATABASE {events.url.database} SET deadlock_timeout = '120ms'")
    step = Step(Purpose.CONVERT, NAME, NAME, None, (Stored("SELECT 1"),), id="test", locked=(NAME.quoted,))
    seen = []
    with another(events) as own:
        running = Running(own, BRISK, Sleeping(), Exclusion(None))
        transaction = TableTransaction(running=running, table=NAME, step=step)
        transaction.run(lambda connection: seen.append(_setting(connection, "lock_timeout")))

    assert ["60ms"] == seen


def _setting(connection: Any, name: str) -> str:
    shown: str = connection.execute(text(f"SHOW {name}")).scalar_one()
    return shown


@pytest.mark.parametrize("verb", ["resume", "undo"])
def test_an_application_that_writes_the_referenced_table_first_meets_no_deadlock(verb: str, events: Engine) -> None:
    """Nor is the conversion kept out for ever: it takes its locks in the same order."""
    stopped_after(events, "convert", "cutover")
    if verb == "undo":
        converter(events).resume(TABLE)
    errors, rounds, over = [], [0], Event()

    def application() -> None:
        with another(events) as own:
            while not over.is_set():
                try:
                    with own.begin() as connection:
                        connection.exec_driver_sql("UPDATE orgs SET name = name WHERE id = 1")
                        time.sleep(0.03)
                        connection.exec_driver_sql("INSERT INTO events (org_id) VALUES (1)")
                    rounds[0] += 1
                except Exception as error:
                    errors.append(error)

    threads = [Thread(target=application) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        getattr(converter(events, replace(BRISK, stall=10.0)), verb)(TABLE)
    finally:
        over.set()
        for thread in threads:
            thread.join()

    assert [] == errors
    assert rounds[0]


def test_a_failed_lock_costs_the_budget_at_most(events: Engine) -> None:
    """There is no last attempt without a limit."""
    stopped_after(events, "convert", "unique_index")
    began = time.monotonic()
    with holding(events, "SELECT count(*) FROM events"), pytest.raises(LockNotAcquired):
        converter(events, HASTY).resume(TABLE)

    assert time.monotonic() - began < HASTY.budget + 2


def test_autovacuum_gives_way_to_the_swap(own_server: Server) -> None:
    """A request of less than deadlock_timeout would never move it; the gentle lock that comes first does."""
    engine = create_engine(own_server.url())
    set_up(engine, 20_000)
    stopped_after(engine, "convert", "parent")
    slow = ("naptime = '1s'", "vacuum_cost_delay = '100ms'", "vacuum_cost_limit = 1")
    for setting in slow:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"ALTER SYSTEM SET autovacuum_{setting}")
    sql(engine, "SELECT pg_reload_conf()")
    sql(engine, "UPDATE events SET hits = hits + 1")
    until(
        engine,
        "EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND query LIKE '%events%') AND "
        + HOLDS.format(table=TABLE, mode="ShareUpdateExclusiveLock"),
        60,
    )
    done = converter(engine, LockPolicy()).resume(TABLE)

    assert "done" == done.status
    engine.dispose()


DOCTORED = {
    "verifying a partition": (
        "CREATE TABLE events_pnew2 (LIKE events) PARTITION BY RANGE (created_at)",
        "ALTER TABLE events ALTER COLUMN id DROP IDENTITY",
        "ALTER TABLE events_pnew2 ATTACH PARTITION events FOR VALUES FROM (MINVALUE) TO ('2030-07-01')",
    ),
    "SET NOT NULL without proof": ("ALTER TABLE events ALTER COLUMN created_at SET NOT NULL",),
    "an index": ("CREATE INDEX slow ON events (hits)",),
    "a foreign key": ("ALTER TABLE events ADD CONSTRAINT slow FOREIGN KEY (org_id) REFERENCES orgs (id)",),
    "a rewrite": ("ALTER TABLE events ALTER COLUMN hits TYPE bigint",),
}


def _guarded(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection, no_scan(connection):
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.mark.parametrize("what", DOCTORED)
def test_the_guard_stops_a_step_that_reads_the_table(what: str, events: Engine, undisturbed: Ends) -> None:
    """By the function that the server's notice comes from; everything is rolled back."""
    with pytest.raises(WouldScan, match="rolled back"):
        _guarded(events, *DOCTORED[what])

    assert "" == difference(undisturbed.start, snapshot(events))


def test_the_guard_stops_the_scan_and_does_not_wait_for_its_end(events: Engine) -> None:
    """A CHECK that takes minutes to prove is cancelled when it begins."""
    sql(
        events,
        "CREATE FUNCTION slow(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS "
        "$$ BEGIN PERFORM pg_catalog.pg_sleep(0.1); RETURN true; END $$",
    )
    began = time.monotonic()
    with pytest.raises(WouldScan):
        _guarded(events, "ALTER TABLE events ADD CONSTRAINT slow CHECK (slow(hits))")

    assert time.monotonic() - began < 5


def test_the_guard_lets_catalog_changes_pass_and_puts_the_setting_back(events: Engine) -> None:
    with events.begin() as connection:
        connection.exec_driver_sql("SET LOCAL client_min_messages = warning")
        with no_scan(connection):
            connection.exec_driver_sql("ALTER TABLE events RENAME TO renamed")
        shown = connection.exec_driver_sql("SHOW client_min_messages").scalar_one()
        connection.rollback()

    assert "warning" == shown


def test_without_its_check_the_swap_is_stopped_by_the_guard(events: Engine, undisturbed: Ends) -> None:
    """Somebody dropped the proof: the swap would have read the whole table with everybody waiting."""
    stopped_after(events, "convert", "parent")
    sql(events, "ALTER TABLE events DROP CONSTRAINT events_history_bound")
    with pytest.raises(ExecutionError, match="reads or rewrites a table"):
        converter(events).resume(TABLE)
    sql(events, "INSERT INTO events (org_id) VALUES (1)")
    sql(events, "DELETE FROM events WHERE id = (SELECT max(id) FROM events)")
    converter(events).abort(TABLE)

    shown = difference(undisturbed.start, snapshot(events)).splitlines()
    assert [] == [line for line in shown if "last value" not in line]


def test_validate_waits_for_its_lock_as_long_as_the_budget_since_nobody_waits_behind_it(events: Engine) -> None:
    stopped_after(events, "convert", "check")
    with holding(events, "LOCK TABLE events IN SHARE UPDATE EXCLUSIVE MODE"), probing(events) as waits:
        with pytest.raises(LockNotAcquired):
            converter(events, HASTY).resume(TABLE)
        until(events, "NOT " + WAITS.format(table=TABLE, mode="ShareUpdateExclusiveLock"))

    assert max(waits) < 0.5
