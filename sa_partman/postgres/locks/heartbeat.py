"""
Signs of life: a connection that only holds a lock says now and then that its process is alive; when it says nothing for
long, the server ends it.

So a stopped process (SIGSTOP, a frozen container, a machine that sleeps) loses what it holds, with no privilege of
anybody else's, and learns of it at its next step.

Source: PostgreSQL, ``idle_in_transaction_session_timeout``.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Connection
from sqlalchemy.util.concurrency import await_only, greenlet_spawn

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
