"""A new partition is a full member: what its table has for itself, it has from the first instant on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from sa_partman import PartitionByHash, PartitionByList, PartitionByRange
from sa_partman.plan.steps import Purpose
from tests.support.database import (
    as_role,
    ddl_log,
    leaves,
    made,
    new_table,
    partitions,
    put,
    scalar,
    sql,
    upkeep,
)
from tests.support.membership import APP, OWNER, has, roles

MONTHLY = PartitionByRange("created_at", interval="1 month", premake=1, start="2031-01-01")
NOW = "2031-01-15"
NEW = "events_p20310101"


@pytest.fixture(autouse=True)
def _roles(engine: Engine) -> Iterator[None]:
    with roles(engine, OWNER, APP):
        yield


def empty(engine: Engine, *statements: str, by: str = "RANGE (created_at)") -> None:
    """``events`` without partitions, and what *statements* make of it."""
    sql(
        engine,
        "CREATE TABLE events (id bigint NOT NULL, created_at timestamptz NOT NULL, tenant text NOT NULL DEFAULT 't1', "
        f"region text, ref uuid NOT NULL DEFAULT gen_random_uuid()) PARTITION BY {by}",
    )
    for statement in statements:
        sql(engine, statement.replace("::", "\\:\\:"))


def test_a_plain_table_adds_no_statement(engine: Engine) -> None:
    """The owner is connected, and nobody was granted anything."""
    empty(engine)
    plan = upkeep(engine, new_table(MONTHLY), NOW).plan()

    assert [("CreateTable", "AttachPartition")] * 2 == [
        tuple(type(action).__name__ for action in step.actions) for step in plan.steps
    ]
    assert {None} == {step.role for step in plan.steps}


def test_a_converged_run_reads_nothing_more(engine: Engine) -> None:
    """Membership is read for tables that get partitions, and for no others."""
    table = new_table(MONTHLY)
    empty(engine, "ALTER TABLE events ENABLE ROW LEVEL SECURITY")
    assert upkeep(engine, table, NOW).run().ok
    with ddl_log(engine) as seen:
        assert not upkeep(engine, table, NOW).run()

    assert [] == [tag for tag in seen if "TABLE" in tag]


def test_privileges_of_the_table_and_of_columns(engine: Engine) -> None:
    """The very same, options and revoked ones of the owner included."""
    empty(
        engine,
        f"GRANT SELECT, INSERT ON events TO {APP} WITH GRANT OPTION",
        f"GRANT UPDATE (region, tenant) ON events TO {APP}",
        "GRANT SELECT (id) ON events TO PUBLIC",
        "REVOKE TRUNCATE ON events FROM CURRENT_USER",
    )
    assert upkeep(engine, new_table(MONTHLY), NOW).run().ok

    assert has(engine, "events") == has(engine, NEW)


def test_default_privileges_that_the_table_has_not(engine: Engine) -> None:
    """What ALTER DEFAULT PRIVILEGES gives to a new table is taken away again."""
    empty(
        engine,
        f"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {APP}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT DELETE ON TABLES TO {APP}",
        f"GRANT DELETE, INSERT ON events TO {APP}",
    )
    plan = upkeep(engine, new_table(MONTHLY), NOW).plan()
    assert upkeep(engine, new_table(MONTHLY), NOW).run().ok

    assert has(engine, "events") == has(engine, NEW)
    assert f'REVOKE SELECT ON TABLE public.{NEW} FROM "{APP}"' in plan.sql()
    assert f'GRANT INSERT ON TABLE public.{NEW} TO "{APP}"' in plan.sql()
    sql(engine, f"ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM {APP}")
    sql(engine, f"ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE DELETE ON TABLES FROM {APP}")


def test_default_privileges_that_the_table_has(engine: Engine) -> None:
    """Then there is nothing to say."""
    sql(engine, f"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {APP}")
    empty(engine)
    plan = upkeep(engine, new_table(MONTHLY), NOW).plan()
    assert upkeep(engine, new_table(MONTHLY), NOW).run().ok

    assert "GRANT" not in plan.sql()
    assert "REVOKE" not in plan.sql()
    assert has(engine, "events") == has(engine, NEW)
    sql(engine, f"ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM {APP}")


POLICIES = (
    "CREATE POLICY mine ON events USING (tenant = current_setting('app.tenant')) WITH CHECK (tenant <> 'none')",
    f"CREATE POLICY few ON events AS RESTRICTIVE FOR SELECT TO {APP}, {OWNER} USING (region IS DISTINCT FROM 'x % y')",
    "CREATE TABLE members (tenant text)",
    f'CREATE POLICY "O\'Brien ""x""" ON events FOR DELETE TO {APP} '
    "USING (EXISTS (SELECT FROM members m WHERE m.tenant = events.tenant AND m.tenant <> 'events.x'))",
    f"CREATE POLICY adds ON events FOR INSERT TO {APP} WITH CHECK (true)",
    "ALTER TABLE events ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE events FORCE ROW LEVEL SECURITY",
)


