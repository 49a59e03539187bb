"""
Celery: beat asks for maintenance every hour, and any worker does it.

    celery --app 04_celery_beat worker --beat

Needs DATABASE_URL, and BROKER_URL for more than one process.
"""

import os
from datetime import datetime

from celery import Celery
from celery.schedules import crontab
from sqlalchemy import BigInteger, DateTime, Identity, NullPool, create_engine, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sa_partman import Maintainer, MaintainerBusy, PartitionByRange, Partitioned, Retention


class Base(DeclarativeBase):
    pass


class Event(Partitioned, Base):
    """Kept for fourteen months, a partition a month."""

    __tablename__ = "events"
    __partition__ = PartitionByRange("created_at", interval="1 month", retention=Retention("14 months", then="drop"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True, server_default=func.now())


app = Celery("partitions", broker=os.environ.get("BROKER_URL", "memory://"))
app.conf.beat_schedule = {
    # What nobody did within half an hour is not made up for: the next run does it all.
    "partitions": {"task": "maintain", "schedule": crontab(minute=17), "options": {"expires": 1800}}
}

# No pool: a worker forks, and connections must not be shared by processes.
engine = create_engine(os.environ["DATABASE_URL"], poolclass=NullPool)


@app.task(name="maintain", ignore_result=True)
def maintain() -> str:
    """What was done; a task that fails is in Celery's own log and monitoring."""
    try:
        result = Maintainer(engine, Base.metadata).run()
    except MaintainerBusy as error:
        return str(error)
    if not result.ok:
        raise RuntimeError(str(result))
    return str(result)


if __name__ == "__main__":
    app.worker_main(["worker", "--beat", "--loglevel", "INFO"])
