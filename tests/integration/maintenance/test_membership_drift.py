"""A partition that differs from its table: ``check`` reports it, ``run(repair=True)`` mends it, nothing else does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, Table

from sa_partman import PartitionByHash, PartitionByRange, Retention
from sa_partman.finding import Finding, Severity
from tests.support.database import as_role, leaves, new_table, outcomes, partitions, sql, upkeep
from tests.support.membership import APP, MEMBER, OWNER, has, roles

MONTHLY = PartitionByRange("created_at", interval="1 month", premake=1, start="2031-01-01")
NOW = "2031-01-15"
ONE, TWO = "events_p20310101", "events_p20310201"


@pytest.fixture(autouse=True)
def _roles(engine: Engine) -> Iterator[None]:
    with roles(engine, OWNER, APP, MEMBER):
        yield


@pytest.fixture
def table(engine: Engine) -> Table:
    """``events`` with two partitions, for January and February 2031."""
    made = new_table(MONTHLY)
    sql(
        engine,
        "CREATE TABLE events (id bigint NOT NULL, created_at timestamptz NOT NULL, tenant text NOT NULL DEFAULT 't1', "
        "region text, ref uuid NOT NULL DEFAULT gen_random_uuid()) PARTITION BY RANGE (created_at)",
    )
    assert upkeep(engine, made, NOW).run().ok
    return made


def drift(engine: Engine, table: Table) -> list[Finding]:
    return [each for each in upkeep(engine, table, NOW).check() if each.code == "membership"]


def repaired(engine: Engine, table: Table) -> list[str]:
    """The outcomes of a repair; what it leaves is a second one's business."""
    return outcomes(upkeep(engine, table, NOW).run(repair=True))


def test_nothing_differs(engine: Engine, table: Table) -> None:
    assert [] == drift(engine, table)
    assert not upkeep(engine, table, NOW).plan(repair=True)


W, E = Severity.WARNING, Severity.ERROR


@pytest.mark.parametrize(
    ("statement", "severity", "message"),
    [
        (f"GRANT SELECT ON {ONE} TO {APP}", E, f'{ONE}: grants SELECT to "{APP}" beyond its table'),
        (f"GRANT UPDATE (region) ON {ONE} TO PUBLIC", E, "grants UPDATE (region) to PUBLIC beyond its table"),
        (f"GRANT SELECT ON events TO {APP}", W, f'lacks the grant of SELECT to "{APP}"'),
        (f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {APP}; GRANT SELECT ON {ONE} TO {APP} WITH GRANT OPTION", E,
         f'grants SELECT WITH GRANT OPTION to "{APP}" beyond its table'),
        ("ALTER TABLE events ENABLE ROW LEVEL SECURITY", E, "lacks row level security"),
        (f"ALTER TABLE {ONE} ENABLE ROW LEVEL SECURITY", W, "has row level security"),
        ("ALTER TABLE events FORCE ROW LEVEL SECURITY", W, "lacks FORCE ROW LEVEL SECURITY"),
        ("CREATE POLICY p ON events USING (true)", W, "lacks policy p"),
        (f"CREATE POLICY p ON {ONE} USING (true)", W, "has policy p, which its table has not"),
        (f"ALTER TABLE events REPLICA IDENTITY FULL; ALTER TABLE {TWO} REPLICA IDENTITY FULL", W,
         "has REPLICA IDENTITY DEFAULT, not FULL"),
        (f"ALTER TABLE {ONE} OWNER TO {OWNER}", W, f"belongs to {OWNER}, not to"),
    ],
    ids=["grant", "column", "missing", "option", "rls", "more-rls", "force", "policy", "own", "identity", "owner"],
)  # fmt: skip
def test_a_difference(engine: Engine, table: Table, statement: str, severity: Severity, message: str) -> None:
    """Named, judged, left alone by a plain run, mended by a repair, and gone then."""
    sql(engine, statement)
    found = drift(engine, table)
    assert [severity] == [each.severity for each in found]
    assert message in found[0].message
    assert not upkeep(engine, table, NOW).run()
    assert found == drift(engine, table)

    assert {"done"} == set(repaired(engine, table))
    assert [] == drift(engine, table)
    assert has(engine, "events") == has(engine, ONE) == has(engine, TWO)
    assert [] == repaired(engine, table)


