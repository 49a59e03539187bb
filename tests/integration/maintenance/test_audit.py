"""The audit: a row for each run and each step, and no step that ever depends on one."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, Table, create_engine

from sa_partman import Maintainer, PartitionByList, PartitionByRange, Retention
from sa_partman.maintenance.results import StepResult
from sa_partman.postgres import audit
from sa_partman.version import __version__
from tests.support.builders import at
from tests.support.database import (
    HASTY,
    as_role,
    codes,
    holding,
    made,
    new_table,
    outcomes,
    relations,
    role,
    scalar,
    sql,
    upkeep,
)
from tests.support.faces import FACES, Face, opened

NOW = "2026-01-15"
LATER = "2026-02-15"
MONTHLY = PartitionByRange("created_at", interval="1 month", premake=1)


@pytest.fixture
def table(engine: Engine) -> Table:
    made = new_table(MONTHLY)
    sql(engine, "CREATE TABLE events (id bigint, created_at timestamptz NOT NULL) PARTITION BY RANGE (created_at)")
    return made


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest, database_url: str) -> Iterator[Face]:
    with opened(request.param, database_url) as found:
        yield found


def runs(engine: Engine, schema: str = "public") -> list[tuple[Any, ...]]:
    """ok, planned, done, failed and error of each run."""
    rows = sql(engine, f'SELECT ok, planned, done, failed, error FROM "{schema}".sa_partman_runs ORDER BY id')
    return [tuple(row) for row in rows]


def test_a_run_and_its_steps(engine: Engine, table: Table, face: Face) -> None:
    """Who, when, what, how it went, in which words; with every driver."""
    result = face.maintainer(table, NOW, audit=True).run()
    (run,) = sql(
        engine,
        "SELECT run, finished >= started, ok, planned, done, failed, error, version, role, host, pid, "
        "server = current_setting('server_version') FROM sa_partman_runs",
    )
    steps = sql(
        engine,
        'SELECT purpose, "table", partition, bound, outcome, sql, seconds > 0, rows, error, blockers '
        "FROM sa_partman_steps ORDER BY id",
    )

    assert ["events_p20260101", "events_p20260201"] == made(result)
    assert [8, True, True, 2, 2, 0, None, __version__, "postgres", socket.gethostname(), os.getpid(), True] == [
        len(run[0]),
        *run[1:],
    ]
    assert ("provision", "public.events", "public.events_p20260101") == tuple(steps[0][:3])
    assert ("[2026-01-01, 2026-02-01)", "done") == tuple(steps[0][3:5])
    assert "CREATE TABLE public.events_p20260101 (LIKE" in steps[0][5]
    assert "BEGIN" not in steps[0][5]
    assert (True, None, None, []) == tuple(steps[0][6:])
    assert 2 == len(steps)


def test_a_run_with_nothing_to_do_is_a_run(engine: Engine, table: Table) -> None:
    """That nothing had to be done is what one wants to know, too; the tables are made once."""
    for _ in range(2):
        assert upkeep(engine, table, NOW, audit=True).run().ok

    assert [(True, 2, 2, 0, None), (True, 0, 0, 0, None)] == runs(engine)


def test_the_tables_can_be_in_another_schema(engine: Engine, table: Table) -> None:
    sql(engine, 'CREATE SCHEMA "odd: one"')
    upkeep(engine, table, NOW, audit="odd: one").run()

    assert [(True, 2, 2, 0, None)] == runs(engine, "odd: one")
    assert "public.sa_partman_runs" not in relations(engine)


def test_without_audit_there_are_no_tables(engine: Engine, table: Table) -> None:
    upkeep(engine, table, NOW).run()

    assert set() == {name for name in relations(engine) if "sa_partman" in name}


def test_the_row_of_a_run_is_there_while_it_runs(engine: Engine, table: Table) -> None:
    """So that one which was killed can be seen: it has no end."""
    seen: list[tuple[Any, ...]] = []

    def look(result: StepResult, done: int, total: int) -> None:
        seen.append((*runs(engine)[0][:2], scalar(engine, "SELECT count(*) FROM sa_partman_steps")))

    upkeep(engine, table, NOW, audit=True, report=look).run()

    assert [(None, 2, 1), (None, 2, 2)] == seen


def test_a_step_that_was_not_done(engine: Engine, table: Table) -> None:
    """Deferred, with the one who held the lock; the run was not good."""
    upkeep(engine, table, NOW).run()
    with holding(engine, "LOCK TABLE events IN SHARE UPDATE EXCLUSIVE MODE") as pid:
        result = upkeep(engine, table, LATER, audit=True, lock=HASTY).run()
    (step,) = sql(engine, "SELECT outcome, error, array_to_string(blockers, ';') FROM sa_partman_steps")

    assert ["deferred"] == outcomes(result) == [step[0]]
    assert (False, 1, 0, 1, None) == runs(engine)[0]
    assert "nothing was changed" in step[1]
    assert f"pid {pid}" in step[2]


def test_a_run_that_ends_with_an_error(engine: Engine, table: Table) -> None:
    """It is written down, and raised."""

    def fail(result: StepResult, done: int, total: int) -> None:
        raise ZeroDivisionError("of the caller's own")

    with pytest.raises(ZeroDivisionError):
        upkeep(engine, table, NOW, audit=True, report=fail).run()

    assert [(False, 2, 1, 0, "of the caller's own")] == runs(engine)


def test_an_audit_that_fails_costs_no_step(engine: Engine, table: Table) -> None:
    """The schema is not there: every partition is made, and a finding says what is missing."""
    result = upkeep(engine, table, NOW, audit="nowhere").run()

    assert ["events_p20260101", "events_p20260201"] == made(result)
    assert result.ok
    assert ["audit-failed"] == codes(result.findings)
    assert 'schema "nowhere" does not exist' in result.findings[0].message


def test_an_audit_that_fails_in_the_middle(engine: Engine, table: Table) -> None:
    """Somebody holds the table of steps: they are done, and the run's own row says how it ended."""
    upkeep(engine, table, "2025-12-15", audit=True).run()
    with holding(engine, "LOCK TABLE sa_partman_steps IN ACCESS EXCLUSIVE MODE"):
        result = upkeep(engine, table, LATER, audit=True).run()

    assert ["events_p20260201", "events_p20260301"] == made(result)
    assert ["audit-failed"] == codes(result.findings)
    assert result.findings[0].message.startswith("2 rows") or result.findings[0].message.startswith("3 rows")
    assert (True, 2, 2, 0, None) == runs(engine)[1]


