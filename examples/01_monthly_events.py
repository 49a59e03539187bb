"""
A maintenance job inside an application: call `maintain()` from any scheduler, as often as you like.

    DATABASE_URL=postgresql+psycopg://me@localhost/mine python 01_monthly_events.py
"""

import logging
import os
from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Engine, Identity, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from sa_partman import Maintainer, PartitionByRange, Partitioned, PartmanError, Retention

log = logging.getLogger(__name__)


class Base(DeclarativeBase):
    pass


class Event(Partitioned, Base):
    """Kept for fourteen months, a partition a month, three months ready beyond the current one."""

    __tablename__ = "events"
    __partition__ = PartitionByRange(
        "created_at", interval="1 month", premake=3, retention=Retention("14 months", then="drop")
    )

    # The partition key belongs to the primary key. Identity() keeps numbering the rows, and autoincrement=True tells
    # the ORM so: in a key of two columns it would send one INSERT for each object otherwise.
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True, server_default=func.now())
    kind: Mapped[str] = mapped_column(index=True)


def maintain(engine: Engine) -> bool:
    """Provision, then prune; whether all is well. Every step is logged. Of two processes, one is told to try later."""
    maintainer = Maintainer(engine, Base.metadata)
    try:
        result = maintainer.run()
    except PartmanError as error:  # another maintainer is at work, no connection, a standby: nothing was changed
        log.warning("partitions: %s", error)
        return False
    for finding in maintainer.check():
        log.warning("partitions: %s: %s; %s", finding.table, finding.message, finding.remedy)
    return result.ok


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    engine = create_engine(os.environ["DATABASE_URL"])
    Base.metadata.create_all(engine)  # the table and its first partitions
    with Session(engine) as session:
        session.add_all([Event(kind="signup"), Event(kind="login")])
        session.commit()
        print(session.scalar(select(func.count()).select_from(Event)), "events")
    print("all is well" if maintain(engine) else "look at the log")
    for table in Maintainer(engine, Base.metadata).status():
        print(table.table, "takes rows up to", table.horizon)


if __name__ == "__main__":
    main()
