"""What autogenerate does not write, what Alembic's own operations are told, and scripts of ``--sql`` mode."""

from __future__ import annotations

from alembic.script import ScriptDirectory

from tests.remedies.row import Box, Meant, Models, Row, Step, Way
from tests.remedies.rows.models import EVENTS, PLAIN

REVISION, UPGRADE = "alembic revision --autogenerate", "alembic upgrade head"
ONLINE = Meant(UPGRADE)
LINE = '    __partition__ = PartitionByRange("created_at", interval="1 month", premake=2)\n'
UNDECLARED = EVENTS.replace("(Partitioned, Base)", "(Base)").replace(LINE, "")
SEEN = "    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True){})\n"
CREATED_AT = "DateTime(timezone=True), primary_key=True"
TWO_TIMES = EVENTS + SEEN.format("")
PLAIN_TIMES = UNDECLARED.replace(CREATED_AT, "DateTime(timezone=True)") + SEEN.format("")
SEEN_TIMES = EVENTS.replace('PartitionByRange("created_at"', 'PartitionByRange("seen_at"').replace(
    CREATED_AT, "DateTime(timezone=True)"
) + SEEN.format(", primary_key=True")
DIVIDED = """
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByList("kind", values={"a": ["a"]}, subpartition=PartitionByHash("id", modulus=2))
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(primary_key=True)
"""
UNDIVIDED = DIVIDED.replace(', subpartition=PartitionByHash("id", modulus=2)', "")
REGIONAL = EVENTS + "    region: Mapped[str] = mapped_column(primary_key=True)\n"
BY_HAND = "CREATE TABLE events (id bigint NOT NULL, created_at timestamptz NOT NULL, PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at)"
IRREGULAR = (
    "CREATE TABLE p1 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2020-01-17 11:00')",
    "CREATE TABLE p2 PARTITION OF events FOR VALUES FROM ('2020-01-17 11:00') TO ('2020-01-17 11:01')",
)
PARTS = ("events_p20300601", "events_p20300701", "events_p20300801")
WHOLE = "PartitionByRange('created_at', interval='1 month')"
UNPARTITION = Meant(f"op.unpartition_table('events', {WHOLE}, primary_key=['id'])")
IMPORTS = "from sa_partman import *"


def unwritten(says: str, *ways: Way, given: tuple[Step, ...], models: str) -> Row:
    """Autogenerate writes nothing, and something afterwards."""
    return Row(says, ways, models, given, REVISION, REVISION)


def refused(says: str, attempt: str, *ways: Way, given: tuple[Step, ...] = (Box.create,), models: str = EVENTS) -> Row:
    return Row(says, ways, models, given, attempt, None)


def script(upgrade: str) -> Step:
    """The one revision that there is."""

    def write(box: Box) -> None:
        for each in (box.project.folder / "migrations" / "versions").glob("*.py"):
            each.unlink()
        box.project.written(upgrade, imports=IMPORTS)

    return write


def second(upgrade: str) -> Step:
    """One more revision."""
    return lambda box: box.project.written(upgrade, imports=IMPORTS)


def last_as_sql(box: Box) -> str:
    """The script of the last revision alone."""
    head = ScriptDirectory.from_config(box.project.config).get_revision("head")
    assert head is not None
    return box.project.sql(f"{head.down_revision or 'base'}:head")


def taken_over(box: Box) -> None:
    """Nothing was built anew: each partition's key is the index that was built before."""
    with box.engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE inhparent = 'events_pkey'::regclass"
        ).scalar_one()
    assert found == " ".join(f"{each}_new" for each in PARTS)


TABLE = (
    "op.create_table('events', sa.Column('id', sa.BigInteger, nullable=False), sa.Column('created_at', "
    "sa.DateTime(timezone=True), nullable=False), postgresql_partition_by='RANGE (created_at)')"
)
LISTED = TABLE.replace("RANGE (created_at)", "LIST (id)")
PROVISION = f"op.provision_partitions('events', {WHOLE})"
SQL = "alembic upgrade head --sql"
IN_PARTS = "op.create_partition('x', 'events', values=[1], partition_by={})"

