"""What is done beside an event loop: to its end, whatever becomes of the task that asked for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy.util.concurrency import greenlet_spawn

from sa_partman.engine.background import Looping, aside, beside, entered_aside
from sa_partman.ports import Sleeping


def test_without_a_loop_it_is_done_at_once() -> None:
    assert threading.get_ident() == aside(Sleeping(), threading.get_ident)


def test_in_a_loop_it_is_done_in_a_thread() -> None:
    """And its error is the caller's."""

    def broken() -> None:
        raise OSError("full")

    assert threading.get_ident() != asyncio.run(greenlet_spawn(aside, Looping(), threading.get_ident))
    with pytest.raises(OSError, match="full"):
        asyncio.run(greenlet_spawn(aside, Looping(), broken))


def test_a_cancelled_task_waits_for_the_end_of_it() -> None:
    """However often it is told."""
    told: list[str] = []
    go = threading.Event()

    def work() -> None:
        go.wait(10)
        told.append("done")

    async def whole() -> None:
        task = asyncio.create_task(beside(work))
        for _ in range(3):
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait({task}, timeout=0.05)
        assert not task.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        told.append("cancelled")

    asyncio.run(whole())

    assert ["done", "cancelled"] == told


@pytest.mark.parametrize("where", ["entering", "inside", "leaving"])
def test_a_block_that_is_cancelled_is_left(where: str) -> None:
    told: list[str] = []
    waits, go = threading.Event(), threading.Event()

    @contextmanager
    def block() -> Iterator[None]:
        told.append("entered")
        reached("entering")
        try:
            yield
        except BaseException as error:
            told.append(type(error).__name__)
            raise
        else:
            reached("leaving")
            told.append("left")

    def reached(point: str) -> None:
        if point == where:
            waits.set()
            go.wait(10)

    def used() -> None:
        with entered_aside(Looping(), block()):
            aside(Looping(), lambda: reached("inside"))

    async def whole() -> None:
        task = asyncio.create_task(greenlet_spawn(used))
        await asyncio.to_thread(waits.wait, 10)
        task.cancel()
        await asyncio.sleep(0)
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(whole())

    assert ["entered", "left" if where == "leaving" else "CancelledError"] == told
