"""``kill -9`` of the converting process, wherever it is: the next one goes on, and the end is the same."""

import os
import signal
import time

import pytest
from sqlalchemy import Engine

from sa_partman import LockPolicy
from tests.integration.conversion.test_faults_abort import stopped_after
from tests.support.converting import (
    BUILD_OVER,
    BUILD_WAITS,
    HOLDS,
    OLD_SNAPSHOT,
    TABLE,
    WAITS,
    Ends,
    chance,
    converter,
    go_on,
    nap,
    process,
    until,
)
from tests.support.database import holding, scalar, sql
from tests.support.servers import Copies

PATIENT = LockPolicy(lock_timeout=9.0, budget=30.0, stall=20.0)
ACCESS_EXCLUSIVE = {"table": TABLE, "mode": "AccessExclusiveLock"}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("verb", ["convert", "undo"])
def test_killed_anywhere_and_resumed_it_ends_the_same(verb: str, starts: dict[str, Copies], undisturbed: Ends) -> None:
    """Around every commit, around the concurrent build, and at points by chance."""
    survived = 0
    for point in undisturbed.points(verb, 5, chance()):
        with starts[verb]() as engine:
            child = process(engine, verb, point)
            child.join(30)

            # A run looks for holders a second time when it meets one, so the last points may lie behind its end.
            assert child.exitcode in (-signal.SIGKILL, 0), f"point {point}"
            survived += child.exitcode == 0
            assert "done" == go_on(engine, verb).status, f"point {point}"
            undisturbed.check(engine, verb)

    assert survived <= 3


def test_an_index_whose_state_was_not_written_any_more_is_not_built_again(events: Engine, undisturbed: Ends) -> None:
    """The valid index itself is the proof that the step is done."""
    sent = undisturbed.sent["convert"]
    after = (
        next(
            i for i, what in enumerate(sent, 1) if "CREATE UNIQUE INDEX CONCURRENTLY" in what and "COMMENT" not in what
        )
        + 1
    )
    process(events, "convert", after).join(30)
    state = converter(events).state(TABLE)
    built = scalar(events, "SELECT pg_relation_filepath('events_pkey_new')")
    go_on(events, "convert")

    assert state is not None
    assert ("running", 0) == (state.status, state.done)
    assert built == scalar(events, "SELECT pg_relation_filepath('events_pkey_history')")
    undisturbed.check(events, "convert")


@pytest.mark.parametrize("verb", ["convert", "undo"])
def test_an_interrupted_build_is_found_invalid_and_built_again(verb: str, events: Engine, undisturbed: Ends) -> None:
    """Killed in its last phase, for which an old snapshot keeps it waiting."""
    index = "events_pkey_new" if verb == "convert" else "events_pkey_old"
    if verb == "undo":
        converter(events).convert(TABLE)
    with holding(events, *OLD_SNAPSHOT):
        child = process(events, verb)
        until(events, BUILD_WAITS)
        child.kill()
        child.join(30)
        until(events, BUILD_OVER)
    left = sql(
        events,
        "SELECT indisvalid, pg_relation_filepath(indexrelid) FROM pg_index WHERE indexrelid = CAST(:name AS regclass)",
        name=index,
    )
    go_on(events, verb)

    assert [False] == [row[0] for row in left]
    assert left[0][1] != scalar(
        events, "SELECT pg_relation_filepath(:name)", name=f"events_pkey{'_history' * (verb == 'convert')}"
    )
    undisturbed.check(events, verb)


def test_who_resumes_while_the_dead_process_still_builds_waits_for_it(events: Engine, undisturbed: Ends) -> None:
    """The server notices within a second that the client is gone; meanwhile nothing is torn down."""
    with holding(events, *OLD_SNAPSHOT):
        child = process(events, "convert")
        until(events, BUILD_WAITS)
        child.kill()
        successor = process(events, "resume")
        time.sleep(0.3)
    child.join(30)
    successor.join(30)
    if successor.exitcode:  # it may have come before the server let go of the dead one's claim
        go_on(events, "convert")

    undisturbed.check(events, "convert")


def test_killed_while_validate_waits_it_is_validated_by_the_next(events: Engine, undisturbed: Ends) -> None:
    validate = next(
        i for i, what in enumerate(undisturbed.sent["convert"], 1) if "VALIDATE" in what and "COMMENT" not in what
    )
    process(events, "convert", validate).join(30)
    with holding(events, "LOCK TABLE events IN SHARE UPDATE EXCLUSIVE MODE"):
        child = process(events, "resume")
        until(events, WAITS.format(table=TABLE, mode="ShareUpdateExclusiveLock"))
        child.kill()
        child.join(30)
    unproven = scalar(events, "SELECT convalidated FROM pg_constraint WHERE conname = 'events_history_bound'")
    go_on(events, "convert")

    assert not unproven
    undisturbed.check(events, "convert")


def test_killed_in_the_queue_for_access_exclusive_it_frees_the_readers(events: Engine, undisturbed: Ends) -> None:
    """Not after its lock_timeout, but as soon as the server sees that the client is gone: within a second."""
    sql(events, f"ALTER DATABASE {events.url.database} SET deadlock_timeout = '30s'")
    stopped_after(events, "convert", "unique_index")
    child = process(events, "resume", 1, nap, "IN ACCESS EXCLUSIVE MODE", PATIENT)
    until(events, HOLDS.format(table=TABLE, mode="ShareUpdateExclusiveLock"))
    with holding(events, "SELECT count(*) FROM events"):
        until(events, WAITS.format(**ACCESS_EXCLUSIVE))
        child.kill()
        began = time.monotonic()
        sql(events, "SELECT count(*) FROM events")
        waited = time.monotonic() - began
    child.join(30)
    go_on(events, "convert")

    assert waited < 4
    undisturbed.check(events, "convert")


def test_frozen_inside_the_swap_the_server_ends_it(events: Engine, undisturbed: Ends) -> None:
    """A stopped process keeps its locks for ten seconds at most; the conversion can be resumed."""
    child = process(events, "convert", 1, nap, 'RENAME TO "events_history"')
    until(events, HOLDS.format(**ACCESS_EXCLUSIVE))
    assert child.pid is not None
    time.sleep(0.5)
    os.kill(child.pid, signal.SIGSTOP)
    began = time.monotonic()
    sql(events, "SELECT count(*) FROM events")
    waited = time.monotonic() - began
    child.kill()
    child.join(30)
    go_on(events, "convert")

    assert waited < 13
    undisturbed.check(events, "convert")
