"""What `check` finds."""

from tests.remedies.row import Box, Models, Row
from tests.remedies.rows.models import EVENTS, PLAIN
from tests.support.stamps import stamped

LATE = "    __table_args__ = (sa.PrimaryKeyConstraint('created_at', 'id'),)\n"

FINDINGS = (
    Row(
        "no-current: no partition for now, so inserts of now fail: [2030-06-01, 2030-07-01) -> run: sa-partman run",
        ("sa-partman run",),
        EVENTS,
        (Box.bare,),
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
