"""Names: hostile ones, taken ones, long ones."""

from __future__ import annotations

import pytest
from sqlalchemy import BigInteger, Column, DateTime, Engine, MetaData, Table
from sqlalchemy.schema import CreateTable

from sa_partman import PartitionByHash, PartitionByList, PartitionByRange, Retention
from sa_partman.marks import marked
from sa_partman.names import QualifiedName
from tests.support.database import codes, made, new_table, outcomes, partitions, put, relations, scalar, sql, upkeep
from tests.support.faces import Face

NOW = "2026-01-15"
MONTHLY = PartitionByRange("created_at", interval="1 month", premake=0)
HOSTILE = [
    "table's name",
    "order",
    "MixedCase",
    "e" * 63,
    'the "events"',
    "per%cent",
    "co:lon",
    "été日本",
    "a.b",
    "x y",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tables_schemas_and_columns(engine: Engine, name: str) -> None:
    """Created, provisioned, checked, detached, dropped: every statement quotes what it has to."""
    sql(engine, 'CREATE SCHEMA "' + name.replace('"', '""').replace(":", "\\:") + '"')
    column = name[:60]
    spec = PartitionByRange(
        column,
        interval="1 month",
        premake=0,
        default=True,
        retention={"never": Retention("1 month")},
        subpartition=PartitionByHash(column, modulus=2),
    )
    metadata = MetaData()
    columns = (Column("id", BigInteger), Column(column, DateTime(timezone=True), nullable=False))
    table = Table(name, metadata, *columns, spec, schema=name)
    table.create(engine)
    with engine.begin() as connection:
        connection.execute(table.insert(), {"id": 1, column: "1999-01-01T00:00:00+00:00"})
    first = upkeep(engine, metadata, "2031-01-15").run()
    gone = Table(
        name, MetaData(), *(each._copy() for each in columns), spec.with_(retention=Retention("1 month")), schema=name
    )
    second = upkeep(engine, gone.metadata, "2036-01-15").run()

    assert first.ok, str(first)
    assert second.ok, str(second)
    assert not upkeep(engine, gone.metadata, "2036-01-15").plan()
    assert {"default-rows", "detached"} == set(codes(upkeep(engine, gone.metadata, "2036-01-15").check()))
    assert upkeep(engine, gone.metadata, "2036-01-15").status()[0].partitions


def test_tables_in_several_schemas(engine: Engine) -> None:
    """Two tables of one name never touch each other."""
    metadata = MetaData()
    for schema in ("one", "two"):
        sql(engine, f"CREATE SCHEMA {schema}")
        new_table(MONTHLY, metadata=metadata, schema=schema)
    metadata.create_all(engine)
    sql(engine, "DROP TABLE " + ", ".join(f"two.{name}" for name in partitions(engine, "two.events")))
    result = upkeep(engine, metadata, "2031-01-15").run(tables=["two.events"])

    assert ["two"] == [step.step.partition.schema for step in result.steps]
    assert "events_p20310101" not in partitions(engine, "one.events")


def test_a_table_that_the_search_path_finds(engine: Engine) -> None:
    """Without a schema it means the session's default one, whatever that is."""
    sql(engine, f"CREATE SCHEMA app; ALTER DATABASE {engine.url.database} SET search_path = app, public")
    engine.dispose()
    table = new_table(MONTHLY)
    table.create(engine)
    result = upkeep(engine, table, "2031-01-15").run()

    assert result.ok
    assert "app.events_p20310101" in relations(engine)


@pytest.mark.parametrize(
    ("statement", "held_by"),
    [
        ("CREATE TABLE events_p20260101 (x int)", "a table"),
        ("CREATE VIEW events_p20260101 AS SELECT 1", "a view"),
        ("CREATE SEQUENCE events_p20260101", "a sequence"),
        ("CREATE TYPE events_p20260101 AS (x int)", "a composite type"),
        ("CREATE TYPE events_p20260101 AS ENUM ('x')", "a type"),
        ("CREATE DOMAIN events_p20260101 AS int", "a type"),
        (
            "CREATE TABLE o (at date) PARTITION BY RANGE (at); CREATE TABLE events_p20260101 PARTITION OF o DEFAULT",
            "a table, a partition of public.o",
        ),
    ],
)
def test_a_name_that_is_taken(engine: Engine, statement: str, held_by: str) -> None:
    """The error names who has it; nothing was created; the other partitions were."""
    table = new_table(MONTHLY.with_(premake=1))
    sql(engine, "CREATE TABLE events (id bigint, created_at timestamptz) PARTITION BY RANGE (created_at)")
    sql(engine, statement)
    result = upkeep(engine, table, NOW).run()

    assert ["failed", "done"] == outcomes(result)
    assert f"public.events_p20260101: the name is taken by {held_by}" in result.steps[0].error
    assert "nothing was created" in result.steps[0].error
    assert ["events_p20260201"] == list(partitions(engine))


def test_a_taken_name_of_a_tenant_asked_for_at_run_time(engine: Engine) -> None:
    """It is no less of an error."""
    table = new_table(PartitionByList("tenant"))
    table.create(engine)
    sql(engine, "CREATE TABLE events_t1 (x int)")
    result = upkeep(engine, table).provision(tenants=["t1"])

    assert ["failed"] == outcomes(result)
    assert "the name is taken by a table" in result.steps[0].error


def test_a_taken_name_inside_a_new_branch(engine: Engine) -> None:
    """The one that is taken is named, not the branch around it."""
    table = new_table(MONTHLY.with_(subpartition=PartitionByHash("id", modulus=2)))
    sql(engine, "CREATE TABLE events (id bigint, created_at timestamptz) PARTITION BY RANGE (created_at)")
    sql(engine, "CREATE TABLE events_p20260101_h1 (x int)")
    result = upkeep(engine, table, NOW).run()

    assert ["failed"] == outcomes(result)
    assert "events_p20260101_h1" in result.steps[0].error
    assert {} == partitions(engine)


def test_a_name_that_another_partition_of_the_table_has(engine: Engine) -> None:
    """The missing one gets another, so that no insert fails for a name's sake."""
    table = new_table(MONTHLY)
    sql(engine, "CREATE TABLE events (id bigint, created_at timestamptz) PARTITION BY RANGE (created_at)")
    sql(engine, "CREATE TABLE events_p20260101 PARTITION OF events FOR VALUES FROM ('1999-01-01') TO ('1999-02-01')")
    result = upkeep(engine, table, NOW).run()

    assert result.ok, str(result)
    assert 1 == len([name for name in partitions(engine) if name.startswith("events_p20260101_")])
    assert not upkeep(engine, table, NOW).plan()


def test_a_stand_alone_table_with_our_mark_is_attached_again(engine: Engine) -> None:
    """It fits and it is ours."""
    table = new_table(MONTHLY)
    table.create(engine)
    sql(engine, "CREATE TABLE events_p20310101 (LIKE events)")
    mark = marked(QualifiedName("public", "events"), "my own").replace("'", "''").replace(":", "\\:")
    sql(engine, f"COMMENT ON TABLE events_p20310101 IS '{mark}'")
    sql(
        engine,
        "INSERT INTO events_p20310101 (id, created_at, ref, tenant) VALUES (1, '2031-01-05', gen_random_uuid(), 't')",
    )
    result = upkeep(engine, table, "2031-01-15").run()

    assert result.ok, str(result)
    assert "events_p20310101" in made(result)
    assert 1 == scalar(engine, "SELECT count(*) FROM events")
    assert "my own" == scalar(engine, "SELECT obj_description('events_p20310101'::regclass)")


def test_a_marked_table_that_does_not_fit(engine: Engine) -> None:
    """A row of another month: PostgreSQL refuses, the error says so, and nothing is changed."""
    table = new_table(MONTHLY)
    table.create(engine)
    sql(engine, "CREATE TABLE events_p20310101 (LIKE events)")
    sql(engine, 'COMMENT ON TABLE events_p20310101 IS \'sa_partman\\: detached from "public"."events"\'')
    sql(
        engine,
        "INSERT INTO events_p20310101 (id, created_at, ref, tenant) VALUES (1, '1999-01-05', gen_random_uuid(), 't')",
    )
    result = upkeep(engine, table, "2031-01-15").run()

    step = next(each for each in result.steps if each.step.partition.name == "events_p20310101")
    assert step.failed
    assert "rolled back" in step.error
    assert "events_p20310101" not in partitions(engine)


def test_a_marked_table_of_another_parent_is_refused(engine: Engine) -> None:
    """It is ours and not of this table."""
    table = new_table(MONTHLY)
    table.create(engine)
    sql(engine, "CREATE TABLE events_p20310101 (LIKE events)")
    sql(engine, 'COMMENT ON TABLE events_p20310101 IS \'sa_partman\\: detached from "public"."visits"\'')
    result = upkeep(engine, table, "2031-01-15").run()

    assert "failed" in outcomes(result)
    assert "the name is taken by a table" in str(result)


def test_parents_that_share_60_bytes(engine: Engine) -> None:
    """Their partitions differ, and the next run recognizes its own."""
    metadata = MetaData()
    for ending in ("a", "b"):
        new_table(MONTHLY, metadata=metadata, name="e" * 60 + ending).create(engine)
    result = upkeep(engine, metadata, "2031-01-15").run()

    assert result.ok, str(result)
    assert not upkeep(engine, metadata, "2031-01-15").plan()


def test_a_renamed_partition_is_the_same_partition(engine: Engine) -> None:
    """Known by its bound."""
    table = new_table(MONTHLY)
    table.create(engine)
    upkeep(engine, table, NOW).run()
    sql(engine, 'ALTER TABLE events_p20260101 RENAME TO "January!"')

    assert not upkeep(engine, table, NOW).plan()
    put(engine, table, NOW)


def test_a_template(engine: Engine) -> None:
    """What the declaration says, at every level."""
    spec = PartitionByRange(
        "created_at",
        interval="1 month",
        premake=0,
        name="{table}__{lower:%Y_%m}",
        subpartition=PartitionByHash("id", modulus=2, name="{table}__part{remainder}of{modulus}"),
    )
    sql(engine, "CREATE TABLE events (id bigint, created_at timestamptz) PARTITION BY RANGE (created_at)")
    upkeep(engine, new_table(spec), NOW).run()

    assert ["events__2026_01"] == list(partitions(engine))
    assert ["events__2026_01__part0of2", "events__2026_01__part1of2"] == list(partitions(engine, "events__2026_01"))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tables_on_every_driver(async_face: Face, engine: Engine, name: str) -> None:
    """Each driver has its own idea of what % means; locks are asked for with a statement of our own."""
    spec = MONTHLY.with_(default=True, retention=Retention("1 month", then="drop"))
    table = new_table(spec, name=name)
    with engine.begin() as connection:
        connection.execute(CreateTable(table))
    for month in ("2026-01-15", "2026-03-15"):
        result = async_face.maintainer(table.metadata, now=month).run()

        assert result.ok, str(result)
