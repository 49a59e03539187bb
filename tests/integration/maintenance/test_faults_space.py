"""A tablespace that is full: what does not fit is rolled back whole, and the next run does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from sa_partman.maintenance.results import Outcome
from sa_partman.throwaway import Server
from tests.support.database import sql
from tests.support.faults import Estate, estate
from tests.support.invariant import fingerprint, partitions, rows_of
from tests.support.space import file_system

SIZE = "12m"
FILLER = "other_filler"


@pytest.fixture
def small() -> Iterator[Path]:
    with file_system(SIZE) as folder:
        yield folder


@contextmanager
def _in(server: Server, small: Path) -> Iterator[Estate]:
    """An estate whose new relations go to the small tablespace."""
    with estate(server.url(), "dropped", "spilled", "nested") as found:
        with found.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"CREATE TABLESPACE small LOCATION '{small}'")
            connection.exec_driver_sql(f"ALTER DATABASE {found.engine.url.database} SET default_tablespace = small")
        yield found
        found.engine.dispose()


def _fill(engine: Engine) -> None:
    """To the last page."""
    sql(engine, f"CREATE UNLOGGED TABLE {FILLER} (filler text)")
    for rows in (1000, 100, 10, 1):
        with pytest.raises(OperationalError, match="No space left"):
            _grow(engine, rows)


def _grow(engine: Engine, rows: int) -> None:
    while True:
        sql(engine, f"INSERT INTO {FILLER} SELECT repeat('x', 1500) FROM generate_series(1, {rows})")


def _empty(engine: Engine) -> None:
    sql(engine, f"DROP TABLE {FILLER}")
    sql(engine, "CHECKPOINT")  # only then are the files gone


def test_nothing_fits(own_server: Server, small: Path) -> None:
    """Every creation fails with the server's reason; what exists stays, and rows are removed nevertheless by prune."""
    with _in(own_server, small) as found:
        _fill(found.engine)
        found.pass_days()
        before = {each.table: partitions(found.engine, each.table) for each in found.promises}
        result = found.maintainer().provision()
        after = {each.table: partitions(found.engine, each.table) for each in found.promises}
        _empty(found.engine)

        assert {Outcome.FAILED} == {each.outcome for each in result.steps}
        assert all("No space left" in each.error and "rolled back" in each.error for each in result.steps)
        assert before == after
        found.heal("full")


def test_the_rows_that_move_do_not_fit(own_server: Server, small: Path) -> None:
    """Out of a default partition into a new one: both sides are as they were."""
    with _in(own_server, small) as found:
        day = next(each for each in found.promises if each.default).horizon(found.now)
        rows = [(found.ledger.number(), day) for _ in range(8000)]
        with found.engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO spilled (id, created_at, note) SELECT i, %s, md5(i::text) || repeat('x', 1800) "
                "FROM generate_series(%s::bigint, %s::bigint) i",
                (day, rows[0][0], rows[-1][0]),
            )
        for row in rows:
            found.ledger.add("spilled", row)
        kept = sorted(rows_of(found.engine, "spilled_default"))
        before = fingerprint(found.engine)
        found.now = day
        result = found.maintainer().provision(["spilled"])
        failed = [each for each in result.steps if each.failed]
        left = sorted(rows_of(found.engine, "spilled_default"))

        assert ["No space left" in each.error for each in failed] == [True]
        assert len(fingerprint(found.engine)) > len(before)
        assert kept == left
        with found.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"ALTER DATABASE {found.engine.url.database} RESET default_tablespace")
        found.heal("rows that did not fit")
