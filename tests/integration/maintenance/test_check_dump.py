"""A server that keeps options of its own in columns: what other versions' pg_dump makes of it is said by ``check``."""

from __future__ import annotations

import subprocess

import pytest
from sqlalchemy import Engine, Table, create_engine

from sa_partman import PartitionByRange
from sa_partman.finding import Finding, Severity
from sa_partman.throwaway import Server, available
from tests.support.database import new_table, sql, upkeep
from tests.support.servers import BY_URL, binaries
from tests.support.stamps import stamped

pytestmark = pytest.mark.everywhere
MONTHLY = PartitionByRange("created_at", interval="1 month", premake=1, start="2031-01-01")
KEPT = "SELECT count(*) FROM pg_attribute, unnest(attoptions) o WHERE o LIKE 'pg_attver=%'"


@pytest.fixture(autouse=True)
def no_word_of_dumps() -> None:
    """Here it is looked for."""


@pytest.fixture
def table(engine: Engine) -> Table:
    sql(
        engine,
        "CREATE TABLE events (id bigint NOT NULL, created_at timestamptz NOT NULL, tenant text NOT NULL DEFAULT 't1', "
        "region text, ref uuid NOT NULL DEFAULT gen_random_uuid()) PARTITION BY RANGE (created_at)",
    )
    made = new_table(MONTHLY)
    assert upkeep(engine, made, "2031-01-15").run().ok
    return made


def dumps(engine: Engine, table: Table) -> list[Finding]:
    return [each for each in upkeep(engine, table, "2031-01-15").check() if each.code == "dump"]


def keeps_options(engine: Engine) -> bool:
    return bool(sql(engine, KEPT)[0][0])


def test_a_database_without_such_options_can_be_dumped_by_anybody(engine: Engine, table: Table) -> None:
    """What somebody set is no option of the server's."""
    if keeps_options(engine):
        pytest.skip("this server keeps such options itself")
    sql(engine, "ALTER TABLE events ALTER id SET (n_distinct = 5)")

    assert [] == dumps(engine, table)


def test_a_database_with_such_options(engine: Engine, table: Table) -> None:
    """It is known from the newest relation: the table may be older than the server's version."""
    assert keeps_options(engine) == bool(dumps(engine, table))
    stamped(engine, "events_p20310201")
    found = dumps(engine, table)

    assert [Severity.INFO] == [each.severity for each in found]
    assert "attver)" in found[0].message
    assert "pg_upgrade" in found[0].message
    assert f"pg_dump of {sql(engine, 'SHOW server_version')[0][0].split()[0]} itself" in found[0].remedy


def test_the_remedy(engine: Engine, table: Table, server_target: str) -> None:
    """Its own pg_dump leaves them out, and what it dumps is restored elsewhere."""
    if server_target == BY_URL or not binaries(server_target).program("pg_dump").exists():
        pytest.skip("this PostgreSQL comes without pg_dump")
    programs, uri = binaries(server_target), engine.url.set(drivername="postgresql").render_as_string(False)
    dump = subprocess.run([programs.program("pg_dump"), "-Fc", "-d", uri], capture_output=True, check=True).stdout
    newest = max(available().values(), key=lambda each: each.major)
    with Server.start(newest) as elsewhere:
        into = ["-d", elsewhere.uri(), "--exit-on-error"]
        subprocess.run([programs.program("pg_restore"), *into], input=dump, capture_output=True, check=True)
        restored = create_engine(elsewhere.url())
        tables = {str(row[0]) for row in sql(restored, "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p')")}
        restored.dispose()

    assert {"events", "events_p20310101", "events_p20310201"} <= tables
