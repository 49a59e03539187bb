"""The status of real tables: what is known of them is shown, and nothing is waited for."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Engine, Table, Uuid
from sqlalchemy.schema import CreateTable

from sa_partman import PartitionByHash, PartitionByList, PartitionByRange, Retention
from sa_partman.checks.status import PartitionStatus, State
from tests.support.builders import at
from tests.support.database import new_table, sql, upkeep

NOW = at("2030-06-15")
MONTHLY = PartitionByRange("created_at", interval="1 month", premake=1)


def created(engine: Engine, spec: Any, *columns: Column[Any], now: datetime = NOW) -> Table:
    """With what a run makes."""
    table = new_table(spec, *columns)
    sql(engine, str(CreateTable(table).compile(engine)))
    upkeep(engine, table, now).run()
    return table


def statuses(engine: Engine, table: Table) -> tuple[PartitionStatus, ...]:
    (status,) = upkeep(engine, table, NOW).status()
    return status.partitions


def test_a_size_is_known_before_the_first_analyze(engine: Engine) -> None:
    """Of a table that has rows, of an empty one, and of one that was detached."""
    table = created(engine, MONTHLY.with_(retention=Retention("1 month")), now=at("2030-03-15"))
    upkeep(engine, table, NOW).run()
    sql(engine, "INSERT INTO events (id, created_at) VALUES (1, '2030-06-20')")
    by_name = {each.name: each for each in statuses(engine, table)}

    assert (8192, None) == (by_name["public.events_p20300601"].bytes, by_name["public.events_p20300601"].rows)
    assert 0 == by_name["public.events_p20300701"].bytes
    assert {0} == {each.bytes for each in by_name.values() if each.state is State.DETACHED}


def test_what_is_divided_has_the_size_of_its_parts(engine: Engine) -> None:
    """PostgreSQL notes -1 pages of it when its table is analyzed."""
    spec = PartitionByList("region", values=["de", None], subpartition=PartitionByHash("id", modulus=1))
    table = created(engine, spec)
    sql(engine, "INSERT INTO events (id, created_at, region) VALUES (1, now(), 'de')")
    sql(engine, "ANALYZE events")

    assert [0, 8192] == [each.bytes for each in statuses(engine, table)][:2]


def test_a_locked_table_is_not_waited_for(engine: Engine) -> None:
    """Its size is unknown; that of the others is not."""
    table = created(engine, MONTHLY)
    statuses(engine, table)  # its bounds are known from now on
    with engine.begin() as other:
        other.exec_driver_sql("LOCK TABLE ONLY events_p20300601 IN ACCESS EXCLUSIVE MODE")

        assert [None, 0] == [each.bytes for each in statuses(engine, table)]


def test_instants_in_place_of_uuids(engine: Engine) -> None:
    key = Column("ref", Uuid, nullable=False)
    table = created(engine, PartitionByRange("ref", interval="1 month", premake=0), key)
    (one,) = statuses(engine, table)

    assert "[2030-06-01, 2030-07-01)" == one.shown
    assert 7 == UUID(one.to_dict()["lower"]).version
