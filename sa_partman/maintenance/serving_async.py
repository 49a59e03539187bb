"""Serving in a task: the same loop in SQLAlchemy's greenlet, so that nothing blocks the event loop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

from sqlalchemy.util.concurrency import greenlet_spawn

from sa_partman.engine.background import awaited
from sa_partman.maintenance.maintainer import Maintainer
from sa_partman.maintenance.planning import Tables
from sa_partman.maintenance.schedule import Schedule
from sa_partman.maintenance.serving import GRACE, Loop, Told, log
from sa_partman.observe.health import Health
from sa_partman.observe.http import Listener, Listening, listening


class AsyncService:
    """
    A maintainer that runs again and again in a task: ``async with maintainer.serve(every="1 hour"): ...``, or `start`
    and `stop`, or ``await service.run()``. It serves once.

    Args:
        maintainer: On the synchronous face of an asynchronous engine.
        listen: Where to answer ``/healthz`` and ``/metrics``, from a thread of its own; None: nowhere.
        told: Told of every run.
    """

    def __init__(
        self,
        maintainer: Maintainer,
        schedule: Schedule,
        *,
        listen: Listening | None = None,
        tables: Tables = None,
        told: Told | None = None,
    ) -> None:
        self._stop = _TaskEvent()
        self._loop = Loop(maintainer, schedule, self._stop, tables, look=listen is not None, told=told)
        self._task: asyncio.Task[None] | None = None
        self._listener = None if listen is None else Listener(listening(listen), lambda: self.health)

    @property
    def health(self) -> Health:
        """What is known of the runs now."""
        return self._loop.health

    @property
    def address(self) -> str | None:
        """Where it listens, as ``host:port``; None: nowhere, or not yet."""
        return None if self._listener is None else self._listener.address

    async def run(self) -> None:
        """
        In this task, until somebody calls `stop` or cancels the task: then the statement under way is cancelled.

        Raises:
            ConfigurationError: It can't listen there.
        """
        if self._listener is not None:
            self._listener.start()
            log.info("listening on %s", self._listener.address)
        try:
            await greenlet_spawn(self._loop.run)
        finally:
            if self._listener is not None:
                self._listener.stop()

    def start(self) -> None:
        """
        In a task of the running loop.

        Raises:
            RuntimeError: It was started before.
        """
        if self._task is not None:
            raise RuntimeError("this service was started before; make another one with serve()")
        self._task = asyncio.get_running_loop().create_task(self.run(), name="sa_partman")

    async def stop(self, timeout: float = GRACE) -> None:
        """
        Ends it. A run that is under way finishes its step; nothing is left half done.

        Args:
            timeout: Seconds for that; then its statement is cancelled on the server, and rolled back.

        Raises:
            ConfigurationError: It could not listen there.
        """
        self._stop.event.set()
        if self._task is None:
            return
        await asyncio.wait({self._task}, timeout=timeout)
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


class _TaskEvent:
    """The wish to end, within a loop."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    @property
    def wanted(self) -> bool:
        return self.event.is_set()

    def wait(self, seconds: float) -> bool:
        return awaited(self._waited(seconds))

    async def _waited(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.event.wait()
        return self.wanted