def test_a_pool_of_one(database_url: str, engine: Engine, table: Table) -> None:
    """An audited run needs no connection more than another."""
    small = create_engine(database_url, pool_size=1, max_overflow=0, pool_timeout=2)
    result = Maintainer(small, table.metadata, now=at(NOW), audit=True).run()
    small.dispose()

    assert [(True, 2, 2, 0, None)] == runs(engine)
    assert () == result.findings


def test_rows_that_are_too_old_go(engine: Engine, table: Table) -> None:
    """After 400 days; steps before their run."""
    maintainer = upkeep(engine, table, NOW, audit=True)
    maintainer.run()
    maintainer.run()
    sql(engine, "UPDATE sa_partman_runs SET started = started - interval '401 days' WHERE planned = 2")
    maintainer.run()

    assert [0, 0] == [row[1] for row in runs(engine)]
    assert 0 == scalar(engine, "SELECT count(*) FROM sa_partman_steps")
    assert 400 == audit.KEPT_DAYS


def test_rows_of_less_than_400_days_stay(engine: Engine, table: Table) -> None:
    maintainer = upkeep(engine, table, NOW, audit=True)
    maintainer.run()
    sql(engine, "UPDATE sa_partman_runs SET started = started - interval '399 days'")
    maintainer.run()

    assert [2, 0] == [row[1] for row in runs(engine)]


def test_a_branch_that_is_dropped_is_a_run(engine: Engine) -> None:
    """Whatever removes data is written down."""
    table = new_table(PartitionByList("tenant", values=["a", "b"]))
    table.create(engine)
    upkeep(engine, table, audit=True).drop_branch("events", "a")
    (step,) = sql(engine, "SELECT purpose, partition FROM sa_partman_steps")

    assert ("drop", "public.events_a") == tuple(step)


def test_what_was_removed_is_on_record(engine: Engine) -> None:
    table = new_table(MONTHLY.with_(retention=Retention("1 month", then="drop")))
    table.create(engine)
    upkeep(engine, table, "2024-01-15").run()
    upkeep(engine, table, "2024-06-15", audit=True).run()
    dropped = sql(engine, "SELECT partition, sql FROM sa_partman_steps WHERE purpose = 'drop' ORDER BY id")

    assert ["public.events_p20240101", "public.events_p20240201"] == [row[0] for row in dropped]
    assert all("DROP TABLE" in row[1] for row in dropped)


def test_a_role_that_may_not_write_the_tables(engine: Engine, table: Table) -> None:
    """It owns the events, and the audit is somebody else's."""
    upkeep(engine, table, "2025-12-15", audit=True).run()
    grants = "GRANT ALL ON SCHEMA public TO {role}", "ALTER TABLE events OWNER TO {role}"
    with role(engine, *grants) as name:
        other = as_role(engine, name)
        for partition in ("events_p20251201", "events_p20260101"):
            sql(engine, f"ALTER TABLE {partition} OWNER TO {name}")
        result = upkeep(other, table, LATER, audit=True).run()
        other.dispose()

    assert result.ok, str(result)
    assert ["audit-failed"] == codes(result.findings)
    assert 1 == len(runs(engine))
