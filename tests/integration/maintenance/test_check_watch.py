"""What check sees on a server: the runway, rows at risk, the lock table, runs that do not come, and what it costs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Column, Engine, Index, String, Table
from sqlalchemy.exc import DBAPIError

from sa_partman import ULID, PartitionByList, PartitionByRange
from sa_partman.finding import Finding, Severity
from sa_partman.names import QualifiedName
from sa_partman.postgres import facts
from sa_partman.postgres.facts import catalog_facts
from sa_partman.postgres.reflect import reflect
from sa_partman.postgres.session import connected, pin
from sa_partman.postgres.sqlstate import sqlstate
from tests.support.counting import statements
from tests.support.database import as_role, codes, holding, new_table, partitions, put, role, scalar, sql, upkeep
from tests.support.faces import FACES, opened

NOW = "2026-01-15"
MONTHLY = PartitionByRange("created_at", interval="1 month", premake=1)


@pytest.fixture
def table(engine: Engine) -> Table:
    """Ready until the end of February."""
    made = new_table(MONTHLY)
    by_hand = "(id bigint NOT NULL, created_at timestamptz NOT NULL, tenant text, region text, ref uuid)"
    sql(engine, f"CREATE TABLE events {by_hand} PARTITION BY RANGE (created_at)")
    assert upkeep(engine, made, NOW).run().ok
    return made


def one(findings: tuple[Finding, ...], code: str) -> Finding:
    (found,) = [each for each in findings if each.code == code]
    return found


# -- the runway


@pytest.mark.parametrize("name", FACES)
def test_a_runway_that_is_asked_for(database_url: str, table: Table, name: str) -> None:
    """In words or as a timedelta; with every driver."""
    with opened(name, database_url) as face:
        maintainer = face.maintainer(table, NOW)

        assert () == maintainer.check()
        assert () == maintainer.check(min_horizon="45 days")
        finding = one(maintainer.check(min_horizon=timedelta(days=46)), "short-runway")

    assert Severity.ERROR is finding.severity
    assert "1 whole interval and 45.0 days from now" in finding.message


def test_the_check_is_red_long_before_inserts_fail(engine: Engine, table: Table) -> None:
    """The scheduler died in January: red by February, and the last good insert is at the end of it."""
    assert ["horizon"] == codes(upkeep(engine, table, "2026-02-01").check())
    assert ["short-runway", "horizon"] == codes(upkeep(engine, table, "2026-02-25").check(min_horizon="7d"))
    assert "no-current" in codes(upkeep(engine, table, "2026-03-01").check())


def test_the_remedy_of_a_short_runway_mends_it(engine: Engine, table: Table) -> None:
    remedy = one(upkeep(engine, table, NOW).check(min_horizon="100 days"), "short-runway").remedy
    premake = int(remedy.partition("premake=")[2].partition(" ")[0])
    declared = new_table(MONTHLY.with_(premake=premake))
    upkeep(engine, declared, NOW).run()

    assert () == upkeep(engine, declared, NOW).check(min_horizon="100 days")


def test_the_status_says_how_long_it_lasts(engine: Engine, table: Table) -> None:
    (status,) = upkeep(engine, table, NOW).status()

    assert (1, 45 * 86_400.0) == (status.ahead, status.runway)
    assert 45 * 86_400.0 == status.to_dict()["runway"]


# -- rows at risk


def test_a_null_is_foreseen(engine: Engine) -> None:
    """The model forbids it and the table does not; what the remedy says ends it."""
    sql(engine, "CREATE TABLE events (id bigint, created_at timestamptz) PARTITION BY RANGE (created_at)")
    table = new_table(MONTHLY)
    maintainer = upkeep(engine, table, NOW)
    maintainer.run()
    finding = one(maintainer.check(), "null-key")
    with pytest.raises(DBAPIError) as failed:
        sql(engine, "INSERT INTO events VALUES (1, NULL)")
    sql(engine, finding.remedy)

    assert "23514" == sqlstate(failed.value)
    assert () == maintainer.check()


def test_a_domain_that_is_never_null(engine: Engine) -> None:
    """It forbids NULL as well as the column would."""
    sql(engine, "CREATE DOMAIN moment AS timestamptz NOT NULL")
    sql(engine, "CREATE TABLE events (id bigint, created_at moment) PARTITION BY RANGE (created_at)")
    maintainer = upkeep(engine, new_table(MONTHLY), NOW)
    maintainer.run()

    assert () == maintainer.check()


def test_keys_that_run_ahead_are_foreseen(engine: Engine, table: Table) -> None:
    """The last partition fills long before its time: the next month is one that fails."""
    maintainer = upkeep(engine, table, NOW)
    put(engine, table, "2026-01-10")
    before = maintainer.check()
    put(engine, table, "2026-02-20")
    finding = one(maintainer.check(), "rows-near-end")
    with pytest.raises(DBAPIError):
        put(engine, table, "2026-03-02")

    assert () == before
    assert "events_p20260201" in finding.message
    assert "raise premake=" in finding.remedy


def test_keys_that_run_ahead_are_seen_without_a_privilege(engine: Engine, table: Table) -> None:
    """Whoever watches need not be able to read."""
    put(engine, table, "2026-02-20")
    with role(engine, "GRANT CONNECT ON DATABASE {database} TO {role}") as name:
        watcher = as_role(engine, name)
        found = codes(upkeep(watcher, table, NOW).check())
        watcher.dispose()

    assert "rows-near-end" in found
    assert "rows-unread" not in found


def test_a_default_partition_that_can_not_be_read(engine: Engine) -> None:
    """It is said, and everything else is checked."""
    table = new_table(MONTHLY.with_(default=True))
    table.create(engine)
    with role(engine) as name:
        watcher = as_role(engine, name)
        found = codes(upkeep(watcher, table, "2040-01-15").check())
        watcher.dispose()

    assert {"rows-unread", "no-current"} <= set(found)


def test_a_large_default_partition_is_sampled(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check must not read a billion rows: their number is the planner's, and what they block is a sample."""
    table = new_table(MONTHLY.with_(default=True))
    table.create(engine)
    sql(
        engine,
        "INSERT INTO events (id, created_at) "
        "SELECT n, timestamptz '1999-06-15 00:00+00' FROM generate_series(1, 20000) n",
    )
    sql(engine, "ANALYZE events")
    monkeypatch.setattr(facts, "SAMPLED_PAGES", 50)
    finding = one(upkeep(engine, table).check(), "default-rows")

    assert "about 20000 rows sit in the default partition public.events_default" in finding.message
    assert "no run makes a partition for [1999-06-01, 1999-07-01)" in finding.message


