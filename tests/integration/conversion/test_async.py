"""A conversion in an event loop: the same steps, awaited; a task that is cancelled harms nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, TypeVar

import pytest
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from sa_partman import (
    AsyncConverter,
    Converter,
    LockNotAcquired,
    Progress,
    Refused,
    Step,
    StepEvent,
    Veto,
    before,
)
from tests.support.converting import BRISK, HASTY, NOW, TABLE, metadata
from tests.support.database import holding, scalar, sql

T = TypeVar("T")
KIND = "SELECT CAST(relkind AS text) FROM pg_class WHERE oid = to_regclass('events')"


@pytest.fixture(params=["psycopg", "asyncpg"])
def loop(request: pytest.FixtureRequest, events: Engine) -> Iterator[tuple[asyncio.Runner, AsyncEngine]]:
    """A loop and its engine; in the end every connection is back."""
    engine = create_async_engine(events.url.set(drivername=f"postgresql+{request.param}"), pool_size=1)
    with asyncio.Runner() as runner:
        yield runner, engine
        checked_out = engine.pool.checkedout()  # type: ignore[attr-defined]
        runner.run(engine.dispose())
    assert 0 == checked_out


Loop = tuple[asyncio.Runner, AsyncEngine]


def converter(loop: Loop, **options: Any) -> AsyncConverter:
    return AsyncConverter(loop[1], metadata(), now=NOW, **{"lock": BRISK, **options})


def test_there_and_back(events: Engine, loop: Loop) -> None:
    runner = loop[0]
    here = converter(loop, audit=True)
    steps: list[str] = []

    async def report(step: Step, seconds: float) -> None:
        await asyncio.sleep(0)
        steps.append(step.id)

    planned = runner.run(here.plan(TABLE))
    estimated = runner.run(here.estimate(TABLE))
    done = runner.run(here.convert(TABLE, report=report))

    assert "done" == done.status
    assert estimated.bytes > 0
    assert [each.id for each in planned.steps] == steps
    assert "p" == scalar(events, KIND)
    assert len(steps) == scalar(events, "SELECT done FROM sa_partman_runs")
    assert done == runner.run(here.state(TABLE))

    undone = runner.run(here.undo(TABLE))

    assert ("undo", "done", "r") == (undone.kind, undone.status, scalar(events, KIND))


def test_progress_is_awaited(events: Engine, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sa_partman.engine.progress.EVERY", 0.05)
    seen: list[str] = []

    async def main() -> None:
        told = asyncio.Event()

        async def progress(found: Progress) -> None:
            await asyncio.sleep(0)
            seen.append(found.step.id)
            told.set()

        task = asyncio.create_task(converter(loop).convert(TABLE, progress=progress))
        await asyncio.wait_for(told.wait(), 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with holding(events, "INSERT INTO events (org_id) VALUES (1)"):  # the build waits for it
        loop[0].run(main())
    loop[0].run(converter(loop).abort(TABLE))

    assert {"unique_index"} == set(seen)


def test_the_loop_goes_on_while_locks_are_not_granted(
    events: Engine, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing sleeps in its thread."""
    here, sleeper = converter(loop, lock=HASTY), time.sleep

    def sleep(seconds: float) -> None:
        assert threading.current_thread() is not threading.main_thread()
        sleeper(seconds)

    monkeypatch.setattr("time.sleep", sleep)
    with holding(events, "SELECT count(*) FROM events"), pytest.raises(LockNotAcquired):
        loop[0].run(here.convert(TABLE))

    assert "done" == loop[0].run(here.resume(TABLE)).status


def test_a_hook_is_awaited_and_may_veto(events: Engine, loop: Loop) -> None:
    @before("convert")
    async def never(event: StepEvent) -> None:
        await asyncio.sleep(0)
        if event.step == "cutover":
            raise Veto("not today")

    found = loop[0].run(converter(loop, hooks=[never]).convert(TABLE))

    assert "running" == found.status
    assert "r" == scalar(events, KIND)
    assert "done" == loop[0].run(converter(loop).resume(TABLE)).status


@pytest.mark.parametrize("stop", ["unique_index", "validate", "cutover"])
def test_a_task_that_is_cancelled_goes_on_later(events: Engine, loop: Loop, stop: str) -> None:
    def cancelling(task: list[asyncio.Task[Any]]) -> Callable[[StepEvent], Any]:
        async def hook(event: StepEvent) -> None:
            if event.step == stop:
                # A build waits for whoever has written; before the others it is the next thing that is awaited.
                asyncio.get_running_loop().call_later(0.2 if stop == "unique_index" else 0, task[0].cancel)

        return before("convert")(hook)

    async def main() -> None:
        task: list[asyncio.Task[Any]] = []
        task.append(asyncio.create_task(converter(loop, hooks=[cancelling(task)]).convert(TABLE)))
        with pytest.raises(asyncio.CancelledError):
            await task[0]

    rows = scalar(events, "SELECT count(*) FROM events")
    with holding(events, "INSERT INTO events (org_id) VALUES (1)") if stop == "unique_index" else nullcontext():
        loop[0].run(main())

    assert rows == scalar(events, "SELECT count(*) FROM events")
    assert "running" == Converter(events, metadata(), now=NOW).state(TABLE).status  # type: ignore[union-attr]
    assert "done" == loop[0].run(converter(loop).resume(TABLE)).status
    assert (rows, "p") == (scalar(events, "SELECT count(*) FROM events"), scalar(events, KIND))
    assert [] == sql(events, "SELECT 1 FROM pg_index WHERE NOT indisvalid")


def test_an_engine_of_the_other_kind(events: Engine) -> None:
    with pytest.raises(TypeError, match="AsyncConverter takes an AsyncEngine and got Engine"):
        AsyncConverter(events, metadata())  # type: ignore[arg-type]


def test_an_error_is_that_of_the_converter(events: Engine, loop: Loop) -> None:
    with pytest.raises(Refused, match="no conversion in progress"):
        loop[0].run(converter(loop).resume(TABLE))
