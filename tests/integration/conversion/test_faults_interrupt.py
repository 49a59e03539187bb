"""Ctrl-C, and what is seen of a step while it works."""

import signal
import time
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Engine

from sa_partman.maintenance.converter import Interrupted, Progress
from tests.integration.conversion.test_faults_abort import stopped_after
from tests.support.converting import BUILD_WAITS, OLD_SNAPSHOT, TABLE, WAITS, Ends, converter, go_on, until
from tests.support.database import another, holding, scalar, sql


def _interrupt_when(engine: Engine, condition: str) -> Thread:
    def wait() -> None:
        with another(engine) as own:
            until(own, condition)
        signal.raise_signal(signal.SIGINT)

    thread = Thread(target=wait)
    thread.start()
    return thread


def test_an_interrupt_cancels_the_build_and_says_how_to_go_on(events: Engine, undisturbed: Ends) -> None:
    """The invalid index that it leaves is found by the next."""
    with holding(events, *OLD_SNAPSHOT):
        thread = _interrupt_when(events, BUILD_WAITS)
        with pytest.raises(Interrupted, match=r"interrupted in step 'unique_index'; .*--resume.*--abort"):
            converter(events).convert(TABLE)
        thread.join()
    state = converter(events).state(TABLE)

    assert state is not None
    assert ("running", 0, "interrupted") == (state.status, state.done, state.error)
    assert not scalar(events, "SELECT count(*) FROM pg_stat_progress_create_index")
    go_on(events, "convert")
    undisturbed.check(events, "convert")


def test_an_interrupt_while_a_step_waits_rolls_it_back(events: Engine, undisturbed: Ends) -> None:
    stopped_after(events, "convert", "check")
    with holding(events, "LOCK TABLE events IN SHARE UPDATE EXCLUSIVE MODE"):
        thread = _interrupt_when(events, WAITS.format(table=TABLE, mode="ShareUpdateExclusiveLock"))
        with pytest.raises(KeyboardInterrupt, match="interrupted in step 'validate'"):
            converter(events).resume(TABLE)
        thread.join()

    go_on(events, "convert")
    undisturbed.check(events, "convert")


def test_after_the_promise_the_message_says_what_it_holds_until_then(events: Engine) -> None:
    """Rows beyond the boundary are refused meanwhile: nobody should rest here for a month."""

    def stop(step: Any, seconds: float) -> None:
        if step.id == "check":
            sql(events, "ALTER TABLE events DROP CONSTRAINT events_history_bound")

    with pytest.raises(Exception, match=r"Until then it holds: promise \[MINVALUE, 2030-07-01\) for new rows"):
        converter(events).convert(TABLE, report=stop)


def test_progress_tells_the_phase_and_for_whom_the_build_waits(events: Engine) -> None:
    """From a connection of its own, while the step works."""
    seen: list[Progress] = []
    with holding(events, *OLD_SNAPSHOT) as pid:

        def run() -> None:
            converter(events).convert(TABLE, progress=seen.append)

        thread = Thread(target=run)
        thread.start()
        until(events, BUILD_WAITS)
        _until_told(seen, "waiting for old snapshots")
    thread.join()
    waiting = [each for each in seen if each.waits_for]

    assert {"unique_index"} == {each.step.id for each in waiting}
    assert any(f"pid {pid}" in name for each in waiting for name in each.waits_for)
    assert all(0 <= each.done <= max(each.total, each.done) and each.seconds > 0 for each in seen)


def _until_told(seen: list[Progress], phase: str) -> None:
    deadline = time.monotonic() + 10
    while not any(each.phase == phase for each in seen):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_scan_that_the_server_does_not_count_is_estimated_below_its_end(events: Engine) -> None:
    """VALIDATE has no progress view: the table's size and a modest rate stand in."""
    seen: list[Progress] = []
    stopped_after(events, "convert", "check")
    with holding(events, "LOCK TABLE events IN SHARE UPDATE EXCLUSIVE MODE"):
        thread = Thread(target=converter(events).resume, args=(TABLE,), kwargs={"progress": seen.append})
        thread.start()
        _until_told(seen, "estimated")
    thread.join()
    blocks = scalar(events, "SELECT pg_relation_size('events_history') / current_setting('block_size')::int")

    assert {blocks} == {each.total for each in seen if each.phase == "estimated"}
    assert all(each.done < each.total for each in seen if each.phase == "estimated")


def test_a_telling_that_fails_does_not_harm_the_step(events: Engine, undisturbed: Ends) -> None:
    def broken(progress: Progress) -> None:
        raise ValueError(progress)

    with holding(events, *OLD_SNAPSHOT):
        thread = Thread(target=converter(events).convert, args=(TABLE,), kwargs={"progress": broken})
        thread.start()
        until(events, BUILD_WAITS)
    thread.join()

    undisturbed.check(events, "convert")


def test_the_estimate_knows_rows_bytes_and_the_two_steps_that_read(events: Engine) -> None:
    found = converter(events).estimate(TABLE)

    assert 2000 == found.rows
    assert scalar(events, "SELECT pg_relation_size('events')") == found.bytes
    assert 0 < found.seconds("validate") < found.seconds("unique_index")
    assert 0 == found.seconds("cutover")
    reading = found.seconds("validate") + found.seconds("unique_index")
    assert pytest.approx(3 * reading, abs=0.001) == found.lead.total_seconds()
