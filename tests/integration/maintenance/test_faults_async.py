"""The asynchronous face killed and cancelled, wherever it is: the next run does the rest, and no row is lost."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from sa_partman import Archive, AsyncMaintainer
from sa_partman.maintenance.restoring import Restored, restore
from sa_partman.maintenance.results import RunResult
from tests.support.archives import MARCH, OLD, january, monthly
from tests.support.builders import at
from tests.support.database import scalar, sql, upkeep
from tests.support.faults import BRISK, Estate, chance, estate, metadata, observer, points, writing
from tests.support.killing import OTHERS, at_point, maintaining, others, stop, until, work_async

DRIVERS = ("psycopg", "asyncpg")


@pytest.mark.timeout(1800)
def test_killed_anywhere(database_url: str) -> None:
    """At a statement or at a moment, over either driver, by chance; the first two are certain to hit."""
    with estate(database_url) as found:
        found.pass_days()
        began = time.monotonic()
        child = maintaining(found, target=work_async)
        child.join(60)
        lasts = time.monotonic() - began
        assert 0 == child.exitcode
        found.heal("undisturbed")
        for turn in range(points(0.15)):
            found.pass_days()
            driver = DRIVERS[turn] if turn < 2 else found.dice.choice(DRIVERS)
            point = 1 if turn == 0 else found.dice.randint(1, 120)
            moment = turn == 1 or (turn > 1 and found.dice.random() < 0.4)
            with writing(found):
                if moment:
                    # A first one can't get away: it stops before its second statement.
                    given: tuple[Any, ...] = (2, stop) if turn == 1 else ()
                    child = maintaining(found, *given, target=work_async, driver=driver)
                    assert until(lambda: others(found.engine), 30) or turn > 1
                    time.sleep(lasts * found.dice.random())
                    child.kill()
                else:
                    child = maintaining(found, point, target=work_async, driver=driver)
                child.join(60)

            label = f"turn {turn}, {driver}, {'a moment' if moment else f'point {point}'}"
            assert child.exitcode in (-signal.SIGKILL, *((0,) if turn > 1 else ())), label
            found.heal(label)


@pytest.mark.timeout(1800)
def test_cancelled_anywhere(database_url: str) -> None:
    """
    At a statement, or at a moment and perhaps twice; the first is certain to hit. Every connection is back before the
    task has ended, and soon there is no statement and no lock of its either.
    """
    with estate(database_url) as found, asyncio.Runner() as runner:
        lasts = runner.run(_lasts(found))
        found.heal("undisturbed")
        for turn in range(points(0.3)):
            found.pass_days()
            driver = found.dice.choice(DRIVERS)
            with writing(found):
                run = partial(_run, found)
                ended = runner.run(_cancelled(found.engine, found.dice, driver, run, lasts, certain=turn == 0))

            assert isinstance(ended, asyncio.CancelledError) or (turn and isinstance(ended, RunResult)), repr(ended)
            found.heal(f"turn {turn}, {driver}")


@pytest.mark.timeout(1800)
def test_a_restore_cancelled_anywhere(engine: Engine, tmp_path: Path) -> None:
    """All of the partition is there or nothing of it; the next restore brings it back."""
    looks = observer(engine.url.render_as_string(hide_password=False))
    table, dice = monthly(Archive(tmp_path)), chance()
    january(looks, table, 5)
    sql(looks, "INSERT INTO events (id, created_at) SELECT i, '2026-01-02' FROM generate_series(6, 5000) i")
    assert upkeep(looks, table, MARCH).prune().ok
    manifest = str(tmp_path / f"public.{OLD}.manifest.json")

    async def restored(engine: AsyncEngine) -> Restored:
        return await AsyncMaintainer(engine, table.metadata, now=at(MARCH)).restore(manifest)

    with asyncio.Runner() as runner:
        began = time.monotonic()
        runner.run(_cancelled(looks, dice, "psycopg", restored, 0, never=True))
        lasts = time.monotonic() - began
        for turn in range(points(0.15)):
            sql(looks, f"DROP TABLE IF EXISTS {OLD}")
            ended = runner.run(_cancelled(looks, dice, dice.choice(DRIVERS), restored, lasts, certain=turn == 0))

            assert isinstance(ended, asyncio.CancelledError) or (turn and isinstance(ended, Restored)), repr(ended)
            left = [row[0] for row in sql(looks, "SELECT count(*) FROM pg_class WHERE relname = :name", name=OLD)]
            assert (5000 if left == [1] else 0) == scalar(looks, "SELECT count(*) FROM events")
            assert left == [1] or isinstance(ended, asyncio.CancelledError)
    sql(looks, f"DROP TABLE IF EXISTS {OLD}")
    assert 5000 == restore(looks, table.metadata, manifest).rows
    looks.dispose()


async def _lasts(found: Estate) -> float:
    """Seconds of an undisturbed run."""
    found.pass_days()
    engine = _engine(found, "psycopg")
    began = time.monotonic()
    assert (await _maintainer(found, engine).run()).ok
    await engine.dispose()
    return time.monotonic() - began


async def _run(found: Estate, engine: AsyncEngine) -> RunResult:
    return await _maintainer(found, engine).run()


async def _cancelled(
    looks: Engine,
    dice: random.Random,
    driver: str,
    work: Callable[[AsyncEngine], Coroutine[Any, Any, Any]],
    lasts: float,
    *,
    certain: bool = False,
    never: bool = False,
) -> object:
    """How *work* ended, which was cancelled if that came in time."""
    engine = create_async_engine(make_url(looks.url).set(drivername=f"postgresql+{driver}"))
    async with engine.connect():
        pass  # SQLAlchemy's own first look at a server is not ours to put in order
    task = asyncio.create_task(work(engine))

    def cancel(connection: Any) -> None:
        task.cancel()

    if certain or never or dice.random() < 0.5:
        point = 0 if never else 1 if certain else dice.randint(1, 120)
        with at_point(engine.sync_engine, point, cancel):
            await asyncio.wait({task})
    else:
        await asyncio.wait({task}, timeout=lasts * dice.random())
        for _ in range(dice.randint(1, 2)):
            task.cancel()
            await asyncio.wait({task}, timeout=0.01 * dice.random())
        await asyncio.wait({task})

    assert 0 == engine.sync_engine.pool.checkedout()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 20
    # asyncpg asks the server to cancel in a task of its own, for which the loop has to go on.
    while _busy(looks):
        assert time.monotonic() < deadline, f"{driver}: still at work after it was cancelled: {_busy(looks)}"
        await asyncio.sleep(0.02)
    await engine.dispose()
    return asyncio.CancelledError() if task.cancelled() else task.exception() or task.result()


def _busy(looks: Engine) -> list[Any]:
    """Backends of a maintainer that do something, or hold something."""
    return sql(
        looks,
        f"SELECT pid, state, query {OTHERS} AND (state <> 'idle' OR EXISTS "
        "(SELECT FROM pg_locks l WHERE l.pid = pg_stat_activity.pid AND l.locktype = 'advisory'))",
    )


def _engine(found: Estate, driver: str) -> AsyncEngine:
    return create_async_engine(make_url(found.url).set(drivername=f"postgresql+{driver}"))


def _maintainer(found: Estate, engine: AsyncEngine) -> AsyncMaintainer:
    return AsyncMaintainer(engine, metadata(str(engine.url.database), found.tables), now=found.now, lock=BRISK)
