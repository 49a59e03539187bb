"""The converter for an asynchronous engine: the same rooms in SQLAlchemy's greenlet; nothing blocks the loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncEngine

from sa_partman.engine.background import Looping
from sa_partman.maintenance.converter import LEAD, Conversion, Converter, Estimate, OnProgress, Progress, Report
from sa_partman.maintenance.maintainer_async import awaiting, spawned
from sa_partman.passwords import without_passwords
from sa_partman.plan.conversion.request import ConversionPlan
from sa_partman.plan.steps import Step
from sa_partman.ports import Hook

if TYPE_CHECKING:
    from sa_partman.engine.budget import LockPolicy
    from sa_partman.engine.waits import OnWait

_OnProgress = OnProgress | Callable[[Progress], Awaitable[None]]
_Report = Report | Callable[[Step, float], Awaitable[None]]


class AsyncConverter:
    """
    `Converter` for an ``AsyncEngine`` over psycopg or asyncpg: the same methods, awaited.

    A task that is cancelled leaves the conversion where it was: the statement is cancelled on the server, its step is
    rolled back, the steps before it stay, and `resume` or `abort` goes on.

    Args:
        engine: Each step takes a connection of its own from it.
        hooks: See `Converter`, as for all that is not said here. They may be coroutine functions, like *on_wait*, and
            like ``report=`` and ``progress=`` of the methods.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        metadata: MetaData | Iterable[MetaData],
        *,
        now: datetime | Callable[[], datetime] | None = None,
        hooks: Iterable[Hook] = (),
        lock: LockPolicy | None = None,
        audit: bool | str = False,
        on_wait: OnWait | None = None,
        hook_timeout: float = 30.0,
    ) -> None:
        if not isinstance(engine, AsyncEngine):
            raise TypeError(
                f"AsyncConverter takes an AsyncEngine and got {without_passwords(repr(engine))}; "
                f"Converter takes an Engine"
            )
        self.engine = engine
        self._inner = Converter(
            engine.sync_engine,
            metadata,
            now=now,
            hooks=hooks,
            lock=lock,
            audit=audit,
            on_wait=None if on_wait is None else awaiting(on_wait),
            hook_timeout=hook_timeout,
        )
        self._inner._waiting = Looping()
        self._inner._hooks = replace(self._inner._hooks, waiting=self._inner._waiting)

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
        report: _Report | None = None,
        progress: _OnProgress | None = None,
    ) -> Conversion:
        """See `Converter.convert`."""
        options: dict[str, Any] = {"lead": lead, "boundary": boundary, "inbound": inbound, "unique": unique}
        return await spawned(self._inner.convert, table, **options, **_told(report, progress))

    async def resume(
        self, table: str, *, report: _Report | None = None, progress: _OnProgress | None = None
    ) -> Conversion:
        """See `Converter.resume`."""
        return await spawned(self._inner.resume, table, **_told(report, progress))

    async def abort(self, table: str, *, report: _Report | None = None) -> Conversion:
        """See `Converter.abort`."""
        return await spawned(self._inner.abort, table, **_told(report))

    async def undo(
        self,
        table: str,
        *,
        max_rows: int = 100_000,
        report: _Report | None = None,
        progress: _OnProgress | None = None,
    ) -> Conversion:
        """See `Converter.undo`."""
        return await spawned(self._inner.undo, table, max_rows=max_rows, **_told(report, progress))

    async def state(self, table: str) -> Conversion | None:
        """See `Converter.state`."""
        return await spawned(self._inner.state, table)


def _told(report: Any, progress: Any = None) -> dict[str, Any]:
    given = {"report": report, "progress": progress}
    return {name: awaiting(function) for name, function in given.items() if function is not None}
