"""A rewrite in an event loop: the same steps, awaited; a task that is cancelled harms nothing."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, create_engine, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from sa_partman import AsyncConverter, AsyncRewriter, Progress, Refused, Rewriter, Step, Throttle
from tests.support.copying import hashed
from tests.support.database import partitions
from tests.support.rewriting import BRISK, NOW, contents, history, left_behind, plain

Loop = tuple[asyncio.Runner, AsyncEngine]


@pytest.fixture(params=["psycopg", "asyncpg"])
def loop(request: pytest.FixtureRequest, database_url: str) -> Iterator[Loop]:
    """A loop and its engine; in the end every connection is back."""
    engine = create_async_engine(make_url(database_url).set(drivername=f"postgresql+{request.param}"), pool_size=1)
    with asyncio.Runner() as runner:
        yield runner, engine
        checked_out = engine.pool.checkedout()  # type: ignore[attr-defined]
        runner.run(engine.dispose())
    assert 0 == checked_out


def rewriter(loop: Loop, metadata: MetaData) -> AsyncRewriter:
    return AsyncRewriter(loop[1], metadata, now=NOW, lock=BRISK)


def test_copied_and_back(engine: Engine, loop: Loop) -> None:
    plain(engine)
    here, runner = AsyncConverter(loop[1], hashed(), now=NOW, lock=BRISK), loop[0]
    before = contents(engine)
    steps: list[str] = []

    async def report(step: Step, seconds: float) -> None:
        await asyncio.sleep(0)
        steps.append(step.id)

    planned = runner.run(here.plan_copy("events"))
    done = runner.run(here.convert("events", strategy="copy", throttle=Throttle(pause=0.01), report=report))

    assert [each.id for each in planned.steps][:-1] == steps
    assert done == runner.run(here.state("events"))
    assert before == contents(engine)
    assert "done" == runner.run(here.undo("events", throttle=Throttle())).status
    assert {} == partitions(engine)
    runner.run(here.convert("events", strategy="copy"))
    assert "done" == runner.run(here.finalize("events", report=report)).status
    assert before == contents(engine)
    with pytest.raises(Refused):
        runner.run(here.pause("events"))


def test_there_and_back(engine: Engine, loop: Loop) -> None:
    here, runner = rewriter(loop, history(engine)), loop[0]
    before, bounds = contents(engine), partitions(engine)
    steps: list[str] = []
    seen: set[str] = set()

    async def report(step: Step, seconds: float) -> None:
        await asyncio.sleep(0)
        steps.append(step.id)

    async def progress(found: Progress) -> None:
        await asyncio.sleep(0)
        seen.add(found.step.id)

    planned = runner.run(here.plan_split("events_history", into="1 month"))
    done = runner.run(here.split("events_history", into="1 month", report=report, progress=progress))

    assert [each.id for each in planned.steps][:-1] == steps
    assert "copy:public.events_history" in seen
    assert done.unfinished.kept
    assert done == runner.run(here.state("events"))
    assert before == contents(engine)

    undone = runner.run(here.undo("events"))

    assert ("undo split", "done", bounds) == (undone.kind, undone.status, partitions(engine))


def test_a_task_that_is_cancelled_goes_on_later(engine: Engine, loop: Loop) -> None:
    """In the middle of a copy that has a long pause between its pieces."""
    here, before = rewriter(loop, history(engine)), contents(engine)

    async def main() -> None:
        copying = asyncio.Event()

        async def progress(found: Progress) -> None:
            copying.set()

        given: dict[str, Any] = {"throttle": Throttle(pause=600), "progress": progress}
        task = asyncio.create_task(here.split("events_history", into="1 month", **given))
        await asyncio.wait_for(copying.wait(), 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    loop[0].run(main())
    found = loop[0].run(here.state("events"))
    assert found is not None
    assert "running" == found.status

    loop[0].run(here.abort("events"))

    assert before == contents(engine)
    assert [] == left_behind(engine)


def test_an_error_is_that_of_the_rewriter(engine: Engine, loop: Loop) -> None:
    here = rewriter(loop, history(engine, rows=10))
    with pytest.raises(Refused, match="no declared table has a partition nothing"):
        loop[0].run(here.split("nothing"))
    with pytest.raises(TypeError, match="AsyncRewriter takes an AsyncEngine and got Engine"):
        AsyncRewriter(create_engine("postgresql+psycopg://x"), MetaData())  # type: ignore[arg-type]


def test_the_two_have_the_same_methods() -> None:
    def methods(face: type) -> dict[str, Any]:
        return {
            name: inspect.signature(each)
            for name, each in inspect.getmembers(face, inspect.isfunction)
            if not name.startswith("_")
        }

    assert methods(Rewriter) == methods(AsyncRewriter)
    assert all(map(inspect.iscoroutinefunction, (getattr(AsyncRewriter, name) for name in methods(Rewriter))))
