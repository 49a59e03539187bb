"""Killed, cancelled or crashed wherever it is: resumed it ends the same, aborted the table is what it was."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError

from sa_partman.engine.pace import Pace
from sa_partman.errors import PartmanError
from sa_partman.plan.rewrite import request
from sa_partman.throwaway import Server
from tests.integration.conversion.test_faults_server import cancelling, terminate
from tests.support.catalog_snapshot import Snapshot, difference, snapshot
from tests.support.converting import CAMPAIGN, at_point, chance, die
from tests.support.database import sql
from tests.support.moving import begin, go_on, in_pieces, work
from tests.support.processes import started
from tests.support.rewriting import contents, events, history, left_behind, rewriter
from tests.support.servers import Address

ROWS = 1_500
VERBS = ("split", "undo", "finalize")


@pytest.fixture(autouse=True)
def pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pace, "allow", Pace.allow)
    monkeypatch.setattr(request, "SMALL", request.SMALL)
    in_pieces()


def seen(engine: Engine) -> Snapshot:
    """The catalog, but for a comment that tells of the files that were copied."""
    return tuple(line for line in snapshot(engine) if "events_rewrite comment: " not in line)


def set_up(engine: Engine, verb: str = "split") -> None:
    """With a table that it refers to, and one that refers to it."""
    sql(engine, "CREATE TABLE orgs (id int PRIMARY KEY); INSERT INTO orgs SELECT generate_series(0, 9)")
    history(engine, rows=ROWS)
    sql(
        engine,
        "ALTER TABLE events ADD CONSTRAINT events_org FOREIGN KEY (tenant) REFERENCES orgs;"
        "CREATE TABLE likes (event bigint, at timestamptz, FOREIGN KEY (event, at) REFERENCES events (id, created_at));"
        "INSERT INTO likes SELECT id, created_at FROM events WHERE id % 5 = 0;",
    )
    if verb != "split":
        begin(engine, "split")
        sql(engine, "UPDATE events SET note = 'changed' WHERE id % 7 = 0")
        sql(engine, "UPDATE events SET created_at = created_at - interval '1 day' WHERE id % 5 = 1")


@contextmanager
def fresh(address: Address, verb: str = "split") -> Iterator[Engine]:
    with address.new_database() as url:
        engine = create_engine(url)
        try:
            set_up(engine, verb)
            yield engine
        finally:
            engine.dispose()


@dataclass(frozen=True, slots=True)
class Course:
    """
    A verb without any fault.

    Args:
        start: The catalog before it; *end* after it.
        sent: All that was sent to the server.
    """

    verb: str
    start: Snapshot
    end: Snapshot
    sent: tuple[str, ...]

    def points(self) -> list[int]:
        """Some commits, and the moment behind them; and some points more by chance; or all of them."""
        noted = (i for i, what in enumerate(self.sent, 1) if "COMMENT ON COLUMN sa_partman" in what)
        first = 1 if self.verb == "finalize" else next(noted)
        every = range(first, len(self.sent))
        if os.environ.get(CAMPAIGN):
            return list(every)
        random = chance()
        commits = [i for i in every if self.sent[i - 1] == "COMMIT"]
        chosen = random.sample(commits, min(3, len(commits)))
        return sorted({*chosen, *(i + 1 for i in chosen), *random.sample(every, 4)})


@pytest.fixture(scope="module")
def courses(pg_server: Address) -> dict[str, Course]:
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pace, "allow", Pace.allow)
        patch.setattr(request, "SMALL", request.SMALL)
        in_pieces()
        for verb in VERBS:
            with fresh(pg_server, verb) as engine:
                start = seen(engine)
                with at_point(engine, 0, die) as sent:
                    begin(engine, verb)
                found[verb] = Course(verb, start, seen(engine), tuple(sent))
    return found


def abort(engine: Engine) -> bool:
    """Whether it could be aborted."""
    metadata, _ = events()
    found = rewriter(engine, metadata).state("events")
    if found is None or found.status != "running" or found.cut_over or found.unfinished.kept:
        return False
    rewriter(engine, metadata).abort("events")
    return True


def ends_well(engine: Engine, course: Course, rows: list[Any], point: int) -> None:
    """Every second one is aborted first, and what is left then is what there was."""
    if point % 2 and abort(engine):
        assert "" == difference(course.start, seen(engine)), f"point {point}, aborted"
        assert rows == contents(engine), f"point {point}, aborted"
        assert course.verb != "split" or [] == left_behind(engine)
    go_on(engine, course.verb)
    assert "" == difference(course.end, seen(engine)), f"point {point}"
    assert rows == contents(engine), f"point {point}"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("verb", VERBS)
def test_killed_anywhere(verb: str, pg_server: Address, courses: dict[str, Course]) -> None:
    killed = 0
    for point in courses[verb].points():
        with fresh(pg_server, verb) as engine:
            rows = contents(engine)
            child = started(work, engine.url.render_as_string(hide_password=False), verb, point)
            child.join(60)
            assert child.exitcode in (-signal.SIGKILL, 0), f"point {point}"
            killed += child.exitcode != 0
            ends_well(engine, courses[verb], rows, point)

    assert killed


@pytest.mark.timeout(900)
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("fault", ["cancelled", "terminated"])
def test_stopped_by_an_administrator_anywhere(
    fault: str, verb: str, pg_server: Address, courses: dict[str, Course]
) -> None:
    for point in courses[verb].points()[:: 1 if os.environ.get(CAMPAIGN) else 2]:
        with fresh(pg_server, verb) as engine:
            rows = contents(engine)
            with cancelling(engine) as cancel:

                def deed(engine: Engine = engine, cancel: Any = cancel) -> None:
                    cancel() if fault == "cancelled" else terminate(engine)

                try:
                    with at_point(engine, point, deed):
                        begin(engine, verb)
                except (PartmanError, DBAPIError):
                    pass
            ends_well(engine, courses[verb], rows, point)


PLACES = (
    "$1 AND ctid",
    "DELETE FROM",
    "ADD PRIMARY KEY",
    "ADD CONSTRAINT",
    "VALIDATE",
    "hash_record",
    "DETACH",
    "COMMIT",
)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("verb", ["split", "undo"])
def test_crashed_and_restarted(verb: str, own_server: Server) -> None:
    """Before statements of every kind, the second of its kind, or the third; and once in a commit."""
    engine = create_engine(own_server.url())
    set_up(engine, verb)
    rows = contents(engine)
    for count, place in enumerate(PLACES, 1):
        try:
            with at_point(engine, 1 + count % 3, own_server.restart_immediate, place):
                go_on(engine, verb)
        except (PartmanError, DBAPIError):
            engine.dispose()
    engine.dispose()
    go_on(engine, verb)

    assert rows == contents(engine)
    if verb == "split":
        begin(engine, "finalize")
    assert [] == left_behind(engine)
    assert rows == contents(engine)
    engine.dispose()
