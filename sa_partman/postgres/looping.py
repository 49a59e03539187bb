"""
Waiting in an event loop: synchronous code that runs in SQLAlchemy's greenlet gives the loop its time.

The code above the driver is the same for both faces; wherever it would wait, it switches to the loop instead.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sqlalchemy.util.concurrency import await_only

from sa_partman.ports import in_thread, is_async, too_slow

T = TypeVar("T")


class Looping:
    """The `Waiting` of `AsyncMaintainer`; works inside ``greenlet_spawn`` only."""

    def sleep(self, seconds: float) -> None:
        awaited(asyncio.sleep(seconds))

    def call(self, function: Callable[..., Any], argument: Any, seconds: float) -> Any:
        return awaited(_called(function, argument, seconds))


def awaited(awaitable: Awaitable[T]) -> T:
    """What *awaitable* gives; the loop goes on meanwhile."""
    return await_only(awaitable)


async def _called(function: Callable[..., Any], argument: Any, seconds: float) -> Any:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            if is_async(function):
                return await function(argument)
            # A synchronous one may block, so it must not do that in the loop's thread.
            result = await asyncio.wrap_future(in_thread(lambda: function(argument)))
            return await result if inspect.isawaitable(result) else result
    except TimeoutError:
        if limit.expired():
            raise too_slow(seconds) from None
        raise
