"""What the package does to a database, one function a kind of work; each is recorded by ``test_golden.py``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    create_engine,
    select,
)
from sqlalchemy.schema import CreateTable

from sa_partman import (
    Archive,
    Converter,
    Maintainer,
    PartitionByHash,
    PartitionByList,
    PartitionByRange,
    Retention,
)
from sa_partman.cli.conversion_words import script_lines
from sa_partman.engine.conversion import SWAP
from tests.golden.recorder import Recorder
from tests.migrations.project import COUNTRIES, EVENTS, Project, body
from tests.support import converting
from tests.support.builders import at
from tests.support.database import new_table, partitions, sql

NOW = "2030-06-15"
MONTHLY = PartitionByRange("created_at", interval="1 month", premake=1)
COLUMNS = "id bigint NOT NULL, created_at timestamptz NOT NULL, tenant text NOT NULL DEFAULT 't1', region text"

Scenario = Callable[[Recorder, Path], None]
SCENARIOS: dict[str, Scenario] = {}


def scenario(play: Scenario) -> Scenario:
    SCENARIOS[play.__name__] = play
    return play


def _upkeep(recorder: Recorder, metadata: MetaData | Table, now: str = NOW, **options: Any) -> Maintainer:
    known = metadata.metadata if isinstance(metadata, Table) else metadata
    return Maintainer(recorder.engine, known, now=at(now), **options)


def _by_hand(recorder: Recorder, strategy: str = "RANGE (created_at)", more: str = "") -> None:
    ref = "ref uuid NOT NULL DEFAULT gen_random_uuid()"
    sql(recorder.engine, f"CREATE TABLE events ({COLUMNS}, {ref}{more}) PARTITION BY {strategy}")


# -- conversion


@scenario
def conversion(recorder: Recorder, folder: Path) -> None:
    converting.set_up(recorder.engine, 100)
    with recorder.part("convert"):
        converting.converter(recorder.engine).convert("events")
    with recorder.part("undo"):
        converting.converter(recorder.engine).undo("events")


@scenario
def conversion_taken_back(recorder: Recorder, folder: Path) -> None:
    converting.set_up(recorder.engine, 100)
    names = [each.id for each in converting.converter(recorder.engine).plan("events").steps]
    for name in names[: names.index(SWAP)]:
        _interrupted(recorder, name)
        with recorder.part(f"abort after {name}"):
            converting.converter(recorder.engine).abort("events")
    _interrupted(recorder, names[-2])
    with recorder.part(f"resume after {names[-2]}"):
        converting.converter(recorder.engine).resume("events")


def _interrupted(recorder: Recorder, step: str) -> None:
    """A conversion that ended right after *step*."""

    def stop(reported: Any, *_: object) -> None:
        if reported.id == step:
            raise _Stop

    with suppress(_Stop):
        converting.converter(recorder.engine).convert("events", report=stop)


class _Stop(Exception):
    pass


@scenario
def conversion_of_much(recorder: Recorder, folder: Path) -> None:
    """A key of a name to be quoted, tables that refer to it, privileges, policies, a publication, options."""
    sql(
        recorder.engine,
        """
        CREATE ROLE golden_reader;
        CREATE TABLE "Odd" (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "at%" date NOT NULL, code text UNIQUE, body text
        ) WITH (fillfactor = 80);
        CREATE TABLE notes (id int PRIMARY KEY, odd_id bigint CONSTRAINT of_odd REFERENCES "Odd" ON DELETE CASCADE);
        ALTER TABLE "Odd" ENABLE ROW LEVEL SECURITY, REPLICA IDENTITY FULL;
        CREATE POLICY seen ON "Odd" FOR SELECT TO golden_reader USING (code IS NOT NULL);
        GRANT SELECT ON "Odd" TO golden_reader;
        GRANT UPDATE (body) ON "Odd" TO golden_reader;
        CREATE STATISTICS odd_stats ON id, code FROM "Odd";
        ALTER TABLE "Odd" ALTER COLUMN code SET STATISTICS 300;
        CREATE PUBLICATION odd FOR TABLE "Odd";
        COMMENT ON COLUMN "Odd".body IS 'said: 100%';
        INSERT INTO "Odd" ("at%", code) SELECT date '2030-01-01' + i, i FROM generate_series(1, 100) i
        """,
    )
    metadata = MetaData()
    Table(
        "Odd",
        metadata,
        Column("id", BigInteger, Identity(always=True), autoincrement=True),
        Column("at%", Date),
        Column("code", Text),
        PrimaryKeyConstraint("id", "at%"),
        PartitionByRange("at%", interval="1 month", premake=1),
    )
    converter = Converter(recorder.engine, metadata, now=at(NOW))
    plan = converter.plan("Odd")
    recorder.text("refused", "\n".join(each.what for each in plan.refusals))
    sql(recorder.engine, 'ALTER TABLE "Odd" DROP CONSTRAINT "Odd_code_key"; ALTER TABLE notes DROP CONSTRAINT of_odd')
    with recorder.part("convert"):
        converter.convert("Odd")
    with recorder.part("undo"):
        converter.undo("Odd")
    sql(recorder.engine, 'DROP TABLE "Odd", notes; DROP ROLE golden_reader')


# -- maintenance


@scenario
def ranges(recorder: Recorder, folder: Path) -> None:
    table = new_table(MONTHLY.with_(retention=Retention("2 months", then="drop"), default=True))
    _by_hand(recorder)
    with recorder.part("the first run"):
        _upkeep(recorder, table).run()
    with recorder.part("the second one"):
        _upkeep(recorder, table).run()
    sql(
        recorder.engine, "INSERT INTO events (id, created_at) VALUES (1, '2030-08-15 00:00Z'), (2, '2031-08-15 00:00Z')"
    )
    with recorder.part("rows leave the default partition"):
        _upkeep(recorder, table, "2030-07-15").run()
    with recorder.part("a partition has expired"):
        _upkeep(recorder, table, "2030-10-15").run()
    with recorder.part("what create_all sends"):
        table.drop(recorder.engine)
        table.create(recorder.engine)


@scenario
def retention(recorder: Recorder, folder: Path) -> None:
    """Detached with a grace, moved to another schema, archived and restored."""
    sql(recorder.engine, "CREATE SCHEMA attic")
    table = new_table(MONTHLY.with_(retention=Retention("1 month", then="drop", grace="10 days")))
    _by_hand(recorder)
    _upkeep(recorder, table).run()
    with recorder.part("detached"):
        _upkeep(recorder, table, "2030-08-15").prune()
    with recorder.part("its grace has ended"):
        _upkeep(recorder, table, "2031-08-15").prune()
    sql(recorder.engine, "DROP TABLE events")
    _by_hand(recorder)
    table = new_table(MONTHLY.with_(retention=Retention("1 month", then=Archive(folder))))
    _upkeep(recorder, table).run()
    sql(recorder.engine, "INSERT INTO events (id, created_at) VALUES (1, '2030-06-15 00:00Z')")
    with recorder.part("archived"):
        _upkeep(recorder, table, "2030-08-15").prune()
    (manifest,) = [str(each) for each in folder.glob("*0601.manifest.json")]
    with recorder.part("restored"):
        _upkeep(recorder, table, "2030-08-15").restore(manifest)


@scenario
def keys(recorder: Recorder, folder: Path) -> None:
    """Integers, UUIDv7, several columns, expressions of a list, hashes, sub-partitions, tenants."""
    metadata = MetaData()
    tenants = Table("tenants", metadata, Column("name", Text, primary_key=True))
    Table("numbers", metadata, _id(), PartitionByRange("id", interval=1000, premake=1))
    Table("ids", metadata, Column("id", Uuid, nullable=False), PartitionByRange("id", interval="1 month"))
    Table("shards", metadata, _id(), PartitionByHash("id", modulus=2))
    Table("regions", metadata, Column("r", Text), PartitionByList("r", values={"eu": ["de", "fr"]}, default=True))
    daily = PartitionByRange("at", interval="1 day", premake=0)
    by_tenant = PartitionByList("t", values=select(tenants.c.name), subpartition=daily)
    Table("rooms", metadata, Column("t", Text, nullable=False), _when(), by_tenant)
    pairs = PartitionByRange("t", "at", interval="1 month", premake=0, tenants=select(tenants.c.name))
    Table("pairs", metadata, Column("t", Text, nullable=False), _when(), pairs)
    tenants.create(recorder.engine)
    _create(recorder, metadata)
    sql(recorder.engine, "INSERT INTO tenants VALUES ('a'), ('B c')")
    with recorder.part("run"):
        _upkeep(recorder, metadata).run()
    sql(recorder.engine, "DELETE FROM tenants WHERE name = 'a'")
    with recorder.part("a tenant's branch is dropped"):
        _upkeep(recorder, metadata).prune(tables=["rooms"], tenants=["a"])


def _id() -> Column[int]:
    return Column("id", BigInteger, nullable=False)


def _when() -> Column[datetime]:
    return Column("at", DateTime(timezone=True), nullable=False)


def _create(recorder: Recorder, metadata: MetaData) -> None:
    """The tables without the partitions that ``create_all()`` makes by the server's clock."""
    with recorder.engine.begin() as connection:
        for table in metadata.sorted_tables:
            if table.name != "tenants":
                connection.execute(CreateTable(table))