@pytest.mark.parametrize(
    ("theirs", "severity"),
    [
        (None, W),
        ("CREATE POLICY p ON {} USING (true)", E),
        ("CREATE POLICY p ON {} AS RESTRICTIVE USING (id > 0)", E),
        ("CREATE POLICY p ON {} FOR SELECT USING (id > 0)", E),
        ("CREATE POLICY more ON {} USING (id > 0); CREATE POLICY p ON {} USING (id > 0)", E),
    ],
)
def test_policies_that_guard_less(engine: Engine, table: Table, theirs: str | None, severity: Severity) -> None:
    """With row security on: another or a further one is a leak, a missing permissive one only shows less."""
    for name in ("events", ONE, TWO):
        sql(engine, f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    for name in ("events", TWO):
        sql(engine, f"CREATE POLICY p ON {name} USING (id > 0)")
    if theirs is not None:
        sql(engine, theirs.replace("{}", ONE))
    found = drift(engine, table)

    assert [severity] == [each.severity for each in found]
    assert (severity is E) == ("rows can be reached through it" in found[0].message)
    assert {"done"} == set(repaired(engine, table))
    assert [] == drift(engine, table)


def test_a_missing_restrictive_policy(engine: Engine, table: Table) -> None:
    """A leak too."""
    for name in ("events", ONE, TWO):
        sql(engine, f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    sql(engine, "CREATE POLICY p ON events AS RESTRICTIVE USING (id > 0)")

    assert [E] == [each.severity for each in drift(engine, table)]


def test_many_that_differ_alike_are_one_finding(engine: Engine) -> None:
    """The first five are named, the rest is counted."""
    table = new_table(MONTHLY.with_(premake=11))
    table.create(engine)
    sql(engine, f"GRANT SELECT ON events TO {APP}")
    found = [each for each in upkeep(engine, table, NOW).check() if each.code == "membership"]

    assert 1 == len(found)
    assert 5 == found[0].message.count("public.events_p")
    assert " more: lacks the grant of SELECT" in found[0].message


def test_what_somebody_else_passed_on(engine: Engine, table: Table) -> None:
    """A grantor other than the owner: everything is taken away, and given again as the table has it."""
    sql(engine, f"GRANT SELECT ON events, {ONE}, {TWO} TO {MEMBER} WITH GRANT OPTION")
    other = as_role(engine, MEMBER)
    sql(other, f"GRANT SELECT ON {ONE} TO {APP}")
    other.dispose()

    assert [E] == [each.severity for each in drift(engine, table)]
    assert {"done"} == set(repaired(engine, table))
    assert [] == drift(engine, table)
    assert has(engine, "events") == has(engine, ONE)


def test_a_publication_that_names_half_of_the_partitions(engine: Engine, table: Table) -> None:
    """The others are missing from it."""
    sql(engine, f"CREATE PUBLICATION few FOR TABLE {ONE}")

    assert [f"public.{TWO}: is missing from publication few"] == [each.message for each in drift(engine, table)]
    assert {"done"} == set(repaired(engine, table))
    assert [] == drift(engine, table)


def test_a_publication_of_the_table(engine: Engine, table: Table) -> None:
    """It covers its partitions by itself."""
    sql(engine, f"CREATE PUBLICATION whole FOR TABLE events, {ONE}")

    assert [] == drift(engine, table)


def test_another_tablespace_is_reported_only(engine: Engine, table: Table) -> None:
    """Old partitions on slow disks are on purpose more often than not."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("SET allow_in_place_tablespaces = on")
        connection.exec_driver_sql("CREATE TABLESPACE slow LOCATION ''")
        connection.invalidate()
    sql(engine, f"ALTER TABLE {ONE} SET TABLESPACE slow")
    try:
        (found,) = drift(engine, table)

        assert Severity.INFO is found.severity
        assert "is in tablespace slow, its table in the default tablespace" in found.message
        assert f'ALTER TABLE "public"."{ONE}" SET TABLESPACE pg_default' in found.remedy
        assert [] == repaired(engine, table)
    finally:
        sql(engine, "DROP TABLE events")
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("DROP TABLESPACE slow")


def test_a_partition_that_the_connected_role_may_not_touch(engine: Engine, table: Table) -> None:
    """The table's owner can't mend it: the statement for somebody who can."""
    sql(engine, f"ALTER TABLE events OWNER TO {OWNER}; ALTER TABLE {TWO} OWNER TO {OWNER}")
    sql(engine, f"GRANT ALL ON SCHEMA public TO {OWNER}")
    other = as_role(engine, OWNER)
    result = upkeep(other, table, NOW).run(repair=True)
    found = drift(other, table)
    other.dispose()

    assert () == result.steps
    assert ["membership"] == [each.code for each in result.findings]
    assert f'ALTER TABLE "public"."{ONE}" OWNER TO "{OWNER}"' in found[0].remedy


def test_a_difference_that_a_mere_reader_sees(engine: Engine, table: Table) -> None:
    """The owner is right already, and who has to mend it is said."""
    sql(engine, f"ALTER TABLE events OWNER TO {OWNER}; ALTER TABLE {ONE} OWNER TO {OWNER}")
    sql(engine, f"ALTER TABLE {TWO} OWNER TO {OWNER}; GRANT SELECT ON {ONE} TO {APP}")
    reader = as_role(engine, APP)
    found = drift(reader, table)
    reader.dispose()

    assert ["membership"] == [each.code for each in found]
    assert found[0].remedy.startswith(f"as {OWNER}, run: sa-partman run --repair")


def test_below_a_branch(engine: Engine) -> None:
    """Every level is held against the declared table."""
    table = new_table(MONTHLY.with_(subpartition=PartitionByHash("id", modulus=2)))
    table.create(engine)
    sql(engine, f"GRANT SELECT ON events TO {APP}; ALTER TABLE events ENABLE ROW LEVEL SECURITY")
    assert {"done"} == set(outcomes(upkeep(engine, table).run(repair=True)))

    for name in (*partitions(engine), *leaves(engine)):
        assert has(engine, "events") == has(engine, name)


def test_a_hook_may_veto_a_repair(engine: Engine, table: Table) -> None:
    """A repair is a step like every other one."""
    sql(engine, f"GRANT SELECT ON events TO {APP}")
    seen: list[Any] = []

    def against(event: Any) -> bool:
        seen.append(event)
        return str(event.purpose) != "repair"

    result = upkeep(engine, table, NOW, hooks=[against]).run(repair=True)

    assert {"vetoed"} == set(outcomes(result))
    assert f'GRANT SELECT ON TABLE public.{ONE} TO "{APP}"' in seen[0].sql
    assert 1 == len(drift(engine, table))


def test_detached_tables_and_others_are_left_alone(engine: Engine) -> None:
    """Only what is attached to a declared table is a member."""
    table = new_table(MONTHLY.with_(retention=Retention("1 month", then="detach")))
    table.create(engine)
    old = next(iter(partitions(engine)))
    assert upkeep(engine, table, "2031-05-15").run().ok
    sql(engine, f"GRANT SELECT ON {old} TO {APP}")

    assert not [each for each in upkeep(engine, table, "2031-05-15").check() if each.code == "membership"]
    assert not upkeep(engine, table, "2031-05-15").plan(repair=True)


def test_a_policy_written_otherwise_and_alike(engine: Engine, table: Table) -> None:
    """What is compared is the expression, not how it was written."""
    sql(engine, "CREATE POLICY p ON events USING (tenant = 'x' AND id > 1)")
    for name in (ONE, TWO):
        sql(engine, f"CREATE POLICY p ON {name} USING ((({name}.tenant)) = CAST('x' AS text) AND (({name}.id > 1)))")

    assert [] == drift(engine, table)


def test_many_partitions_that_are_well(engine: Engine) -> None:
    """Only those that may differ leave the server, whatever guards them."""
    table = new_table(PartitionByRange("id", interval=1, premake=1))
    sql(
        engine,
        f"""
        CREATE TABLE events (id bigint NOT NULL, created_at timestamptz, tenant text, region text, ref uuid)
            PARTITION BY RANGE (id);
        ALTER TABLE events ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON events USING (tenant = 'x');
        GRANT SELECT ON events TO {APP}
        """,
    )
    assert upkeep(engine, table).run().ok
    sql(
        engine,
        f"""
        DO $do$ BEGIN FOR i IN 100..399 LOOP
            EXECUTE format('CREATE TABLE e%s PARTITION OF events FOR VALUES FROM (%s) TO (%s)', i, i, i + 1);
            EXECUTE format('GRANT SELECT ON e%s TO {APP}', i);
            EXECUTE format('ALTER TABLE e%s ENABLE ROW LEVEL SECURITY', i);
            EXECUTE format('CREATE POLICY p ON e%s USING (tenant = ''x'')', i);
        END LOOP; END $do$
        """,
    )
    began = time.monotonic()
    assert [] == [each for each in upkeep(engine, table).check() if each.code == "membership"]

    assert time.monotonic() - began < 10