def test_only_the_nearest_partitions_are_tried_with_a_codec(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in one of years ago was there years ago."""
    spec = PartitionByRange("k", interval="10 years", codec=ULID(), start="1971-01-01")
    table = new_table(spec, Column("k", String(26, collation="C"), nullable=False))
    table.create(engine)
    sql(engine, "INSERT INTO events (id, created_at, k) VALUES (1, now(), '004AAA-not-a-ulid')")
    before = codes(upkeep(engine, table, NOW).check())
    monkeypatch.setattr(facts, "READ_PARTITIONS", 2)

    assert ["misplaced-rows"] == before
    assert [] == codes(upkeep(engine, table, NOW).check())


# -- the server


def test_the_lock_table_and_the_indexes(engine: Engine) -> None:
    """As the server has them."""
    table = new_table(MONTHLY)
    Index("ix_region", table.c.region)
    Index("ix_tenant", table.c.tenant)
    table.create(engine)
    slots = scalar(
        engine,
        "SELECT current_setting('max_locks_per_transaction')::int"
        " * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int)",
    )
    declared = upkeep(engine, table)
    with connected(engine) as connection:
        pin(connection, 1.0)
        found = reflect(connection, [each.declared for each in _views(declared)])[QualifiedName("public", "events")]
        seen = catalog_facts(connection, [found], [])

    assert seen.lock_table is not None
    assert slots == seen.lock_table.size
    assert (2, frozenset({"region"})) == (seen.tables[found.oid].indexes, seen.tables[found.oid].nullable)


def _views(maintainer: Any) -> Any:
    from sa_partman.maintenance.planning import looked

    return looked(maintainer.settings, None).tables


def test_statements_do_not_grow_with_the_partitions(engine: Engine, table: Table) -> None:
    """One bulk query and a few more, none for a single partition, and none of SQLAlchemy's inspector."""
    with statements(engine) as few:
        upkeep(engine, table, NOW).check()
    many_months = new_table(MONTHLY.with_(premake=60))
    upkeep(engine, many_months, NOW).run()
    with statements(engine) as many:
        findings = upkeep(engine, many_months, NOW).check()

    assert 61 == len(partitions(engine))
    assert () == findings
    assert few == many
    assert [] == [each for each in many if "pg_catalog.pg_table_is_visible" in each]


def test_statements_do_not_grow_with_the_tables(engine: Engine) -> None:
    one_table = new_table(MONTHLY)
    one_table.metadata.create_all(engine)
    for index in range(5):
        new_table(MONTHLY, metadata=one_table.metadata, name=f"more_{index}")
    one_table.metadata.create_all(engine)
    with statements(engine) as few:
        upkeep(engine, one_table).check(tables=["events"])
    with statements(engine) as many:
        assert () == upkeep(engine, one_table).check()

    assert len(few) == len(many)


def test_somebody_holds_a_partition(engine: Engine, table: Table) -> None:
    """Whatever can't be seen of it is left out, and the other tables are looked at."""
    other = new_table(MONTHLY, metadata=table.metadata, name="other")
    sql(engine, "CREATE TABLE other (id bigint, created_at timestamptz) PARTITION BY RANGE (created_at)")
    upkeep(engine, other, NOW).run()
    with holding(engine, "LOCK TABLE events_p20260201 IN ACCESS EXCLUSIVE MODE"):
        found = upkeep(engine, table, NOW).check()

    assert ["null-key"] == [each.code for each in found if each.table == "public.other"]
    assert {"locked"} >= {each.code for each in found if each.table == "public.events"}


def test_what_can_not_be_looked_at_costs_nothing_else(engine: Engine, table: Table) -> None:
    """A hardened catalog: what needs the hidden part of it is named, the rest is checked."""
    sql(engine, "REVOKE SELECT ON pg_catalog.pg_policy FROM PUBLIC")
    with role(engine) as name:
        watcher = as_role(engine, name)
        found = upkeep(watcher, table, "2026-02-01").check(as_role=name)
        watcher.dispose()

    assert {"check-incomplete", "missing-privilege", "horizon"} == set(codes(found))
    assert "how the partitions differ" in one(found, "check-incomplete").message


# -- runs that do not come


def test_nobody_runs(engine: Engine, table: Table) -> None:
    """Two months without a good run, where months are the shortest interval."""
    maintainer = upkeep(engine, table, NOW, audit=True)
    maintainer.run()
    before = maintainer.check()
    sql(
        engine,
        "UPDATE sa_partman_runs SET started = started - interval '57 days', finished = finished - interval '57 days'",
    )
    finding = one(maintainer.check(), "stale-maintenance")

    assert () == before
    assert "no run has ended well for 57.0 days; at most 56.0 days were expected" in finding.message
    assert ["stale-maintenance"] == codes(upkeep(engine, table, NOW).check())
    assert [] == codes(upkeep(engine, table, NOW).check(max_age="60 days"))
    assert ["stale-maintenance"] == codes(upkeep(engine, table, NOW).check(max_age="1 day"))


def test_a_run_that_went_wrong_is_no_good_run(engine: Engine, table: Table) -> None:
    """And one that never ended is none."""
    maintainer = upkeep(engine, table, NOW, audit=True)
    maintainer.run()
    sql(
        engine,
        "UPDATE sa_partman_runs SET started = started - interval '90 days', finished = finished - interval '90 days'",
    )
    maintainer.run()
    maintainer.run()
    sql(engine, "UPDATE sa_partman_runs SET ok = false WHERE id = 2")
    sql(engine, "UPDATE sa_partman_runs SET ok = NULL, finished = NULL WHERE id = 3")

    assert ["stale-maintenance"] == codes(maintainer.check())


def test_runs_in_a_schema_of_their_own(engine: Engine, table: Table) -> None:
    """Found without being told where; when told, nowhere else."""
    sql(engine, "CREATE SCHEMA monitoring; CREATE SCHEMA other")
    upkeep(engine, table, NOW, audit="monitoring").run()
    sql(engine, "UPDATE monitoring.sa_partman_runs SET finished = finished - interval '99 days'")

    assert ["stale-maintenance"] == codes(upkeep(engine, table, NOW).check())
    assert [] == codes(upkeep(engine, table, NOW, audit="other").check())


def test_who_may_not_see_the_runs_is_told_nothing(engine: Engine, table: Table) -> None:
    upkeep(engine, table, NOW, audit=True).run()
    sql(engine, "UPDATE sa_partman_runs SET finished = finished - interval '99 days'")
    with role(engine) as name:
        watcher = as_role(engine, name)
        found = codes(upkeep(watcher, table, NOW).check())
        watcher.dispose()

    assert "stale-maintenance" not in found


def test_a_table_of_that_name_that_is_not_ours(engine: Engine, table: Table) -> None:
    """Nothing is read from it."""
    sql(engine, "CREATE TABLE sa_partman_runs (whatever text)")

    assert () == upkeep(engine, table, NOW).check()


# -- branches


def test_each_tenant_has_a_runway(engine: Engine) -> None:
    """The one that ends first is named."""
    table = new_table(PartitionByList("tenant", values=["de", "fr"], subpartition=MONTHLY))
    columns = "id bigint, created_at timestamptz NOT NULL, tenant text NOT NULL"
    sql(engine, f"CREATE TABLE events ({columns}) PARTITION BY LIST (tenant)")
    upkeep(engine, table, NOW).run()
    sql(engine, "DROP TABLE events_fr_p20260201")
    finding = one(upkeep(engine, table, NOW).check(min_horizon="30 days"), "short-runway")

    assert finding.message.startswith("public.events_fr is ready for 0 whole intervals and 17.0 days")
