"""Killed, cancelled or crashed wherever it is: resumed it ends the same, aborted the table is what it was."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError

from sa_partman.errors import PartmanError
from sa_partman.throwaway import Server
from tests.integration.conversion.test_faults_server import cancelling, terminate
from tests.support.catalog_snapshot import Snapshot, difference, snapshot
from tests.support.converting import CAMPAIGN, at_point, chance, die
from tests.support.database import partitions, sql
from tests.support.faults import points
from tests.support.moving import begin, go_on, in_pieces, work, worker
from tests.support.processes import started
from tests.support.rewriting import VERBS, contents, left_behind
from tests.support.servers import Address, Copies, prepared

ROWS = 1_500
DEEDS = (
    "split",
    "merge",
    "drain",
    "regrid",
    "copy",
    "unpartition",
    "undo split",
    "undo drain",
    "undo copy",
    "finalize split",
)

POINTS = points(0.075)
"""Three of each in a short campaign, fifteen in a full one."""


@pytest.fixture(autouse=True)
def pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    in_pieces(monkeypatch)


def seen(engine: Engine) -> Snapshot:
    """The catalog, but for a comment that tells of the files that were copied."""
    return tuple(line for line in snapshot(engine) if "events_rewrite comment: " not in line)


def set_up(engine: Engine, what: str) -> None:
    """With a table that it refers to, and one that refers to it."""
    action, _, verb = what.rpartition(" ")
    sql(engine, "CREATE TABLE orgs (id int PRIMARY KEY); INSERT INTO orgs SELECT generate_series(0, 9)")
    VERBS[verb].prepare(engine, ROWS)
    key = VERBS[verb].key
    refers = f"FOREIGN KEY ({', '.join(('event', 'at')[: len(key)])}) REFERENCES events ({', '.join(key)})"
    sql(
        engine,
        "ALTER TABLE events ADD CONSTRAINT events_org FOREIGN KEY (tenant) REFERENCES orgs;"
        f"CREATE TABLE likes (event bigint, at timestamptz, {refers});"
        "INSERT INTO likes SELECT id, created_at FROM events WHERE id % 5 = 0;",
    )
    if action:
        begin(engine, verb)
        sql(engine, "UPDATE events SET note = 'changed' WHERE id % 7 = 0")
        sql(engine, "UPDATE events SET created_at = created_at - interval '1 day' WHERE id % 5 = 1")


@dataclass(frozen=True, slots=True)
class Course:
    """
    A deed without any fault.

    Args:
        fresh: Makes databases in which it can begin.
        start: The catalog before it; *end* after it.
        sent: All that was sent to the server.
    """

    what: str
    fresh: Copies
    start: Snapshot
    end: Snapshot
    sent: tuple[str, ...]

    def points(self, count: int = POINTS) -> list[int]:
        """A third of them commits, a third the moment behind one, and the rest by chance; or all there are."""
        noted = (i for i, what in enumerate(self.sent, 1) if "COMMENT ON COLUMN sa_partman" in what)
        first = 1 if self.what.startswith("finalize") else next(noted)
        every = range(first, len(self.sent))
        if os.environ.get(CAMPAIGN):
            return list(every)
        random = chance()
        commits = [i for i in every if self.sent[i - 1] == "COMMIT"]
        chosen = random.sample(commits, min(2 * count // 3, len(commits)))
        sharp = {i + place % 2 for place, i in enumerate(chosen)}
        others = [i for i in every if i not in sharp]
        return sorted({*sharp, *random.sample(others, min(count - len(sharp), len(others)))})


Courses = Callable[[str], Course]


@pytest.fixture(scope="module")
def courses(pg_server: Address) -> Iterator[Courses]:
    """One for each deed, taken once."""
    with ExitStack() as stack:

        @cache
        def course(what: str) -> Course:
            fresh = stack.enter_context(prepared(pg_server, partial(set_up, what=what)))
            with fresh() as engine:
                start = seen(engine)
                with at_point(engine, 0, die) as sent:
                    begin(engine, what)
                return Course(what, fresh, start, seen(engine), tuple(sent))

        yield course


def abort(engine: Engine, what: str) -> bool:
    """Whether it could be aborted."""
    found = worker(engine, what).state("events")
    if found is None or found.status != "running" or found.cut_over or found.unfinished.kept:
        return False
    worker(engine, what).abort("events")
    return True


def ends_well(engine: Engine, course: Course, rows: list[Any], point: int) -> None:
    """Every second one is aborted first, and what is left then is what there was."""
    if point % 2 and abort(engine, course.what):
        assert "" == difference(course.start, seen(engine)), f"point {point}, aborted"
        assert rows == contents(engine), f"point {point}, aborted"
        assert " " in course.what or [] == left_behind(engine)
    go_on(engine, course.what)
    assert "" == difference(course.end, seen(engine)), f"point {point}"
    assert rows == contents(engine), f"point {point}"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("what", DEEDS)
def test_killed_anywhere(what: str, courses: Courses) -> None:
    killed = 0
    for point in courses(what).points():
        with courses(what).fresh() as engine:
            rows = contents(engine)
            child = started(work, engine.url.render_as_string(hide_password=False), what, point)
            child.join(60)
            assert child.exitcode in (-signal.SIGKILL, 0), f"point {point}"
            killed += child.exitcode != 0
            ends_well(engine, courses(what), rows, point)

    assert killed


@pytest.mark.timeout(900)
@pytest.mark.parametrize("what", DEEDS)
@pytest.mark.parametrize("fault", ["cancelled", "terminated"])
def test_stopped_by_an_administrator_anywhere(fault: str, what: str, courses: Courses) -> None:
    for point in courses(what).points(POINTS // 3):
        with courses(what).fresh() as engine:
            rows = contents(engine)
            with cancelling(engine) as cancel:

                def deed(engine: Engine = engine, cancel: Any = cancel) -> None:
                    cancel() if fault == "cancelled" else terminate(engine)

                try:
                    with at_point(engine, point, deed):
                        begin(engine, what)
                except (PartmanError, DBAPIError):
                    pass
            ends_well(engine, courses(what), rows, point)


PLACES = (
    ("$2'\n", 2),
    ("USING (SELECT DISTINCT", 1),
    ("ADD PRIMARY KEY", 1),
    ('" ADD CONSTRAINT', 2),
    ('" VALIDATE CONSTRAINT', 1),
    ("record;\nBEGIN", 1),
    ('"events" DETACH PARTITION', 1),
    ("COMMIT", 2),
)
"""Statements as they are sent; in a stored step, quotes and ends of lines look otherwise."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("what", ["split", "drain", "undo split"])
def test_crashed_and_restarted(what: str, own_server: Server) -> None:
    """Before statements of every kind, and once in a commit."""
    engine = create_engine(own_server.url())
    set_up(engine, what)
    rows = contents(engine)
    for place, number in PLACES:
        try:
            with at_point(engine, number, own_server.restart_immediate, place):
                go_on(engine, what)
        except (PartmanError, DBAPIError):
            engine.dispose()
    engine.dispose()
    go_on(engine, what)

    assert rows == contents(engine)
    if " " not in what:
        begin(engine, f"finalize {what}")
    assert [] == left_behind(engine)
    assert rows == contents(engine)
    engine.dispose()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("where", ['"events" ATTACH PARTITION', 'ATTACH PARTITION "public"."events_history_old"'])
def test_crashed_in_the_swap_or_behind_it(where: str, own_server: Server) -> None:
    """The table has either its old partitions or its new ones, with every row; and so has who comes back to it."""
    engine = create_engine(own_server.url())
    set_up(engine, "split")
    rows = contents(engine)
    with suppress(PartmanError, DBAPIError), at_point(engine, 1, own_server.restart_immediate, where):
        begin(engine, "split")
    engine.dispose()

    assert ("_old" in where) == ("events_history" not in partitions(engine))
    assert rows == contents(engine)
    go_on(engine, "split")
    assert rows == contents(engine)
    begin(engine, "finalize split")
    assert [] == left_behind(engine)
    engine.dispose()
