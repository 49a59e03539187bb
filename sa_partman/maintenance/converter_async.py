"""The converter for an asynchronous engine: the same rooms in SQLAlchemy's greenlet; nothing blocks the loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from sa_partman.engine.pace import Throttle
from sa_partman.maintenance.converter import (
    LEAD,
    Conversion,
    Converter,
    Estimate,
    OnProgress,
    Progress,
    Report,
    Strategy,
)
from sa_partman.maintenance.maintainer_async import awaiting, spawned
from sa_partman.maintenance.working_async import AsyncWorker
from sa_partman.plan.conversion.request import ConversionPlan
from sa_partman.plan.rewrite.request import RewritePlan
from sa_partman.plan.steps import Step

_OnProgress = OnProgress | Callable[[Progress], Awaitable[None]]
_Report = Report | Callable[[Step, float], Awaitable[None]]


class AsyncConverter(AsyncWorker[Converter]):
    """
    `Converter` for an ``AsyncEngine`` over psycopg or asyncpg: the same methods, awaited.

    A task that is cancelled leaves the conversion where it was: the statement is cancelled on the server, its step is
    rolled back, the steps before it stay, and `resume` or `abort` goes on.

    Args:
        engine: Each step takes a connection of its own from it.
        hooks: See `Converter`, as for all that is not said here. They may be coroutine functions, like *on_wait*, and
            like ``report=`` and ``progress=`` of the methods.
    """

    _twin = Converter

    async def plan(
        self,
        table: str,
        *,
        lead: timedelta = LEAD,
        boundary: Any = None,
        inbound: str = "refuse",
        unique: Mapping[str, str] | None = None,
    ) -> ConversionPlan:
        """See `Converter.plan`."""
        options: dict[str, Any] = {"lead": lead, "boundary": boundary, "inbound": inbound, "unique": unique}
        return await spawned(self._inner.plan, table, **options)

    async def plan_copy(
        self, table: str, *, inbound: str = "refuse", unique: Mapping[str, str] | None = None
    ) -> RewritePlan:
        """See `Converter.plan_copy`."""
        return await spawned(self._inner.plan_copy, table, inbound=inbound, unique=unique)

    async def plan_unpartition(self, table: str) -> RewritePlan:
        """See `Converter.plan_unpartition`."""
        return await spawned(self._inner.plan_unpartition, table)

    async def unpartition(
        self,
        table: str,
        *,
        throttle: Throttle | None = None,
        report: _Report | None = None,
        progress: _OnProgress | None = None,
    ) -> Conversion:
        """See `Converter.unpartition`."""
        return await spawned(self._inner.unpartition, table, throttle=throttle, **_told(report, progress))

    async def estimate(self, table: str) -> Estimate:
        """See `Converter.estimate`."""
        return await spawned(self._inner.estimate, table)

    async def convert(
        self,
        table: str,
        *,
        lead: timedelta = LEAD,
        boundary: Any = None,
        inbound: str = "refuse",
        unique: Mapping[str, str] | None = None,
        strategy: Strategy = "in-place",
        throttle: Throttle | None = None,
        report: _Report | None = None,
        progress: _OnProgress | None = None,
    ) -> Conversion:
        """See `Converter.convert`."""
        options: dict[str, Any] = {"lead": lead, "boundary": boundary, "inbound": inbound, "unique": unique}
        options |= {"strategy": strategy, "throttle": throttle}
        return await spawned(self._inner.convert, table, **options, **_told(report, progress))

    async def resume(
        self,
        table: str,
        *,
        throttle: Throttle | None = None,
        report: _Report | None = None,
        progress: _OnProgress | None = None,
    ) -> Conversion:
        """See `Converter.resume`."""
        return await spawned(self._inner.resume, table, throttle=throttle, **_told(report, progress))

    async def abort(self, table: str, *, report: _Report | None = None) -> Conversion:
        """See `Converter.abort`."""
        return await spawned(self._inner.abort, table, **_told(report))

    async def undo(
        self,
        table: str,
        *,
        max_rows: int = 100_000,
        throttle: Throttle | None = None,
        report: _Report | None = None,
        progress: _OnProgress | None = None,
    ) -> Conversion:
        """See `Converter.undo`."""
        given: dict[str, Any] = {"max_rows": max_rows, "throttle": throttle}
        return await spawned(self._inner.undo, table, **given, **_told(report, progress))

    async def pause(self, table: str) -> Conversion:
        """See `Converter.pause`."""
        return await spawned(self._inner.pause, table)

    async def finalize(self, table: str, *, report: _Report | None = None) -> Conversion:
        """See `Converter.finalize`."""
        return await spawned(self._inner.finalize, table, **_told(report))

    async def state(self, table: str) -> Conversion | None:
        """See `Converter.state`."""
        return await spawned(self._inner.state, table)


def _told(report: Any, progress: Any = None) -> dict[str, Any]:
    given = {"report": report, "progress": progress}
    return {name: awaiting(function) for name, function in given.items() if function is not None}
