"""The asynchronous face among its neighbours: it never holds up the event loop, and it can be cancelled anywhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Table, create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine

from sa_partman import AsyncMaintainer, LockPolicy, PartitionByRange, Retention, StepEvent
from sa_partman.maintenance.results import StepResult
from tests.support.builders import at
from tests.support.database import holding, new_table, partitions, put, scalar, sql, upkeep
from tests.support.faces import Face

MONTHLY = PartitionByRange("created_at", interval="1 month", premake=0)
DROPPED = MONTHLY.with_(retention=Retention("1 month", then="drop"))
CONCURRENTLY = MONTHLY.with_(retention=Retention("1 month", then="detach", concurrently=True))
PATIENT = LockPolicy(lock_timeout=1, budget=30, pause=0.1, longest_pause=0.5, stall=20)
OLD, NEW = "events_p20260101", "events_p20260301"
OURS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


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


def maintainer_of(face: Face, table: Table, **options: Any) -> AsyncMaintainer:
    assert isinstance(face.engine, AsyncEngine)
    return AsyncMaintainer(face.engine, table.metadata, now=at("2026-03-15"), **options)


def run(face: Face, work: Callable[[], Awaitable[Any]]) -> Any:
    """*work* in the loop of *face*."""
    assert face.runner is not None

    async def whole() -> Any:
        return await work()

    return face.runner.run(whole())


@contextmanager
def onlooker(engine: Engine) -> Iterator[Connection]:
    """A connection that is open already, for looks from within a loop."""
    other = create_engine(engine.url, isolation_level="AUTOCOMMIT")
    with other.connect() as connection:
        yield connection
    other.dispose()


async def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    """Polls *condition*; the loop goes on."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        await asyncio.sleep(0.01)


async def longest_hold(stop: asyncio.Event) -> float:
    """The longest time for which the loop was kept from its tasks, in seconds."""
    longest, last = 0.0, time.monotonic()
    while not stop.is_set():
        await asyncio.sleep(0.005)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    return longest


def test_the_loop_goes_on_while_a_lock_is_waited_for(async_face: Face, engine: Engine) -> None:
    """And while a synchronous hook sleeps."""
    table = in_march(engine)
    policy = LockPolicy(lock_timeout=0.5, budget=1.5, pause=0.1, longest_pause=0.2, stall=1.5)

    def sleepy(event: StepEvent) -> None:
        time.sleep(0.3)

    async def work() -> float:
        stop = asyncio.Event()
        ticking = asyncio.create_task(longest_hold(stop))
        result = await maintainer_of(async_face, table, lock=policy, hooks=[sleepy]).run()
        stop.set()
        assert ["done", "deferred"] == [str(each.outcome) for each in result.steps]
        return await ticking

    with holding(engine, "SELECT count(*) FROM events"):
        assert run(async_face, work) < 0.25


def test_other_tasks_use_the_engine_meanwhile(async_face: Face, engine: Engine) -> None:
    """Two maintainers in one loop: one works, the other is told to try later or comes after it; nothing is stuck."""
    table = in_march(engine)

    async def work() -> list[Any]:
        runs = [maintainer_of(async_face, table).run() for _ in range(3)]
        return await asyncio.gather(*runs, return_exceptions=True)

    ended = run(async_face, work)

    assert {"RunResult", "MaintainerBusy"} >= {type(each).__name__ for each in ended}
    assert {"events_p20260201", NEW} == set(partitions(engine))


def all_is_given_back(face: Face, engine: Engine, readers: int = 0) -> None:
    """
    No lock, no statement, no transaction of ours is left on the server; *readers* are the test's own.

    The loop goes on meanwhile, as it does in an application: asyncpg asks the server to cancel from a task of its own.
    """
    busy = f"{OURS} AND (state <> 'idle' OR backend_xid IS NOT NULL)"
    locks = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    run(face, lambda: until(lambda: scalar(engine, busy) <= readers and not scalar(engine, locks)))

    assert 0 == face.sync_engine.pool.checkedout()  # type: ignore[attr-defined]


