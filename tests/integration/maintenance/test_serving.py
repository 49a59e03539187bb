"""A maintainer that serves: in a thread, in a task, in the foreground; whatever a run meets, the next one comes."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from sqlalchemy import Engine, MetaData, Table, create_engine
from sqlalchemy.ext.asyncio import AsyncEngine

from sa_partman import AsyncMaintainer, LockPolicy, Maintainer, PartitionByList, PartitionByRange, Retention
from sa_partman.engine.exclusion import only_maintainer
from sa_partman.errors import ConfigurationError, DeclarationError
from sa_partman.observe.health import Health
from tests.support.builders import at
from tests.support.database import holding, new_table, partitions, put, scalar, sql, upkeep
from tests.support.faces import ASYNC_FACES, Face, opened

MONTHLY = PartitionByRange("created_at", interval="1 month", premake=0)
DROPPED = MONTHLY.with_(retention=Retention("1 month", then="drop"))
CONCURRENTLY = MONTHLY.with_(retention=Retention("1 month", then="detach", concurrently=True))
OLD, NEW = "events_p20260101", "events_p20260301"
MARCH = "2026-03-15"


def in_march(engine: Engine, spec: Any = DROPPED) -> Table:
    """Made in January; in March, January has expired, and there is no March."""
    table = new_table(spec)
    table.create(engine)
    for name in partitions(engine):
        sql(engine, f"DROP TABLE {name}")
    for month in ("2026-01-15", "2026-02-15"):
        upkeep(engine, table, month).provision()
    put(engine, table, "2026-01-20")
    return table


def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


class Service:
    """A service of either face, served in a thread of the test when it needs a loop."""

    def __init__(self, face: Face, maintainer: Any, **options: Any) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        if isinstance(face.engine, AsyncEngine):
            assert face.runner is not None
            self.loop = face.runner.get_loop()
            self.thread = threading.Thread(target=self.loop.run_forever)
            self.thread.start()
            self.inner = maintainer.maintainer.serve(**options)
        else:
            self.inner = maintainer.serve(**options)

    def __enter__(self) -> Service:
        if self.loop is None:
            self.inner.start()
        else:
            self.loop.call_soon_threadsafe(self.inner.start)
        return self

    def __exit__(self, *rest: object) -> None:
        try:
            self.stop()
        finally:
            if self.loop is not None:
                self.loop.call_soon_threadsafe(self.loop.stop)
                self.thread.join()

    def stop(self, timeout: float = 10) -> None:
        if self.loop is None:
            self.inner.stop(timeout)
        else:
            asyncio.run_coroutine_threadsafe(self.inner.stop(timeout), self.loop).result()

    @property
    def health(self) -> Health:
        return self.inner.health  # type: ignore[no-any-return]

    def runs(self, number: int) -> bool:
        return self.health.runs >= number


def test_it_runs_at_once_and_then_again(face: Face, engine: Engine) -> None:
    table = in_march(engine)
    with Service(face, face.maintainer(table, MARCH), every=0.2, jitter=0.2) as service:
        until(lambda: service.runs(1))
        assert {"events_p20260201", NEW} == set(partitions(engine))
        sql(engine, f"DROP TABLE {NEW}")
        until(lambda: ("public.events", "provision", "done", 2) in service.health.counts)
        assert NEW in partitions(engine)
    health = service.health

    assert health.due is None
    assert not health.running
    assert 0 == health.errors
    assert ("public.events", "provision", "done", 2) in health.counts
    assert ("public.events", "drop", "done", 1) in health.counts


def until_next(health: Health) -> float:
    """Seconds from the end of the last run to the next one."""
    assert health.due is not None
    assert health.last is not None
    return (health.due - health.last.at).total_seconds()


def test_with_a_real_interval_the_second_run_is_far(face: Face, engine: Engine) -> None:
    """And stopping does not wait for it."""
    table, began = in_march(engine), time.monotonic()
    with Service(face, face.maintainer(table, MARCH), every="1 hour") as service:
        until(lambda: service.runs(1) and until_next(service.health) > 60)

        assert 3500 < until_next(service.health) < 3600 * 1.1 + 1

    assert time.monotonic() - began < 20
    assert 1 == service.health.runs


def test_another_maintainer_is_no_error(face: Face, engine: Engine) -> None:
    table = in_march(engine)
    with only_maintainer(engine), Service(face, face.maintainer(table, MARCH), every=0.1) as service:
        until(lambda: service.health.busy >= 2)

    assert 0 == service.health.errors
    assert OLD in partitions(engine)


def test_an_error_is_recorded_and_the_next_run_comes(face: Face, engine: Engine) -> None:
    """The tenants are there from the third look on."""
    table = new_table(PartitionByList("tenant", values=lambda connection: names(connection)))
    sql(engine, "CREATE SEQUENCE asked")

    def names(connection: Any) -> list[str]:
        if connection.exec_driver_sql("SELECT nextval('public.asked')").scalar_one() < 3:
            raise ValueError("no tenants yet")
        return ["a"]

    columns = "id bigint, created_at timestamptz, tenant text NOT NULL, region text, ref uuid"
    sql(engine, f"CREATE TABLE events ({columns}) PARTITION BY LIST (tenant)")
    with Service(face, face.maintainer(table, MARCH), every=0.1) as service:
        until(lambda: "events_a" in partitions(engine) and service.health.completed)

    assert service.health.errors >= 1
    assert service.health.runs > service.health.errors


@contextmanager
def boss_of(engine: Engine) -> Iterator[Engine]:
    """On another database of the server."""
    boss = create_engine(engine.url.set(database="postgres"))
    yield boss
    boss.dispose()


def test_a_server_that_is_away(face: Face, engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """The database can't be reached for a while."""
    table, name = in_march(engine), engine.url.database
    engine.dispose()
    with boss_of(engine) as boss, caplog.at_level(logging.ERROR, "sa_partman.serving"):
        sql(boss, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        with Service(face, face.maintainer(table, MARCH), every=0.1) as service:
            until(lambda: service.health.errors >= 2)
            assert "no connection to" in service.health.problem(at("2026-01-01"))
            sql(boss, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            until(lambda: service.health.completed)

    assert NEW in partitions(engine)
    assert any("no connection to" in record.getMessage() for record in caplog.records)


def test_a_lock_that_is_not_granted(face: Face, engine: Engine) -> None:
    """The run went through and was not well: it is a problem until one is."""
    table = in_march(engine)
    hasty = LockPolicy(lock_timeout=0.05, budget=0.3, pause=0.05, longest_pause=0.1, stall=0.2)
    with Service(face, face.maintainer(table, MARCH, lock=hasty), every=0.1) as service:
        with holding(engine, "SELECT count(*) FROM events"):
            until(lambda: service.health.errors)
            assert OLD in service.health.problem(at("2026-01-01"))
        until(lambda: service.health.completed)

    assert ("public.events", "drop", "done", 1) in service.health.counts


def test_missed_turns_are_dropped(face: Face, engine: Engine) -> None:
    """A run that takes many intervals is followed by one run, not by many at once."""
    table = in_march(engine)
    slow = face.maintainer(table, MARCH, hooks=[lambda event: time.sleep(0.4)])
    with Service(face, slow, every=0.1, jitter=0.0) as service:
        until(lambda: service.runs(2))

    assert service.health.missed >= 7


def test_connections_that_died_between_two_runs(face: Face, engine: Engine) -> None:
    """As after a restart of the server: the run begins again at once, with new ones."""
    table = in_march(engine)
    ours = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with Service(face, face.maintainer(table, MARCH), every=0.5, jitter=0) as service:
        until(lambda: service.runs(1))
        assert sql(engine, f"SELECT pg_terminate_backend(pid) {ours}")
        until(lambda: service.runs(2))

    assert 0 == service.health.errors


# -- its end


@contextmanager
def slow_drops(engine: Engine, seconds: float) -> Iterator[None]:
    sql(
        engine,
        f"""
        CREATE FUNCTION public.dawdle() RETURNS event_trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_catalog.pg_sleep({seconds}); END $$;
        CREATE EVENT TRIGGER dawdle ON ddl_command_start WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION public.dawdle()
        """,
    )
    yield
    sql(engine, "DROP EVENT TRIGGER dawdle")


def sleeps(engine: Engine) -> bool:
    return bool(scalar(engine, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))


def test_its_end_lets_the_step_finish(face: Face, engine: Engine) -> None:
    """And begins no other."""
    table = in_march(engine, MONTHLY.with_(retention=Retention("1 day", then="drop")))
    with slow_drops(engine, 1):
        with Service(face, face.maintainer(table, MARCH), every="1 hour") as service:
            until(lambda: sleeps(engine))

        assert ["events_p20260201", NEW] == sorted(partitions(engine))
    assert 0 == service.health.runs


def test_its_end_cancels_a_statement_that_takes_too_long(face: Face, engine: Engine) -> None:
    table = in_march(engine)
    with slow_drops(engine, 60):
        with Service(face, face.maintainer(table, MARCH), every="1 hour") as service:
            until(lambda: sleeps(engine))
            began = time.monotonic()
            service.stop(0.2)

        assert time.monotonic() - began < 10
        until(lambda: not sleeps(engine))
    assert {OLD, "events_p20260201", NEW} == set(partitions(engine))
    assert upkeep(engine, table, MARCH).run().ok


def test_its_end_while_it_waits_for_a_lock(face: Face, engine: Engine) -> None:
    """No need to wait for the budget."""
    table = in_march(engine)
    patient = LockPolicy(lock_timeout=0.2, budget=60, stall=30)
    serving = Service(face, face.maintainer(table, MARCH, lock=patient), every="1 hour")
    with holding(engine, "SELECT count(*) FROM events"), serving as service:
        until(lambda: NEW in partitions(engine))
        began = time.monotonic()
        service.stop()

    assert time.monotonic() - began < 8
    assert 0 == scalar(engine, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
    assert upkeep(engine, table, MARCH).run().ok


def test_it_serves_once(engine: Engine) -> None:
    table = in_march(engine)
    with upkeep(engine, table, MARCH).serve() as service, pytest.raises(RuntimeError, match="make another one"):
        service.start()


def test_in_the_foreground(engine: Engine) -> None:
    """`run` comes back when somebody stops it."""
    service = upkeep(engine, in_march(engine), MARCH).serve(every=0.05)
    thread = threading.Thread(target=service.run)
    thread.start()
    until(lambda: service.health.runs >= 2)
    service.stop()
    thread.join(10)

    assert not thread.is_alive()


@pytest.mark.parametrize("name", ASYNC_FACES)
def test_in_a_task(name: str, database_url: str, engine: Engine) -> None:
    """As an async context manager, and as a task that somebody cancels."""
    table = in_march(engine)

    async def work(maintainer: AsyncMaintainer) -> Health:
        async with maintainer.serve(every="1 hour") as service:
            while not service.health.runs:
                await asyncio.sleep(0.01)
        other = maintainer.serve(every=0.05)
        task = asyncio.create_task(other.run())
        while other.health.runs < 2:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return service.health

    with opened(name, database_url) as face:
        assert isinstance(face.engine, AsyncEngine)
        assert face.runner is not None
        health = face.runner.run(work(AsyncMaintainer(face.engine, table.metadata, now=at(MARCH))))

    assert (1, 0) == (health.runs, health.errors)


# -- what is wrong from the start


def test_a_table_that_is_not_declared(engine: Engine) -> None:
    with pytest.raises(DeclarationError, match="nothing_of_ours"):
        upkeep(engine, MetaData()).serve(tables=["nothing_of_ours"])


@pytest.mark.parametrize(
    ("options", "error"), [({"every": "1 month"}, ValueError), ({"listen": ":1"}, ConfigurationError)]
)
def test_wrong_options(engine: Engine, options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Maintainer(engine, MetaData()).serve(**options)


# -- what it tells


def fetched(address: str, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"http://{address}{path}", timeout=10) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_health_and_metrics(face: Face, engine: Engine) -> None:
    """200 after a good run, 503 while the server can't do what is asked; nobody listens in the end."""
    table = in_march(engine)
    hasty = LockPolicy(lock_timeout=0.05, budget=0.3, pause=0.05, longest_pause=0.1, stall=0.2)
    with Service(face, face.maintainer(table, MARCH, lock=hasty), every=0.3, listen="127.0.0.1:0") as service:
        with holding(engine, "SELECT count(*) FROM events"):
            until(lambda: service.health.errors)
            code, body = fetched(service.inner.address, "/healthz")
            assert (503, False) == (code, json.loads(body)["ok"])
            assert OLD in json.loads(body)["problem"]
        until(lambda: service.health.completed)
        assert 200 == fetched(service.inner.address, "/healthz")[0]
        code, text = fetched(service.inner.address, "/metrics")
        last, address = service.health.last, service.inner.address

    assert 200 == code
    assert "sa_partman" in text
    assert last is not None
    assert ["public.events"] == [each.table for each in last.tables]
    with pytest.raises(OSError, match="refused"):
        fetched(address, "/healthz")
