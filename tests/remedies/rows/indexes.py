"""Indexes that are invalid, and those that are built partition by partition."""

from __future__ import annotations

from tests.remedies.row import Box, Meant, Row, Step
from tests.remedies.rows.models import EVENTS
from tests.support.residues import building

BUILD = "op.create_partitioned_index('i', 'events', ['id'])"
UNIQUE = "op.create_partitioned_index('i', 'events', ['id', 'created_at'], unique=True)"
AGAIN = Meant(BUILD)
PARTS = ("events_p20300601", "events_p20300701", "events_p20300801")
FOREIGN = (
    "CREATE FOREIGN DATA WRAPPER w",
    "CREATE SERVER cold FOREIGN DATA WRAPPER w",
    "CREATE FOREIGN TABLE old PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2020-02-01') SERVER cold",
)
KEYLESS = """
Table("events", metadata, Column("id", BigInteger), Column("created_at", DateTime(timezone=True), nullable=False),
    PartitionByRange("created_at", interval="1 month", premake=2))
"""
DIVIDED = """
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByList("kind", values={"a": ["a"], "b": ["b"]}, subpartition=PartitionByHash("id", modulus=2))
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(primary_key=True)
"""


def invalid(index: str) -> str:
    return f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{index}'::regclass"


def built(parts: tuple[str, ...], index: str = "i", column: str = "id") -> tuple[Step, ...]:
    """The parts of an index, each CONCURRENTLY, and attached."""
    return (
        *(Meant(f"CREATE INDEX CONCURRENTLY part_{each} ON {each} ({column})") for each in parts),
        *(Meant(f"ALTER INDEX public.{index} ATTACH PARTITION part_{each}") for each in parts),
    )


def begun(box: Box) -> None:
    """Of an index over two levels, only what is of the tables that are partitioned."""
    box.create()
    box.do("CREATE INDEX i ON ONLY events (kind)")
    for name, partition in (("j", "events_a"), ("k", "events_b")):
        box.do(f"CREATE INDEX {name} ON ONLY {partition} (kind)")
        box.do(f"ALTER INDEX i ATTACH PARTITION {name}")