@scenario
def members(recorder: Recorder, folder: Path) -> None:
    """A new partition becomes a full member of its table; one that has drifted is repaired."""
    sql(recorder.engine, "CREATE TABLE orgs (id bigint PRIMARY KEY)")
    _by_hand(recorder, more=", org bigint REFERENCES orgs, PRIMARY KEY (id, created_at)")
    sql(
        recorder.engine,
        """
        DROP ROLE IF EXISTS golden_reader;
        CREATE ROLE golden_reader;
        ALTER TABLE events ENABLE ROW LEVEL SECURITY;
        ALTER TABLE events FORCE ROW LEVEL SECURITY;
        CREATE POLICY seen ON events FOR SELECT TO golden_reader USING (tenant = 't1');
        GRANT SELECT ON events TO golden_reader;
        GRANT UPDATE (region) ON events TO golden_reader;
        ALTER TABLE events ALTER COLUMN tenant SET STATISTICS 500;
        ALTER TABLE events ALTER COLUMN tenant SET (n_distinct = 40);
        CREATE INDEX ix ON events (tenant);
        CREATE PUBLICATION p FOR TABLE events WITH (publish_via_partition_root = false)
        """,
    )
    metadata = MetaData()
    Table("orgs", metadata, Column("id", BigInteger, primary_key=True))
    org = Column("org", BigInteger, ForeignKey("orgs.id"))
    table = new_table(MONTHLY, org, metadata=metadata)
    with recorder.part("provision"):
        _upkeep(recorder, table).provision()
    name = next(iter(partitions(recorder.engine)))
    sql(
        recorder.engine,
        f"REVOKE ALL ON {name} FROM golden_reader; ALTER TABLE {name} DISABLE ROW LEVEL SECURITY; "
        f"DROP POLICY seen ON {name}; ALTER TABLE {name} ALTER COLUMN tenant RESET (n_distinct)",
    )
    with recorder.part("repair"):
        _upkeep(recorder, table).run(repair=True)
    sql(recorder.engine, "DROP TABLE events; DROP ROLE golden_reader")