def test_row_security_and_policies(engine: Engine) -> None:
    """Same name, command, kind, roles and expressions; those that name their table name the partition."""
    empty(engine, *POLICIES)
    assert upkeep(engine, new_table(MONTHLY), NOW).run().ok

    assert 4 == len(has(engine, "events")["policies"])
    assert has(engine, "events") | {"policies": 0} == has(engine, NEW) | {"policies": 0}
    assert not [each for each in upkeep(engine, new_table(MONTHLY), NOW).check() if each.code == "membership"]


def test_another_tenants_rows_by_the_partitions_own_name(engine: Engine) -> None:
    """The leak that row security of the table alone leaves open."""
    table = new_table(MONTHLY)
    empty(
        engine,
        "CREATE POLICY mine ON events USING (tenant = current_setting('app.tenant'))",
        "ALTER TABLE events ENABLE ROW LEVEL SECURITY",
        f"GRANT SELECT, INSERT ON events TO {APP}",
    )
    assert upkeep(engine, table, NOW).run().ok
    put(engine, table, NOW, tenant="them")
    put(engine, table, NOW, NOW, tenant="us")
    app = as_role(engine, APP)
    with app.connect() as connection:
        connection.exec_driver_sql("SET app.tenant = 'us'")
        seen = {name: connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar() for name in ("events", NEW)}
    app.dispose()

    assert {"events": 2, NEW: 2} == seen


@pytest.mark.parametrize("identity", ["FULL", "NOTHING"])
def test_replica_identity(engine: Engine, identity: str) -> None:
    empty(engine, f"ALTER TABLE events REPLICA IDENTITY {identity}")
    assert upkeep(engine, new_table(MONTHLY), NOW).run().ok

    assert has(engine, "events") == has(engine, NEW)


def test_replica_identity_of_an_index(engine: Engine) -> None:
    """The partition's own part of the table's index, which is there once it is attached."""
    empty(
        engine,
        "CREATE UNIQUE INDEX \"by % 'it'\" ON events (ref, created_at)",
        "ALTER TABLE events REPLICA IDENTITY USING INDEX \"by % 'it'\"",
    )
    assert upkeep(engine, new_table(MONTHLY), NOW).run().ok

    assert ("i", "i") == (has(engine, "events")["identity"], has(engine, NEW)["identity"])
    assert 2 == scalar(
        engine,
        "SELECT count(*) FROM pg_index x WHERE x.indisreplident AND pg_partition_root(x.indexrelid) = "
        "(SELECT indexrelid FROM pg_index WHERE indrelid = CAST('events' AS regclass)) "
        "AND x.indrelid <> CAST('events' AS regclass)",
    )


