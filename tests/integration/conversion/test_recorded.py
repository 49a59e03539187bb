"""A conversion is recorded as a run is: in the log, in the audit tables, and by the same hooks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, text

from sa_partman import Conversion, Converter, PartitionByRange, Step, StepEvent, Veto, after, before
from sa_partman.errors import ExecutionError, LockNotAcquired
from sa_partman.events import When
from sa_partman.maintenance.maintainer import Maintainer
from tests.support.converting import BRISK, HASTY, NOW, TABLE, metadata
from tests.support.database import as_role, codes, holding, new_table, role, scalar, sql, upkeep

STEPS = ("unique_index", "check", "validate", "not_null", "parent", "cutover", "foreign_key:public.orgs", "analyze")


def recording(engine: Engine, **options: Any) -> Converter:
    return Converter(engine, metadata(), now=NOW, **{"lock": BRISK, "audit": True, **options})


def runs(engine: Engine) -> list[tuple[Any, ...]]:
    """ok, planned, done, failed of each run, and whether it has ended."""
    rows = sql(engine, "SELECT ok, planned, done, failed, finished IS NOT NULL FROM sa_partman_runs ORDER BY id")
    return [tuple(row) for row in rows]


def steps(engine: Engine) -> list[tuple[Any, ...]]:
    """Purpose, outcome, and the id that the SQL begins with, of each step."""
    rows = sql(
        engine,
        "SELECT purpose, outcome, substring(sql from '^-- ([^ ]+): ') FROM sa_partman_steps ORDER BY id",
    )
    return [tuple(row) for row in rows]


def test_every_step_is_a_row(events: Engine) -> None:
    found = recording(events).convert(TABLE)

    assert ("done", ()) == (found.status, found.findings)
    assert [(True, len(STEPS), len(STEPS), 0, True)] == runs(events)
    assert [("convert", "done", each) for each in STEPS] == steps(events)
    row = sql(events, 'SELECT "table", partition, bound, seconds > 0, rows, error, blockers, sql FROM sa_partman_steps')
    assert ("public.events", "public.events", None, True, None, None, []) == tuple(row[0][:7])
    assert "\nCREATE UNIQUE INDEX CONCURRENTLY" in row[0][7]


def _shape(engine: Engine, statement: str) -> set[str]:
    """The columns that have a value."""
    return {name for row in sql(engine, statement) for name, value in row._mapping.items() if value is not None}


def test_the_records_are_of_the_kinds_of_a_run(events: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """The same columns and the same fields of the log, one record a step and one a run, whoever works."""
    found = []
    other = new_table(PartitionByRange("created_at", interval="1 month", premake=1), name="others")
    sql(
        events,
        "CREATE TABLE others (id bigint NOT NULL, created_at timestamptz NOT NULL) PARTITION BY RANGE (created_at)",
    )
    works: tuple[Callable[[], Any], ...] = (
        upkeep(events, other, "2030-06-15", audit=True).run,
        lambda: recording(events).convert(TABLE),
    )
    for work in works:
        caplog.clear()
        with caplog.at_level(logging.DEBUG, logger="sa_partman"):
            work()
        fields = {
            (each.levelname, *sorted(set(vars(each)) - set(vars(logging.makeLogRecord({})))))
            for each in caplog.records
            if each.name == "sa_partman"
        }
        outcomes = [getattr(each, "outcome", None) for each in caplog.records if each.levelname == "INFO"]
        rows = _shape(events, "SELECT * FROM sa_partman_runs"), _shape(events, "SELECT * FROM sa_partman_steps")
        found.append((fields, set(outcomes), rows[0], rows[1] - {"bound"}))
        sql(events, "DELETE FROM sa_partman_steps; DELETE FROM sa_partman_runs")

    assert found[0] == found[1]


def test_a_step_that_fails(events: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """It is rolled back, and its row is there; then it is resumed, undone and begun again, each a run of its own."""

    def disturb(step: Step, seconds: float) -> None:
        if step.id == "unique_index":
            sql(events, "INSERT INTO events (created_at, org_id) VALUES ('2050-01-01', 1)")

    with pytest.raises(ExecutionError), caplog.at_level(logging.INFO, logger="sa_partman"):
        recording(events).convert(TABLE, report=disturb)

    assert [(False, len(STEPS), 2, 1, True)] == runs(events)
    assert ("convert", "failed", "validate") == steps(events)[-1]
    assert "is violated by some row" in str(scalar(events, "SELECT error FROM sa_partman_runs"))
    assert ("WARNING", "failed") == (caplog.records[-1].levelname, getattr(caplog.records[-1], "outcome", ""))
    sql(events, "DELETE FROM events WHERE created_at > '2049-01-01'")
    recording(events).resume(TABLE)
    recording(events).undo(TABLE)

    assert [False, True, True] == [each[0] for each in runs(events)]
    assert ["convert", "convert", "undo"] == [
        each[0]
        for each in sql(
            events,
            "SELECT (SELECT min(purpose) FROM sa_partman_steps WHERE run_id = r.id) FROM sa_partman_runs r ORDER BY id",
        )
    ]


def test_what_is_taken_back(events: Engine) -> None:
    @before("convert")
    def until_parent(event: StepEvent) -> bool:
        return event.step != "parent"

    recording(events, hooks=[until_parent]).convert(TABLE)
    found = recording(events).abort(TABLE)
    back = [each for each in steps(events) if each[0] == "abort"]

    assert "aborted" == found.status
    assert [("abort", "done", each) for each in ("not_null", "validate", "check", "unique_index")] == back
    assert "DROP INDEX" in scalar(events, "SELECT sql FROM sa_partman_steps ORDER BY id DESC LIMIT 1")


def test_a_lock_that_is_not_granted(events: Engine) -> None:
    """Deferred, with the one who holds it."""
    with holding(events, "SELECT count(*) FROM events") as pid, pytest.raises(LockNotAcquired):
        recording(events, lock=HASTY).convert(TABLE)

    assert ("convert", "deferred", "check") == steps(events)[-1]
    assert f"pid {pid} " in scalar(events, "SELECT blockers[1] FROM sa_partman_steps ORDER BY id DESC LIMIT 1")


def test_hooks_are_asked_before_and_told_after(events: Engine) -> None:
    seen: list[tuple[When, str]] = []

    def note(event: StepEvent) -> None:
        seen.append((event.when, event.step))
        assert ("convert", "public.events", "public.events") == (event.purpose, str(event.table), str(event.partition))
        assert event.sql
        assert event.run.startswith("convert-")

    recording(events, hooks=[note]).convert(TABLE)

    assert [(when, step) for step in STEPS for when in (When.BEFORE, When.AFTER)] == seen


def test_a_veto_stops_before_its_step(events: Engine) -> None:
    """No error: what was done stays, the state says why, and resume goes on."""

    @before("convert")
    def by_night(event: StepEvent) -> None:
        if event.step == "cutover":
            raise Veto("in office hours")

    found = recording(events, hooks=[by_night]).convert(TABLE)

    assert ("running", "cutover") == (found.status, found.next_step.id if found.next_step else "")
    assert "the step 'cutover' was vetoed by" in str(found.error)
    assert "in office hours" in str(found.error)
    assert ("convert", "vetoed", "cutover") == steps(events)[-1]
    assert [(True, len(STEPS), 5, 0, True)] == runs(events)
    assert "done" == recording(events).resume(TABLE).status


def test_a_hook_that_fails(events: Engine) -> None:
    """Before a step that one is not done; after it, it stays done."""

    @before()
    def lost(event: StepEvent) -> None:
        raise RuntimeError("no line")

    @after()
    def mute(event: StepEvent) -> None:
        raise RuntimeError("no voice")

    with pytest.raises(ExecutionError, match=r"lost failed: RuntimeError: no line; nothing was changed"):
        recording(events, hooks=[lost]).convert(TABLE)
    assert "done" == recording(events, hooks=[mute]).resume(TABLE).status
    assert "no voice; the step itself was done" in scalar(
        events, "SELECT error FROM sa_partman_steps WHERE outcome = 'done' LIMIT 1"
    )


def test_an_audit_that_fails_costs_nothing(events: Engine) -> None:
    """It is a finding."""
    rights = ("GRANT ALL ON DATABASE {database} TO {role}", "GRANT ALL ON SCHEMA public TO {role}")
    owned = (f"ALTER {each} OWNER TO {{role}}" for each in ("TABLE events", "TABLE orgs", "VIEW event_count"))
    with role(events, *rights, *owned) as name:
        sql(events, "CREATE SCHEMA watched")
        own = as_role(events, name)
        try:
            found: Conversion = recording(own, audit="watched").convert(TABLE)
        finally:
            own.dispose()

    assert "done" == found.status
    assert ["audit-failed"] == codes(found.findings)


def test_one_that_was_killed_has_no_end(events: Engine) -> None:
    def interrupt(step: Step, seconds: float) -> None:
        if step.id == "check":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recording(events).convert(TABLE, report=interrupt)

    assert [(None, len(STEPS), None, None, False)] == runs(events)
    assert ["unique_index", "check"] == [each[2] for each in steps(events)]


def test_a_conversion_is_no_maintenance(events: Engine) -> None:
    """However well it ended: check goes by the runs that maintain."""
    recording(events).convert(TABLE)
    maintainer: Maintainer = upkeep(events, metadata(), NOW, audit=True)

    assert "stale-maintenance" in codes(maintainer.check(max_age="1d"))
    maintainer.run()
    assert "stale-maintenance" not in codes(maintainer.check(max_age="1d"))


def test_a_table_that_is_converted_already_is_a_run_of_no_steps(events: Engine) -> None:
    for _ in range(2):
        recording(events).convert(TABLE)

    assert [(True, len(STEPS), len(STEPS), 0, True), (True, 0, 0, 0, True)] == runs(events)


def test_a_refused_one_leaves_no_row(events: Engine) -> None:
    with events.begin() as connection:
        connection.execute(text("CREATE TABLE refers (id int, event bigint REFERENCES events (id))"))
    with pytest.raises(Exception, match="can't be converted in place"):
        recording(events).convert(TABLE)

    assert scalar(events, "SELECT to_regclass('sa_partman_runs')") is None