@scenario
def repairs(recorder: Recorder, folder: Path) -> None:
    """Detached by hand, a pending detach, an orphan, an index that was not finished, another interval."""
    table = new_table(MONTHLY)
    _by_hand(recorder)
    _upkeep(recorder, table).run()
    first, second = partitions(recorder.engine)
    sql(recorder.engine, f"ALTER TABLE events DETACH PARTITION {second}")
    with recorder.part("attached again"):
        _upkeep(recorder, table).run(repair=True)
    sql(recorder.engine, f"UPDATE pg_inherits SET inhdetachpending = true WHERE inhrelid = CAST('{first}' AS regclass)")
    with recorder.part("a pending detach"):
        _upkeep(recorder, table).run(repair=True)
    with recorder.part("regrid"):
        _upkeep(recorder, new_table(MONTHLY.with_(interval="10 days"))).run(regrid=True)
    sql(recorder.engine, f"COMMENT ON TABLE {first} IS NULL")
    with recorder.part("adopt"):
        _upkeep(recorder, new_table(MONTHLY.with_(retention=Retention("1 month", then="drop")))).run(adopt=True)


# -- migrations


@scenario
def operations(recorder: Recorder, folder: Path) -> None:
    """Each operation of a migration, there and back."""
    project = _project(recorder, folder)
    project.migrate(COUNTRIES.replace("]})", "]}, default=True)") + EVENTS)
    engine = create_engine(project.url)
    default = "INSERT INTO orders (country) VALUES ('jp'), ('xx')"
    bound = "lower='2031-01-01 00:00:00+00:00', upper='2031-02-01 00:00:00+00:00'"
    for name, upgrade, downgrade in (
        ("create", "op.create_partition('o', 'orders', values=['jp'])", ""),
        ("drop", "", "op.drop_partition('o', 'orders', rows_to_default=True)"),
        ("create a range", f"op.create_partition('e', 'events', {bound})", ""),
        ("detach", "op.detach_partition('e', 'events')", f"op.attach_partition('e', 'events', {bound})"),
        (
            "index",
            "op.create_partitioned_index('ix', 'events', ['kind', 'id'])",
            "op.drop_partitioned_index('ix', 'events')",
        ),
        (
            "provision",
            "op.provision_partitions('events', PartitionByRange('created_at', interval='1 month', premake=7))",
            "",
        ),
    ):
        sql(engine, default)
        project.written(upgrade or "pass", downgrade or "pass", "from sa_partman import PartitionByRange")
        with recorder.part(f"{name}: upgrade"):
            project.upgrade()
        if downgrade:
            with recorder.part(f"{name}: downgrade"):
                project.downgrade("-1")
            project.upgrade()
    engine.dispose()


