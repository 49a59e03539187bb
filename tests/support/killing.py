"""Maintainers in processes of their own, to be killed; and statements of a maintainer that are stopped at will."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from sa_partman import AsyncMaintainer, LockPolicy, PartitionByRange, Retention
from sa_partman.errors import PartmanError
from sa_partman.events import StepEvent
from sa_partman.maintenance.results import RunResult
from sa_partman.ports import before as asked
from tests.support.command import ROOT
from tests.support.database import new_table, sql, upkeep
from tests.support.faults import BRISK, OBSERVER, Estate, maintainer, metadata
from tests.support.invariant import partitions
from tests.support.processes import started
from tests.support.warm import Running, forking

OTHERS = (
    "FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' "
    f"AND application_name <> '{OBSERVER}' AND pid <> pg_backend_pid()"
)
"""Every connection that is not the tests' own."""

Deed = Callable[[Any], None]
"""Is given the connection that is about to send something."""


@contextmanager
def at_point(engine: Engine, wanted: int, deed: Deed, statement: str = "") -> Iterator[list[str]]:
    """
    Runs *deed* once, right before the *wanted*-th thing that is sent to the server: a statement or a commit.

    Args:
        statement: Count only what contains this.

    Yields:
        What was sent, as far as it counts.
    """
    sent: list[str] = []

    def count(connection: Any, what: str) -> None:
        if statement in what:
            sent.append(what)
            if len(sent) == wanted:
                deed(connection)

    def before(connection: Any, cursor: Any, text: str, *rest: Any) -> None:
        count(connection, text)

    def commit(connection: Any) -> None:
        count(connection, "COMMIT")

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "commit", commit)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", before)
        event.remove(engine, "commit", commit)


def die(connection: Any = None) -> None:
    """As ``kill -9`` does it: nothing is closed, nothing is said."""
    del connection
    os.kill(os.getpid(), signal.SIGKILL)


def stop(connection: Any = None) -> None:
    """For ever, until somebody kills it."""
    del connection
    os.kill(os.getpid(), signal.SIGSTOP)


def nap(connection: Any = None) -> None:
    del connection
    time.sleep(1.0)


def work(
    url: str,
    now: datetime,
    point: int = 0,
    deed: Deed = die,
    statement: str = "",
    verb: str = "run",
    **options: Any,
) -> None:
    """In a process of its own: one *verb* at *now*; *deed* happens at *point*, see `at_point`."""
    engine = create_engine(url, connect_args={"connect_timeout": 10})
    try:
        with at_point(engine, point, deed, statement):
            result: RunResult = getattr(maintainer(engine, now, **options), verb)()
    except PartmanError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    if not result.ok:
        sys.exit(str(result))


def repairing(url: str, now: datetime, statement: str) -> None:
    """``run --repair`` of ``events`` in a process of its own, killed at *statement* or the COMMIT behind FINALIZE."""
    engine = create_engine(url)
    table = new_table(PartitionByRange("created_at", interval="1 month", premake=1))
    begun: list[str] = []

    def before(connection: Any, cursor: Any, text: str, *rest: Any) -> None:
        begun.extend(["FINALIZE"] * ("FINALIZE" in text))
        if statement in text:
            die()

    def commit(connection: Any) -> None:
        if statement == "COMMIT" and begun:
            die()

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "commit", commit)
    upkeep(engine, table, now).run(repair=True)


def declaring(
    url: str, now: datetime, spec: PartitionByRange, point: int, statement: str, verb: str = "run", **options: Any
) -> None:
    """In a process of its own: one *verb* over ``events``, declared by *spec*, killed at *point*; see `at_point`."""
    engine = create_engine(url)
    with at_point(engine, point, die, statement):
        result: RunResult = getattr(upkeep(engine, new_table(spec), now), verb)(**options)
    sys.exit(0 if result.ok else str(result))


def stopping(url: str, now: datetime, statement: str) -> None:
    """In a process of its own: a run over ``events`` that stops once: at *statement*, a step's COMMIT, or in a hook."""
    engine = create_engine(url)
    retention = Retention("1 month", then="detach", concurrently=True, foreign=True)
    table = new_table(PartitionByRange("created_at", interval="1 month", premake=0, retention=retention))
    began: list[str] = []

    stopped: list[str] = []

    def once(where: str) -> None:
        if not stopped:
            stopped.append(where)
            stop()

    def before(connection: Any, cursor: Any, text: str, *rest: Any) -> None:
        began.extend(["step"] * ("CREATE TABLE" in text))
        if statement in text:
            once(text)

    def commit(connection: Any) -> None:
        if statement == "COMMIT" and began:
            once(statement)

    @asked()
    def between(step: StepEvent) -> None:
        if statement == "hook":
            once(statement)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "commit", commit)
    result = upkeep(engine, table, now, lock=LockPolicy(lease=4), hooks=[between]).run()
    sys.exit(0 if result.ok else 1)


