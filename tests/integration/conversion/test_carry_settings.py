"""What the table is told about its storage, its statistics and its replication."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from sa_partman import Maintainer, PartitionByRange
from tests.support.carrying import EVENTS, NOW, Case, carried, declared, refused, rows, run, value
from tests.support.database import sql

SETTINGS = {
    "extended statistics": "CREATE STATISTICS st (ndistinct, dependencies) ON kind, amount FROM events;"
    "ALTER STATISTICS st SET STATISTICS 123; COMMENT ON STATISTICS st IS 'it''s'",
    "expressions": 'CREATE STATISTICS "st ""%s"" FROM" ON lower(kind), (amount % 10) FROM events',
    "replica identity full": "ALTER TABLE events REPLICA IDENTITY FULL",
    "replica identity nothing": "ALTER TABLE events REPLICA IDENTITY NOTHING",
    "publication": "CREATE PUBLICATION p FOR TABLE events",
    "publication of inserts": "CREATE PUBLICATION \"p %s\" FOR TABLE events WITH (publish = 'insert')",
    "publication of all tables": "CREATE PUBLICATION p FOR ALL TABLES",
}


@pytest.mark.parametrize("feature", SETTINGS.values(), ids=SETTINGS.keys())
def test_it_is_carried_and_comes_back(engine: Engine, feature: str) -> None:
    """As it was."""
    case = carried(engine, feature)

    assert "" == case.back()


def test_statistics_in_another_schema_are_carried(engine: Engine) -> None:
    """They have a schema of their own."""
    setup = "CREATE SCHEMA other; CREATE STATISTICS other.st ON kind, amount FROM events"
    case = Case(engine, EVENTS + setup, schemas=("public", "other"))

    assert [] == case.lost
    assert "" == case.back()


def test_what_the_planner_is_told_goes_to_every_partition(engine: Engine) -> None:
    """Those made with the conversion, and those after it: none of them is handed it down."""
    setup = """ALTER TABLE events ALTER kind SET STATISTICS 500; ALTER TABLE events ALTER kind SET (n_distinct = 5);
        CREATE INDEX by_kind ON events (lower(kind)); ALTER INDEX by_kind ALTER COLUMN 1 SET STATISTICS 333;
        CREATE STATISTICS st ON kind, amount FROM events; ALTER STATISTICS st SET STATISTICS 44"""
    metadata = declared()
    case = Case(engine, EVENTS + setup, metadata)
    later = Maintainer(engine, metadata, now=NOW + timedelta(days=30))
    assert later.run().ok

    assert [] == case.lost
    told = """
        SELECT count(*),
            array_agg(DISTINCT (SELECT concat(attstattarget, ' ', o) FROM pg_attribute, unnest(attoptions) o
                WHERE attrelid = c.oid AND o LIKE 'n_dis%')),
            array_agg(DISTINCT (SELECT max(attstattarget) FROM pg_index x JOIN pg_attribute a ON attrelid = indexrelid
                WHERE indrelid = c.oid)),
            array_agg(DISTINCT (SELECT stxstattarget FROM pg_statistic_ext WHERE stxrelid = c.oid))
        FROM pg_class c WHERE relname = 'events' OR relispartition AND relkind = 'r'"""
    assert [(4, ["500 n_distinct=5"], [333], [44])] == rows(engine, told)
    assert [] == [each for each in later.check() if each.code == "membership"]


def test_storage_parameters_go_to_every_partition(engine: Engine) -> None:
    """The partitioned table itself has no storage; those of the TOAST table too."""
    setup = EVENTS + "ALTER TABLE events SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01,"
    case = Case(engine, setup + "toast.autovacuum_enabled = false)")
    options = "options: {fillfactor=70,autovacuum_vacuum_scale_factor=0.01}"

    for name in ("events_history", "events_p20240701"):
        assert case.has(f"table public.{name} {options}")
        assert case.has(f"table public.{name} toast options: {{autovacuum_enabled=false}}")
    assert "" == case.back()


def test_a_divided_partition_has_no_storage_parameters(engine: Engine) -> None:
    """Only what holds rows has; all below has everything else."""
    spec = PartitionByRange(
        "created_at", interval="1 month", premake=1, subpartition=PartitionByRange("id", interval=1000, premake=0)
    )
    setup = "CREATE TABLE kinds (kind text PRIMARY KEY); INSERT INTO kinds SELECT DISTINCT kind FROM events;"
    setup += "ALTER TABLE events ADD FOREIGN KEY (kind) REFERENCES kinds; ALTER TABLE events SET (fillfactor = 70)"
    case = Case(engine, EVENTS + setup, declared(spec=spec))

    assert case.has("table public.events_p20240701_p0 options: {fillfactor=70}")
    assert case.has("table public.events_p20240701 partition by: RANGE (id)")
    run(engine, "INSERT INTO events (id, created_at) VALUES (500, '2024-07-03')")
    assert 1 == value(engine, "SELECT count(*) FROM events_p20240701_p0")
    assert "" == case.back().replace("-sequence", "")


def test_tablespaces_are_carried(engine: Engine) -> None:
    """Of the table and of its indexes, to new partitions as well."""
    space = "sa_partman_space"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("SET allow_in_place_tablespaces = on")
        connection.exec_driver_sql(f"CREATE TABLESPACE {space} LOCATION ''")
        try:
            setup = f"ALTER TABLE events SET TABLESPACE {space}; ALTER INDEX events_pkey SET TABLESPACE {space};"
            case = Case(engine, EVENTS + setup + f"CREATE INDEX i ON events (kind) TABLESPACE {space}")
            placed = [line for line in case.converted if line.endswith(f"tablespace: {space}")]

            assert [] == case.lost
            assert 3 == len([line for line in placed if "events_p20240701" in line])
            assert 3 == len([line for line in placed if "events_history" in line])
            assert "" == case.back()
        finally:
            run(engine, "DROP TABLE events CASCADE")
            connection.exec_driver_sql(f"DROP TABLESPACE {space}")


def test_a_published_table_publishes_its_new_partitions(engine: Engine) -> None:
    """The history alone would be published otherwise, and new rows would not arrive."""
    Case(engine, EVENTS + "CREATE PUBLICATION p FOR TABLE events")
    published = [row[0] for row in rows(engine, "SELECT tablename FROM pg_publication_tables ORDER BY 1")]

    assert ["events_history", "events_p20240701"] == published


def test_filters_and_columns_of_a_publication_are_carried(engine: Engine, server_major: int) -> None:
    """Since PostgreSQL 15, where the partitioned table is published as a whole."""
    if server_major < 15:
        pytest.skip("PostgreSQL 15 has row filters and column lists")
    case = carried(
        engine,
        "CREATE PUBLICATION p FOR TABLE events (id, created_at, kind) WHERE (created_at > '2024-01-01' AND id > 3) "
        "WITH (publish_via_partition_root = true)",
    )

    assert "" == case.back()


def test_a_publication_of_a_schema_is_carried(engine: Engine, server_major: int) -> None:
    """The partitioned table is in the schema as well."""
    if server_major < 15:
        pytest.skip("PostgreSQL 15 has FOR TABLES IN SCHEMA")
    case = carried(engine, "CREATE PUBLICATION p FOR TABLES IN SCHEMA public")

    assert ("events_p20240701",) in rows(engine, "SELECT tablename FROM pg_publication_tables")
    assert "" == case.back()


def test_a_filter_without_the_root_is_refused(engine: Engine, server_major: int) -> None:
    """PostgreSQL would refuse it in the middle of the swap."""
    if server_major < 15:
        pytest.skip("PostgreSQL 15 has row filters and column lists")
    made = "CREATE PUBLICATION p FOR TABLE events WHERE (id > 3)"

    assert "the publication p filters rows or columns" in refused(engine, EVENTS + made)


def test_a_replica_identity_of_an_index_is_refused_by_name(engine: Engine) -> None:
    """Each new partition would need its own."""
    made = "CREATE UNIQUE INDEX u ON events (id, created_at); ALTER TABLE events REPLICA IDENTITY USING INDEX u"

    assert "the replica identity is the index u" in refused(engine, EVENTS + made)


def test_the_mark_of_cluster_comes_back(engine: Engine) -> None:
    """No partitioned index can have it, so the history keeps it."""
    case = Case(engine, EVENTS + "CREATE INDEX i ON events (kind); ALTER TABLE events CLUSTER ON i")

    assert ["index public.i of public.events clustered: true"] == case.lost
    assert "" == case.back()


def test_a_hostile_search_path_changes_nothing(engine: Engine) -> None:
    """Functions and operators of the same names lie in wait in the schema that comes first."""
    traps = """
        CREATE FUNCTION public.lower(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
            $$ BEGIN RAISE 'trapped'; END $$;
        CREATE FUNCTION public.no(timestamptz, timestamptz) RETURNS bool LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'trapped'; END $$;
        CREATE OPERATOR public.< (LEFTARG = timestamptz, RIGHTARG = timestamptz, PROCEDURE = public.no);
        CREATE TABLE public.pg_class (oid oid); CREATE VIEW public.pg_index AS SELECT 1 AS trap;
        CREATE INDEX i ON events (pg_catalog.lower(kind)); CREATE INDEX j ON events (created_at)
            WHERE created_at OPERATOR(pg_catalog.<) '2030-01-01 00:00+00'
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f'ALTER DATABASE "{engine.url.database}" SET search_path = public, pg_catalog')
    engine.dispose()
    case = carried(engine, traps)

    assert "" == case.back()


def test_unlogged_is_carried_when_it_is_declared(engine: Engine) -> None:
    """The partitions are unlogged, and the partitioned table has nothing to lose; undeclared it is refused."""
    setup = EVENTS.replace("CREATE TABLE", "CREATE UNLOGGED TABLE")
    spec = PartitionByRange("created_at", interval="1 month", premake=1, unlogged=True)

    assert "the table is UNLOGGED" in refused(engine, setup)
    case = Case(engine, "", declared(spec=spec))
    assert [("p", "p"), ("r", "u"), ("r", "u")] == [
        tuple(row) for row in sql(engine, "SELECT CAST(relkind AS text), CAST(relpersistence AS text) FROM pg_class "
                                          "WHERE relkind IN ('r', 'p') AND relname LIKE 'events%' ORDER BY 1, 2")
    ]  # fmt: skip
    assert "" == case.back()
