"""Behind somebody who holds on: the maintainer does not queue, names him, and leaves the step to the next run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import Engine, MetaData, create_engine, event

from sa_partman import LockPolicy, PartitionByRange, Retention
from sa_partman.engine.waits import Watch
from sa_partman.events import Holder
from sa_partman.maintenance.results import Outcome, RunResult
from sa_partman.throwaway import Server
from tests.support.database import (
    HASTY,
    another,
    as_role,
    holding,
    made,
    new_table,
    outcomes,
    partitions,
    role,
    scalar,
    sql,
    unreadable,
    upkeep,
)

MONTHLY = PartitionByRange("created_at", interval="1 month", premake=1)
DROPPING = MONTHLY.with_(retention=Retention("1 month", then="drop"))
DETACHING = MONTHLY.with_(retention=Retention("1 month", then="detach", concurrently=True))
EARLY, LATER = "2030-01-15", "2030-04-15"
QUICK = LockPolicy(budget=10, table_budget=10, run_budget=20)
"""A holder that leaves is waited for."""


@pytest.fixture
def dropping(engine: Engine) -> Engine:
    """``events`` with partitions that are due for a DROP at LATER."""
    table = new_table(DROPPING)
    sql(engine, "CREATE TABLE events (id bigint, created_at timestamptz) PARTITION BY RANGE (created_at)")
    assert upkeep(engine, table, EARLY).run().ok
    return engine


def run(engine: Engine, lock: LockPolicy = HASTY, **options: object) -> RunResult:
    return upkeep(engine, new_table(DROPPING), LATER, lock=lock, **options).run()


@contextmanager
def probing(engine: Engine, *statements: str) -> Iterator[list[float]]:
    """An application that runs *statements* again and again: how long each took, in seconds."""
    waits: list[float] = []
    over = threading.Event()

    def probe() -> None:
        with another(engine) as own:
            while not over.wait(0.01):
                for statement in statements:
                    began = time.monotonic()
                    sql(own, statement)
                    waits.append(time.monotonic() - began)

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield waits
    finally:
        over.set()
        thread.join()


# -- who holds on


def test_an_idle_writer_is_named_and_nobody_waits(dropping: Engine) -> None:
    """By pid and application; no statement of the application is slower for it; creations are done all the same."""
    insert = "INSERT INTO events VALUES (1, '2030-02-03')"
    with (
        another(dropping, connect_args={"application_name": "nightly report"}) as reporter,
        holding(reporter, insert) as pid,
        probing(dropping, "SELECT count(*) FROM events", insert) as waits,
    ):
        result = run(dropping)

    deferred = [each for each in result.steps if each.outcome is Outcome.DEFERRED]
    assert ["events_p20300101", "events_p20300201"] == sorted(each.step.partition.name for each in deferred)
    assert {"events_p20300401", "events_p20300501"} <= set(made(result))
    for each in deferred:
        assert f"pid {pid} (nightly report) idle in transaction with RowExclusiveLock" in each.error
        assert "ACCESS EXCLUSIVE on public.events" in each.error
        assert "nothing was changed" in each.error
        assert each.blockers
        assert f"pid {pid} (nightly report)" in each.blockers[0]
    assert not result.ok
    assert max(waits) < 0.5
    assert run(dropping).ok


def test_a_holder_that_leaves_is_waited_for(dropping: Engine) -> None:
    """Without a request of ours in the queue, and soon after he left."""
    leave = threading.Event()
    left: list[float] = []

    def hold() -> None:
        with holding(dropping, "SELECT count(*) FROM events"):
            ready.set()
            leave.wait(20)
        left.append(time.monotonic())

    ready = threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    ready.wait(10)
    threading.Timer(1.5, leave.set).start()
    with probing(dropping, "SELECT count(*) FROM events") as waits:
        result = run(dropping, QUICK)
        done = time.monotonic()
    holder.join()

    assert result.ok, str(result)
    assert done - left[0] < 3
    assert max(waits) < 0.6


def test_a_prepared_transaction(dropping: Engine) -> None:
    """It has no process; its name tells which one it is."""
    with dropping.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("INSERT INTO events VALUES (1, '2030-02-03')")
        connection.exec_driver_sql("PREPARE TRANSACTION 'two phases'")
        try:
            result = run(dropping)
        finally:
            connection.exec_driver_sql("ROLLBACK PREPARED 'two phases'")

    assert "deferred" in outcomes(result)
    blockers = [each.blockers for each in result.steps if each.outcome is Outcome.DEFERRED]
    assert all("the prepared transaction 'two phases' with RowExclusiveLock" in each[0] for each in blockers)
    assert run(dropping).ok


def test_a_role_that_may_not_look_at_others(dropping: Engine) -> None:
    """The owner of the table is no superuser: holders are found and named all the same."""
    statements = ("GRANT CREATE ON SCHEMA public TO {role}", "ALTER TABLE events OWNER TO {role}")
    with role(dropping, *statements) as name:
        for partition in partitions(dropping):
            sql(dropping, f"ALTER TABLE {partition} OWNER TO {name}")
        owner = as_role(dropping, name)
        with (
            another(dropping, connect_args={"application_name": "somebody else's"}) as other,
            holding(other, "SELECT count(*) FROM events") as pid,
        ):
            deferred = [each for each in run(owner).steps if each.outcome is Outcome.DEFERRED]
        again = run(owner)
        owner.dispose()

    assert deferred
    assert f"pid {pid} (somebody else's)" in deferred[0].blockers[0]
    assert again.ok, str(again)


def test_a_table_locked_by_somebody(engine: Engine) -> None:
    """ACCESS EXCLUSIVE on a branch of one table: the others are maintained, it is reported."""
    metadata = MetaData()
    for name in ("a", "b", "c"):
        new_table(DROPPING, metadata=metadata, name=name)
        sql(engine, f"CREATE TABLE {name} (id bigint, created_at timestamptz) PARTITION BY RANGE (created_at)")
    assert upkeep(engine, metadata, EARLY).run().ok
    with unreadable(engine, "a"):
        result = upkeep(engine, metadata, LATER, lock=HASTY).run()

    assert {"b_p20300401", "b_p20300501", "c_p20300401", "c_p20300501"} <= set(made(result))
    assert "a" not in {each.step.table.name for each in result.steps if each.outcome is Outcome.DONE}
    assert ["locked"] == [finding.code for finding in result.findings]
    assert not result.ok


# -- budgets


def test_a_table_pays_for_its_own_waiting(dropping: Engine) -> None:
    """When its budget is used up, its other steps take one look each; every one is reported."""
    policy = replace(HASTY, budget=1.0, table_budget=1.0, run_budget=1.0)
    with holding(dropping, "SELECT count(*) FROM events"):
        began = time.monotonic()
        result = run(dropping, policy)
        took = time.monotonic() - began

    assert 2 == outcomes(result).count("deferred")
    assert took < 2.5


def test_when_others_have_waited_enough_for_us_strong_locks_are_left_to_the_next_run(dropping: Engine) -> None:
    """A holder that comes between the look and the lock costs one lock_timeout; then the stall budget is gone."""
    policy = LockPolicy(lock_timeout=0.2, stall=0.2, budget=5)
    with another(dropping) as own, _barging(dropping, own):
        result = run(own, policy)

    deferred = [each for each in result.steps if each.outcome is Outcome.DEFERRED]
    assert 2 == len(deferred)
    assert all("LockPolicy(stall=0.2) allows no more" in each.error for each in deferred)
    assert {"events_p20300401", "events_p20300501"} <= set(made(result))
    assert run(dropping).ok


@contextmanager
def _barging(engine: Engine, ours: Engine) -> Iterator[None]:
    """Whenever we are about to ask for ACCESS EXCLUSIVE, somebody else has just begun to read, and takes a second."""
    readers: list[threading.Thread] = []

    def read() -> None:
        with holding(engine, "SELECT count(*) FROM events"):
            ready.set()
            time.sleep(1)

    ready = threading.Event()

    @event.listens_for(ours, "before_cursor_execute")
    def come(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if "ACCESS EXCLUSIVE MODE" in statement:
            ready.clear()
            readers.append(threading.Thread(target=read))
            readers[-1].start()
            ready.wait(10)

    yield
    for reader in readers:
        reader.join()


def test_no_statement_of_a_step_runs_without_a_limit(dropping: Engine) -> None:
    """Every lock and every change has a lock_timeout and a statement_timeout, and gives way to nobody's deadlock."""
    seen: dict[str, set[tuple[str, str]]] = {}
    with another(dropping) as own:

        @event.listens_for(own, "before_cursor_execute")
        def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
            words = {each.split()[0].upper() for each in statement.split(";\n")}
            for word in words & {"LOCK", "CREATE", "ALTER", "DROP", "COMMENT"}:
                beside = cursor.connection.cursor()  # type: ignore[attr-defined]
                beside.execute("SELECT current_setting('lock_timeout'), current_setting('statement_timeout')")
                seen.setdefault(word, set()).add(beside.fetchone())
                beside.close()

        assert run(own, LockPolicy()).ok

    assert {"LOCK", "CREATE", "COMMENT", "ALTER", "DROP"} == set(seen)
    assert {"200ms", "1500ms"} == {timeout for each in seen.values() for timeout, _ in each}
    assert {"1min"} == {timeout for each in seen.values() for _, timeout in each}
    assert {("200ms", "1min")} == seen["DROP"]