def test_storage_parameters_of_the_newest_partition(engine: Engine) -> None:
    """A partitioned table can't have any, so they come from the leaf with the highest bound."""
    table = new_table(MONTHLY)
    empty(engine)
    assert upkeep(engine, table, NOW).run().ok
    sql(engine, f"ALTER TABLE {NEW} SET (fillfactor = 90)")
    sql(engine, "ALTER TABLE events_p20310201 SET (fillfactor = 70, toast.autovacuum_enabled = off)")
    assert upkeep(engine, table, "2031-02-15").run().ok

    assert ["fillfactor=70"] == scalar(engine, "SELECT reloptions FROM pg_class WHERE relname = 'events_p20310301'")
    assert ["autovacuum_enabled=off"] == scalar(
        engine,
        "SELECT t.reloptions FROM pg_class c JOIN pg_class t ON t.oid = c.reltoastrelid "
        "WHERE c.relname = 'events_p20310301'",
    )
    assert not upkeep(engine, table, "2031-02-15").plan()


def test_publications_that_name_the_partitions(engine: Engine, server_major: int) -> None:
    """And neither the table nor all tables, which would cover the partition by itself."""
    table = new_table(MONTHLY)
    empty(engine)
    assert upkeep(engine, table, NOW).run().ok
    filtered = " (id, created_at) WHERE (id > 5)" if server_major >= 15 else ""
    sql(engine, f'CREATE PUBLICATION "O\'Brien %" FOR TABLE {NEW}{filtered}, events_p20310201{filtered}')
    sql(engine, "CREATE PUBLICATION whole FOR TABLE events")
    assert upkeep(engine, table, "2031-02-15").run().ok

    assert [("O'Brien %", "events_p20310301")] == [
        tuple(row)
        for row in sql(
            engine,
            "SELECT p.pubname, CAST(r.prrelid AS regclass)\\:\\:text FROM pg_publication_rel r JOIN pg_publication p "
            "ON p.oid = r.prpubid WHERE r.prrelid = CAST('events_p20310301' AS regclass)",
        )
    ]
    if server_major >= 15:
        assert ("(id > 5)", "1 2") == tuple(
            sql(
                engine,
                "SELECT pg_get_expr(prqual, prrelid), CAST(prattrs AS text) FROM pg_publication_rel "
                "WHERE prrelid = CAST('events_p20310301' AS regclass)",
            )[0]
        )


