"""Beside an application that locks in its own order: nobody deadlocks, and when somebody has to give way it is us."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, text

from sa_partman import LockPolicy, PartitionByRange, Retention
from sa_partman.maintenance.results import Outcome
from tests.support.database import (
    another,
    as_role,
    codes,
    holding,
    made,
    new_table,
    partitions,
    role,
    scalar,
    sql,
    upkeep,
)
from tests.support.residues import is_pending, leave_pending

PATIENT = LockPolicy(budget=30, stall=10, table_budget=30, run_budget=60)


@dataclass
class Application:
    """
    Args:
        rounds: Transactions that were committed.
    """

    rounds: int = 0
    errors: list[Exception] = field(default_factory=list)


@contextmanager
def at_work(engine: Engine, transaction: Callable[[Connection], None], threads: int = 3) -> Iterator[Application]:
    """An application whose threads run *transaction* again and again during the block."""
    seen, over = Application(), threading.Event()

    def work() -> None:
        with another(engine) as own:
            while not over.is_set():
                try:
                    with own.begin() as connection:
                        transaction(connection)
                    seen.rounds += 1
                except Exception as error:
                    seen.errors.append(error)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield seen
    finally:
        over.set()
        for worker in workers:
            worker.join()


def test_the_referenced_table_is_written_first(engine: Engine) -> None:
    """Twenty partitions are made meanwhile, and no deadlock comes to either side."""
    sql(
        engine,
        """
        CREATE TABLE orgs (id bigint PRIMARY KEY, name text);
        INSERT INTO orgs SELECT n, 'x' FROM generate_series(1, 10) n;
        CREATE TABLE events (id bigint, org bigint REFERENCES orgs, created_at timestamptz)
            PARTITION BY RANGE (created_at)
        """,
    )
    table = new_table(PartitionByRange("created_at", interval="1 month", premake=0))
    assert upkeep(engine, table, "2030-01-15").run().ok

    def transaction(connection: Connection) -> None:
        # One row: a volatile condition may hold for several, and then the application deadlocks with itself.
        connection.execute(text("UPDATE orgs SET name = name WHERE id = (SELECT 1 + floor(random() * 10)::bigint)"))
        time.sleep(0.01)
        connection.execute(text("SELECT count(*) FROM events"))

    wider = new_table(PartitionByRange("created_at", interval="1 month", premake=20))
    deadlocks = scalar(engine, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    with at_work(engine, transaction) as application:
        began = time.monotonic()
        result = upkeep(engine, wider, "2030-01-15", lock=PATIENT).run()
        took = time.monotonic() - began

    assert result.ok, str(result)
    assert 20 == len(made(result))
    assert took < 30
    assert [] == application.errors
    assert application.rounds
    assert deadlocks == scalar(engine, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")


def test_a_partition_is_touched_directly_and_then_its_parent(engine: Engine) -> None:
    """The application never gets the deadlock, and the partitions go all the same."""
    months = 12
    sql(engine, "CREATE TABLE events (id bigint, created_at timestamptz) PARTITION BY RANGE (created_at)")
    keep = PartitionByRange("created_at", interval="1 month", premake=months)
    assert upkeep(engine, new_table(keep), "2030-01-15").run().ok
    names = list(partitions(engine))
    turn = iter(range(10**9))

    def transaction(connection: Connection) -> None:
        name = names[next(turn) % len(names)]
        connection.execute(text("SET LOCAL deadlock_timeout = '1s'"))
        if connection.execute(text("SELECT to_regclass(:name)"), {"name": name}).scalar() is None:
            return
        connection.execute(text(f"SELECT count(*) FROM {name}"))
        connection.execute(text("SELECT count(*) FROM events"))
        time.sleep(0.005)

    dropping = new_table(
        PartitionByRange("created_at", interval="1 month", retention=Retention("1 month", then="drop"))
    )
    with at_work(engine, transaction) as application:
        result = upkeep(engine, dropping, "2030-12-15", lock=PATIENT).prune()

    assert result.ok, str(result)
    assert 10 == len(made(result))
    assert [] == [error for error in application.errors if "UndefinedTable" not in str(error)]
    assert application.rounds


def test_a_referenced_table_that_is_not_ours(engine: Engine) -> None:
    """Its owner lets us refer to it and no more: LOCK TABLE would be refused, so the statement locks it by itself."""
    sql(
        engine,
        "CREATE TABLE orgs (id bigint PRIMARY KEY); "
        "CREATE TABLE events (id bigint, org bigint, created_at timestamptz) PARTITION BY RANGE (created_at)",
    )
    statements = (
        "GRANT CREATE ON SCHEMA public TO {role}",
        "GRANT REFERENCES ON orgs TO {role}",
        "ALTER TABLE events OWNER TO {role}",
    )
    with role(engine, *statements) as name:
        owner = as_role(engine, name)
        sql(owner, "ALTER TABLE events ADD FOREIGN KEY (org) REFERENCES orgs")
        result = upkeep(owner, new_table(PartitionByRange("created_at", interval="1 month")), "2030-01-15").run()
        owner.dispose()

    assert result.ok, str(result)


# -- DETACH CONCURRENTLY

DETACHING = PartitionByRange(
    "created_at", interval="1 month", premake=1, retention=Retention("1 month", then="detach", concurrently=True)
)
SCHEMA = "CREATE TABLE events (id bigint, created_at timestamptz) PARTITION BY RANGE (created_at)"
PENDING = "SELECT count(*) FROM pg_inherits WHERE inhdetachpending"


def test_a_detach_concurrently_leaves_no_settings_behind(engine: Engine) -> None:
    """Nor a connection: a pool of one is enough, and as it was."""
    sql(engine, SCHEMA)
    assert upkeep(engine, new_table(DETACHING), "2030-01-15").run().ok
    names = ("lock_timeout", "statement_timeout", "application_name", "client_connection_check_interval", "jit")
    with another(engine, pool_size=1, max_overflow=0, pool_timeout=5) as small:
        before = [scalar(small, f"SHOW {name}") for name in names]
        result = upkeep(small, new_table(DETACHING), "2030-04-15").run()

        assert before == [scalar(small, f"SHOW {name}") for name in names]
    assert result.ok, str(result)
    assert not any(each.note for each in result.steps)
    assert ["events_p20300301", "events_p20300401", "events_p20300501"] == sorted(partitions(engine))


def test_a_statement_timeout_of_the_role_leaves_no_pending_detach(engine: Engine) -> None:
    """The detach waits two seconds for a reader that began meanwhile; the role's statements may take half a second."""
    sql(engine, SCHEMA)
    assert upkeep(engine, new_table(DETACHING), "2030-01-15").run().ok
    sql(engine, f"ALTER DATABASE {engine.url.database} SET statement_timeout = '500ms'")
    engine.dispose()
    with another(engine) as reader, _reading_while_it_detaches(reader):
        result = upkeep(engine, new_table(DETACHING), "2030-04-15", lock=PATIENT).run()

    assert result.ok, str(result)
    assert 0 == scalar(engine, PENDING)
    assert ["events_p20300301", "events_p20300401", "events_p20300501"] == sorted(partitions(engine))


