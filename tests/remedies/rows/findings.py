"""What `check` finds."""

from tests.remedies.row import Box, Models, Row, check
from tests.remedies.rows.models import EVENTS, PLAIN
from tests.support.stamps import stamped

LATE = "    __table_args__ = (sa.PrimaryKeyConstraint('created_at', 'id'),)\n"

HIDDEN = """
class Odd(ULID):
    def misplaced(self, column, family):
        raise ValueError("no idea")


class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByRange("id", interval="1 month", premake=2, codec=Odd())
    id: Mapped[str] = mapped_column(primary_key=True)
"""


def behind_a_lock(box: Box) -> str:
    """A check while somebody holds the default partition."""
    with box.engine.begin() as other:
        other.exec_driver_sql("LOCK TABLE ONLY events_default IN ACCESS EXCLUSIVE MODE")
        return check(box)


FINDINGS = (
    Row(
        "no-current: no partition for now, so inserts of now fail: [2030-06-01, 2030-07-01) -> run: sa-partman run",
        ("sa-partman run",),
        EVENTS,
        (Box.bare,),
    ),
    Row(
        "other-key-type: public.events: the key column created_at is timestamp without time zone in the database and "
        "timestamp with time zone in the model, so its partition bounds can't be compared; nothing was changed -> give "
        "the model's column the type that is there, timestamp without time zone; PostgreSQL can't change the type of a "
        "partition key",
        (Models(EVENTS.replace("timezone=True", "timezone=False")),),
        EVENTS,
        (PLAIN.replace("PRIMARY KEY", "").replace("tz", "") + " PARTITION BY RANGE (created_at)",),
    ),
    Row(
        "rows-unread: the rows of public.events can't be looked at: canceling statement due to lock timeout -> GRANT "
        "SELECT on public.events and its partitions, or try again when nobody holds them",
        (lambda box: None,),
        EVENTS.replace("premake=2", "premake=2, default=True"),
        (Box.create, check),
        behind_a_lock,
        check,
    ),
    Row(
        "rows-unread: the rows of public.events can't be looked at: no idea -> correct the codec of the declaration; "
        "everything else was checked",
        (Models(HIDDEN.replace("codec=Odd()", "codec=ULID()")),),
        HIDDEN,
        (Box.create,),
    ),
    Row(
        "unbatched-inserts: events: the ORM sends one INSERT for each new object -> add autoincrement=True to 'id', "
        "beside what generates it; the DDL stays the same",
        (Models(EVENTS),),
        EVENTS.replace(", autoincrement=True", ""),
        (Box.create,),
    ),
    Row(
        "lost-index: public.events: events_pkey goes, and no other index begins with (id): a lookup by id reads all "
        "partitions -> let the new primary key begin with (id), or declare an Index over 'id' as well",
        (Models(EVENTS), Models(EVENTS + LATE + "sa.Index('by_id', Event.id)\n")),
        EVENTS + LATE,
        (PLAIN,),
    ),
    # The remedy is typed in tests/integration/maintenance/test_check_dump.py, where there is such a pg_dump.
    Row(
        "dump: PostgreSQL … keeps an option of its own in the columns of this database (…): a pg_dump that does not "
        "know it, such as 18.6's, writes it down, and pg_restore then makes no table on any other server; pg_upgrade "
        "passes its checks and fails -> dump with the pg_dump of … itself, and restore that in place of pg_upgrade",
        models=EVENTS,
        given=(Box.create, lambda box: stamped(box.engine, "events_p20300801")),
    ),
)