# -- autovacuum


def _worker(**changes: object) -> Holder:
    known = Holder(7, "3/1", "", "active", "ShareUpdateExclusiveLock", "autovacuum worker", None, 1.0)
    return replace(known, **changes)  # type: ignore[arg-type]


def test_autovacuum_is_asked_once() -> None:
    """It ends for whoever waits; when it did not, it does not mean to."""
    watch = Watch()

    assert () == watch.lingering((_worker(),))
    assert (_worker(),) == watch.lingering((_worker(),))
    assert () == watch.lingering((_worker(transaction="3/2"),))


def test_autovacuum_against_wraparound_is_not_asked() -> None:
    """It ends for nobody."""
    stubborn = _worker(stubborn=True)
    watch = Watch()

    assert (stubborn,) == watch.lingering((stubborn,))
    assert (stubborn,) == watch.lingering((stubborn,))
    assert "to prevent wraparound" in str(stubborn)


def test_who_came_after_the_first_look_is_not_waited_for() -> None:
    """Short transactions come and go; only who stays is in the way."""
    one, other = _worker(kind="client backend"), _worker(kind="client backend", pid=8)
    watch = Watch()

    assert (one,) == watch.lingering((one,))
    assert () == watch.lingering((other,))
    assert (other,) == watch.lingering((other, one))


