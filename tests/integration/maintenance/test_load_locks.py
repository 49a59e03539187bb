"""Under load, and at scale: the application does not notice the maintainer, and the server has room for its locks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
import pytest
from sqlalchemy import Engine, create_engine

from sa_partman import LockPolicy, PartitionByHash, PartitionByRange, Retention
from sa_partman.maintenance.results import Outcome, RunResult
from sa_partman.throwaway import Server
from tests.support.database import made, new_table, outcomes, scalar, sql, upkeep
from tests.support.servers import binaries, memory

MONTHLY = PartitionByRange("created_at", interval="1 month", premake=1)
DROPPING = MONTHLY.with_(retention=Retention("1 month", then="drop"))
EARLY, LATER = "2030-01-15", "2030-04-15"
WORKERS = 4
PAUSE = 0.01
"""Seconds between two statements of a worker: together a few hundred a second."""

STATEMENTS = (
    "INSERT INTO events (id, created_at) VALUES (1, '2030-02-03')",
    "SELECT count(*) FROM events WHERE created_at >= '2030-02-01' AND created_at < '2030-02-02'",
    "UPDATE events SET id = 2 WHERE created_at = '2030-02-05'",
)


@dataclass
class Load:
    """
    Args:
        took: Seconds of each statement, with the moment when it ended.
    """

    took: list[tuple[float, float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def slowest(self, since: float, until: float) -> float:
        return max(seconds for ended, seconds in self.took if since <= ended <= until)

    def percentile(self, share: float, since: float, until: float) -> float:
        found = sorted(seconds for ended, seconds in self.took if since <= ended <= until)
        return found[int(len(found) * share)]


@contextmanager
def loaded(uri: str) -> Iterator[Load]:
    """An application of a few workers, each with a connection of its own."""
    load, over = Load(), threading.Event()

    def work() -> None:
        with psycopg.connect(uri, autocommit=True) as connection:
            while not over.is_set():
                for statement in STATEMENTS:
                    began = time.monotonic()
                    try:
                        connection.execute(statement.encode())
                    except psycopg.Error as error:
                        load.errors.append(str(error))
                    ended = time.monotonic()
                    load.took.append((ended, ended - began))
                    over.wait(PAUSE)

    workers = [threading.Thread(target=work) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    try:
        yield load
    finally:
        over.set()
        for worker in workers:
            worker.join()


@contextmanager
def reading(uri: str, seconds: float) -> Iterator[Callable[[], float]]:
    """A report that has read the parent and stays for so long; when it ended."""
    ended: list[float] = []
    begun = threading.Event()

    def read() -> None:
        with psycopg.connect(uri, application_name="long report") as connection:
            connection.execute("SELECT count(*) FROM events")
            begun.set()
            time.sleep(seconds)
        ended.append(time.monotonic())

    reader = threading.Thread(target=read)
    reader.start()
    begun.wait(20)

    def end() -> float:
        reader.join()
        return ended[0]

    yield end
    reader.join()


def uri_of(engine: Engine) -> str:
    return engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


def test_a_reader_of_six_seconds_under_load(engine: Engine) -> None:
    """Partitions are made at once and dropped a second after the reader; no statement waits for us meanwhile."""
    table = new_table(DROPPING)
    sql(engine, "CREATE TABLE events (id bigint, created_at timestamptz) PARTITION BY RANGE (created_at)")
    assert upkeep(engine, table, EARLY).run().ok
    with loaded(uri_of(engine)) as load:
        time.sleep(2)
        with reading(uri_of(engine), 6) as ended:
            began = time.monotonic()
            result = upkeep(engine, table, "2030-03-15").run()
            done = time.monotonic()
            left = ended()
        baseline = load.slowest(began - 1.5, began)

    assert result.ok, str(result)
    assert {"events_p20300301", "events_p20300401", "events_p20300101"} == set(made(result))
    assert 0 < done - left < 1.5
    assert load.slowest(began, done) < baseline + 0.15
    assert [] == load.errors


def test_a_backup_of_everything(engine: Engine) -> None:
    """It holds ACCESS SHARE on every table for longer than the budget: deferred, and nobody has waited."""
    table = new_table(DROPPING)
    sql(engine, "CREATE TABLE events (id bigint, created_at timestamptz) PARTITION BY RANGE (created_at)")
    assert upkeep(engine, table, EARLY).run().ok
    policy = LockPolicy(budget=5, table_budget=8, run_budget=10)
    with loaded(uri_of(engine)) as load, reading(uri_of(engine), 16) as ended:
        time.sleep(1)
        began = time.monotonic()
        result = upkeep(engine, table, LATER, lock=policy).run()
        done = time.monotonic()
        baseline = load.slowest(began - 1, began)
        ended()
        again = upkeep(engine, table, LATER, lock=policy).run()

    deferred = [each for each in result.steps if each.outcome is Outcome.DEFERRED]
    assert 2 == len(deferred)
    assert not result.ok
    assert all("long report" in each.blockers[0] for each in deferred)
    assert done - began < 12
    assert load.slowest(began, done) < baseline + 0.15
    assert again.ok


# -- scale


@pytest.mark.timeout(600)
def test_a_parent_of_thousands_of_partitions(engine: Engine) -> None:
    """Every change makes all sessions read the list of partitions again, so twenty of them are two commits at most."""
    sql(engine, "CREATE TABLE events (id bigint, created_at timestamptz) PARTITION BY RANGE (created_at)")
    sql(
        engine,
        "SET TimeZone = 'UTC'; CREATE PROCEDURE fill() LANGUAGE plpgsql AS $$ BEGIN FOR n IN 0..1500 LOOP "
        "EXECUTE format('CREATE TABLE %I PARTITION OF events FOR VALUES FROM (%L) TO (%L)', 'events_p' "
        "|| to_char('2026-01-01'::date + n, 'YYYYMMDD'), '2026-01-01'::date + n, '2026-01-01'::date + n + 1); "
        "IF n % 50 = 0 THEN COMMIT; END IF; END LOOP; END $$",
    )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("SET TimeZone = 'UTC'")
        connection.exec_driver_sql("CALL fill()")
    table = new_table(PartitionByRange("created_at", interval="1 day", premake=20))
    new = "relname LIKE 'events_p%' AND relname > 'events_p20300209'"
    commits = f"SELECT count(DISTINCT xmin::text) FROM pg_class WHERE {new}"
    last = scalar(engine, "SELECT max(relname) FROM pg_class WHERE relname LIKE 'events_p%'")
    with loaded(uri_of(engine)) as load:
        time.sleep(3)
        began = time.monotonic()
        result = upkeep(engine, table, "2030-02-09").run()
        done = time.monotonic()
        time.sleep(0.5)
    before, during = load.percentile(0.99, began - 2, began), load.percentile(0.99, began, done + 0.5)

    assert result.ok, str(result)
    assert "events_p20300209" == last
    assert 20 == len(made(result))
    assert scalar(engine, commits) <= 2
    assert during - before < 0.1
    assert [] == load.errors


def _small(server_target: str) -> Server:
    """A server with room for a few hundred locks."""
    settings = {"max_locks_per_transaction": "10", "max_connections": "20", "max_prepared_transactions": "0"}
    return Server.start(binaries(server_target), base=memory(), settings=settings)


def _run(engine: Engine, spec: PartitionByRange, now: str) -> RunResult:
    return upkeep(engine, new_table(spec), now, lock=LockPolicy()).run()


def test_a_server_with_little_room_for_locks(server_target: str) -> None:
    """500 partitions are made and dropped, with indexes, and no transaction runs out of shared memory."""
    daily = PartitionByRange("created_at", interval="1 day", premake=499, retention=Retention("1 day", then="drop"))
    with _small(server_target) as server:
        engine = create_engine(server.url())
        sql(
            engine,
            "CREATE TABLE events (id bigint, created_at timestamptz) PARTITION BY RANGE (created_at); "
            "CREATE INDEX ON events (id); CREATE INDEX ON events (created_at)",
        )
        first = _run(engine, daily, "2030-01-01")
        then = _run(engine, daily.with_(premake=0), "2032-01-01")
        engine.dispose()

    assert ["done"] * 500 == outcomes(first)
    assert then.ok
    assert 500 == sum(each.step.purpose.removes for each in then.steps)


def test_a_branch_that_has_more_partitions_than_there_is_room_for(server_target: str) -> None:
    """It is made in pieces, and emptied before it is dropped."""
    hashed = PartitionByHash("id", modulus=200)
    wide = MONTHLY.with_(premake=0, retention=Retention("1 month", then="drop"), subpartition=hashed)
    with _small(server_target) as server:
        engine = create_engine(server.url())
        sql(
            engine,
            "CREATE TABLE events (id bigint, created_at timestamptz) PARTITION BY RANGE (created_at); "
            "CREATE INDEX ON events (id); CREATE INDEX ON events (created_at)",
        )
        first = _run(engine, wide, EARLY)
        leaves = scalar(engine, "SELECT count(*) FROM pg_partition_tree('events') WHERE isleaf")
        then = _run(engine, wide, LATER)
        left = scalar(engine, "SELECT count(*) FROM pg_class WHERE relname LIKE 'events_p20300101%'")
        engine.dispose()

    assert first.ok, str(first)
    assert 200 == leaves
    assert then.ok, str(then)
    assert 0 == left
