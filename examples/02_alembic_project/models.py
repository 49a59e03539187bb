"""A shop: its events by month, its orders by region and then by month."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Identity, Numeric, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sa_partman import PartitionByList, PartitionByRange, Retention


class Base(DeclarativeBase):
    pass


class Event(Base):
    """Dropped after fourteen months."""

    __tablename__ = "events"
    __partition__ = PartitionByRange("created_at", interval="1 month", retention=Retention("14 months", then="drop"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True, server_default=func.now())
    kind: Mapped[str] = mapped_column(index=True)


class Order(Base):
    """Kept for ever; orders of other countries go to the default partition, which `sa-partman check` watches."""

    __tablename__ = "orders"
    __partition__ = PartitionByList(
        "country",
        values={"eu": ["de", "fr", "it"], "us": ["us"]},
        default=True,
        subpartition=PartitionByRange("ordered_at", interval="1 month", premake=2),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    country: Mapped[str] = mapped_column(primary_key=True)
    ordered_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True, server_default=func.now())
    total: Mapped[float] = mapped_column(Numeric(12, 2))
