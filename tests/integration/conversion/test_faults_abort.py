"""Taking back: at every step the catalog is what it was, and what is somebody else's stays."""

import os
from typing import Any

import pytest
from sqlalchemy import Engine

from sa_partman.errors import ExecutionError, NameTaken, Refused
from tests.support.catalog_snapshot import difference, snapshot
from tests.support.converting import CAMPAIGN, TABLE, Ends, at_point, chance, contents, converter, go_on
from tests.support.database import sql
from tests.support.faults import some
from tests.support.servers import Copies


class Stopped(Exception):
    """By the test."""


def stop() -> None:
    raise Stopped


def stopped_after(engine: Engine, verb: str, wanted: str) -> None:
    """Runs *verb* up to the end of the step *wanted*."""

    def report(step: Any, seconds: float) -> None:
        if step.id == wanted:
            stop()

    with pytest.raises(Stopped):
        getattr(converter(engine), verb)(TABLE, report=report)


@pytest.mark.parametrize("step", ["unique_index", "check", "validate", "not_null", "parent"])
def test_aborted_after_any_step_the_catalog_is_what_it_was(step: str, events: Engine, undisturbed: Ends) -> None:
    """And a new conversion goes through."""
    stopped_after(events, "convert", step)
    aborted = converter(events).abort(TABLE)

    assert ("aborted", 0) == (aborted.status, aborted.done)
    assert "" == difference(undisturbed.start, snapshot(events))
    assert undisturbed.rows == contents(events)
    assert "done" == converter(events).convert(TABLE).status
    undisturbed.check(events, "convert")


def test_an_aborted_undo_leaves_the_table_converted_and_can_be_begun_again(events: Engine, undisturbed: Ends) -> None:
    converter(events).convert(TABLE)
    stopped_after(events, "undo", "unique_index")
    aborted = converter(events).abort(TABLE)

    assert ("undo", "aborted") == (aborted.kind, aborted.status)
    undisturbed.check(events, "convert")
    converter(events).undo(TABLE)
    undisturbed.check(events, "undo")


@pytest.mark.timeout(600)
def test_an_interrupted_abort_is_ended_by_another_or_turned_around_by_resume(tables: Copies, undisturbed: Ends) -> None:
    """Each step that is taken back is written down in its own transaction, as each step forward is."""
    random = chance()
    with tables() as engine:
        stopped_after(engine, "convert", "parent")
        with at_point(engine, 0, stop) as sent:
            converter(engine).abort(TABLE)
    points = range(3, len(sent) + 1)
    chosen = points if os.environ.get(CAMPAIGN) else some(random.sample(points, 14), random)
    for number, point in enumerate(sorted(chosen)):
        with tables() as engine:
            stopped_after(engine, "convert", "parent")
            with at_point(engine, point, stop), pytest.raises(Stopped):
                converter(engine).abort(TABLE)
            state = converter(engine).state(TABLE)
            if number % 2 and state is not None and state.status == "running":
                go_on(engine, "convert")
                undisturbed.check(engine, "convert")
            else:
                if state is not None and state.status == "running":
                    converter(engine).abort(TABLE)
                assert "" == difference(undisturbed.start, snapshot(engine)), f"point {point}"


def test_after_the_swap_there_is_no_abort_but_resume_and_undo(events: Engine, undisturbed: Ends) -> None:
    stopped_after(events, "convert", "cutover")
    with pytest.raises(Refused, match=r"cut over already; nothing was changed\. Finish it: .* --resume; .* --undo"):
        converter(events).abort(TABLE)

    with pytest.raises(Refused, match="--resume"):
        converter(events).undo(TABLE)
    converter(events).resume(TABLE)
    undisturbed.check(events, "convert")


def test_an_abort_drops_no_table_that_somebody_else_has_made(events: Engine) -> None:
    """The step that would have made it failed, so it has left nothing: what bears the name is not ours."""
    stopped_after(events, "convert", "not_null")
    sql(events, "CREATE TABLE events_pnew AS SELECT 1 AS precious")
    with pytest.raises(ExecutionError, match='relation "events_pnew" already exists'):
        converter(events).resume(TABLE)
    converter(events).abort(TABLE)

    assert [(1,)] == sql(events, "SELECT precious FROM events_pnew")


def test_an_index_of_the_wanted_name_is_not_taken_for_ours(events: Engine, undisturbed: Ends) -> None:
    """It would pass for one that an interrupted build has left, and an abort would drop it."""
    sql(events, "CREATE INDEX events_pkey_new ON events (hits)")
    with pytest.raises((NameTaken, Refused), match="events_pkey_new"):
        converter(events).convert(TABLE)

    assert [(1,)] == sql(events, "SELECT 1 FROM pg_class WHERE relname = 'events_pkey_new'")
    assert converter(events).state(TABLE) is None
