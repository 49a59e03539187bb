"""Others at work on the same table, or beside it: second converters, migrations, rows that come too late."""

from threading import Thread
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, DateTime, Engine, MetaData, Table

from sa_partman import PartitionByRange
from sa_partman.errors import ConversionRefused, ExecutionError, MaintainerBusy
from sa_partman.maintenance.converter import Converter
from tests.integration.conversion.test_faults_abort import stopped_after
from tests.support.catalog_snapshot import difference, snapshot
from tests.support.converting import (
    BRISK,
    BUILD_WAITS,
    NOW,
    OLD_SNAPSHOT,
    TABLE,
    Ends,
    at_point,
    converter,
    process,
    until,
)
from tests.support.database import holding, partitions, scalar, sql


def other_table(engine: Engine) -> Converter:
    sql(
        engine,
        "CREATE TABLE visits (id bigint NOT NULL, seen_at timestamptz NOT NULL)",
    )
    sql(engine, "INSERT INTO visits SELECT i, '2030-06-01' FROM generate_series(1, 100) i")
    metadata = MetaData()
    Table(
        "visits",
        metadata,
        Column("id", BigInteger, nullable=False),
        Column("seen_at", DateTime(timezone=True), nullable=False),
        PartitionByRange("seen_at", interval="1 month", premake=1),
    )
    return Converter(engine, metadata, now=NOW, lock=BRISK)


@pytest.mark.parametrize("verb", ["convert", "resume", "abort", "undo"])
def test_a_second_converter_of_the_table_refuses(verb: str, events: Engine, undisturbed: Ends) -> None:
    with holding(events, *OLD_SNAPSHOT):
        first = process(events, "convert")
        until(events, BUILD_WAITS)
        with pytest.raises(MaintainerBusy, match=r"another process converts public\.events; nothing was changed"):
            getattr(converter(events), verb)(TABLE)
    first.join(30)

    undisturbed.check(events, "convert")


def test_another_table_is_converted_meanwhile(events: Engine, undisturbed: Ends) -> None:
    """Its swap does not wait for the build of the first."""
    visits = other_table(events)
    with holding(events, *OLD_SNAPSHOT):
        first = process(events, "convert")
        until(events, BUILD_WAITS)

        assert "done" == visits.convert("visits").status
    first.join(30)
    assert 2 == len(partitions(events, "visits"))
    sql(events, "DROP TABLE visits CASCADE")
    undisturbed.check(events, "convert")


def test_two_that_begin_at_once_make_the_schema_once(events: Engine, undisturbed: Ends) -> None:
    visits = other_table(events)
    other = Thread(target=visits.convert, args=("visits",))
    other.start()
    converter(events).convert(TABLE)
    other.join()

    stored = (converter(events).state(TABLE), visits.state("visits"))
    assert ["done", "done"] == [each and each.status for each in stored]