INDEXES = (
    Row(
        "not-valid: the constraint c of public.events is NOT VALID: older rows may break it -> ALTER TABLE public.events "
        "VALIDATE CONSTRAINT c",
        ("ALTER TABLE public.events VALIDATE CONSTRAINT c",),
        EVENTS,
        (Box.create, "ALTER TABLE events ADD CONSTRAINT c CHECK (id > 0) NOT VALID"),
    ),
    Row(
        "invalid-index: public.i on public.events_p20300601 is being built",
        models=EVENTS,
        given=(
            Box.create,
            lambda box: box.stack.enter_context(
                building(box.superuser, "CREATE INDEX CONCURRENTLY i ON events_p20300601 (id)")
            ),
        ),
    ),
    Row(
        "invalid-index: public.events_p20300601_i on public.events_p20300601 is invalid, its build was cut off: writes "
        "keep it up, no query uses it -> run: sa-partman run, or DROP INDEX CONCURRENTLY public.events_p20300601_i",
        ("sa-partman run", "DROP INDEX CONCURRENTLY public.events_p20300601_i"),
        EVENTS,
        (
            Box.create,
            "CREATE INDEX i ON ONLY events (id)",
            "CREATE INDEX events_p20300601_i ON events_p20300601 (id)",
            invalid("events_p20300601_i"),
        ),
    ),
    Row(
        "invalid-index: public.i on public.events_p20300601 is invalid, its build was cut off: writes keep it up, no "
        "query uses it -> DROP INDEX CONCURRENTLY public.i",
        ("DROP INDEX CONCURRENTLY public.i",),
        EVENTS,
        (Box.create, "CREATE INDEX i ON events_p20300601 (id)", invalid("i")),
    ),
    Row(
        "invalid-index: public.i on public.events is invalid, and no query uses it: the partition public.events_p20300601 "
        "lacks its part -> run op.create_partitioned_index again, which goes on with what is there; or build the missing "
        "ones CONCURRENTLY and ALTER INDEX public.i ATTACH PARTITION each; or DROP INDEX public.i",
        (AGAIN, built(PARTS), "DROP INDEX public.i"),
        EVENTS,
        (Box.create, "CREATE INDEX i ON ONLY events (id)"),
    ),
    Row(
        "invalid-index: public.i on public.events is invalid, and no query uses it: PostgreSQL waits for a part of "
        "public.old, which is a foreign table and can have none -> DROP INDEX public.i, and run "
        "op.create_partitioned_index again, which builds it in another way then",
        (("DROP INDEX public.i", AGAIN),),
        KEYLESS,
        (Box.create, *FOREIGN, "CREATE INDEX i ON ONLY events (id)"),
    ),
    Row(
        "invalid-index: public.i on public.events is invalid, and no query uses it: its part public.j is invalid itself "
        "-> follow the advice for public.j; this one becomes valid with it",
        (
            (
                *built(("events_a_h0", "events_a_h1"), "j", "kind"),
                *built(("events_b_h0", "events_b_h1"), "k", "kind"),
            ),
        ),
        DIVIDED,
        (begun,),
    ),
    Row(
        "invalid-index: public.i on public.events is invalid, and no query uses it: every partition has its part, but the "
        "one that lacked it is gone and PostgreSQL has not counted again -> ALTER INDEX public.i ATTACH PARTITION "
        "public.part_events_p20300701",
        ("ALTER INDEX public.i ATTACH PARTITION public.part_events_p20300701",),
        EVENTS,
        (
            Box.create,
            "CREATE INDEX i ON ONLY events (id)",
            *built(PARTS[1:2]),
            "DROP TABLE events_p20300601",
            "DROP TABLE events_p20300801",
        ),
    ),
    Row(
        "invalid-index: public.i on public.events is invalid, and no query uses it: it was begun for partitions that are "
        "all gone -> run op.create_partitioned_index again, or DROP INDEX public.i and create it anew",
        (AGAIN, ("DROP INDEX public.i", Meant("CREATE INDEX i ON events (id)"))),
        EVENTS,
        (Box.create, "CREATE INDEX i ON ONLY events (id)", *(f"DROP TABLE {each}" for each in PARTS)),
    ),
    Row(
        "public.i exists already and is no index of public.events; nothing was changed. Rename one of the two",
        ((Meant("ALTER INDEX i RENAME TO k"), AGAIN),),
        EVENTS,
        (Box.create, "CREATE TABLE other (id bigint)", "CREATE INDEX i ON other (id)"),
        BUILD,
        None,
    ),
    Row(
        "public.i is unique, and public.old is a foreign table: PostgreSQL has no unique index over both; nothing was "
        "changed. Create it on each of the other partitions, or detach public.old",
        (
            tuple(Meant(f"CREATE UNIQUE INDEX CONCURRENTLY u_{each} ON {each} (id, created_at)") for each in PARTS),
            (Meant("ALTER TABLE events DETACH PARTITION public.old"), Meant(UNIQUE)),
        ),
        KEYLESS,
        (Box.create, *FOREIGN),
        UNIQUE,
        None,
    ),
    Row(
        "public.i was begun ON ONLY public.events, and PostgreSQL waits for a part of public.old, which is a foreign "
        "table, for ever; nothing was changed. DROP INDEX public.i, and run this again: it is built in another way then",
        (("DROP INDEX public.i", AGAIN),),
        KEYLESS,
        (Box.create, *FOREIGN, "CREATE INDEX i ON ONLY events (id)"),
        BUILD,
        None,
    ),
    Row(
        "public.i is still invalid: partitions were created meanwhile, or a partition that is itself partitioned has none. "
        "Create one there first (sa-partman run), then run this again: it goes on.",
        (("sa-partman run", Meant("op.create_partitioned_index('i', 'events', ['kind'])")),),
        DIVIDED,
        (begun, "DROP TABLE events_a_h0, events_a_h1"),
        "op.create_partitioned_index('i', 'events', ['kind'])",
        None,
    ),
    Row(
        "public.events_p20300601_i: the name is taken by an index of another table; rename that one",
        ((Meant("ALTER INDEX events_p20300601_i RENAME TO k"), AGAIN),),
        EVENTS,
        (Box.create, "CREATE TABLE other (id bigint)", "CREATE INDEX events_p20300601_i ON other (id)"),
        BUILD,
        None,
    ),
)
