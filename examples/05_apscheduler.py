"""
APScheduler 3: a job of its own among your others.

    DATABASE_URL=postgresql+psycopg://me@localhost/mine python 05_apscheduler.py
"""

import logging
import os
from datetime import UTC, datetime

from apscheduler.schedulers.blocking import BlockingScheduler
from sqlalchemy import BigInteger, DateTime, Identity, create_engine, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sa_partman import Maintainer, PartitionByRange, Partitioned, PartmanError, Retention

log = logging.getLogger(__name__)


class Base(DeclarativeBase):
    pass


class Event(Partitioned, Base):
    """Kept for fourteen months, a partition a month."""

    __tablename__ = "events"
    __partition__ = PartitionByRange("created_at", interval="1 month", retention=Retention("14 months", then="drop"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True, server_default=func.now())


engine = create_engine(os.environ["DATABASE_URL"], pool_pre_ping=True)


def maintain() -> None:
    try:
        log.info("%s", Maintainer(engine, Base.metadata).run())
    except PartmanError as error:  # another maintainer is at work, no connection, a standby: nothing was changed
        log.warning("%s", error)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    scheduler = BlockingScheduler(timezone=UTC)
    scheduler.add_job(
        maintain,
        "interval",
        hours=1,
        jitter=300,  # replicas don't knock all at once
        coalesce=True,  # turns that were missed are one
        max_instances=1,
        next_run_time=datetime.now(UTC),
    )
    scheduler.start()


if __name__ == "__main__":
    main()
