"""What `AsyncConverter` and `AsyncRewriter` share: their synchronous twin, in SQLAlchemy's greenlet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncEngine

from sa_partman.engine.background import Looping
from sa_partman.maintenance.maintainer_async import awaiting
from sa_partman.maintenance.working import TableWorker
from sa_partman.passwords import without_passwords
from sa_partman.ports import Hook

if TYPE_CHECKING:
    from sa_partman.engine.budget import LockPolicy
    from sa_partman.engine.waits import OnWait

Worker = TypeVar("Worker", bound=TableWorker)


class AsyncWorker(Generic[Worker]):
    """Long work on one table at a time, awaited; see `AsyncConverter` for the arguments."""

    _twin: ClassVar[type[TableWorker]]
    _inner: Worker

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
                f"{type(self).__name__} takes an AsyncEngine and got {without_passwords(repr(engine))}; "
                f"{self._twin.__name__} takes an Engine"
            )
        self.engine = engine
        self._inner = self._twin(  # type: ignore[assignment]
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
