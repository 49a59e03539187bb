"""Too few partitions, too many, and those that should be gone."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import patch
from uuid import UUID

from sa_partman.checks import structure
from sa_partman.marks import CREATED
from sa_partman.marks import restored as mark
from tests.remedies.row import Box, Meant, Models, Row, shown
from tests.remedies.rows.models import EVENTS, later
from tests.support.builders import at
from tests.support.servers import NEWEST, start

RUN = "sa-partman run"
KEEP = "premake=2, retention=Retention('2 months', then='{}')"
DROPPED = EVENTS.replace("premake=2", KEEP.format("drop"))
GRACE = EVENTS.replace("premake=2", "premake=2, retention=Retention('2 months', then='drop', grace='1 month')")
HASHED = """
class User(Partitioned, Base):
    __tablename__ = "users"
    __partition__ = PartitionByHash("id", modulus={})
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(index=True)
"""
RANDOM = UUID(int=(int(at("2030-06-20").timestamp() * 1000) << 80) | (4 << 76) | (2 << 62))
"""In the middle of June, and yet of version 4."""
FAR = """
class Tick(Partitioned, Base):
    __tablename__ = "ticks"
    __partition__ = PartitionByRange("at", interval="{}", premake={})
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
"""


def checked(**asked: str) -> Callable[[Box], str]:
    return lambda box: shown(box.maintainer().check(**asked))


def many(box: Box) -> None:
    """Five are many."""
    box.stack.enter_context(patch.object(structure, "MANY", 5))
    box.now = at("2030-01-15")
    box.create()
    box.now = at("2030-06-15")
    box.provision()


def small_server(box: Box) -> None:
    """One of its own, whose lock table is small."""
    server = box.stack.enter_context(start(NEWEST))
    box.restart = server.restart_immediate  # type: ignore[attr-defined]
    box.moved(server.url())
    box.do("ALTER SYSTEM SET max_locks_per_transaction = 10")
    server.restart_immediate()
    box.engine.dispose()


def restart(box: Box) -> None:
    box.restart()  # type: ignore[attr-defined]
    box.engine.dispose()


def restored(box: Box) -> None:
    """As an archive's restore leaves it."""
    comment = mark("archive/events_p20300101.parquet", at("2030-06-14"), CREATED)
    box.do(f"COMMENT ON TABLE events_p20300101 IS '{comment}'")


def last_run(box: Box, age: str) -> None:
    box.create()
    box.do("sa-partman run --audit")
    box.do(f"UPDATE sa_partman_runs SET started = started - interval '{age}', finished = finished - interval '{age}'")


