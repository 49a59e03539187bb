"""Expired partitions that are foreign tables: kept and reported, or dropped and detached where it is declared."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, Table
from sqlalchemy.schema import CreateTable

from sa_partman import Archive, PartitionByList, PartitionByRange, Retention
from sa_partman.errors import DeclarationError, Refused
from sa_partman.spec.range_spec import Then
from tests.support.database import codes, new_table, outcomes, partitions, scalar, sql, upkeep
from tests.support.faces import Face

NOW = "2026-06-15"
COLD = "cold"


def cold_storage(engine: Engine) -> None:
    """A server that is this very one, and three rows on it."""
    sql(
        engine,
        "CREATE TABLE kept_away AS SELECT g AS id, timestamptz '2026-01-05' AS created_at FROM generate_series(1, 3) g",
    )
    sql(engine, "CREATE EXTENSION postgres_fdw")
    host, port = sql(engine, "SELECT current_setting('unix_socket_directories'), current_setting('port')")[0]
    sql(
        engine,
        f"CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{host}', port '{port}', "
        f"dbname '{engine.url.database}')",
    )
    sql(engine, "CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user 'postgres', password_required 'false')")


def events(engine: Engine, then: Then = "drop", parent: str = "events", spec: Any = None, **options: Any) -> Table:
    """January is far away; February is here, and both have expired."""
    cold_storage(engine)
    retention = Retention("1 month", then=then, **options)
    months = PartitionByRange("created_at", interval="1 month", premake=0, retention=retention)
    table = new_table(months if spec is None else spec.with_(subpartition=months))
    with engine.begin() as connection:
        connection.execute(CreateTable(table))
    upkeep(engine, table, "2026-02-15").run()
    sql(
        engine,
        f"CREATE FOREIGN TABLE {COLD} PARTITION OF {parent} FOR VALUES FROM ('2026-01-01Z') TO ('2026-02-01Z') "
        f"SERVER far OPTIONS (table_name 'kept_away')",
    )
    return table


def away(engine: Engine) -> int:
    return int(scalar(engine, "SELECT count(*) FROM kept_away"))


@pytest.mark.parametrize("then", ["drop", "detach"])
def test_an_expired_foreign_table_is_kept_and_named(face: Face, engine: Engine, then: Then) -> None:
    """At each run, which is well; all others go."""
    table = events(engine, then)
    result = face.maintainer(table, NOW).run()
    again = face.maintainer(table, NOW).run()

    assert result.ok, str(result)
    assert {"events_p20260201"}.isdisjoint(partitions(engine))
    assert COLD in partitions(engine)
    assert ["foreign-table"] == codes(result.findings) == codes(again.findings)
    assert not again
    assert "public.cold [2026-01-01, 2026-02-01)" in again.findings[0].message
    assert "foreign-table" in codes(face.maintainer(table, NOW).check())
    assert not face.maintainer(table, NOW).run(adopt=True).steps


def test_it_is_kept_in_silence_where_that_is_declared(engine: Engine) -> None:
    table = events(engine, foreign_tables=False)

    assert not upkeep(engine, table, NOW).run().findings
    assert COLD in partitions(engine)


def test_it_is_dropped_where_that_is_declared(face: Face, engine: Engine) -> None:
    """The rows stay where they are."""
    table = events(engine, foreign_tables=True)
    assert "DROP FOREIGN TABLE public.cold" in face.maintainer(table, NOW).plan().sql()
    result = face.maintainer(table, NOW).run()

    assert result.ok, str(result)
    assert COLD not in partitions(engine)
    assert 3 == away(engine)
    assert not face.maintainer(table, NOW).run()


@pytest.mark.parametrize("concurrently", [None, True])
def test_it_is_detached_where_that_is_declared(face: Face, engine: Engine, concurrently: bool | None) -> None:
    """It stands alone, and no later run is concerned with it."""
    table = events(engine, "detach", foreign_tables=True, concurrently=concurrently)
    result = face.maintainer(table, NOW).run()

    assert result.ok, str(result)
    assert COLD not in partitions(engine)
    assert 3 == scalar(engine, f"SELECT count(*) FROM {COLD}")
    assert not face.maintainer(table, NOW).run()


def test_a_branch_with_a_foreign_table_below(engine: Engine) -> None:
    """It goes with the branch, where that is declared; else it stays, also when somebody asks for its tenant."""
    labels = {"a": ["a"], "b": ["b"]}
    table = events(engine, parent="events_a", spec=PartitionByList("tenant", values=labels))
    without = table.metadata.tables["events"]
    gone = new_table(
        PartitionByList("tenant", values={"b": ["b"]}, subpartition=PartitionByRange("created_at", interval="1 month"))
    )

    assert ["foreign-table"] == codes(upkeep(engine, without, NOW).run().findings)
    with pytest.raises(Refused, match="has foreign tables"):
        upkeep(engine, gone, NOW).prune(tenants=["a"])
    allowed = new_table(
        PartitionByList(
            "tenant",
            values={"b": ["b"]},
            subpartition=PartitionByRange(
                "created_at", interval="1 month", retention=Retention("9 years", then="drop", foreign_tables=True)
            ),
        )
    )
    result = upkeep(engine, allowed, NOW).prune(tenants=["a"])

    assert result.ok, str(result)
    assert ["events_b"] == list(partitions(engine))
    assert 3 == away(engine)


@pytest.mark.parametrize("options", [{"then": Archive("/archive")}, {"then": "drop", "grace": "1 day"}], ids=str)
def test_it_is_neither_archived_nor_kept_for_a_while(options: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match="foreign table is dropped or detached at once"):
        Retention("1 month", foreign_tables=True, **options)


def test_an_archive_leaves_it_alone(engine: Engine, tmp_path: Any) -> None:
    table = events(engine, Archive(tmp_path))
    result = upkeep(engine, table, NOW).run()

    assert result.ok, str(result)
    assert ["foreign-table"] == codes(result.findings)
    assert COLD in partitions(engine)
    assert ["done"] * len(result.steps) == outcomes(result)
