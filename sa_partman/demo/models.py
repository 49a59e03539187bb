"""The model of the demonstration, as its project has it: plain, then with a declaration, then with retention."""

from __future__ import annotations

COLUMNS = """\
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    time_hour: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    origin: Mapped[str] = mapped_column(String(3))
    carrier: Mapped[str] = mapped_column(String(2), index=True)
    flight: Mapped[int]
    dest: Mapped[str] = mapped_column(String(3))
    distance: Mapped[int]
    tailnum: Mapped[str | None]
    air_time: Mapped[int | None]
    dep_delay: Mapped[int | None]
    arr_delay: Mapped[int | None]
"""

IMPORTS = """\
from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Identity, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
"""

BASE = """

class Base(DeclarativeBase):
    pass


class Flight(Base):
    __tablename__ = "flights"
"""

OURS = """
from sa_partman import PartitionByRange, Retention
"""

DECLARATION = """\
    __partition__ = PartitionByRange(
        "time_hour",
        interval="1 month",
        premake=3,
        start="2013-01-01",
    )
"""

RETENTION = """\
        retention=Retention("9 months", then="drop"),
"""

PLAIN = f"{IMPORTS}{BASE}\n{COLUMNS}"
PARTITIONED = f"{IMPORTS}{OURS}{BASE}{DECLARATION}\n{COLUMNS}"
KEPT_FOR_NINE_MONTHS = PARTITIONED.replace("    )\n", f"{RETENTION}    )\n", 1)
