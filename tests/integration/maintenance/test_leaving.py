"""Tenants that left, removed by name: the way that their retention says, and never while they are declared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Engine, MetaData, Table, Text, select
from sqlalchemy.schema import CreateTable

from sa_partman import Archive, PartitionByList, PartitionByRange, Retention, StepEvent
from sa_partman.errors import DeclarationError, Refused
from tests.support.database import made, new_table, outcomes, partitions, put, relations, scalar, sql, upkeep
from tests.support.faces import Face

NOW = "2026-01-15"
MONTHS = PartitionByRange("created_at", interval="1 month", premake=0)
GONE = "events_t2"


def bare(engine: Engine, table: Table) -> None:
    """*table* without the partitions that `create_all()` makes by the server's clock."""
    with engine.begin() as connection:
        connection.execute(CreateTable(table))


def left(engine: Engine, retention: Retention | None, **changes: Any) -> MetaData:
    """A table with a branch for each of three tenants, of whom the second has left; a row in each."""
    metadata = MetaData()
    tenants = Table("tenants", metadata, Column("name", Text, primary_key=True))
    tenants.create(engine)
    sql(engine, "INSERT INTO tenants VALUES ('t1'), ('t2'), ('t3')")
    names = select(tenants.c.name).order_by(tenants.c.name)
    spec = PartitionByList("tenant", values=names, subpartition=MONTHS.with_(retention=retention))
    events = new_table(spec, metadata=metadata, **changes)
    bare(engine, events)
    upkeep(engine, metadata, NOW).run()
    for name in ("t1", "t2", "t3"):
        put(engine, events, NOW, tenant=name)
    sql(engine, "DELETE FROM tenants WHERE name = 't2'")
    return metadata


@pytest.mark.parametrize("retention", [None, Retention("1 year", then="drop")])
def test_a_tenant_that_left_is_dropped_by_name(face: Face, engine: Engine, retention: Retention | None) -> None:
    """With all that is below him, though nothing of it has expired; nobody else is touched."""
    metadata = left(engine, retention)
    maintainer = face.maintainer(metadata, NOW)
    plan = maintainer.plan(leaving=["t2"])
    result = maintainer.prune(tenants=["t2"])

    assert [GONE] == [step.partition.name for step in plan.steps]
    assert {"dropped": 2} == result.counts
    assert ["events_t1", "events_t3"] == sorted(partitions(engine))
    assert not maintainer.plan()
    with pytest.raises(DeclarationError, match="no table has a partition for the tenant 't2'"):
        maintainer.prune(tenants=["t2"])


def test_a_tenant_that_is_declared_is_not_dropped(face: Face, engine: Engine) -> None:
    """Nor is the other one in the same call; the branch would be made again."""
    metadata = left(engine, None)

    with pytest.raises(Refused, match="'t1' is still declared"):
        face.maintainer(metadata, NOW).prune(tenants=["t2", "t1"])
    assert 3 == scalar(engine, "SELECT count(*) FROM events")


def test_a_grace_counts_from_the_request(face: Face, engine: Engine) -> None:
    """He is detached, and dropped when it is over, whatever his partitions hold."""
    metadata = left(engine, Retention("1 year", then="drop", grace="7 days"))
    result = face.maintainer(metadata, NOW).prune(tenants=["t2"])

    assert {"detached": 2} == result.counts
    assert 1 == scalar(engine, f"SELECT count(*) FROM {GONE}")
    assert not face.maintainer(metadata, "2026-01-21").prune()
    assert ["done"] == outcomes(face.maintainer(metadata, "2026-01-22").prune())
    assert GONE not in relations(engine)


