"""Whoever waits for a conversion is told for whom it waits, as with a run: at each of its steps that can wait."""

from __future__ import annotations

from sqlalchemy import Engine

from sa_partman import Converter
from tests.integration.conversion.test_faults_abort import stopped_after
from tests.support.converting import BRISK, NOW, OLD_SNAPSHOT, TABLE, metadata
from tests.support.database import another, sql
from tests.support.waits import Bell, busy, busy_from


def told(engine: Engine, bell: Bell) -> Converter:
    return Converter(engine, metadata(), now=NOW, lock=BRISK, on_wait=bell)


def test_the_swap_behind_a_reader(events: Engine) -> None:
    stopped_after(events, "convert", "parent")
    with another(events) as own, busy(own, "SELECT count(*) FROM events") as (pid, bell):
        assert "done" == told(events, bell).resume(TABLE).status

    (holder,) = bell.first.holders
    assert (pid, "nightly report", "AccessShareLock", "public.events") == (
        holder.pid,
        holder.application,
        holder.mode,
        holder.table,
    )
    assert "public.events" == bell.first.table
    assert bell.first.run.startswith("convert-")
    assert [False, True] == bell.over


def test_a_concurrent_build_behind_who_has_written(events: Engine) -> None:
    """Before it begins, because an index is not built for hours to be thrown away."""
    with another(events) as own, busy(own, "UPDATE events SET hits = 1 WHERE id = 1") as (pid, bell):
        assert "done" == told(events, bell).convert(TABLE).status

    assert (pid, "RowExclusiveLock") == (bell.first.holders[0].pid, bell.first.holders[0].mode)
    assert "transactions that have written to it" == bell.first.what
    assert [False, True] == bell.over


def test_a_concurrent_build_in_the_server(events: Engine) -> None:
    """In its last phase it waits for snapshots, whatever their transactions have locked."""
    with another(events) as own, busy(own, OLD_SNAPSHOT[1], isolation="REPEATABLE READ") as (pid, bell):
        assert "done" == told(events, bell).convert(TABLE).status

    assert pid == bell.first.holders[0].pid
    assert "the end of older transactions, to build the unique index" in bell.first.what
    assert [False, True] == bell.over


def test_taking_back_behind_somebody(events: Engine) -> None:
    stopped_after(events, "convert", "validate")
    sql(events, "ANALYZE events")
    with another(events) as own, busy(own, "SELECT count(*) FROM events") as (pid, bell):
        assert "aborted" == told(events, bell).abort(TABLE).status

    assert pid == bell.first.holders[0].pid
    assert [False, True] == bell.over


def test_a_scan_behind_who_changes_the_table(events: Engine) -> None:
    """VALIDATE waits in the queue, with nobody behind it that reads or writes."""
    stopped_after(events, "convert", "check")
    lock = "LOCK TABLE events IN SHARE UPDATE EXCLUSIVE MODE"
    with another(events) as own, busy_from(own, events, "VALIDATE", lock) as late:
        assert "done" == told(events, late.bell).resume(TABLE).status

    assert (late.pid, "ShareUpdateExclusiveLock") == (
        late.bell.first.holders[0].pid,
        late.bell.first.holders[0].mode,
    )
    assert late.bell.over[-1]
