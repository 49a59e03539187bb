"""docs/members.md says of every column of the catalogs whether a partition gets it: each server is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, Table

from sa_partman import PartitionByRange
from tests.support.database import new_table, partitions, sql, upkeep
from tests.support.membership import APP, OWNER, roles
from tests.support.stamps import stamped

pytestmark = pytest.mark.everywhere
PAGE = Path(__file__).parents[3] / "docs" / "members.md"
MONTHLY = PartitionByRange("created_at", interval="1 month", premake=1, start="2031-01-01")
NOW = "2031-01-15"
ONE = "events_p20310101"
SINCE = {"indnullsnotdistinct": 15, "relallfrozen": 18}
UNTIL = {"attcacheoff": 17}

EVENTS = """
CREATE TABLE events (id bigint NOT NULL, created_at timestamptz NOT NULL, tenant text NOT NULL DEFAULT 't1',
    region text COLLATE "C", ref uuid NOT NULL DEFAULT gen_random_uuid(),
    twice bigint GENERATED ALWAYS AS (id * 2) STORED, numbers numeric(9, 2)[], CHECK (id > 0))
    PARTITION BY RANGE (created_at);
CREATE INDEX "by it" ON events (id, lower(tenant));
CREATE UNIQUE INDEX by_ref ON events (ref, created_at) INCLUDE (id);
CREATE INDEX few ON events (region COLLATE "C" DESC NULLS LAST) WHERE region <> 'x';
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER t AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION nothing();
ALTER TABLE events ALTER tenant SET STORAGE EXTERNAL, ALTER region SET COMPRESSION pglz;
"""
TENANT = f"ALTER TABLE {ONE} ALTER tenant"

# What sets each on the table, and what takes it from a partition; where the table has none: from the newest one.
COPIED = {
    "attstattarget": (
        'ALTER TABLE events ALTER tenant SET STATISTICS 500; ALTER INDEX "by it" ALTER COLUMN 2 SET STATISTICS 333',
        f"{TENANT} SET STATISTICS 10; ALTER INDEX {ONE}_id_lower_idx ALTER COLUMN 2 SET STATISTICS -1",
    ),
    "attoptions": (
        "ALTER TABLE events ALTER tenant SET (n_distinct = -0.5), ALTER region SET (n_distinct_inherited = 7)",
        f"{TENANT} SET (n_distinct = 3); ALTER TABLE {ONE} ALTER region RESET (n_distinct_inherited)",
    ),
    "attacl": (f"GRANT UPDATE (region) ON events TO {APP}", f"REVOKE UPDATE (region) ON {ONE} FROM {APP}"),
    "relowner": (
        f"GRANT ALL ON SCHEMA public TO {OWNER}; ALTER TABLE events OWNER TO {OWNER}",
        f"ALTER TABLE {ONE} OWNER TO CURRENT_USER",
    ),
    "relacl": (f"GRANT SELECT ON events TO {APP}", f"REVOKE SELECT ON {ONE} FROM {APP}"),
    "relrowsecurity": (
        "ALTER TABLE events ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {ONE} DISABLE ROW LEVEL SECURITY",
    ),
    "relforcerowsecurity": (
        "ALTER TABLE events FORCE ROW LEVEL SECURITY",
        f"ALTER TABLE {ONE} NO FORCE ROW LEVEL SECURITY",
    ),
    "relreplident": ("ALTER TABLE events REPLICA IDENTITY FULL", f"ALTER TABLE {ONE} REPLICA IDENTITY DEFAULT"),
    "indisreplident": (
        "ALTER TABLE events REPLICA IDENTITY USING INDEX by_ref",
        f"ALTER TABLE {ONE} REPLICA IDENTITY DEFAULT",
    ),
    "stxkeys": (
        "CREATE STATISTICS st ON tenant, region FROM events",
        f'DROP STATISTICS {ONE}_st; CREATE STATISTICS "{ONE}_St" ON tenant, id FROM {ONE}',
    ),
    "stxkind": (
        "CREATE STATISTICS st (mcv) ON tenant, region FROM events",
        f"DROP STATISTICS {ONE}_st; CREATE STATISTICS st2 (ndistinct) ON tenant, region FROM {ONE}",
    ),
    "stxexprs": (
        "CREATE STATISTICS \"S %t\" ON (id % 10), lower(tenant), region FROM events; CREATE STATISTICS one ON (id + 1) "
        "FROM events",
        f'DROP STATISTICS "{ONE}_S %t", {ONE}_one',
    ),
    "stxstattarget": (
        "CREATE STATISTICS st ON tenant, region FROM events; ALTER STATISTICS st SET STATISTICS 44",
        f"ALTER STATISTICS {ONE}_st SET STATISTICS 55",
    ),
}  # fmt: skip
PLACES = {"reltablespace", "relam", "reloptions"}
"""Copied to new partitions only: test_membership_creation.py has them."""

_ATTRIBUTES = """
SELECT x.name, a.attname, to_jsonb(a) -> '{column}' FROM (
    SELECT CAST('{table}' AS regclass) AS oid, '' AS name
    UNION SELECT indexrelid, CAST(CAST(coalesce(pg_partition_root(indexrelid), indexrelid) AS regclass) AS text)
    FROM pg_index WHERE indrelid = CAST('{table}' AS regclass)) x