@contextmanager
def _reading_while_it_detaches(engine: Engine) -> Iterator[None]:
    """Readers of the parent that come all the time, each for a second: some are always there."""
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            with engine.begin() as connection:
                connection.execute(text("SET LOCAL statement_timeout = 0"))
                connection.execute(text("SELECT pg_sleep(0.7) FROM (SELECT count(*) FROM events) AS found"))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for number, reader in enumerate(readers):
        reader.start()
        time.sleep(0.2 * (number < 2))
    try:
        yield
    finally:
        over.set()
        for reader in readers:
            reader.join()


def test_a_default_partition_rules_out_concurrently(engine: Engine) -> None:
    """PostgreSQL refuses it (55000): the plain form is taken, and the result says so."""
    sql(engine, SCHEMA)
    assert upkeep(engine, new_table(DETACHING), "2030-01-15").run().ok
    sql(engine, "CREATE TABLE events_rest PARTITION OF events DEFAULT")
    result = upkeep(engine, new_table(DETACHING), "2030-04-15").run()

    assert result.ok, str(result)
    notes = {each.note for each in result.steps if each.note}
    assert {"detached without CONCURRENTLY, because the table has a default partition"} == notes
    assert "without CONCURRENTLY" in str(result)
    assert "events_p20300101" not in partitions(engine)


def test_a_pending_detach_of_somebody_else_rules_out_concurrently(engine: Engine) -> None:
    """PostgreSQL allows one at a time (55000): the plain form is taken, and the other one stays as it is."""
    sql(engine, SCHEMA)
    assert upkeep(engine, new_table(DETACHING), "2030-01-15").run().ok
    sql(
        engine,
        "CREATE TABLE theirs PARTITION OF events FOR VALUES FROM ('2040-01-01+00') TO ('2040-02-01+00')",
    )
    leave_pending(engine, "theirs", ours=False)

    result = upkeep(engine, new_table(DETACHING), "2030-04-15").run()

    assert {"detach-pending"} == set(codes(result.findings))
    assert not [step for step in result.steps if step.failed], str(result)
    assert "events_p20300101" not in partitions(engine)
    assert {"the concurrent detach of another partition is not finished"} == {
        each.note.partition("because ")[2] for each in result.steps if each.note
    }
    assert is_pending(engine, "theirs")


def test_a_reader_that_does_not_leave_defers_it_before_it_begins(engine: Engine) -> None:
    """Nothing is pending, and nobody waits."""
    sql(engine, SCHEMA)
    assert upkeep(engine, new_table(DETACHING), "2030-01-15").run().ok
    hasty = LockPolicy(budget=1)
    with holding(engine, "SELECT count(*) FROM events") as pid:
        result = upkeep(engine, new_table(DETACHING), "2030-04-15", lock=hasty).run()
        pending = scalar(engine, PENDING)

    deferred = [each for each in result.steps if each.outcome is Outcome.DEFERRED]
    assert deferred
    assert f"pid {pid} " in deferred[0].blockers[0]
    assert 0 == pending


def test_what_a_cut_off_detach_has_done_is_read_from_the_catalog(engine: Engine) -> None:
    """Somebody cancels it between its halves: it is pending, the message says so, and the next run ends it."""
    sql(engine, SCHEMA)
    assert upkeep(engine, new_table(DETACHING), "2030-01-15").run().ok
    over, short = threading.Event(), LockPolicy(budget=4, stall=2, table_budget=4, run_budget=60)

    def cancel() -> None:
        with another(engine) as own:
            while not over.wait(0.02):
                if scalar(own, PENDING):
                    sql(
                        own,
                        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%DETACH%CONCURR%' "
                        "AND pid <> pg_backend_pid()",
                    )

    canceller = threading.Thread(target=cancel)
    canceller.start()
    try:
        with another(engine) as reader, _reading_while_it_detaches(reader):
            result = upkeep(engine, new_table(DETACHING), "2030-04-15", lock=short).run()
    finally:
        over.set()
        canceller.join()
    failed = [each for each in result.steps if each.outcome is Outcome.FAILED]

    assert failed
    assert "half detached" in failed[0].error
    assert "FINALIZE" in failed[0].error
    assert upkeep(engine, new_table(DETACHING), "2030-04-15", lock=PATIENT).run().ok
    assert 0 == scalar(engine, PENDING)
