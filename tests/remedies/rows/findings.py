"""What `check` finds."""

from tests.remedies.row import Box, Meant, Models, Row, check, shown
from tests.remedies.rows.default_rows import DEFAULT
from tests.remedies.rows.held import let_go, other
from tests.remedies.rows.members import connected, granted, owned
from tests.remedies.rows.models import EVENTS, PLAIN
from tests.support.database import holding
from tests.support.membership import MEMBER
from tests.support.stamps import stamped

LATE = "    __table_args__ = (sa.PrimaryKeyConstraint('created_at', 'id'),)\n"
HOURLY = EVENTS.replace('interval="1 month"', 'interval="1 hour", start="0001-01-01"')
"""Since a year that nobody means."""

NUMBERED = """
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByRange("id", interval=1000, premake=1)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
"""
FAR = (
    Box.create,
    "CREATE TABLE far PARTITION OF events FOR VALUES FROM (9000000000000000) TO (9000000000001000)",
    "INSERT INTO events (id) VALUES (9000000000000000)",
)
GIVEN_ONE = "CREATE TABLE public.events_p2000 PARTITION OF public.events FOR VALUES FROM ('2000'::bigint) TO ('9000000000000000'::bigint)"

NUMBERED_AGAIN = "op.provision_partitions('events', PartitionByRange('id', interval=1000))"

HIDDEN = """
class Odd(ULID):
    def misplaced(self, column, family):
        raise ValueError("no idea")


class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByRange("id", interval="1 month", premake=2, codec=Odd())
    id: Mapped[str] = mapped_column(primary_key=True)
"""


HOLD = "LOCK TABLE ONLY events_default IN ACCESS EXCLUSIVE MODE"
DAILY = EVENTS.replace('interval="1 month"', 'interval="1 day"')
JULY = Meant("INSERT INTO events (created_at) VALUES ('2030-07-20')")


def planned(box: Box) -> str:
    """What ``plan --regrid`` says, and ``run --regrid`` would."""
    return shown(box.maintainer().plan(regrid=True).findings)


def regrid_behind_a_row(box: Box) -> str:
    """A row comes in between the look at its partition and the lock on it."""

    def late(_: object) -> None:
        box.do("INSERT INTO events (created_at) SELECT '2030-07-20' WHERE NOT EXISTS (SELECT FROM events)")

    return "\n".join(step.error for step in box.maintainer(hooks=[late]).run(regrid=True).steps)


FINDINGS = (
    Row(
        "other-interval: public.events: interval='1 day' begins at 2030-09-01: 2 partitions before that were made with "
        "another interval= or timezone= -> wait until they are over, or replace the empty ones: sa-partman run "
        "--regrid",
        ("sa-partman run --regrid", Models(EVENTS)),
        DAILY,
        (Models(EVENTS), Box.create, Models(DAILY)),
    ),
    Row(
        "regrid-kept: public.events_p20300701 has rows, or can't be read: what was made with another interval= stays "
        "there until it is over",
        models=DAILY,
        given=(Models(EVENTS), Box.create, Models(DAILY), JULY),
        attempt=planned,
    ),
    Row(
        "regrid-kept: public.events_p20300701 would give way to more than 200 tables in one transaction, and stays",
        models=DAILY,
        given=(Models(EVENTS), Box.create, Models(DAILY.replace("1 day", "1 hour"))),
        attempt=planned,
    ),
    Row(
        "public.events_p20300701 holds rows by now, so it stays until it is over; nothing was changed, and nothing has "
        "to be done: the next run --regrid leaves it out",
        (Meant("sa-partman run --regrid"),),
        DAILY,
        (Models(EVENTS), Box.create, Models(DAILY)),
        regrid_behind_a_row,
        regrid_behind_a_row,
    ),
    Row(
        "other-interval: public.events: interval='1 day' begins at 2030-07-01: public.events_p20300601, the partition of "
        "now, has another width, and is used until then",
        models=DAILY,
        given=(Models(EVENTS), Box.create, Models(DAILY), "sa-partman run --regrid"),
    ),
    Row(
        "op.provision_partitions('events', ...): [2000, 9000000000000000) of public.events would take "
        "8,999,999,999,998 partitions, and at most 10,000 are made for the past; inserts there fail; nothing was "
        "changed: choose a longer interval=, or delete the row whose key is so far away by mistake; or give the range "
        f"one partition: {GIVEN_ONE}",
        (
            Meant("DELETE FROM events WHERE id = 9000000000000000"),
            GIVEN_ONE,
            Meant(NUMBERED_AGAIN.replace("1000", "1000000000000000")),
        ),
        NUMBERED,
        FAR,
        NUMBERED_AGAIN,
        NUMBERED_AGAIN,
    ),
    Row(
        "range-too-wide: [0001-01-01, 2030-06-15) of public.events would take 17,789,808 partitions, and at most 10,000 "
        "are made for the past; inserts there fail -> choose a longer interval=, or a later start=; or give the range "
        "one partition: CREATE TABLE public.events_p00010101_000000 PARTITION OF public.events FOR VALUES FROM "
        "('0001-01-01 00:00:00+00'::timestamp with time zone) TO ('2030-06-15 00:00:00+00'::timestamp with time zone)",
        (
            Models(HOURLY.replace("1 hour", "1 year")),
            Models(HOURLY.replace("0001-01-01", "2030-06-14")),
            "CREATE TABLE public.events_p00010101_000000 PARTITION OF public.events FOR VALUES FROM "
            "('0001-01-01 00:00:00+00'::timestamp with time zone) TO ('2030-06-15 00:00:00+00'::timestamp with time zone)",
        ),
        HOURLY,
        (Box.create,),
    ),
    Row(
        "range-too-wide: [2000, 9000000000000000) of public.events would take 8,999,999,999,998 partitions, and at "
        "most 10,000 are made for the past; inserts there fail -> choose a longer interval=, or delete the row whose "
        f"key is so far away by mistake; or give the range one partition: {GIVEN_ONE}",
        (
            (Meant("DELETE FROM events WHERE id = 9000000000000000"),),
            GIVEN_ONE,
            Models(NUMBERED.replace("1000", "1_000_000_000_000")),
        ),
        NUMBERED,
        FAR,
    ),
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
        "rows-unread: the rows of public.events can't be read: canceling statement due to lock timeout -> try again "
        "when no transaction holds them",
        (let_go,),
        DEFAULT,
        (Box.create, check, other(lambda box: holding(box.superuser, HOLD))),
    ),
    Row(
        "rows-unread: the rows of public.events can't be read: permission denied for table events_default -> GRANT SELECT "
        "on public.events and its partitions to the connected role",
        (granted(f"GRANT SELECT ON events, events_default TO {MEMBER}"),),
        DEFAULT,
        (owned, connected(MEMBER)),
    ),
    Row(
        "rows-unread: the rows of public.events can't be read: no idea -> correct the codec of the declaration; "
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
