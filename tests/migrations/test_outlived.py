"""What autogenerate says of rows past their retention: whatever the session, the key and the privileges are."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, DateTime, Engine, Text
from sqlalchemy.engine.interfaces import IsolationLevel

from alembic_ext.compare.catalog import found_tables
from alembic_ext.compare.conversion import outlived_notes
from sa_partman import PartitionByHash, PartitionByList, PartitionByRange, Retention
from sa_partman.orm.registry import declared_tables
from sa_partman.postgres.relations import unique_keys
from tests.support.carrying import declared, run
from tests.support.database import sql

MONTHLY = PartitionByRange("created_at", interval="1 month", retention=Retention("720 days"))
NUMBERED = PartitionByRange("id", interval=100, retention=Retention(12))
SETUP = """
CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamptz NOT NULL, kind text NOT NULL);
INSERT INTO events SELECT i, timestamptz '2030-06-15 00:00+00' - i * interval '20 hours', 'a'
    FROM generate_series(1, 1500) AS i;
ANALYZE events;
"""
STAY = "converted now, rows older than 720 days stay in public.events_history"


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SA_PARTMAN_AT", "2030-06-15")


def notes(engine: Engine, spec: Any, isolation: IsolationLevel = "READ COMMITTED", role: str = "") -> list[str]:
    """Also, the session is as good as before."""
    columns = (
        Column("id", BigInteger, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False),
        Column("kind", Text, nullable=False),
    )
    pairs = [(table, found) for table, found in declared_tables(declared(*columns, spec=spec))]
    with engine.connect().execution_options(isolation_level=isolation) as connection:
        if role:
            connection.exec_driver_sql(f"SET ROLE {role}")
        ((_, wanted, found),) = found_tables(connection, pairs)
        keys = unique_keys(connection, [found.oid])[found.oid]
        said = list(outlived_notes(connection, wanted, found, keys))

        assert [("public",)] == connection.exec_driver_sql("SELECT current_schema()").all()
        connection.exec_driver_sql("RESET ROLE")
    return said


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "AUTOCOMMIT"])
def test_in_a_transaction_and_without_one(engine: Engine, isolation: IsolationLevel) -> None:
    run(engine, SETUP)
    (note,) = notes(engine, MONTHLY, isolation)

    assert note.startswith(f"{STAY} until 2032-06-20, when all of it expires at once; the planner estimates 6")


def test_numbers_by_the_index_that_knows_the_highest(engine: Engine) -> None:
    run(engine, SETUP)
    (note,) = notes(engine, NUMBERED)

    assert "until keys reach 2,800, when all of it expires at once; the planner estimates 2" in note


def test_numbers_without_such_an_index_are_not_looked_for(engine: Engine) -> None:
    """That would be a scan, which `convert --plan` makes."""
    run(engine, SETUP + "ALTER TABLE events DROP CONSTRAINT events_pkey, ADD PRIMARY KEY (kind, id)")

    assert [] == notes(engine, NUMBERED)


def test_below_a_list(engine: Engine) -> None:
    run(engine, SETUP)
    (note,) = notes(engine, PartitionByList("kind", values=["a", "b"], subpartition=MONTHLY))

    assert note.startswith(f"{STAY} for good: it is not PARTITION BY RANGE (created_at); ")


@pytest.mark.parametrize(
    ("spec", "change"),
    [
        (PartitionByHash("id", modulus=2, subpartition=MONTHLY), ""),
        (MONTHLY.with_(retention=None), ""),
        (MONTHLY, "ALTER TABLE events DROP created_at"),
        (MONTHLY, "ALTER TABLE events ALTER created_at TYPE text"),
    ],
    ids=["refused anyway", "kept for ever", "no such column", "of another type"],
)
def test_nothing_is_said_of(engine: Engine, spec: Any, change: str) -> None:
    """What is in the way is said by others."""
    run(engine, SETUP + change)

    assert [] == notes(engine, spec)


def test_a_role_that_may_not_read_the_rows_is_told_until_when(engine: Engine) -> None:
    """How many they are, the server does not tell it."""
    run(engine, SETUP + "DROP ROLE IF EXISTS outlived_writer; CREATE ROLE outlived_writer")
    try:
        assert [f"{STAY} until 2032-06-20, when all of it expires at once"] == notes(
            engine, MONTHLY, role="outlived_writer"
        )
        assert [] == notes(engine, NUMBERED, role="outlived_writer")
    finally:
        sql(engine, "DROP ROLE outlived_writer")