CHANGES = {
    "a column": "ALTER TABLE events ADD COLUMN extra int",
    "a default": "ALTER TABLE events ALTER COLUMN note SET DEFAULT 'x'",
    "NULL": "ALTER TABLE events ALTER COLUMN hits DROP NOT NULL",
    "an index": "CREATE INDEX theirs ON events (hits)",
    "a CHECK": "ALTER TABLE events ADD CONSTRAINT theirs CHECK (hits >= 0)",
    "a trigger": "CREATE TRIGGER theirs BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION touch()",
    "a view": "CREATE VIEW theirs AS SELECT id FROM events",
    "a grant": "GRANT SELECT ON events TO PUBLIC",
    "row security": "ALTER TABLE events ENABLE ROW LEVEL SECURITY",
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_by_somebody_else_stops_the_swap(what: str, events: Engine, undisturbed: Ends) -> None:
    """The prepared partitioned table lacks it. The application goes on, an abort works, a new conversion carries it."""
    stopped_after(events, "convert", "parent")
    sql(events, CHANGES[what])
    with pytest.raises(ExecutionError, match=r"was changed since this began.*--abort; then begin again"):
        converter(events).resume(TABLE)

    assert "r" == scalar(events, "SELECT relkind FROM pg_class WHERE relname = 'events'")
    sql(events, "INSERT INTO events (org_id) VALUES (1)")
    converter(events).abort(TABLE)
    assert "done" == converter(events).convert(TABLE).status


@pytest.mark.parametrize("change", ["GRANT SELECT ON events TO PUBLIC", "CREATE VIEW theirs AS SELECT id FROM events"])
def test_a_change_in_the_last_moment_stops_the_swap_as_well(change: str, events: Engine) -> None:
    """Grants and views take no lock that would keep them out until ACCESS EXCLUSIVE is there."""
    stopped_after(events, "convert", "parent")
    with (
        at_point(events, 1, lambda: _aside(events, change), "lock_timeout = '200ms'"),
        pytest.raises(ExecutionError, match="grants or dependent views changed during the final check"),
    ):
        converter(events).resume(TABLE)

    assert "r" == scalar(events, "SELECT relkind FROM pg_class WHERE relname = 'events'")


def _aside(engine: Engine, statement: str) -> None:
    other = Thread(target=sql, args=(engine, statement))
    other.start()
    other.join()


def test_a_change_between_the_look_and_the_begin_is_noticed(events: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def meanwhile() -> None:
        sql(events, "ALTER TABLE events ADD COLUMN extra int")

    planned = converter(events)._planned
    conv = converter(events)

    def slowly(*arguments: Any) -> Any:
        found = planned(*arguments)
        meanwhile()
        return found

    monkeypatch.setattr(conv, "_planned", slowly)
    with pytest.raises(Exception, match="changed while this was being planned; no step was taken"):
        conv.convert(TABLE)


def test_a_row_beyond_the_boundary_is_refused_until_the_swap_and_taken_after_it(events: Engine) -> None:
    """The plan says so before; the application's error names the constraint."""
    late = "INSERT INTO events (org_id, created_at) VALUES (1, '2030-07-01 00:00+00')"
    assert any("refused from the step 'check'" in note for note in converter(events).plan(TABLE).notes)
    stopped_after(events, "convert", "check")
    with pytest.raises(Exception, match="events_history_bound"):
        sql(events, late)
    converter(events).resume(TABLE)
    sql(events, late)

    assert 1 == scalar(events, "SELECT count(*) FROM events_p20300701")


def test_a_row_beyond_the_boundary_that_came_before_the_promise_is_named_by_the_plan(events: Engine) -> None:
    """Counted and sampled, and nothing is touched; with a later boundary it goes through."""
    before = snapshot(events)
    sql(events, "INSERT INTO events (org_id, created_at) VALUES (1, '2030-09-01'), (1, '2030-09-02'), (1, NULL)")
    with pytest.raises(ConversionRefused, match=r"(?s)1 rows have NULL .*2 rows lie outside .*2030-09-01"):
        converter(events).convert(TABLE, boundary="2030-07-01")

    assert [] == [line for line in difference(before, snapshot(events)).splitlines() if "last value" not in line]
    sql(events, "DELETE FROM events WHERE created_at IS NULL")
    converter(events).convert(TABLE)
    assert "FOR VALUES FROM (MINVALUE) TO ('2030-10-01 00:00:00+00')" == partitions(events)["events_history"]


def test_a_row_beyond_the_boundary_between_plan_and_promise_fails_validate(events: Engine, undisturbed: Ends) -> None:
    """The message is the server's; nothing is lost, and an abort works."""

    def meanwhile() -> None:
        _aside(events, "INSERT INTO events (org_id, created_at) VALUES (1, '2031-01-01')")

    with (
        at_point(events, 1, meanwhile, "CONCURRENTLY"),
        pytest.raises(ExecutionError, match=r"step 'validate' failed: .*events_history_bound.*--abort"),
    ):
        converter(events).convert(TABLE)
    converter(events).abort(TABLE)

    sql(events, "DELETE FROM events WHERE created_at = '2031-01-01'")
    shown = difference(undisturbed.start, snapshot(events)).splitlines()
    assert [] == [line for line in shown if "last value" not in line]


def test_rows_that_came_while_an_undo_rested_do_not_stretch_its_swap(events: Engine) -> None:
    """What was few when it began may be many when it is resumed."""
    converter(events).convert(TABLE)

    def report(step: Any, seconds: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        converter(events).undo(TABLE, max_rows=10, report=report)
    sql(events, "INSERT INTO events (org_id, created_at) SELECT 1, '2030-07-05' FROM generate_series(1, 11)")
    with pytest.raises(ExecutionError, match="more than 10 rows came into other partitions meanwhile"):
        converter(events).resume(TABLE)
    converter(events).abort(TABLE)
    converter(events).undo(TABLE, max_rows=11)

    assert "r" == scalar(events, "SELECT relkind FROM pg_class WHERE relname = 'events'")