SLOW = ("naptime = '1s'", "vacuum_cost_delay = '100ms'", "vacuum_cost_limit = 1", "vacuum_threshold = 1")
VACUUMING = (
    "SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l USING (pid) WHERE a.backend_type = 'autovacuum worker' "
    "AND l.relation = '{name}'::regclass AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted"
)


@contextmanager
def vacuumed(server: Server, *settings: str) -> Iterator[tuple[Engine, str]]:
    """A partition that is due for a DROP, with an autovacuum at work on it that takes minutes."""
    engine = create_engine(server.url())
    sql(engine, "CREATE TABLE events (id bigint, created_at timestamptz) PARTITION BY RANGE (created_at)")
    assert upkeep(engine, new_table(DROPPING), EARLY).run().ok
    old = "events_p20300101"
    sql(engine, f"INSERT INTO events SELECT n, '2030-01-03' FROM generate_series(1, 100000) n; UPDATE {old} SET id = 1")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for setting in (*SLOW, *settings):
            connection.exec_driver_sql(f"ALTER SYSTEM SET autovacuum_{setting}")
    sql(engine, "SELECT pg_reload_conf()")
    deadline = time.monotonic() + 90
    while not scalar(engine, VACUUMING.format(name=old)) and time.monotonic() < deadline:
        sql(engine, "SELECT pg_current_xact_id()")
        time.sleep(0.05)
    assert scalar(engine, VACUUMING.format(name=old))
    yield engine, old
    engine.dispose()


def test_autovacuum_gives_way_to_a_drop(own_server: Server) -> None:
    """A request of less than deadlock_timeout would never move it."""
    with vacuumed(own_server) as (engine, old):
        result = upkeep(engine, new_table(DROPPING), LATER, lock=QUICK).prune()

        assert result.ok, str(result)
        assert old in made(result)
    assert own_server.log().count("canceling autovacuum task") <= 1


def test_autovacuum_against_wraparound_defers_a_drop(own_server: Server) -> None:
    """It is not cancelled, and named."""
    engine = create_engine(own_server.url())
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ALTER SYSTEM SET autovacuum_freeze_max_age = 100000")
    engine.dispose()
    own_server.restart_immediate()
    with vacuumed_for_wraparound(own_server) as (engine, old):
        result = upkeep(engine, new_table(DROPPING), LATER, lock=replace(HASTY, budget=4)).prune()
        still = scalar(engine, VACUUMING.format(name=old))

    assert ["deferred"] == [str(each.outcome) for each in result.steps if each.step.partition.name == old]
    assert "to prevent wraparound" in result.steps[0].blockers[0]
    assert 1 == still
    assert "canceling autovacuum task" not in own_server.log()


@contextmanager
def vacuumed_for_wraparound(server: Server) -> Iterator[tuple[Engine, str]]:
    """The same with a table whose transactions are so old that it has to be frozen."""
    engine = create_engine(server.url())
    sql(engine, "CREATE TABLE events (id bigint, created_at timestamptz) PARTITION BY RANGE (created_at)")
    assert upkeep(engine, new_table(DROPPING), EARLY).run().ok
    old = "events_p20300101"
    sql(engine, "INSERT INTO events SELECT n, '2030-01-03' FROM generate_series(1, 100000) n")
    sql(engine, f"ALTER TABLE {old} SET (autovacuum_freeze_max_age = 100000, autovacuum_vacuum_cost_delay = 100)")
    sql(engine, f"ALTER TABLE {old} SET (autovacuum_vacuum_cost_limit = 1)")
    sql(
        engine,
        "CREATE PROCEDURE burn(count int) LANGUAGE plpgsql AS $$ BEGIN "
        "FOR n IN 1..count LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$",
    )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("CALL burn(101000)")
        connection.exec_driver_sql("ALTER SYSTEM SET autovacuum_naptime = '1s'")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    deadline = time.monotonic() + 60
    while not scalar(engine, VACUUMING.format(name=old)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert scalar(engine, VACUUMING.format(name=old))
    yield engine, old
    engine.dispose()