COVERAGE = (
    Row(
        "short-runway: public.events is ready for 2 whole intervals and 78.0 days from now, up to …; at least 200 days "
        "were asked for -> set premake=7 in the declaration, then run: sa-partman run",
        ((Models(EVENTS.replace("premake=2", "premake=7")), RUN),),
        EVENTS,
        (Box.create,),
        checked(min_horizon="200d"),
        checked(min_horizon="200d"),
    ),
    Row(
        "lock-budget: a query without the key, or DROP TABLE, takes 909 locks (101 relations, each with 8 indexes), and "
        "the lock table of all sessions holds 1,400 -> ALTER SYSTEM SET max_locks_per_transaction = 13, and restart; or "
        "have fewer partitions",
        (
            ("ALTER SYSTEM SET max_locks_per_transaction = 13", restart),
            (
                Meant("DROP TABLE users"),
                Models(HASHED.format(8)),
                Box.create,
            ),
        ),
        HASHED.format(100),
        (
            small_server,
            Box.create,
            "DO $$ BEGIN FOR i IN 1..6 LOOP EXECUTE 'CREATE INDEX i' || i || ' ON users (name)'; END LOOP; END $$",
        ),
    ),
    Row(
        "premake: premake= keeps 5,001 future partitions ready; a query without the key looks into each -> choose a "
        "smaller premake=, or a longer interval",
        (Models(FAR.format("1 hour", 500)), Models(FAR.format("1 month", 12))),
        FAR.format("1 hour", 5001),
        (Box.bare,),
    ),
    Row(
        "many-partitions: public.events has 8 partitions; a query without the key looks into each -> choose a "
        "shorter retention, or a longer interval, which counts for new partitions only",
        ((Models(DROPPED), Meant(f"{RUN} --yes")),),
        EVENTS,
        (many,),
    ),
    Row(
        "overdue: 2 expired more than an interval ago, public.events_p20300101 73.0 days ago: public.events_p20300101, "
        "public.events_p20300201 -> run: sa-partman run",
        (Meant(f"{RUN} --yes"),),
        DROPPED,
        (many,),
    ),
    Row(
        "expired: 1 expired within the last interval: public.events_p20300301 -> run: sa-partman run",
        (Meant(f"{RUN} --yes"),),
        DROPPED,
        (many,),
    ),
    Row(
        "grace-over: 3 detached tables were kept as long as grace= asks: public.events_p20300101, "
        "public.events_p20300201, public.events_p20300301 -> run: sa-partman run",
        (Meant(f"{RUN} --yes"),),
        GRACE,
        (many, "sa-partman run --yes", later("2030-08-15")),
    ),
    Row(
        "detached: 3 detached tables are kept: public.events_p20300101, public.events_p20300201, public.events_p20300301",
        models=EVENTS.replace("premake=2", KEEP.format("detach")),
        given=(many, "sa-partman run --yes"),
    ),
    Row(
        "foreign-partition: 1 partition is expired and was not made by sa-partman, so it is kept: public.old …; "
        "hand them over, once: sa-partman run --adopt (also what sa-partman 0.1.0 made, which has no mark); or declare "
        "Retention(..., foreign=True), or foreign=False to keep them for good",
        (
            Meant("sa-partman run --adopt --yes"),
            (Models(DROPPED.replace("then='drop'", "then='drop', foreign=True")), Meant("sa-partman run --yes")),
            Models(DROPPED.replace("then='drop'", "then='drop', foreign=False")),
        ),
        DROPPED,
        (Box.create, "CREATE TABLE old PARTITION OF events FOR VALUES FROM ('2000-01-01') TO ('2020-01-01')"),
    ),
    Row(
        "restored: 1 restored from an archive, and kept until you drop them: public.events_p20300101 -> drop them when "
        "they are no longer needed, or remove their comments and run: sa-partman run --adopt",
        (
            Meant("DROP TABLE events_p20300101"),
            (Meant("COMMENT ON TABLE events_p20300101 IS NULL"), Meant("sa-partman run --adopt --yes")),
        ),
        DROPPED,
        (many, restored),
    ),
    Row(
        "rows-near-end: public.events_p20300801, the last partition before …, has been written to already; what comes "
        "behind it fails -> raise premake= in the declaration, or find out what writes keys in the future",
        (
            (Models(EVENTS.replace("premake=2", "premake=6")), Meant(RUN)),
            Meant("TRUNCATE events_p20300801"),
        ),
        EVENTS,
        (Box.create, "INSERT INTO events (created_at) VALUES ('2030-08-20')"),
    ),
    Row(
        "null-key: kind may be NULL, and no partition of public.events takes a NULL: such rows fail -> ALTER TABLE "
        "public.events ALTER COLUMN kind SET NOT NULL",
        ("ALTER TABLE public.events ALTER COLUMN kind SET NOT NULL",),
        """
Table("events", metadata, Column("kind", Text, nullable=False), PartitionByList("kind", values={"a": ["a"]}))
""",
        (Box.create, "ALTER TABLE events ALTER kind DROP NOT NULL"),
    ),
    Row(
        "published-by-partition: publication p sends rows by the names of their partitions: a row of a partition that a "
        "subscriber does not have stops its replication, and rows of one that it has not refreshed are skipped -> after "
        "each run that creates partitions, at each subscriber: sa-partman run --yes --url SUBSCRIBER, then ALTER "
        "SUBSCRIPTION ... REFRESH PUBLICATION. Or send rows by the name of the table: docs/reliability.md, Replication",
        (Meant("ALTER PUBLICATION p SET (publish_via_partition_root = true)"),),
        EVENTS,
        (Box.create, "CREATE PUBLICATION p FOR TABLE events"),
    ),
    Row(
        "stale-maintenance: no run has ended well for 90.0 days; at most 56.0 days were expected (sa_partman_runs has "
        "the runs and their errors) -> schedule: sa-partman run --yes",
        (Meant("sa-partman run --yes --audit"),),
        EVENTS,
        (lambda box: last_run(box, "90 days"),),
    ),
    Row(
        "stale-maintenance: no successful run on record, and one within the last 7.0 days was asked for: this role sees "
        "no table sa_partman_runs -> audit the runs: sa-partman run --yes --audit; let this role read its tables, and "
        "name their schema here too if it is another one: --audit=SCHEMA",
        ("sa-partman run --yes --audit",),
        EVENTS,
        (Box.create,),
        checked(max_age="7d"),
        checked(max_age="7d"),
    ),
    Row(
        "undeclared-default: public.events_default is a default partition, and the declaration has none -> declare "
        "default=True to keep it; or, because it makes attaching slow and DETACH CONCURRENTLY impossible, drop it when it "
        "is empty: DROP TABLE public.events_default",
        (Models(EVENTS.replace("premake=2", "premake=2, default=True")), "DROP TABLE public.events_default"),
        EVENTS,
        (Box.create, "CREATE TABLE events_default PARTITION OF events DEFAULT"),
    ),
    Row(
        "other-subpartition: public.events_a is not PARTITION BY HASH (id), as new ones are; it is left as it is",
        models="""
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByList("kind", values={"a": ["a"]}, subpartition=PartitionByHash("id", modulus=2))
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(primary_key=True)
""",
        given=(Box.bare, "CREATE TABLE events_a PARTITION OF events FOR VALUES IN ('a')"),
    ),
    Row(
        "outlived: rows older than 2 months stay in public.events_a for good: it is not PARTITION BY RANGE (created_at); "
        "the planner estimates … of them now; and 1 more partition like it",
        models="""
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByList(
        "kind",
        values=["a", "b"],
        subpartition=PartitionByRange("created_at", interval="1 month", retention=Retention("2 months")),
    )
    kind: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
""",
        given=(
            Box.bare,
            *(f"CREATE TABLE events_{each} PARTITION OF events FOR VALUES IN ('{each}')" for each in "ab"),
        ),
    ),
    Row(
        "misplaced-rows: 1 rows in public.events_p20300601 have a key that the codec can't place in time -> find out "
        "what writes them; retention goes by the partition that they are in",
        (Meant("DELETE FROM events"),),
        """
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByRange("id", interval="1 month", premake=2)
    id: Mapped[UUID] = mapped_column(primary_key=True)
""",
        (Box.create, f"INSERT INTO events VALUES ('{RANDOM}')"),
    ),
)
