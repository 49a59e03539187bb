"""
procrastinate: a periodic task in the database that it maintains.

    DATABASE_URL=postgresql://me@localhost/mine python 06_procrastinate.py
"""

import asyncio
import os
from datetime import datetime

from procrastinate import App, PsycopgConnector
from sqlalchemy import BigInteger, DateTime, Identity, NullPool, func, make_url
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


url = make_url(os.environ["DATABASE_URL"])
engine = create_async_engine(url.set(drivername="postgresql+psycopg"), poolclass=NullPool)
app = App(connector=PsycopgConnector(conninfo=url.set(drivername="postgresql").render_as_string(hide_password=False)))


@app.periodic(cron="17 * * * *")
@app.task(name="maintain", queueing_lock="maintain")  # one waits at most, however long nobody worked
async def maintain(timestamp: int) -> str:
    result = await AsyncMaintainer(engine, Base.metadata).run()
    if not result.ok:
        raise RuntimeError(str(result))
    return str(result)


async def main() -> None:
    async with app.open_async():
        if not await app.check_connection_async():  # its tables are not there yet
            await app.schema_manager.apply_schema_async()
        await app.run_worker_async()


if __name__ == "__main__":
    asyncio.run(main())