JOIN pg_attribute a ON a.attrelid = x.oid AND a.attnum > 0 ORDER BY 1, 2
"""
_OPTIONS = """
SELECT a.attname, o FROM pg_attribute a, unnest(a.attoptions) o
WHERE a.attrelid = CAST('{table}' AS regclass) AND o LIKE 'n_distinct%' ORDER BY 1, 2
"""
_CLASS = "SELECT to_jsonb(c) -> '{column}' FROM pg_class c WHERE oid = CAST('{table}' AS regclass)"
_ACL = """
SELECT CAST(g AS text) FROM pg_class c, unnest(coalesce(relacl, acldefault('r', relowner))) g
WHERE oid = CAST('{table}' AS regclass) ORDER BY 1
"""
_INDEX = """
SELECT coalesce(pg_partition_root(x.indexrelid), x.indexrelid), to_jsonb(x) -> '{column}' FROM pg_index x
WHERE indrelid = CAST('{table}' AS regclass) ORDER BY 1
"""
_STATISTICS = """
SELECT to_jsonb(x) -> '{column}', coalesce(CAST(stxstattarget AS int), -1) FROM pg_statistic_ext x
WHERE stxrelid = CAST('{table}' AS regclass) ORDER BY CAST(to_jsonb(x) -> '{column}' AS text)
"""
_EXPRESSIONS = """
SELECT pg_get_statisticsobjdef_expressions(oid) FROM pg_statistic_ext WHERE stxrelid = CAST('{table}' AS regclass)
ORDER BY 1
"""
QUERIES = {"att": _ATTRIBUTES, "rel": _CLASS, "ind": _INDEX, "stx": _STATISTICS}
SPECIAL = {"attoptions": _OPTIONS, "relacl": _ACL, "stxexprs": _EXPRESSIONS}


def verdicts() -> dict[str, dict[str, str]]:
    """By catalog and column, as the page has them."""
    found: dict[str, dict[str, str]] = {}
    for catalog, section in re.findall(r"^## (pg_\w+).*?$(.*?)(?=^## )", PAGE.read_text("utf-8"), re.M | re.S):
        rows = re.findall(r"^\| (`[^|]*) \| (copied|inherited|left) \|", section, re.M)
        found[catalog] = {column: verdict for names, verdict in rows for column in re.findall(r"`(\w+)`", names)}
    return found


def has(engine: Engine, table: str, column: str) -> list[tuple[Any, ...]]:
    query = SPECIAL.get(column, QUERIES[column[:3]])
    return [tuple(row) for row in sql(engine, query.format(table=table, column=column))]


@pytest.fixture
def table(engine: Engine) -> Iterator[Table]:
    with roles(engine, OWNER, APP):
        sql(engine, EVENTS)
        yield new_table(MONTHLY)
        sql(engine, "DROP TABLE events")


def test_the_page_has_every_column_of_this_server(engine: Engine, server_major: int) -> None:
    """One that a new version of PostgreSQL brings has to be judged, and written down."""
    for catalog, judged in verdicts().items():
        attributes = "SELECT attname FROM pg_attribute WHERE attrelid = CAST(:t AS regclass) AND attnum > 0"
        here = {str(row[0]) for row in sql(engine, attributes, t=catalog)}
        expected = {each for each in judged if SINCE.get(each, 0) <= server_major <= UNTIL.get(each, server_major)}
        assert expected == here, catalog
    assert {"pg_attribute", "pg_class", "pg_index", "pg_statistic_ext"} == verdicts().keys()


def test_everything_copied_is_tried() -> None:
    copied = {column for judged in verdicts().values() for column, verdict in judged.items() if verdict == "copied"}

    assert copied == {*COPIED, *PLACES}


@pytest.mark.parametrize("column", COPIED)
def test_what_is_copied(engine: Engine, table: Table, column: str) -> None:
    """To a new partition; from an old one that lacks it, ``check`` says so, and a repair mends it."""
    told, untold = COPIED[column]
    sql(engine, told)
    stamped(engine, "events") if column != "attoptions" else None
    assert upkeep(engine, table, NOW).run().ok
    assert has(engine, "events", column) == has(engine, ONE, column)
    assert [] == [each for each in upkeep(engine, table, NOW).check() if each.code == "membership"]

    sql(engine, untold)
    assert has(engine, "events", column) != has(engine, ONE, column)
    found = [each for each in upkeep(engine, table, NOW).check() if each.code == "membership"]
    assert [True] == [each.message.startswith(f"public.{ONE}: ") for each in found]

    assert upkeep(engine, table, NOW).run(repair=True).ok
    wanted, mended = has(engine, "events", column), has(engine, ONE, column)
    assert wanted == [each for each in mended if each in wanted]
    assert [] == [each for each in upkeep(engine, table, NOW).check() if each.code == "membership"]


def test_what_is_inherited(engine: Engine, table: Table, server_major: int) -> None:
    """By a table made like its table and attached, as a new partition is."""
    assert upkeep(engine, table, NOW).run().ok
    inherited = {
        column for judged in verdicts().values() for column, verdict in judged.items() if verdict == "inherited"
    }
    here = {each for each in inherited if SINCE.get(each, 0) <= server_major}

    assert 2 == len(partitions(engine, "events"))
    for column in sorted(here - {"indexprs", "indpred"}):  # positions in a text differ
        assert has(engine, "events", column) == has(engine, ONE, column), column


def test_what_a_partition_alone_says_is_left(engine: Engine, table: Table) -> None:
    """It may hold other data than the rest: no finding, and a repair does nothing."""
    assert upkeep(engine, table, NOW).run().ok
    sql(
        engine,
        f"{TENANT} SET STATISTICS 10; {TENANT} SET (n_distinct = 3); CREATE STATISTICS own ON id, tenant FROM {ONE}",
    )

    assert [] == [each for each in upkeep(engine, table, NOW).check() if each.code == "membership"]
    assert not upkeep(engine, table, NOW).plan(repair=True)
