"""Least privilege: who may maintain, to whom new partitions belong, and what is said to whoever may not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, Table

from sa_partman import PartitionByHash, PartitionByList, PartitionByRange, Retention
from sa_partman.errors import ConfigurationError
from sa_partman.finding import Finding, Severity
from tests.support.database import as_role, codes, made, new_table, outcomes, partitions, relations, scalar, sql, upkeep
from tests.support.membership import APP, MEMBER, OWNER, owner_of, roles

MONTHLY = PartitionByRange("created_at", interval="1 month", premake=1, start="2031-01-01")
NOW = "2031-01-15"
NEW = "events_p20310101"
EVENTS = (
    "CREATE TABLE events (id bigint NOT NULL, created_at timestamptz NOT NULL, tenant text NOT NULL DEFAULT 't1', "
    "region text, ref uuid NOT NULL DEFAULT gen_random_uuid()) PARTITION BY "
)


@pytest.fixture(autouse=True)
def _roles(engine: Engine) -> Iterator[None]:
    """A table of the owner's, which lies in a schema where the owner may create."""
    with roles(engine, OWNER, MEMBER, APP):
        sql(engine, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        sql(engine, f"GRANT USAGE, CREATE ON SCHEMA public TO {OWNER}")
        yield


def owned(engine: Engine, spec: object = MONTHLY, by: str = "RANGE (created_at)") -> Table:
    sql(engine, EVENTS + by)
    sql(engine, f"ALTER TABLE events OWNER TO {OWNER}")
    return new_table(spec)


@pytest.fixture
def member(engine: Engine) -> Iterator[Engine]:
    other = as_role(engine, MEMBER)
    yield other
    other.dispose()


# -- to whom new partitions belong


def test_a_superuser(engine: Engine) -> None:
    """By SET ROLE, which the plan prints."""
    table = owned(engine)
    plan = upkeep(engine, table, NOW).plan()
    result = upkeep(engine, table, NOW).run()

    assert result.ok, str(result)
    assert {OWNER} == {owner_of(engine, name) for name in partitions(engine)}
    assert f"SET LOCAL lock_timeout = '200ms';\nSET LOCAL ROLE \"{OWNER}\";\nCREATE TABLE" in plan.sql()
    assert f'SET LOCAL ROLE "{OWNER}"' == result.steps[0].to_dict()["sql"][0]


def test_the_owner(engine: Engine) -> None:
    """Needs no SET ROLE."""
    table = owned(engine)
    other = as_role(engine, OWNER)
    plan = upkeep(other, table, NOW).plan()
    assert upkeep(other, table, NOW).run().ok
    other.dispose()

    assert "ROLE" not in plan.sql()
    assert {OWNER} == {owner_of(engine, name) for name in partitions(engine)}


def test_a_member_of_the_owner(engine: Engine, member: Engine) -> None:
    """As a superuser; and it is itself again afterwards."""
    table = owned(engine)
    sql(engine, f"GRANT {OWNER} TO {MEMBER}")
    assert upkeep(member, table, NOW).run().ok

    assert {OWNER} == {owner_of(engine, name) for name in partitions(engine)}
    assert MEMBER == scalar(member, "SELECT current_user")


def test_every_level_of_a_branch(engine: Engine) -> None:
    table = owned(
        engine,
        PartitionByList("region", values={"eu": ["de", None]}, subpartition=PartitionByHash("id", modulus=2)),
        "LIST (region)",
    )
    assert upkeep(engine, table, NOW).run().ok

    assert {"public.events", "public.events_eu", "public.events_eu_h0", "public.events_eu_h1"} == relations(engine)
    assert {OWNER} == {owner_of(engine, name) for name in relations(engine)}


@pytest.mark.parametrize(
    ("retention", "concurrently"),
    [
        (Retention("1 month", then="drop"), False),
        (Retention("1 month", then="detach"), False),
        (Retention("1 month", then="detach", concurrently=True), True),
    ],
    ids=["drop", "detach", "concurrently"],
)
def test_a_member_that_inherits_nothing(
    engine: Engine, member: Engine, retention: Retention, concurrently: bool
) -> None:
    """Every step is the owner's then, removals too."""
    table = owned(engine, MONTHLY.with_(retention=retention))
    sql(engine, f"ALTER ROLE {MEMBER} NOINHERIT")
    sql(engine, f"GRANT {OWNER} TO {MEMBER}")
    first = upkeep(member, table, NOW).run()
    later = upkeep(member, table, "2031-03-15").run()

    assert first.ok, str(first)
    assert later.ok, str(later)
    assert NEW not in partitions(engine)
    assert {OWNER} == {owner_of(engine, name) for name in relations(engine)}
    assert f'SET {"" if concurrently else "LOCAL "}ROLE "{OWNER}"' in str([step.to_dict() for step in later.steps[-1:]])


def test_a_branch_dropped_by_a_member_that_inherits_nothing(engine: Engine, member: Engine) -> None:
    table = owned(engine, PartitionByList("region", values={"eu": ["de", None], "us": ["us"]}), "LIST (region)")
    sql(engine, f"ALTER ROLE {MEMBER} NOINHERIT")
    sql(engine, f"GRANT {OWNER} TO {MEMBER}")
    assert upkeep(member, table, NOW).run().ok

    assert ["done"] == outcomes(upkeep(member, table, NOW).drop_branch("events", "us"))
    assert ["events_eu"] == list(partitions(engine))


# -- who may not


def refused(engine: Engine, table: Table) -> Finding:
    """The one finding of a run that did nothing."""
    result = upkeep(engine, table, NOW).run()

    assert not result.ok
    assert () == result.steps
    assert ["missing-privilege"] == codes(result.findings)
    assert "nothing was changed" in result.findings[0].message
    assert {} == partitions(engine)
    return result.findings[0]


def test_a_role_that_is_no_member(engine: Engine, member: Engine) -> None:
    """The GRANT that helps, which then does."""
    table = owned(engine)
    found = refused(member, table)
    assert f'GRANT "{OWNER}" TO "{MEMBER}"' in found.remedy
    sql(engine, found.remedy.partition("or: ")[2])

    assert upkeep(member, table, NOW).run().ok


def test_a_member_that_may_not_set_role(engine: Engine, member: Engine, server_major: int) -> None:
    """It could create partitions, and they would be its own."""
    if server_major < 16:
        pytest.skip("every member may SET ROLE before PostgreSQL 16")
    table = owned(engine)
    sql(engine, f"GRANT {OWNER} TO {MEMBER} WITH SET FALSE")
    found = refused(member, table)
    assert f'GRANT "{OWNER}" TO "{MEMBER}" WITH SET TRUE' == found.remedy
    sql(engine, found.remedy)

    assert upkeep(member, table, NOW).run().ok
    assert OWNER == owner_of(engine, NEW)


def test_an_owner_that_may_not_create(engine: Engine) -> None:
    """Whoever connects, the owner needs it; a superuser is told so too."""
    table = owned(engine)
    sql(engine, f"REVOKE CREATE ON SCHEMA public FROM {OWNER}")
    found = refused(engine, table)
    assert f'GRANT CREATE ON SCHEMA public TO "{OWNER}"' == found.remedy
    sql(engine, found.remedy)

    assert upkeep(engine, table, NOW).run().ok


def test_a_publication_of_somebody_else(engine: Engine) -> None:
    """A partition that subscribers would miss is not made; a superuser can."""
    table = owned(engine)
    assert upkeep(engine, table, NOW).run().ok
    sql(engine, f"CREATE PUBLICATION theirs FOR TABLE {NEW}, events_p20310201")
    me = scalar(engine, "SELECT current_user")
    other = as_role(engine, OWNER)
    result = upkeep(other, table, "2031-02-15").run()
    other.dispose()

    assert ["missing-privilege"] == codes(result.findings)
    assert f"GRANT {me} TO {OWNER}" == result.findings[0].remedy
    assert upkeep(engine, table, "2031-02-15").run().ok
    assert OWNER == owner_of(engine, "events_p20310301")
    assert 3 == scalar(engine, "SELECT count(*) FROM pg_publication_rel")


def test_a_tablespace_without_privilege(engine: Engine) -> None:
    """CREATE on it is the owner's to have."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("SET allow_in_place_tablespaces = on")
        connection.exec_driver_sql("CREATE TABLESPACE \"O'Brien\" LOCATION ''")
        connection.invalidate()
    try:
        table = owned(engine)
        sql(engine, 'ALTER TABLE events SET TABLESPACE "O\'Brien"')
        found = refused(engine, table)
        assert f'GRANT CREATE ON TABLESPACE "O\'Brien" TO {OWNER}' == found.remedy
        sql(engine, found.remedy)

        assert upkeep(engine, table, NOW).run().ok
    finally:
        sql(engine, "DROP TABLE events")
        sql(engine, f'REVOKE ALL ON TABLESPACE "O\'Brien" FROM {OWNER}')
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql('DROP TABLESPACE "O\'Brien"')


def test_a_foreign_key_to_somebody_elses_table(engine: Engine) -> None:
    """Attaching makes the key again, and needs nothing that the table did not need itself."""
    sql(engine, "CREATE TABLE tenants (tenant text PRIMARY KEY)")
    table = owned(engine)
    sql(engine, "ALTER TABLE events ADD FOREIGN KEY (tenant) REFERENCES tenants")
    other = as_role(engine, OWNER)
    result = upkeep(other, table, NOW).run()
    other.dispose()

    assert result.ok, str(result)
    assert 2 == len(made(result))


# -- looking


def test_the_applications_role_looks(engine: Engine, member: Engine) -> None:
    """It can't maintain, which is worth knowing and nothing wrong: the check of an application passes."""
    table = owned(engine)
    assert upkeep(engine, table, NOW).run().ok
    sql(engine, f"GRANT SELECT, INSERT ON events, {NEW}, events_p20310201 TO {MEMBER}")
    found = upkeep(member, table, NOW).check()

    assert not [each for each in found if each.is_problem]
    assert [Severity.INFO] == [each.severity for each in found if each.code == "missing-privilege"]
    lacking = next(each for each in found if each.code == "missing-privilege")
    assert f'GRANT "{OWNER}" TO "{MEMBER}"' in lacking.remedy
    assert upkeep(member, table, NOW).status()


def asked(engine: Engine, table: Table, role: str) -> list[Finding]:
    found = upkeep(engine, table, NOW).check(as_role=role)
    return [each for each in found if each.code == "missing-privilege" and each.severity is Severity.ERROR]


def test_what_another_role_lacks(engine: Engine) -> None:
    """One error for each privilege, with its GRANT; after those, none."""
    table = owned(engine)
    assert upkeep(engine, table, NOW).run().ok
    sql(engine, f"REVOKE CREATE ON SCHEMA public FROM {OWNER}")
    lacking = asked(engine, table, APP)

    assert 2 == len(lacking)
    assert f'GRANT "{OWNER}" TO "{APP}"' in lacking[0].remedy
    assert f'GRANT CREATE ON SCHEMA public TO "{OWNER}"' in lacking[1].remedy
    assert f"the role {APP}" in lacking[0].message
    for each in lacking:
        sql(engine, each.remedy.rpartition("or: ")[2])
    assert [] == asked(engine, table, APP)
    assert [] == asked(engine, table, OWNER)


def test_a_role_that_does_not_exist(engine: Engine) -> None:
    table = owned(engine)

    with pytest.raises(ConfigurationError, match="there is no role 'nobody at all'"):
        upkeep(engine, table, NOW).check(as_role="nobody at all")


# -- attacks


def test_a_search_path_attack_on_membership(engine: Engine) -> None:
    """Functions and operators that somebody put before the system's own are never called; a superuser is at work."""
    table = owned(engine)
    sql(
        engine,
        f"""
        GRANT SELECT ON events TO {APP};
        ALTER TABLE events ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON events USING (tenant = 'x');
        ALTER TABLE events REPLICA IDENTITY FULL
        """,
    )
    assert upkeep(engine, table, NOW).run().ok
    sql(engine, f"REVOKE ALL ON {NEW} FROM {APP}")
    for left, right in (("name", "name"), ("oid", "oid"), ("text", "text"), ('"char"', '"char"'), ("name", "varchar")):
        sql(engine, _trap(f"trap_{left.strip(chr(34))}_{right.strip(chr(34))}", left, right))
    for signature in (
        "pg_get_expr(pg_node_tree, oid) RETURNS text",
        "aclexplode(aclitem[]) RETURNS text",
        "quote_ident(text) RETURNS text",
        "pg_get_userbyid(oid) RETURNS name",
        "md5(text) RETURNS text",
        "pg_has_role(oid, text) RETURNS boolean",
        "coalesced(text) RETURNS text",
    ):
        sql(engine, f"CREATE FUNCTION public.{signature} LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$")
    sql(engine, f"ALTER DATABASE {engine.url.database} SET search_path = public, pg_catalog")
    engine.dispose()
    maintainer = upkeep(engine, table, "2031-03-15")
    repaired = maintainer.run(repair=True)

    assert repaired.ok, str(repaired)
    assert "repair" in [str(each.step.purpose) for each in repaired.steps]
    assert not [each for each in maintainer.check(as_role=APP) if each.code == "membership"]


def _trap(name: str, left: str, right: str) -> str:
    return f"""
        CREATE FUNCTION public.{name}({left}, {right}) RETURNS boolean LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
        CREATE OPERATOR public.= (FUNCTION = public.{name}, LEFTARG = {left}, RIGHTARG = {right});
        """
