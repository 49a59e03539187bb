"""The maintainer for an asynchronous engine: the same rooms in SQLAlchemy's greenlet; nothing blocks the loop."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable
from copy import copy
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util.concurrency import greenlet_spawn

from sa_partman.checks.status import TableStatus
from sa_partman.engine.background import Looping, awaited, beside
from sa_partman.engine.budget import LockPolicy
from sa_partman.finding import Finding
from sa_partman.maintenance.maintainer import Maintainer
from sa_partman.maintenance.planning import Tables
from sa_partman.maintenance.results import MaintenancePlan, RunResult, StepResult
from sa_partman.maintenance.schedule import Schedule
from sa_partman.maintenance.settings import Report, SchemaSource
from sa_partman.passwords import without_passwords
from sa_partman.ports import Hook

if TYPE_CHECKING:
    from sa_partman.engine.waits import OnWait
    from sa_partman.maintenance.restoring import Archived, Restored
    from sa_partman.maintenance.serving_async import AsyncService
    from sa_partman.observe.http import Listening

T = TypeVar("T")


class AsyncMaintainer:
    """
    `Maintainer` for an ``AsyncEngine`` over psycopg or asyncpg: the same methods, awaited.

    A task that is cancelled, in the middle of a statement or of a pause, leaves nothing half done: the statement is
    cancelled on the server, its step is rolled back, and the lock and the connections are given back.

    Args:
        engine: Each step takes a connection of its own from it.
        hooks: See `Maintainer`, as for all that is not said here. They may be coroutine functions.
        report: May be a coroutine function.
        on_wait: The same.
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
        report: Report | Callable[[StepResult, int, int], Awaitable[None]] | None = None,
        on_wait: OnWait | None = None,
        limit: int | None = None,
        hook_timeout: float = 30.0,
        schemas: SchemaSource | None = None,
    ) -> None:
        if not isinstance(engine, AsyncEngine):
            raise TypeError(
                f"AsyncMaintainer takes an AsyncEngine and got {without_passwords(repr(engine))}; "
                f"Maintainer takes an Engine"
            )
        self.engine = engine
        inner = Maintainer(
            engine.sync_engine,
            metadata,
            now=now,
            hooks=hooks,
            lock=lock,
            audit=audit,
            report=None if report is None else awaiting(report),
            on_wait=None if on_wait is None else awaiting(on_wait),
            limit=limit,
            hook_timeout=hook_timeout,
            schemas=schemas,
        )
        self._inner = inner.with_settings(replace(inner.settings, waiting=Looping()))

    @property
    def metadata(self) -> MetaData | tuple[MetaData, ...]:
        return self._inner.metadata

    def at(self, now: datetime) -> AsyncMaintainer:
        """The same at another instant; aware."""
        other = copy(self)
        other._inner = self._inner.at(now)
        return other

    async def plan(
        self,
        tables: Tables = None,
        *,
        tenants: Iterable[Any] = (),
        leaving: Iterable[Any] = (),
        repair: bool = False,
        adopt: bool = False,
        regrid: bool = False,
        max_rows: int | None = None,
    ) -> MaintenancePlan:
        """See `Maintainer.plan`."""
        return await spawned(
            self._inner.plan,
            tables,
            tenants=tenants,
            leaving=leaving,
            repair=repair,
            adopt=adopt,
            regrid=regrid,
            max_rows=max_rows,
        )

    async def check(
        self,
        tables: Tables = None,
        *,
        min_horizon: str | timedelta | None = None,
        max_age: str | timedelta | None = None,
        as_role: str | None = None,
    ) -> tuple[Finding, ...]:
        """See `Maintainer.check`."""
        return await spawned(self._inner.check, tables, min_horizon=min_horizon, max_age=max_age, as_role=as_role)

    async def status(self, tables: Tables = None) -> tuple[TableStatus, ...]:
        """See `Maintainer.status`."""
        return await spawned(self._inner.status, tables)

    async def run(
        self,
        tables: Tables = None,
        *,
        repair: bool = False,
        adopt: bool = False,
        regrid: bool = False,
        max_rows: int | None = None,
    ) -> RunResult:
        """See `Maintainer.run`."""
        return await spawned(self._inner.run, tables, repair=repair, adopt=adopt, regrid=regrid, max_rows=max_rows)

    async def provision(
        self, tables: Tables = None, *, tenants: Iterable[Any] = (), max_rows: int | None = None
    ) -> RunResult:
        """See `Maintainer.provision`."""
        return await spawned(self._inner.provision, tables, tenants=tenants, max_rows=max_rows)

    async def prune(self, tables: Tables = None, *, tenants: Iterable[Any] = ()) -> RunResult:
        """See `Maintainer.prune`."""
        return await spawned(self._inner.prune, tables, tenants=tenants)

    async def drop_branch(self, table: str, branch: Any) -> RunResult:
        """See `Maintainer.drop_branch`."""
        return await spawned(self._inner.drop_branch, table, branch)

    async def archives(self, to: str) -> tuple[Archived, ...]:
        """See `Maintainer.archives`."""
        return await beside(partial(self._inner.archives, to))

    async def verify(self, manifest: str) -> Archived:
        """See `Maintainer.verify`."""
        return await beside(partial(self._inner.verify, manifest))

    async def restore(self, manifest: str, *, table: str | None = None) -> Restored:
        """See `Maintainer.restore`."""
        return await spawned(self._inner.restore, manifest, table=table)

    def serve(
        self,
        every: str | timedelta | float = "1 hour",
        *,
        jitter: float = 0.1,
        listen: Listening | None = None,
        tables: Tables = None,
    ) -> AsyncService:
        """See `Maintainer.serve`: ``async with maintainer.serve(every="1 hour"): ...``"""
        from sa_partman.maintenance.serving_async import AsyncService

        return AsyncService(self._inner, Schedule.of(every, jitter), listen=listen, tables=tables)


async def spawned(work: Callable[..., T], *given: Any, **options: Any) -> T:
    """What *work* gives in SQLAlchemy's greenlet; a task that was cancelled ends so, whatever else that has broken."""
    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()
    try:
        return await greenlet_spawn(work, *given, **options)
    except Exception as error:
        # Cancelled once more while its connection was given back, say: what the driver makes of that is no answer.
        if task.cancelling() > before:
            raise asyncio.CancelledError from error
        raise


def awaiting(report: Callable[..., Any]) -> Callable[..., None]:
    """*report*, awaited when it is asynchronous."""

    def told(*given: Any) -> None:
        said = report(*given)
        if inspect.isawaitable(said):
            awaited(said)

    return told
