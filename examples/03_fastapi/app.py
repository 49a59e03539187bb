"""
An application that keeps its own partitions: it maintains them while it lives, and its health tells of it.

    DATABASE_URL=postgresql+asyncpg://me@localhost/mine uvicorn app:app

With several replicas all of them do this; one at a time is at work, the others find nothing left to do.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Response
from sqlalchemy import BigInteger, DateTime, Identity, func
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sa_partman import AsyncMaintainer, PartitionByRange, Partitioned, Retention


class Base(DeclarativeBase):
    pass


class Event(Partitioned, Base):
    """Kept for fourteen months, a partition a month."""

    __tablename__ = "events"
    __partition__ = PartitionByRange("created_at", interval="1 month", retention=Retention("14 months", then="drop"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True, server_default=func.now())


engine = create_async_engine(os.environ["DATABASE_URL"])


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """While the application lives, every hour; when it ends, a step that is under way is finished."""
    async with AsyncMaintainer(engine, Base.metadata).serve(every="1 hour") as service:
        app.state.partitions = service
        yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.get("/healthz")
async def healthz(response: Response) -> dict[str, Any]:
    """503 when the last run failed, or is too long ago."""
    health, now = app.state.partitions.health, datetime.now(UTC)
    response.status_code = 503 if health.problem(now) else 200
    document: dict[str, Any] = health.to_dict(now)
    return document
