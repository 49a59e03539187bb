"""Statements cancelled, connections terminated, the server crashed, at any step: the next run heals it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError

from sa_partman.errors import PartmanError
from sa_partman.maintenance.results import RunResult
from sa_partman.throwaway import Server
from tests.support.database import sql
from tests.support.faults import Estate, estate, points, writing
from tests.support.killing import OTHERS, Deed, at_point, others, until

CANCELS = 3
"""How many running statements are cancelled: one alone may just have ended."""


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("victim", ["step", "others", "all"])
def test_terminated_at_a_statement(database_url: str, victim: str) -> None:
    """The backend that is about to get it; all others, the one with the exclusion among them; or every one."""
    with estate(database_url) as found:
        for point in _points(found, points(0.15)):
            found.pass_days()
            with writing(found):
                result = _disturbed(found, point, _terminator(found.engine, victim))

            assert result is None or _told(result), f"point {point}: {result}"
            found.heal(f"{victim} at {point}")


@pytest.mark.timeout(1800)
def test_cancelled_at_a_statement(database_url: str) -> None:
    """What runs at that point, or right after it."""
    with estate(database_url) as found:
        failures = 0
        for point in _points(found, points(0.2)):
            found.pass_days()
            with writing(found), _canceller(found.engine) as cancel:
                result = _disturbed(found, point, cancel)

            failures += result is None or not result.ok
            found.heal(f"point {point}")

    assert failures, "nothing was ever cancelled"


@pytest.mark.timeout(1800)
def test_the_server_crashes_at_a_statement(own_server: Server) -> None:
    """An immediate shutdown, and recovery; the application was told of it too, so nobody writes meanwhile."""
    with estate(own_server.url()) as found:
        for point in _points(found, points(0.1)):
            found.pass_days()
            result = _disturbed(found, point, lambda _: own_server.restart_immediate())

            assert result is None or _told(result), f"point {point}: {result}"
            found.heal(f"point {point}")


def _points(found: Estate, count: int) -> Iterator[int]:
    """The first, which is certain to come, then by chance, among the statements and commits of an undisturbed run."""
    found.pass_days()
    with at_point(found.engine, 0, print) as sent:
        found.maintainer().run()
    found.heal("undisturbed")
    yield 1
    yield from (found.dice.randint(1, len(sent)) for _ in range(count - 1))


def _disturbed(found: Estate, point: int, deed: Deed) -> RunResult | None:
    """A run at which *deed* happens; None when it ended in an error, which must be one that a caller knows."""
    engine = create_engine(found.url)
    try:
        with at_point(engine, point, deed):
            return found.maintainer(engine).run()
    except (PartmanError, DBAPIError):
        return None
    finally:
        engine.dispose()


def _told(result: RunResult) -> bool:
    """A step that was hit is reported, with a reason."""
    return all(bool(step.error) == step.failed for step in result.steps)


def _terminator(engine: Engine, victim: str) -> Deed:
    def terminate(connection: Connection) -> None:
        driver: Any = connection.connection.dbapi_connection
        own = driver.info.backend_pid
        gone = [own] if victim == "step" else [pid for pid in others(engine) if victim == "all" or pid != own]
        for pid in gone:
            sql(engine, "SELECT pg_terminate_backend(:pid)", pid=pid)
        assert until(lambda: not set(gone) & set(others(engine)))

    return terminate


@contextmanager
def _canceller(engine: Engine) -> Iterator[Callable[[Any], None]]:
    """From the call on, the next statements that run are cancelled; at most until the block ends."""
    begin, over = Event(), Event()

    def cancel() -> None:
        begin.wait()
        done = 0
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while done < CANCELS and not over.is_set():
                hit = connection.exec_driver_sql(f"SELECT pg_cancel_backend(pid) {OTHERS} AND state = 'active'")
                done += len(hit.all())

    thread = Thread(target=cancel)
    thread.start()
    try:
        yield lambda _: begin.set()
    finally:
        over.set()
        begin.set()
        thread.join()