WRITTEN = (
    unwritten(
        "events is PARTITION BY RANGE (created_at) in the database, its model does not say so, and its partitions follow "
        "no pattern that a downgrade could go back to; no migration was written. Declare it with __partition__, or, if "
        "something else manages its partitions, with __table_args__ = {'postgresql_partition_by': ...}.",
        Models(EVENTS),
        Models(UNDECLARED + "    __table_args__ = {'postgresql_partition_by': 'RANGE (created_at)'}\n"),
        given=(BY_HAND, *IRREGULAR),
        models=UNDECLARED,
    ),
    unwritten(
        "public.events has the primary key (id, created_at) in the database and (id, created_at, region) in the model; no "
        "migration was written. On a partitioned table, first build the new key on each partition (CREATE UNIQUE INDEX "
        "CONCURRENTLY); then in one transaction drop the old constraint, ADD PRIMARY KEY USING INDEX on each partition, "
        "and ADD PRIMARY KEY on the table, which takes those over. Or put the model's key back.",
        (
            Meant("ALTER TABLE events ADD region text NOT NULL DEFAULT ''"),
            *(
                Meant(f"CREATE UNIQUE INDEX CONCURRENTLY {each}_new ON {each} (id, created_at, region)")
                for each in PARTS
            ),
            Meant(
                "BEGIN; ALTER TABLE events DROP CONSTRAINT events_pkey; "
                + "".join(f"ALTER TABLE {each} ADD PRIMARY KEY USING INDEX {each}_new; " for each in PARTS)
                + "ALTER TABLE events ADD PRIMARY KEY (id, created_at, region); COMMIT"
            ),
            taken_over,
        ),
        Models(EVENTS),
        given=(Models(EVENTS), Box.create, Models(REGIONAL)),
        models=EVENTS,
    ),
    unwritten(
        "public.events_a is declared PARTITION BY HASH (id), and is not partitioned in the database; no migration was "
        "written. A partition can't be divided anew in place: declare subpartition= as it is, or replace the partition in "
        "a migration of your own (op.detach_partition, op.create_partition with partition_by= under another name, copy "
        "the rows).",
        Models(UNDIVIDED),
        (
            Meant("op.detach_partition('events_a', 'events')"),
            Meant(
                "op.create_partition('events_a2', 'events', values=['a'], partition_by=PartitionByHash('id', modulus=2))"
            ),
            Meant("INSERT INTO events SELECT * FROM events_a"),
        ),
        given=(Models(UNDIVIDED), Box.create, "INSERT INTO events VALUES (1, 'a')", Models(DIVIDED)),
        models=DIVIDED,
    ),
    unwritten(
        "public.events is PARTITION BY RANGE (created_at) in the database, declared is RANGE (seen_at); no migration was "
        "written. PostgreSQL can't change a partition key: declare what is there; or take __partition__ off the model, "
        "migrate (op.unpartition_table makes the table plain), and declare RANGE (seen_at) afterwards.",
        Models(TWO_TIMES),
        (Models(PLAIN_TIMES), Meant(REVISION), ONLINE, Models(SEEN_TIMES)),
        given=(Models(TWO_TIMES), Box.create, Models(SEEN_TIMES)),
        models=TWO_TIMES,
    ),
    refused(
        "op.alter_column('events', 'created_at'): the column is in the partition key of events, and PostgreSQL can't "
        "change the type of such a column; nothing was changed. Make the table plain before (op.unpartition_table), and "
        "partition it again afterwards (op.partition_table).",
        "op.alter_column('events', 'created_at', type_=__import__('sqlalchemy').Date())",
        (
            UNPARTITION,
            Meant("op.alter_column('events', 'created_at', type_=__import__('sqlalchemy').Date())"),
            Meant(f"op.partition_table('events', {WHOLE}, primary_key=['id', 'created_at'])"),
        ),
    ),
    refused(
        "op.create_index('i', ..., postgresql_concurrently=True): events is partitioned, and PostgreSQL can't do that; "
        "nothing was changed. op.create_partitioned_index() with the same arguments, without that one, builds the index "
        "of each partition concurrently.",
        "op.create_index('i', 'events', ['id'], postgresql_concurrently=True)",
        Meant("op.create_partitioned_index('i', 'events', ['id'])"),
    ),
    refused(
        "op.drop_index('i', ..., postgresql_concurrently=True): it is the index of a partitioned table, and PostgreSQL "
        "can't do that; nothing was changed. op.drop_partitioned_index() locks the table for an instant only, and gives "
        "up rather than queue.",
        "op.drop_index('i', 'events', postgresql_concurrently=True)",
        Meant("op.drop_partitioned_index('i', 'events')"),
        given=(Box.create, "CREATE INDEX i ON events (id)"),
    ),
    refused(
        "op.drop_table('events_p20300601'): it is a partition of public.events, and its rows would be lost; nothing was "
        "changed. If autogenerate wrote this, take the line out and put 'import alembic_ext.autogenerate' into env.py; if it is "
        "meant, write op.drop_partition('events_p20300601', 'events').",
        "op.drop_table('events_p20300601')",
        "op.drop_partition('events_p20300601', 'events')",
    ),
    refused(
        "op.drop_table('A 1'): it is a partition of Odd s.A b, and its rows would be lost; nothing was changed. If "
        "autogenerate wrote this, take the line out and put 'import alembic_ext.autogenerate' into env.py; if it is "
        "meant, write op.drop_partition('A 1', 'A b', schema='Odd s', partition_schema='public').",
        "op.drop_table('A 1', schema='public')",
        "op.drop_partition('A 1', 'A b', schema='Odd s', partition_schema='public')",
        given=(
            'CREATE SCHEMA "Odd s"',
            'CREATE TABLE "Odd s"."A b" (id int) PARTITION BY LIST (id)',
            'CREATE TABLE "A 1" PARTITION OF "Odd s"."A b" FOR VALUES IN (1)',
        ),
    ),
    refused(
        "op.drop_table('x'): this script makes it a partition, and its rows would be lost; if it is meant, write "
        "op.drop_partition('x', ...).",
        SQL,
        (
            script(f"{LISTED}\nop.create_partition('x', 'events', values=[1])\nop.drop_partition('x', 'events')"),
            Meant(SQL),
        ),
        given=(script(f"{LISTED}\nop.create_partition('x', 'events', values=[1])\nop.drop_table('x')"),),
    ),
    refused(
        "op.provision_partitions('events', ...) with --sql knows the key's types only when the same script creates the "
        "table; begin the script at that revision, or run this migration on a connection",
        last_as_sql,  # type: ignore[arg-type]
        Meant(SQL),
        ONLINE,
        given=(script(TABLE), second(PROVISION)),
    ),
    refused(
        "op.create_partition('x', ..., partition_by=PartitionByHash('id', modulus=2)) with --sql knows the types of the "
        "key only when the same script creates the table; write partition_by='RANGE (...)' as text, or run this migration "
        "on a connection",
        last_as_sql,  # type: ignore[arg-type]
        Meant(SQL),
        ONLINE,
        (script(IN_PARTS.format("'HASH (id)'")), Meant(SQL)),
        given=(script(LISTED), second(IN_PARTS.format("PartitionByHash('id', modulus=2)"))),
    ),
    refused(
        "op.create_partition('x', ...) lacks the bound, such as values=",
        SQL,
        (script("op.create_partition('x', 'events', values=[1])"), Meant(SQL)),
        given=(script("op.create_partition('x', 'events')"),),
    ),
    refused(
        "op.partition_table('events', ...) needs a live connection and can't be written with --sql; it has to look at the "
        "table. Run this migration on a connection.",
        SQL,
        ONLINE,
        given=(PLAIN, script(f"op.partition_table('events', {WHOLE}, primary_key=['id', 'created_at'])")),
    ),
)
