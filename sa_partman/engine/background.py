"""
Work in the background: in a thread, or beside an event loop, whose code is the same above the driver.

A connection that only holds a lock says now and then that its process is alive (`beating`); when it says nothing for
long, the server ends it. So a stopped process (SIGSTOP, a frozen container, a machine that sleeps) loses what it holds,
with no privilege of anybody else's, and learns of it at its next step.

Source: PostgreSQL, ``idle_in_transaction_session_timeout``.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.util.concurrency import await_only, greenlet_spawn

from sa_partman.ports import Waiting, in_thread, is_async, too_slow

_PARTS = 4
"""Signs of life in the time after which the server gives up."""


@contextmanager
def beating(connection: Connection, statement: str, lease: float) -> Iterator[None]:
    """
    Sends *statement* several times in every *lease* seconds, to the end of the block.

    A thread does it, or a task where the connection belongs to an event loop. A failure ends it: the connection is gone
    then, and whoever depends on it asks the server before each step.

    Args:
        connection: In a transaction, and used by nobody else during the block.
        statement: One that opens no snapshot, such as SET LOCAL.
    """

    def send() -> None:
        # Past SQLAlchemy's events, which are the application's.
        cursor = connection.connection.cursor()
        try:
            cursor.execute(statement)
        finally:
            cursor.close()

    with repeating(send, lease / _PARTS, in_loop=connection.dialect.is_async, name="heartbeat"):
        yield


def repeating(
    deed: Callable[[], None], pause: float, *, in_loop: bool, name: str, patience: float | None = None
) -> AbstractContextManager[None]:
    """
    Calls *deed* every *pause* seconds beside the block, to its end: in a thread, or in a task of the event loop. An
    exception of it ends that, quietly.

    Args:
        name: For the thread.
        patience: Seconds to wait in the end for a *deed* that is under way; None: however long it takes.
    """
    return _in_loop(deed, pause, patience) if in_loop else _in_thread(deed, pause, name, patience)


@contextmanager
def _in_thread(send: Callable[[], None], pause: float, name: str, patience: float | None) -> Iterator[None]:
    over = threading.Event()

    def beat() -> None:
        try:
            while not over.wait(pause):
                send()
        except Exception:
            return

    thread = threading.Thread(target=beat, name=f"sa_partman {name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(patience)


@contextmanager
def _in_loop(send: Callable[[], None], pause: float, patience: float | None) -> Iterator[None]:
    over = asyncio.Event()

    async def beat() -> None:
        try:
            while True:
                try:
                    await asyncio.wait_for(over.wait(), pause)
                except TimeoutError:
                    await greenlet_spawn(send)
                else:
                    return
        except Exception:
            return

    task = asyncio.get_running_loop().create_task(beat())
    try:
        yield
    finally:
        over.set()
        try:
            await_only(asyncio.wait({task}, timeout=patience))
        finally:
            task.cancel()


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


def aside(waiting: Waiting, work: Callable[[], T]) -> T:
    """What *work* gives; where *waiting* is that of an event loop, the loop goes on meanwhile."""
    return awaited(beside(work)) if isinstance(waiting, Looping) else work()


async def beside(work: Callable[[], T]) -> T:
    """
    What *work* gives, done in a thread.

    A task that is cancelled meanwhile is told so when the work has ended: nobody closes a file that is being written.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # now somebody has looked at it
        raise


@contextmanager
def entered_aside(waiting: Waiting, manager: AbstractContextManager[T]) -> Iterator[T]:
    """The block of *manager*, whose beginning and end may take long."""
    entered: list[T] = []
    try:
        aside(waiting, lambda: entered.append(manager.__enter__()))
        yield entered[0]
    except BaseException as error:
        # Also when it was cancelled while it was entered: by then it had been.
        if not entered or not aside(waiting, partial(manager.__exit__, type(error), error, error.__traceback__)):
            raise
    else:
        aside(waiting, partial(manager.__exit__, None, None, None))
