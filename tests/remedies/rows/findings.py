"""What `check` finds."""

from tests.remedies.row import Box, Row

EVENTS = """
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByRange("created_at", interval="1 month", premake=2)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
"""

FINDINGS = (
    Row(
        "no-current: no partition for now, so inserts of now fail: [2030-06-01, 2030-07-01) -> run: sa-partman run",
        ("sa-partman run",),
        EVENTS,
        (Box.bare,),
    ),
)
