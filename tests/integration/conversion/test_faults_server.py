"""Statements cancelled, connections terminated, the server crashed, wherever it is: resumed, it ends the same."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from sa_partman.errors import PartmanError
from sa_partman.throwaway import Server
from tests.support.catalog_snapshot import difference, snapshot
from tests.support.converting import TABLE, Ends, at_point, chance, contents, converter, go_on, set_up
from tests.support.database import another, sql
from tests.support.servers import Copies

OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
SWAP = {"convert": "ATTACH PARTITION", "undo": "DETACH PARTITION"}


def terminate(engine: Engine) -> None:
    """Every connection of the converter, the one that holds its claim too."""
    with another(engine, poolclass=NullPool) as killer:
        sql(killer, f"SELECT pg_terminate_backend(pid) {OTHERS}")
        while sql(killer, f"SELECT pid {OTHERS}"):
            time.sleep(0.005)


@contextmanager
def cancelling(engine: Engine) -> Iterator[Callable[[], None]]:
    """From the call on, whatever statement runs is cancelled, until the block ends."""
    begin, over = Event(), Event()

    def cancel() -> None:
        begin.wait()
        with another(engine, poolclass=NullPool) as killer, killer.connect() as connection:
            while not over.is_set():
                connection.exec_driver_sql(f"SELECT pg_cancel_backend(pid) {OTHERS} AND state = 'active'")
                connection.rollback()

    thread = Thread(target=cancel)
    thread.start()
    try:
        yield begin.set
    finally:
        begin.set()
        over.set()
        thread.join()


def _fails(engine: Engine, verb: str) -> bool:
    try:
        getattr(converter(engine), verb)(TABLE)
    except (PartmanError, DBAPIError):
        return True
    return False


@pytest.mark.timeout(600)
@pytest.mark.parametrize("verb", ["convert", "undo"])
def test_terminated_anywhere_and_resumed_it_ends_the_same(
    verb: str, starts: dict[str, Copies], undisturbed: Ends
) -> None:
    for point in undisturbed.points(verb, 5, chance()):
        with starts[verb]() as engine:

            def deed(engine: Engine = engine) -> None:
                terminate(engine)

            with at_point(engine, point, deed):
                _fails(engine, verb)

            assert "done" == go_on(engine, verb).status, f"point {point}"
            undisturbed.check(engine, verb)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("verb", ["convert", "undo"])
def test_cancelled_anywhere_and_resumed_it_ends_the_same(
    verb: str, starts: dict[str, Copies], undisturbed: Ends
) -> None:
    """What is said about it is ours or the server's, and the stored state is true."""
    failures = 0
    for point in undisturbed.points(verb, 5, chance()):
        with starts[verb]() as engine:
            with cancelling(engine) as begin, at_point(engine, point, begin):
                failures += _fails(engine, verb)

            assert "done" == go_on(engine, verb).status, f"point {point}"
            undisturbed.check(engine, verb)

    assert failures, "nothing was ever cancelled"


@pytest.mark.timeout(600)
def test_crashed_at_every_step_and_restarted_it_ends_the_same(own_server: Server) -> None:
    """An immediate shutdown before and after each commit, and inside the swap; forth and back."""
    engine = create_engine(own_server.url())
    set_up(engine)
    start, rows = snapshot(engine), contents(engine)
    for verb in ("convert", "undo"):
        for place in ("CONCURRENTLY", "NOT VALID", "VALIDATE", "SET NOT NULL", "PARTITION OF", SWAP[verb], "ANALYZE"):
            with at_point(engine, 1, own_server.restart_immediate, place):
                _goes_on_or_fails(engine, verb)
            engine.dispose()
        assert "done" == go_on(engine, verb).status
        assert rows[:4] == contents(engine)[:4]  # a sequence may jump ahead in a crash

    assert [] == [line for line in difference(start, snapshot(engine)).splitlines() if "last value" not in line]
    engine.dispose()


def _goes_on_or_fails(engine: Engine, verb: str) -> None:
    found = converter(engine).state(TABLE)
    running = found is not None and found.status == "running"
    if not running and found is not None and found.kind == verb:
        return
    try:
        getattr(converter(engine), "resume" if running else verb)(TABLE)
    except (PartmanError, DBAPIError):
        return


def test_crashed_in_the_commit_of_the_swap_the_stored_state_tells(own_server: Server) -> None:
    """Whether the commit came through is not known to the client: either is right, and both lead on."""
    engine = create_engine(own_server.url())
    set_up(engine)
    rows = contents(engine)
    commits = random.Random(1).sample(range(6, 14), 3)
    for count in commits:
        with at_point(engine, count, own_server.restart_immediate, "COMMIT"):
            _fails(engine, "convert")
        engine.dispose()
        go_on(engine, "convert")
        go_on(engine, "undo")
        sql(engine, "DROP SCHEMA sa_partman CASCADE")

    assert rows[:4] == contents(engine)[:4]
    engine.dispose()


def test_a_lost_claim_does_not_spoil_a_conversion_that_went_through(events: Engine, undisturbed: Ends) -> None:
    """The connection that holds it was ended by an administrator: each step looks at the stored state by itself."""

    def deed() -> None:
        with another(events, poolclass=NullPool) as killer:
            sql(killer, f"SELECT pg_terminate_backend(pid) {OTHERS} AND query LIKE 'SET LOCAL %timeout = 0'")

    with at_point(events, 1, deed, "VALIDATE"):
        done = converter(events).convert(TABLE)

    assert "done" == done.status
    undisturbed.check(events, "convert")
