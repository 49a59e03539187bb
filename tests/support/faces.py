"""The faces of the maintainer: synchronous over psycopg, asynchronous over psycopg and over asyncpg, called alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Engine, MetaData, Table, create_engine, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from sa_partman import Maintainer
from sa_partman.maintenance.maintainer_async import AsyncMaintainer
from tests.support.builders import at

FACES = ("psycopg", "async psycopg", "async asyncpg")
ASYNC_FACES = FACES[1:]


@dataclass
class Face:
    """
    Args:
        engine: What its maintainers work with.
        runner: The loop of an asynchronous one.
    """

    name: str
    engine: Engine | AsyncEngine
    runner: asyncio.Runner | None = None

    @property
    def sync_engine(self) -> Engine:
        """For a look at its pool; never for a connection of one's own."""
        return self.engine.sync_engine if isinstance(self.engine, AsyncEngine) else self.engine

    def maintainer(self, table: Table | MetaData, now: str | datetime | None = None, **options: Any) -> Maintainer:
        """A maintainer at *now*; whichever it is, its methods are called as those of the synchronous one."""
        metadata = table if isinstance(table, MetaData) else table.metadata
        moment = at(now) if isinstance(now, str) else now
        if isinstance(self.engine, Engine):
            return Maintainer(self.engine, metadata, now=moment, **options)
        assert self.runner is not None
        return cast("Maintainer", Awaited(AsyncMaintainer(self.engine, metadata, now=moment, **options), self.runner))


@dataclass
class Awaited:
    """An asynchronous maintainer whose methods wait for the end."""

    maintainer: AsyncMaintainer
    runner: asyncio.Runner

    def at(self, now: datetime) -> Awaited:
        return Awaited(self.maintainer.at(now), self.runner)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.maintainer, name)
        return lambda *given, **options: self.runner.run(method(*given, **options))


@contextmanager
def opened(name: str, url: str, **options: Any) -> Iterator[Face]:
    """
    The face of that name on the database at *url*. When the block ends, every connection must be back.

    Args:
        options: Of the engine.
    """
    kind, _, driver = name.rpartition(" ")
    target = make_url(url).set(drivername=f"postgresql+{driver}")
    if not kind:
        face = Face(name, create_engine(target, **options))
    else:
        face = Face(name, create_async_engine(target, **options), asyncio.Runner())
    try:
        yield face
        assert 0 == face.sync_engine.pool.checkedout()  # type: ignore[attr-defined]
    finally:
        if isinstance(face.engine, Engine):
            face.engine.dispose()
        elif face.runner is not None:
            face.runner.run(face.engine.dispose())
            face.runner.close()
