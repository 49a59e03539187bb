"""One model in many schemas: maps, lists of names, a select() of names; names and DDL are those of the real schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, Engine, MetaData, PrimaryKeyConstraint, Table, Text, create_engine, select

from sa_partman import Maintainer, PartitionByList, PartitionByRange
from sa_partman.errors import CatalogError, ConfigurationError, DeclarationError
from sa_partman.maintenance.results import RunResult
from tests.support.builders import at
from tests.support.counting import statements
from tests.support.database import codes, made, new_table, relations, sql, unreadable
from tests.support.faces import ASYNC_FACES, opened

NOW = at("2024-01-15")
MONTHLY = PartitionByRange("created_at", interval="1 month", premake=0)
MADE = "events_p20240101"


def create(engine: Engine, *schemas: str, table: str = "events") -> None:
    for schema in schemas:
        sql(engine, f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        sql(
            engine,
            f'CREATE TABLE "{schema}".{table} (id bigint, created_at timestamptz, tenant text, region text, ref uuid) '
            "PARTITION BY RANGE (created_at)",
        )


def events(**changes: Any) -> Table:
    return new_table(MONTHLY, **changes)


def run(engine: Engine, table: Table, **options: Any) -> RunResult:
    return Maintainer(engine, table.metadata, now=NOW, **options).run()


def names(result: RunResult) -> list[str]:
    return [str(step.step.partition) for step in result.steps if not step.failed]


@pytest.fixture
def mapped(engine: Engine) -> Iterator[Engine]:
    """An engine whose map swaps two schemas and moves what has none: whoever translates twice is wrong everywhere."""
    create(engine, "a", "b", "t1")
    other = create_engine(engine.url)
    yield other.execution_options(schema_translate_map={None: "t1", "a": "b", "b": "a", "public": "a"})
    other.dispose()


def test_the_map_of_the_engine(mapped: Engine) -> None:
    metadata = MetaData()
    tables = [events(metadata=metadata), events(metadata=metadata, schema="a"), events(metadata=metadata, schema="b")]
    result = run(mapped, tables[0])

    assert sorted(names(result)) == [f"a.{MADE}", f"b.{MADE}", f"t1.{MADE}"]
    assert result.ok
    assert not Maintainer(mapped, metadata, now=NOW).plan()


def test_each_schema_of_the_map_by_itself(mapped: Engine, engine: Engine) -> None:
    run(mapped, events(schema="a"))

    assert f"b.{MADE}" in relations(engine)
    assert f"a.{MADE}" not in relations(engine)


@pytest.mark.parametrize("name", ASYNC_FACES)
def test_the_map_of_an_asynchronous_engine(engine: Engine, database_url: str, name: str) -> None:
    create(engine, "t1")
    with opened(name, database_url) as face:
        face.engine = face.engine.execution_options(schema_translate_map={None: "t1"})
        result = face.maintainer(events(), NOW).run()

    assert [f"t1.{MADE}"] == names(result)


def test_a_list_of_schemas(engine: Engine) -> None:
    create(engine, "t1", "T 2")
    result = run(engine, events(), schemas=["t1", "T 2", "t1"])

    assert [f"t1.{MADE}", f"T 2.{MADE}"] == names(result)
    assert not run(engine, events(), schemas=["t1", "T 2"])


def test_one_schema(engine: Engine) -> None:
    create(engine, "t1")

    assert [f"t1.{MADE}"] == names(run(engine, events(), schemas="t1"))


def test_tables_of_a_schema_of_their_own_stay_there(engine: Engine) -> None:
    create(engine, "t1", "t2", "shared")
    metadata = MetaData()
    events(metadata=metadata, schema="shared")

    assert [f"shared.{MADE}", f"t1.{MADE}", f"t2.{MADE}"] == sorted(
        names(run(engine, events(metadata=metadata), schemas=["t1", "t2"]))
    )


def test_a_symbolic_schema_is_mapped_for_each(engine: Engine) -> None:
    create(engine, "t1", "t2")
    result = run(engine, events(schema="tenant"), schemas=[{"tenant": "t1"}, {"tenant": "t2"}])

    assert [f"t1.{MADE}", f"t2.{MADE}"] == names(result)


def test_a_new_row_is_a_new_schema_at_the_next_run(engine: Engine) -> None:
    create(engine, "t1", "t2")
    orgs = Table("orgs", MetaData(), Column("name", Text, primary_key=True))
    orgs.create(engine)
    sql(engine, "INSERT INTO orgs VALUES ('t1')")
    maintainer = Maintainer(engine, events().metadata, now=NOW, schemas=select(orgs.c.name).order_by(orgs.c.name))
    first = maintainer.run()
    sql(engine, "INSERT INTO orgs VALUES ('t2')")

    assert [f"t1.{MADE}"] == names(first)
    assert [f"t2.{MADE}"] == names(maintainer.run())


def test_no_schema_at_all(engine: Engine) -> None:
    create(engine, "public")

    assert not run(engine, events(), schemas=[])


@pytest.mark.parametrize("source", [lambda: ["t1"], lambda connection: {"t1"}, lambda: "t1"])
def test_a_callable(engine: Engine, source: Any) -> None:
    create(engine, "t1")

    assert [f"t1.{MADE}"] == names(run(engine, events(), schemas=source))


def test_a_schema_that_lacks_the_table_concerns_itself_alone(engine: Engine) -> None:
    create(engine, "t1", "t3")
    result = run(engine, events(), schemas=["t1", "t2", "t3"])

    assert [f"t1.{MADE}", f"t3.{MADE}"] == names(result)
    assert [("missing-table", "t2.events")] == [(each.code, each.table) for each in result.findings]
    assert not result.ok


def test_checks_and_status_name_the_schema(engine: Engine) -> None:
    create(engine, "t1", "t2")
    maintainer = Maintainer(engine, events().metadata, now=NOW, schemas=["t1", "t2"])

    assert ["t1.events", "t2.events"] == [each.table for each in maintainer.status()]
    assert {"t1.events", "t2.events"} == {each.table for each in maintainer.check() if each.code == "no-current"}


def test_every_schema_has_its_own_tenants(engine: Engine) -> None:
    metadata = MetaData()
    orgs = Table("orgs", metadata, Column("name", Text, primary_key=True))
    spec = PartitionByList("tenant", values=select(orgs.c.name))
    table = new_table(spec, metadata=metadata)
    for schema, org in (("t1", "acme"), ("t2", "umbrella")):
        sql(engine, f"CREATE SCHEMA {schema}")
        sql(engine, f"CREATE TABLE {schema}.orgs (name text)")
        sql(engine, f"INSERT INTO {schema}.orgs VALUES ('{org}')")
        sql(engine, f"CREATE TABLE {schema}.events (LIKE {schema}.orgs, tenant text) PARTITION BY LIST (tenant)")

    assert ["t1.events_acme", "t2.events_umbrella"] == names(run(engine, table, schemas=["t1", "t2"]))


def test_as_many_queries_for_many_schemas_as_for_one(engine: Engine) -> None:
    schemas = [f"t{number}" for number in range(5)]
    create(engine, *schemas)
    table = events()
    run(engine, table, schemas=schemas)
    counted = []
    for some in (schemas[:1], schemas):
        maintainer = Maintainer(engine, table.metadata, now=NOW, schemas=some)
        with statements(engine) as seen:
            assert [] == made(maintainer.run())
        counted.append(len(seen))

    assert counted[0] == counted[1]


def test_a_branch_of_one_schema_only(engine: Engine) -> None:
    create(engine, "t1", "t2")

    with pytest.raises(DeclarationError, match=r"t1\.events, t2\.events"):
        Maintainer(engine, events().metadata, schemas=["t1", "t2"]).drop_branch("events", "x")


@pytest.mark.parametrize("schemas", [7, [7], [""], lambda: [None]])
def test_what_names_no_schema_is_refused(engine: Engine, schemas: Any) -> None:
    with pytest.raises(ConfigurationError, match="schemas="):
        run(engine, events(), schemas=schemas)


def test_a_select_that_fails(engine: Engine) -> None:
    gone = Table("gone", MetaData(), Column("name", Text))

    with pytest.raises(CatalogError, match=r"gone.*nothing was changed"):
        run(engine, events(), schemas=select(gone.c.name))


def test_a_locked_branch_of_one_schema(engine: Engine) -> None:
    create(engine, "t1", "t2")
    table = events()
    run(engine, table, schemas=["t1"])
    with unreadable(engine, f"t1.{table.name}"):
        result = run(engine, table, schemas=["t1", "t2"])

    assert [f"t2.{MADE}"] == names(result)
    assert ["locked"] == codes(result.findings)


def test_a_table_that_is_not_converted_yet(mapped: Engine) -> None:
    """Its model is found by its name; the schema is another one."""
    sql(mapped, "DROP TABLE b.events; CREATE TABLE b.events (id bigint PRIMARY KEY, created_at timestamptz NOT NULL)")
    model = new_table(MONTHLY, Column("id", BigInteger, autoincrement=False), schema="a")
    model.append_constraint(PrimaryKeyConstraint("created_at", "id"))

    assert {"lost-index"} < set(codes(Maintainer(mapped, model.metadata, now=NOW).check()))