def test_tablespace(engine: Engine) -> None:
    """The table's, for the partition and for its indexes."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("SET allow_in_place_tablespaces = on")
        connection.exec_driver_sql("CREATE TABLESPACE \"my %% space\" LOCATION ''")
        connection.invalidate()
    empty(engine, 'ALTER TABLE events SET TABLESPACE "my % space"')
    try:
        assert upkeep(engine, new_table(MONTHLY), NOW).run().ok

        assert "my % space" == has(engine, NEW)["tablespace"]
        assert has(engine, "events") == has(engine, NEW)
    finally:
        sql(engine, "DROP TABLE events")
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql('DROP TABLESPACE "my %% space"')


def test_access_method(engine: Engine, server_major: int) -> None:
    """A partitioned table can name one since PostgreSQL 17."""
    if server_major < 17:
        pytest.skip("no access method of partitioned tables")
    sql(engine, "CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler")
    empty(engine, "ALTER TABLE events SET ACCESS METHOD other")
    assert upkeep(engine, new_table(MONTHLY), NOW).run().ok

    assert "other" == scalar(
        engine, "SELECT amname FROM pg_class c JOIN pg_am m ON m.oid = c.relam WHERE c.relname = :name", name=NEW
    )


BRANCHES = PartitionByList(
    "region", values={"eu": ["de", None], "us": ["us"]}, subpartition=PartitionByHash("id", modulus=2), default=False
)


def test_a_branch_with_all_below_it(engine: Engine) -> None:
    """Every table of it, on every level."""
    empty(
        engine,
        *POLICIES,
        f"GRANT SELECT ON events TO {APP}",
        "ALTER TABLE events REPLICA IDENTITY FULL",
        by="LIST (region)",
    )
    assert upkeep(engine, new_table(BRANCHES), NOW).run().ok

    assert 4 == len(leaves(engine))
    for name in (*partitions(engine), *leaves(engine)):
        assert has(engine, "events") | {"policies": 0} == has(engine, name) | {"policies": 0}
    assert not [each for each in upkeep(engine, new_table(BRANCHES), NOW).check() if each.code == "membership"]


def test_rows_of_a_default_partition_move_into_a_guarded_one(engine: Engine) -> None:
    """They are in the new partition before its row security is."""
    table = new_table(MONTHLY.with_(default=True))
    empty(
        engine,
        "CREATE TABLE rest PARTITION OF events DEFAULT",
        "INSERT INTO events (id, created_at) VALUES (1, '2031-01-15+00')",
        *POLICIES,
    )
    result = upkeep(engine, table, NOW).run()

    assert result.ok, str(result)
    assert 1 == scalar(engine, f"SELECT count(*) FROM {NEW}")
    assert has(engine, "events") | {"policies": 0} == has(engine, NEW) | {"policies": 0}


HOSTILE = ('a"; DROP TABLE x; --', "it's", "%s %(x)s", ":name", "SELECT", "Ünï", "a b")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(engine: Engine, name: str) -> None:
    """Of the schema, the table, a role, a policy, a column and an index: each stands as it is."""
    quoted = '"' + name.replace('"', '""') + '"'
    schema = '"in ' + quoted[1:]
    table = f"{schema}.{quoted}"
    with engine.begin() as connection:
        for statement in (
            f"CREATE ROLE {quoted}",
            f"CREATE SCHEMA {schema}",
            f"CREATE TABLE {table} (id bigint NOT NULL, created_at timestamptz NOT NULL, tenant text, region text, "
            f"ref uuid NOT NULL DEFAULT gen_random_uuid(), {quoted} text) PARTITION BY RANGE (created_at)",
            f'CREATE UNIQUE INDEX {quoted[:-1]}i" ON {table} (ref, created_at)',
            f'ALTER TABLE {table} REPLICA IDENTITY USING INDEX {quoted[:-1]}i"',
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"CREATE POLICY {quoted} ON {table} TO {quoted} USING (EXISTS (SELECT FROM {table} AS o WHERE "
            f"o.{quoted} = {quoted}.{quoted} AND o.{quoted} <> '{name.replace(chr(39), chr(39) * 2)}'))",
            f"GRANT SELECT, UPDATE ({quoted}) ON {table} TO {quoted}",
            f"ALTER SCHEMA {schema} OWNER TO {quoted}",
            f"ALTER TABLE {table} OWNER TO {quoted}",
        ):
            connection.exec_driver_sql(statement.replace("%", "%%"))
    try:
        events = new_table(MONTHLY, name=name, schema=f"in {name}")
        result = upkeep(engine, events, NOW).run()
        again = upkeep(engine, events, NOW).run(repair=True)
        found = upkeep(engine, events, NOW).check()

        assert result.ok, str(result)
        assert 2 == len(made(result))
        assert not again
        assert not [each for each in found if each.code in ("membership", "missing-privilege")]
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {quoted} CASCADE; DROP ROLE {quoted}".replace("%", "%%"))


def test_the_plan_prints_what_runs(engine: Engine) -> None:
    """The printed script, run by itself, makes the same."""
    empty(engine, *POLICIES, f"GRANT SELECT ON events TO {APP}", f"ALTER TABLE events OWNER TO {OWNER}")
    sql(engine, f"GRANT ALL ON SCHEMA public TO {OWNER}")
    sql(engine, f"GRANT SELECT ON members TO {OWNER}")
    plan = upkeep(engine, new_table(MONTHLY), NOW).plan()
    script = plan.sql()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(script.replace("%", "%%"))

    assert {Purpose.PROVISION} == {step.purpose for step in plan.steps}
    assert f'SET LOCAL ROLE "{OWNER}"' in script
    assert has(engine, "events") | {"policies": 0} == has(engine, NEW) | {"policies": 0}
    assert not upkeep(engine, new_table(MONTHLY), NOW).plan(repair=True)