def test_a_tenant_who_comes_back_in_his_grace_is_kept(engine: Engine) -> None:
    """He gets his table back, and his rows."""
    metadata = left(engine, Retention("1 year", then="drop", grace="7 days"))
    upkeep(engine, metadata, NOW).prune(tenants=["t2"])
    sql(engine, "INSERT INTO tenants VALUES ('t2')")
    upkeep(engine, metadata, "2026-01-22").run()

    assert 1 == scalar(engine, "SELECT count(*) FROM events WHERE tenant = 't2'")
    assert "on request" not in str(scalar(engine, f"SELECT obj_description('{GONE}'::regclass)"))


def test_an_archive_of_all_of_a_tenant(engine: Engine, tmp_path: Path) -> None:
    """Written, verified, and dropped then; what was cut off after the detach goes on with the next run."""
    metadata = left(engine, Retention("1 year", then=Archive(tmp_path)))

    def none(event: StepEvent) -> bool:
        return event.purpose != "archive"

    upkeep(engine, metadata, NOW, hooks=[none]).prune(tenants=["t2"])
    assert GONE not in partitions(engine)
    assert not list(tmp_path.glob("*.manifest.json"))

    result = upkeep(engine, metadata, NOW).prune()
    assert result.ok, str(result)
    (written,) = upkeep(engine, metadata, NOW).archives(str(tmp_path))
    assert 1 == written.manifest.rows
    assert GONE not in relations(engine)


def test_a_detach_keeps_the_table(engine: Engine) -> None:
    metadata = left(engine, Retention("1 year"))
    upkeep(engine, metadata, NOW).prune(tenants=["t2"])
    upkeep(engine, metadata, "2029-01-15").run()

    assert 1 == scalar(engine, f"SELECT count(*) FROM {GONE}")


def test_a_list_partition_that_a_migration_detached_is_none_of_it(engine: Engine) -> None:
    """Only a request makes a branch go by its grace."""
    metadata = left(engine, Retention("1 year", then="drop", grace="7 days"))
    upkeep(engine, metadata, NOW).prune(tenants=["t2"])
    mark = str(scalar(engine, f"SELECT obj_description('{GONE}'::regclass)"))
    assert " on request" in mark
    without = mark.replace(" on request", "").replace("'", "''").replace(":", r"\:")
    sql(engine, f"COMMENT ON TABLE {GONE} IS '{without}'")

    assert not upkeep(engine, metadata, "2026-01-30").prune(["events"]).steps
    assert 1 == scalar(engine, f"SELECT count(*) FROM {GONE}")


def test_what_we_did_not_make_is_not_dropped(engine: Engine) -> None:
    metadata = left(engine, None)
    sql(engine, f"COMMENT ON TABLE {GONE} IS NULL")

    with pytest.raises(Refused, match="was not made by sa-partman"):
        upkeep(engine, metadata, NOW).prune(tenants=["t2"])
    assert upkeep(engine, metadata, NOW).run(adopt=True).ok
    assert {"dropped": 2} == upkeep(engine, metadata, NOW).prune(tenants=["t2"]).counts


def test_a_tenant_of_a_range_key(engine: Engine) -> None:
    """All his partitions, oldest first, as many as the limit allows."""
    names = ["t1", "t2"]
    spec = PartitionByRange("tenant", "created_at", interval="1 month", premake=2, tenants=lambda: names)
    table = new_table(spec)
    bare(engine, table)
    upkeep(engine, table, NOW).run()
    names.remove("t2")
    before = [name for name in partitions(engine) if "_t2_" in name]
    result = upkeep(engine, table, NOW, limit=2).prune(tenants=["t2"])

    assert sorted(before)[:2] == made(result)
    assert ["limit"] == [each.code for each in result.findings]
    assert upkeep(engine, table, NOW).prune(tenants=["t2"]).ok
    assert all("_t1_" in name for name in partitions(engine))


def test_a_hook_may_be_against_it(engine: Engine) -> None:
    metadata = left(engine, None)
    result = upkeep(engine, metadata, NOW, hooks=[lambda event: event.purpose != "drop"]).prune(tenants=["t2"])

    assert ["vetoed"] == outcomes(result)
    assert GONE in partitions(engine)