def work_async(
    url: str,
    now: datetime,
    point: int = 0,
    deed: Deed = die,
    statement: str = "",
    driver: str = "psycopg",
    tables: tuple[str, ...] = (),
) -> None:
    """As `work`, in an event loop and over *driver*."""

    async def whole() -> RunResult:
        engine = create_async_engine(make_url(url).set(drivername=f"postgresql+{driver}"))
        with at_point(engine.sync_engine, point, deed, statement):
            found = metadata(str(engine.url.database), tables)
            return await AsyncMaintainer(engine, found, now=now, lock=BRISK).run()

    try:
        result = asyncio.run(whole())
    except PartmanError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    if not result.ok:
        sys.exit(str(result))


PACE = timedelta(days=0.7)
"""How far the clock of `serve` goes in a second."""


def serve(url: str, now: datetime, **options: Any) -> None:
    """In a process of its own: a service that runs again and again, from *now* on and fast."""
    engine, began = create_engine(url), time.monotonic()

    def clock() -> datetime:
        return now + PACE * (time.monotonic() - began)

    with maintainer(engine, clock, **options).serve(every=0.2, jitter=0):
        time.sleep(600)


def maintaining(
    found: Estate, *arguments: Any, url: str = "", target: Callable[..., None] = work, **options: Any
) -> BaseProcess:
    """
    A process that runs *target* on the estate, at its time: a clean one, with all imports done.

    Args:
        url: Another way to the same database.
    """
    return process(url or found.url, found.now, *arguments, target=target, tables=found.tables, **options)


def process(
    url: str, now: datetime, *arguments: Any, target: Callable[..., None] = work, **options: Any
) -> BaseProcess:
    """A process that runs *target*."""
    return started(target, url, now, *arguments, **options)


def others(engine: Engine) -> list[int]:
    """The backends of every maintainer."""
    return [row[0] for row in sql(engine, f"SELECT pid {OTHERS}")]


def waiting(engine: Engine) -> bool:
    """Whether a maintainer waits for a lock."""
    return bool(sql(engine, f"SELECT pid {OTHERS} AND wait_event_type = 'Lock'"))


def resting(engine: Engine, before: str = "") -> bool:
    """
    Whether a maintainer rests, see `nap`; the one that holds the exclusion always does.

    Args:
        before: What it is about to do; CONCURRENTLY is done outside of a transaction.
    """
    state = "idle" if before == "CONCURRENTLY" else "idle in transaction"
    return bool(
        sql(
            engine,
            f"SELECT pid {OTHERS} AND state = '{state}' "
            "AND pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND pid IS NOT NULL) "
            "AND clock_timestamp() - state_change > interval '0.2 s'",
        )
    )


def pending(found: Estate) -> bool:
    """Whether a detach is in its second half."""
    return any(each.pending for each in partitions(found.engine, "slid"))


MODELS = """\
import time
from pathlib import Path
from sqlalchemy import Engine, event
from tests.support.faults import metadata as make

metadata = make({database!r}, {tables!r})
NAP = {nap!r}


@event.listens_for(Engine, "before_cursor_execute")
def rest(connection, cursor, text, *more):
    if NAP and NAP in text:
        Path("resting").touch()
        while not Path("go").exists():
            time.sleep(0.01)
"""


@contextmanager
def command(found: Estate, folder: Path, *arguments: str, nap_before: str = "") -> Iterator[Running]:
    """
    ``sa-partman`` with *arguments* on the estate, at its time, as a process of its own.

    Args:
        nap_before: It rests before it sends what contains this: then *folder* has a file ``resting``; it goes on when
            there is a file ``go``.
    """
    (folder / "models.py").write_text(
        MODELS.format(nap=nap_before, database=found.engine.url.database, tables=found.tables)
    )
    environment = {
        "PYTHONPATH": str(ROOT),
        "SA_PARTMAN_METADATA": "models:metadata",
        "SA_PARTMAN_DATABASE_URL": found.url,
    }
    arguments = (*arguments, "--at", found.now.isoformat())
    with forking("sa_partman", arguments, folder, {**os.environ, **environment}) as child:
        yield child


def until(condition: Callable[[], Any], seconds: float = 10.0) -> bool:
    """Waits for *condition*; whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