@scenario
def revisions(recorder: Recorder, folder: Path) -> None:
    """What autogenerate writes, what it does, and what ``--sql`` prints."""
    project = _project(recorder, folder)
    plain = EVENTS.replace("(Partitioned, Base)", "(Base)")
    plain = "\n".join(line for line in plain.splitlines() if "__partition__" not in line).replace(
        "(timezone=True), primary_key=True)", "(timezone=True))"
    )
    for title, models in (
        ("plain", plain),
        ("converted", EVENTS),
        ("an index", EVENTS + "    note: Mapped[str | None] = mapped_column(index=True)\n"),
        ("a list", EVENTS + COUNTRIES),
        ("other values", EVENTS + COUNTRIES.replace('"us": ["us"]', '"us": ["us", "ca"], "asia": ["jp"]')),
        ("no list", EVENTS),
    ):
        project.models(models)
        written = project.revision(title)
        recorder.text(f"{title}: written", f"{body(written)}\n-- back\n{body(written, 'downgrade')}")
        with recorder.part(f"{title}: upgrade"):
            project.upgrade()
        with recorder.part(f"{title}: downgrade"):
            project.downgrade("-1")
        project.upgrade()


@scenario
def scripts(recorder: Recorder, folder: Path) -> None:
    """What ``plan --sql`` and ``convert --sql`` print."""
    converting.set_up(recorder.engine, 100)
    converter = converting.converter(recorder.engine)
    plan = converter.plan("events")
    recorder.text("convert --sql", "\n".join(script_lines(plan, converter.estimate("events"), converter.lock)))
    converting.converter(recorder.engine).convert("events")
    later = Maintainer(recorder.engine, converting.metadata(), now=at("2030-08-15"))
    recorder.text("plan --sql", later.plan().sql())


def _project(recorder: Recorder, folder: Path) -> Project:
    return Project(folder, recorder.engine.url.render_as_string(hide_password=False))
