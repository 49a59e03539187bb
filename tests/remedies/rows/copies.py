"""Why a table can't be copied into a partitioned one, and what can be done about it; and what is done afterwards."""

from __future__ import annotations

from tests.remedies.row import Box, Meant, Models, Row, Step, Way
from tests.remedies.rows.models import EVENTS, PLAIN
from tests.remedies.rows.rewrites import yes

COPY = "sa-partman convert events --strategy copy --yes"
PLAN = "sa-partman convert events --strategy copy --plan"
HASHED = """
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByHash("id", modulus=2)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
"""
KINDS = """
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByList("kind", values=["a"])
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(primary_key=True)
"""
LOWER = """
Table("events", metadata, Column("id", BigInteger, nullable=False), Column("kind", Text, nullable=False),
    PartitionByList(KeyExpression("lower(kind)", "text"), values={"a": ["a"]}))
"""
MEMBERS = """
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByHash("kind", modulus=2)
    kind: Mapped[str] = mapped_column(primary_key=True)
"""
BY_ROOT = "WITH (publish_via_partition_root = true)"


def refused(
    says: str, *ways: Way, given: tuple[Step, ...], models: str = HASHED, since: int = 14, until: int = 99
) -> Row:
    """It is gone from the plan afterwards."""
    return Row(says, ways, models, given, PLAN, PLAN, since=since, until=until)


RUN_TIME = KINDS.replace('["a"]', "()")


def misspelt(box: Box) -> None:
    box.converter().convert("events", strategy="Copy")  # type: ignore[arg-type]


COPIES = (
    Row(
        "strategy='Copy': write one of 'in-place', 'copy'",
        (lambda box: box.converter().convert("events", strategy="copy"),),
        HASHED,
        (PLAIN,),
        misspelt,
        None,
    ),
    refused(
        "the rows would be spread over 1,001 partitions, and at most 1,000 are made at once; declare a longer interval, or "
        "delete what nobody needs first",
        Meant("DELETE FROM events WHERE id = 1"),
        given=(
            "CREATE TABLE events (id bigint, kind text NOT NULL, PRIMARY KEY (id, kind))",
            "INSERT INTO events SELECT i, i FROM generate_series(1, 1001) i",
        ),
        models=RUN_TIME,
    ),
    refused(
        "no row of public.events can be known again: it has no primary key, and no unique index over columns that are "
        "NOT NULL; add one",
        Meant("ALTER TABLE events ADD PRIMARY KEY (id)"),
        given=("CREATE TABLE events (id bigint NOT NULL, created_at timestamptz)",),
    ),
    refused(
        "the publication p (FOR ALL TABLES) would send each copied row again; publish the tables by their names, and via "
        f"their roots (CREATE PUBLICATION ... FOR TABLE ... {BY_ROOT}), while this is done",
        (Meant("DROP PUBLICATION p"), Meant(f"CREATE PUBLICATION p FOR TABLE events {BY_ROOT}")),
        given=(PLAIN, f"CREATE PUBLICATION p FOR ALL TABLES {BY_ROOT}"),
        since=15,
    ),
    refused(
        "the publication p (FOR ALL TABLES) would send each copied row again; drop the publication while this is done",
        Meant("DROP PUBLICATION p"),
        given=(PLAIN, f"CREATE PUBLICATION p FOR ALL TABLES {BY_ROOT}"),
        until=14,
    ),
    refused(
        "rows have values in kind that no partition of the declaration takes ('b'); declare them, or default=True, or "
        "correct those rows",
        Models(KINDS.replace('["a"]', '["a", "b"]')),
        Models(KINDS.replace('["a"]', '["a"], default=True')),
        Meant("UPDATE events SET kind = 'a'"),
        given=(
            "CREATE TABLE events (id bigint PRIMARY KEY, kind text NOT NULL)",
            "INSERT INTO events VALUES (1, 'a'), (2, 'b')",
        ),
        models=KINDS,
    ),
    refused(
        "rows have keys without a place on the grid (from 2030-06-01 to infinity); declare default=True, or correct "
        "those rows",
        Models(EVENTS.replace("premake=2", "premake=2, default=True")),
        Meant("DELETE FROM events WHERE created_at = 'infinity'"),
        given=(PLAIN, "INSERT INTO events (created_at) VALUES ('2030-06-01 00:00+00'), ('infinity')"),
        models=EVENTS,
    ),
    refused(
        "the rows would be spread over … partitions, and at most 1,000 are made at once; declare a longer interval, or "
        "delete what nobody needs first",
        Models(EVENTS),
        Meant("DELETE FROM events"),
        given=(PLAIN, "INSERT INTO events (created_at) VALUES ('2020-06-01 00:00+00')"),
        models=EVENTS.replace("1 month", "1 hour"),
    ),
    Row(
        "the unique index u can't be kept on the history only: nothing of the table stays together; drop it (--unique "
        "u=drop)",
        (Meant(f"{PLAN} --unique u=drop"),),
        HASHED,
        (PLAIN, "CREATE UNIQUE INDEX u ON events (created_at)"),
        f"{PLAN} --unique u=local",
        None,
    ),
    Row(
        "u is unique, and where the partition key is an expression PostgreSQL enforces that nowhere; drop it (--unique "
        "u=drop)",
        (Meant(f"{COPY} --unique u=drop"),),
        LOWER,
        ("CREATE TABLE events (id bigint NOT NULL, kind text NOT NULL)", "CREATE UNIQUE INDEX u ON events (id)"),
        PLAN,
        None,
    ),
    refused(
        "more than one row has the same (kind), which is to be the primary key: a (2 times); give those rows other keys, "
        "or delete what is too much",
        Meant("UPDATE events SET kind = 'b' WHERE id = 2"),
        Meant("DELETE FROM events WHERE id = 2"),
        given=(
            "CREATE TABLE events (id bigint PRIMARY KEY, kind text NOT NULL)",
            "INSERT INTO events VALUES (1, 'a'), (2, 'a')",
        ),
        models=MEMBERS,
    ),
    Row(
        "…, so what is written there has no place in the old table; nothing was changed. Give both the same columns, or "
        "keep the new table: sa-partman convert public.events --finalize",
        (
            (Meant("ALTER TABLE events_old ADD note text"), yes("sa-partman convert events --undo")),
            (yes("sa-partman convert public.events --finalize"),),
        ),
        HASHED,
        (PLAIN, COPY, "ALTER TABLE events ADD note text"),
        "sa-partman convert events --undo --yes",
        None,
    ),
)
