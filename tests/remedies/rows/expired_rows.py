"""Expired rows of a default partition: what a run does with them, and what is said where it leaves them."""

from tests.remedies.row import Box, Meant, Models, Row, run_once
from tests.remedies.rows.default_rows import DEFAULT, in_default, rows
from tests.remedies.rows.models import later

JANUARY = "[2029-01-01, 2029-02-01)"
HAND_OVER = (
    "hand them over, once: sa-partman run --adopt (also what sa-partman 0.1.0 made, which has no mark); or declare "
    "Retention(..., foreign=True), or foreign=False to keep them for good"
)
PROVISION = "sa-partman provision --table events --at 2029-01-01T00:00:00+00:00"


def expiring(retention: str) -> str:
    return DEFAULT.replace("default=True", f"default=True, retention=Retention('1 month', {retention})")


DROPPED = expiring("then='drop'")
NUMBERED = """
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByRange(
        "id", interval=100, premake=0, default=True, retention=Retention(1, "drop", grace="1 day")
    )
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
"""
FOREIGN = (Box.create, rows("2029-01-20"), "COMMENT ON TABLE events_default IS 'ours'")
HANDED_OVER = (
    (Meant("sa-partman run --adopt --yes"),),
    (Models(expiring("then='drop', foreign=True")), Meant("sa-partman run --yes")),
    Models(expiring("then='drop', foreign=False")),
)
KEEPS = "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
TRIGGER = "CREATE TRIGGER keep BEFORE DELETE ON events_default FOR EACH ROW EXECUTE FUNCTION keep()"
REFERS = (
    Box.create,
    rows("2029-01-20"),
    "CREATE TABLE refs (id bigint, at timestamptz, FOREIGN KEY (id, at) REFERENCES events ON DELETE CASCADE)",
    "INSERT INTO refs SELECT id, created_at FROM events",
)


EXPIRED_ROWS = (
    Row(
        f"{in_default()}; of these, {JANUARY} (1 rows) are expired, and the next run deletes them -> run: "
        "sa-partman run",
        (Meant("sa-partman run --yes"),),
        DROPPED,
        (Box.create, rows("2029-01-20")),
    ),
    Row(
        f"{in_default()}; of these, [2030-03-01, 2030-04-01) (1 rows) are expired; the run after their grace= deletes "
        "them",
        ((later("2030-08-15"), Meant("sa-partman run --yes")),),
        expiring("then='drop', grace='60 days'"),
        (Box.create, rows("2030-03-20")),
    ),
    Row(
        f"{in_default()}; of these, {JANUARY} (1 rows) are expired, and kept, because sa-partman did not make the "
        f"default partition -> {HAND_OVER}",
        HANDED_OVER,
        DROPPED,
        FOREIGN,
    ),
    Row(
        "foreign-partition: public.events_default, the default partition, was not made by sa-partman, so its expired "
        f"rows are kept: 1 -> {HAND_OVER}",
        HANDED_OVER,
        DROPPED,
        FOREIGN,
        run_once,
        run_once,
    ),
    Row(
        f"{in_default()}; of these, [0, 100) (1 rows) are expired, and kept: grace= is a time, and the key has none -> "
        'delete them: DELETE FROM "public"."events_default" WHERE …',
        (
            """DELETE FROM "public"."events_default" WHERE ("id" IS NOT NULL AND "id" >= '0'::bigint AND "id" < """
            "'100'::bigint)",
        ),
        NUMBERED,
        (
            Box.bare,
            "CREATE TABLE events_p500 PARTITION OF events FOR VALUES FROM (500) TO (600)",
            "CREATE TABLE events_default PARTITION OF events DEFAULT",
            "INSERT INTO events VALUES (1), (550)",
        ),
    ),
    Row(
        f"{in_default()}; of these, {JANUARY} (1 rows) are expired, and kept: rows of a default partition can't be "
        "detached, and retention deletes none that it does not drop -> make partitions, which the next run removes "
        f"like others: {PROVISION}",
        ((PROVISION, Meant("sa-partman run --yes")),),
        expiring("then='detach'"),
        (Box.create, rows("2029-01-20")),
    ),
    Row(
        "expired rows of public.events_default stay, because they are referenced: rows of public.refs refer to them "
        "(foreign key refs_id_at_fkey); 0 rows were deleted before. Remove the rows that refer to them first, or name "
        "their table in Retention(referencing_tables=...).",
        (Meant("DELETE FROM refs"), Models(expiring("then='drop', referencing_tables=['refs']"))),
        DROPPED,
        REFERS,
        run_once,
        run_once,
    ),
    Row(
        "expired rows of public.events_default stay: a trigger or rule of public.events_default keeps its rows; disable "
        "or drop it; 0 rows were deleted before",
        (Meant("ALTER TABLE events_default DISABLE TRIGGER keep"), Meant("DROP TRIGGER keep ON events_default")),
        DROPPED,
        (Box.create, rows("2029-01-20"), KEEPS, TRIGGER),
        run_once,
        run_once,
    ),
)
