"""Leaves behind what interrupted work leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from sa_partman.marks import marked
from sa_partman.names import QualifiedName
from tests.support.database import another, holding, scalar, sql
from tests.support.killing import until

SNAPSHOT = ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT 1")
"""What opens a snapshot and never touches a table."""


def leave_pending(engine: Engine, partition: str, parent: str = "events", *, ours: bool = True) -> None:
    """A concurrent detach that waits for a reader and is cancelled there."""
    if ours:
        comment = marked(QualifiedName("public", parent), None).replace("'", "''").replace(":", r"\:")
        sql(engine, f"COMMENT ON TABLE {partition} IS '{comment}'")
    with (
        holding(engine, f"SELECT * FROM {parent}"),
        another(engine, isolation_level="AUTOCOMMIT") as other,
        other.connect() as connection,
    ):
        connection.execute(text("SET statement_timeout = '300ms'"))
        with pytest.raises(DBAPIError, match="timeout"):
            connection.execute(text(f"ALTER TABLE {parent} DETACH PARTITION {partition} CONCURRENTLY"))
    assert is_pending(engine, partition)


@contextmanager
def detaching(engine: Engine, partition: str, parent: str = "events") -> Iterator[int]:
    """Its concurrent detach runs during the block, and waits for a reader; the pid."""
    pids: list[int] = []

    def detach() -> None:
        with another(engine, isolation_level="AUTOCOMMIT") as other, other.connect() as connection:
            pids.append(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
            connection.execute(text(f"ALTER TABLE {parent} DETACH PARTITION {partition} CONCURRENTLY"))

    with ThreadPoolExecutor(1) as pool:
        with holding(engine, f"SELECT * FROM {parent}"):
            done = pool.submit(detach)
            assert until(lambda: is_pending(engine, partition))
            yield pids[0]
        done.result(20)


def is_pending(engine: Engine, partition: str) -> bool | None:
    """None when it is no partition at all."""
    found: bool | None = scalar(
        engine,
        "SELECT (SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = CAST(to_regclass(:name) AS oid))",
        name=partition,
    )
    return found


def leave_invalid(engine: Engine, statement: str) -> None:
    """*statement*, which builds an index CONCURRENTLY, cut off while it waits for an old snapshot."""
    with (
        holding(engine, *SNAPSHOT),
        another(engine, isolation_level="AUTOCOMMIT") as other,
        other.connect() as connection,
    ):
        connection.execute(text("SET statement_timeout = '300ms'"))
        with pytest.raises(DBAPIError, match="timeout"):
            connection.execute(text(statement))


@contextmanager
def building(engine: Engine, statement: str) -> Iterator[None]:
    """*statement*, which builds an index CONCURRENTLY, is at work during the block: it waits for an old snapshot."""

    def build() -> None:
        with another(engine, isolation_level="AUTOCOMMIT") as other, other.connect() as connection:
            connection.execute(text(statement))

    with ThreadPoolExecutor(1) as pool:
        with holding(engine, *SNAPSHOT):
            built = pool.submit(build)
            assert until(lambda: sql(engine, "SELECT pid FROM pg_stat_progress_create_index"))
            assert until(lambda: invalid(engine))
            yield
        built.result(20)


def invalid(engine: Engine) -> list[str]:
    """The names of all invalid indexes."""
    found = sql(
        engine,
        "SELECT c.relname FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE NOT x.indisvalid ORDER BY 1",
    )
    return [row[0] for row in found]
