"""Files and object stores beside an event loop: what would hold it up is done in a thread, and always to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import TypeVar

from sa_partman.ports import Waiting
from sa_partman.postgres.looping import Looping, awaited

T = TypeVar("T")


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
