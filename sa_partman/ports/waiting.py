"""Waiting: the one thing that a thread and an event loop do differently; everything else is written once."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any, Protocol


class Waiting(Protocol):
    """How a run sleeps, and how it calls what its users wrote."""

    def sleep(self, seconds: float) -> None:
        """Gives others the time: a thread sleeps, an event loop goes on."""

    def call(self, function: Callable[..., Any], argument: Any, seconds: float) -> Any:
        """
        *function* of *argument*; awaited when it is asynchronous.

        Raises:
            TimeoutError: It took longer than *seconds*.
        """


class Sleeping:
    """
    In the caller's thread.

    What users wrote is called in a thread of its own, because nothing else can be left behind when it takes too long.
    """

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def call(self, function: Callable[..., Any], argument: Any, seconds: float) -> Any:
        def whole() -> Any:
            result = function(argument)
            return asyncio.run(_awaited(result, seconds)) if inspect.isawaitable(result) else result

        future = in_thread(whole)
        try:
            # A little more for an asynchronous function: it is cancelled in time, and then it ends by itself.
            return future.result(seconds + 0.5 if is_async(function) else seconds)
        except TimeoutError:
            if future.done():
                raise
            raise too_slow(seconds) from None


def in_thread(function: Callable[[], Any]) -> Future[Any]:
    """*function* in a daemon thread, with the caller's context variables: nobody has to wait for it, not even exit."""
    future: Future[Any] = Future()
    context = copy_context()

    def work() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(context.run(function))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, name="sa_partman hook", daemon=True).start()
    return future


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a call of it gives something to await."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def too_slow(seconds: float) -> TimeoutError:
    return TimeoutError(f"it took longer than {seconds:g} s")


async def _awaited(result: Awaitable[Any], seconds: float) -> Any:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await result
    except TimeoutError:
        if limit.expired():
            raise too_slow(seconds) from None
        raise
    except asyncio.CancelledError:
        raise RuntimeError("it was cancelled") from None
