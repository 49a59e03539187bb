"""A task of the asynchronous maintainer that is cancelled ends as cancelled, and no other one does."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import pytest

from sa_partman.engine.background import awaited
from sa_partman.errors import ExecutionError
from sa_partman.maintenance.maintainer_async import spawned


def sleeping() -> NoReturn:
    """What a driver may make of a cancellation, when it is told in the middle of giving something back."""
    try:
        awaited(asyncio.sleep(10))
    except asyncio.CancelledError:
        raise ExecutionError("connection is closed") from None
    raise AssertionError


def failing() -> NoReturn:
    raise ExecutionError("the server refused")


def test_an_error_that_comes_of_a_cancellation() -> None:
    """So that a timeout around it is one."""

    async def whole() -> None:
        async with asyncio.timeout(0.01):
            await spawned(sleeping)

    with pytest.raises(TimeoutError):
        asyncio.run(whole())


def test_an_error_of_its_own() -> None:
    """Also where somebody uses a maintainer to tidy up after a cancellation."""

    async def whole() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await spawned(failing)

    async def cancelled() -> None:
        task = asyncio.create_task(whole())
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(ExecutionError, match="the server refused"):
        asyncio.run(cancelled())