@contextmanager
def slow(engine: Engine, tag: str) -> Iterator[None]:
    """Every statement of *tag* takes very long, and waits for nobody."""
    sql(
        engine,
        f"""
        CREATE FUNCTION public.dawdle() RETURNS event_trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_catalog.pg_sleep(60); END $$;
        CREATE EVENT TRIGGER dawdle ON ddl_command_start WHEN TAG IN ('{tag}') EXECUTE FUNCTION public.dawdle()
        """,
    )
    yield
    sql(engine, "DROP EVENT TRIGGER dawdle")


def cancelled_when(face: Face, table: Table, condition: Callable[[], bool]) -> None:
    """A run, cancelled as soon as *condition* holds."""

    async def work() -> None:
        task = asyncio.create_task(maintainer_of(face, table).run())
        await until(condition)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(face, work)


def the_next_run_does_the_rest(engine: Engine, table: Table) -> None:
    upkeep(engine, table, "2026-03-15").run()

    assert {"events_p20260201", NEW} == set(partitions(engine))
    assert not upkeep(engine, table, "2026-03-15").plan()


@pytest.mark.parametrize(
    ("spec", "tag"), [(DROPPED, "DROP TABLE"), (CONCURRENTLY, "ALTER TABLE")], ids=["drop", "detach concurrently"]
)
def test_cancelled_in_the_middle_of_a_statement(async_face: Face, engine: Engine, spec: Any, tag: str) -> None:
    """The statement ends on the server too, its step is rolled back, and the next run does the rest."""
    table = in_march(engine, spec)
    upkeep(engine, table, "2026-03-15").provision()
    with slow(engine, tag), onlooker(engine) as look:
        sleeps = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
        cancelled_when(async_face, table, lambda: bool(look.execute(sleeps).scalar_one()))
        all_is_given_back(async_face, engine)

        assert OLD in partitions(engine)
    the_next_run_does_the_rest(engine, table)


def test_cancelled_in_a_pause(async_face: Face, engine: Engine) -> None:
    """Between two tries for a lock."""
    table = in_march(engine)
    policy = LockPolicy(lock_timeout=0.05, budget=60, pause=20, longest_pause=20, stall=30)

    async def work(look: Connection) -> None:
        task = asyncio.create_task(maintainer_of(async_face, table, lock=policy).run())
        await until(lambda: NEW in {row[0] for row in look.execute(text("SELECT relname FROM pg_class"))})
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with onlooker(engine) as look, holding(engine, "SELECT count(*) FROM events"):
        run(async_face, lambda: work(look))
    all_is_given_back(async_face, engine)

    assert upkeep(engine, table, "2026-03-15").run().ok


@pytest.mark.parametrize("moment", range(12))
def test_cancelled_anywhere(async_face: Face, engine: Engine, moment: int) -> None:
    """After so many turns of the loop: whatever was under way, all is given back, and the next run does the rest."""
    table = in_march(engine)

    async def work() -> None:
        assert isinstance(async_face.engine, AsyncEngine)
        async with async_face.engine.connect():
            pass  # SQLAlchemy's own first look at a server is not ours to put in order
        task = asyncio.create_task(maintainer_of(async_face, table).run())
        for _ in range(2 + 7 * moment):
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait({task})

    run(async_face, work)
    all_is_given_back(async_face, engine)
    the_next_run_does_the_rest(engine, table)


def test_a_timeout_of_the_caller(async_face: Face, engine: Engine) -> None:
    """``asyncio.timeout`` is a cancellation too."""
    table = in_march(engine)

    async def work() -> None:
        async with asyncio.timeout(0.5):
            await maintainer_of(async_face, table, lock=PATIENT).run()

    with holding(engine, "SELECT count(*) FROM events"), pytest.raises(TimeoutError):
        run(async_face, work)
    all_is_given_back(async_face, engine)

    assert OLD in partitions(engine)


def test_a_report_that_is_awaited(async_face: Face, engine: Engine) -> None:
    table, told = in_march(engine), []

    async def report(result: StepResult, done: int, total: int) -> None:
        await asyncio.sleep(0)
        told.append((result.step.partition.name, done, total))

    run(async_face, lambda: maintainer_of(async_face, table, report=report).run())

    assert [(NEW, 1, 2), (OLD, 2, 2)] == told
