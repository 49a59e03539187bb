"""More rows of a default partition than one step moves by itself, ``max_rows=``: killed, and with others at work."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

import pytest
from sqlalchemy import Engine, create_engine

from sa_partman import PartitionByRange
from sa_partman.compare.expired_rows import MOVED_AT_MOST
from tests.support.archives import MARCH, january
from tests.support.builders import at
from tests.support.database import codes, new_table, scalar, sql, upkeep
from tests.support.killing import declaring, process, until

SPEC = PartitionByRange("created_at", interval="1 month", premake=0, default=True)
MANY = MOVED_AT_MOST + 1
MOST = 2 * MANY
"""Room for what comes meanwhile."""


@dataclass
class Application:
    """
    What it was told is committed, and what it saw.

    Args:
        written: Ids of rows that it wrote, each committed.
        wrong: What it did not deserve.
    """

    engine: Engine
    written: list[int] = field(default_factory=list)
    looks: int = 0
    wrong: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def write(self) -> None:
        """Rows of both months that are moved, through the partitioned table."""
        for number in count(10 * MANY):
            if self.over.is_set():
                return
            moment = ("2026-02-02", "2026-03-03")[number % 2]
            sql(self.engine, "INSERT INTO events (id, created_at) VALUES (:id, :at)", id=number, at=at(moment))
            self.written.append(number)

    def read(self) -> None:
        """Every row that was there before the look, once."""
        while not self.over.is_set():
            known = len(self.written)
            rows, ids = sql(
                self.engine,
                "SELECT count(*), count(DISTINCT id) FROM events WHERE id <= :last",
                last=self.written[known - 1] if known else MOST,
            )[0]
            self.looks += 1
            if (rows, ids) != (MOST + known, MOST + known):
                self.wrong.append(f"{MOST + known} rows were written, and {rows} are seen, of {ids} different ids")

    def guarded(self, work: str) -> None:
        try:
            getattr(self, work)()
        except Exception as error:
            self.wrong.append(f"{work}: {error}")


@contextmanager
def at_work(engine: Engine) -> Iterator[Application]:
    """A writer and a reader, until the block ends."""
    application = Application(engine)
    threads = [threading.Thread(target=application.guarded, args=(work,)) for work in ("write", "read")]
    for thread in threads:
        thread.start()
    try:
        assert until(lambda: application.written and application.looks)
        yield application
    finally:
        application.over.set()
        for thread in threads:
            thread.join()


def crowded(engine: Engine) -> None:
    """February and March are in the default partition, more of each than a step moves by itself."""
    january(engine, new_table(SPEC), 0)
    for first, moment in ((0, "2026-02-02"), (MANY, "2026-03-03")):
        sql(
            engine,
            f"INSERT INTO events (id, created_at) SELECT {first} + g, '{moment}' FROM generate_series(1, {MANY}) g",
        )


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("verb", "statement"),
    [*(("run", each) for each in ("LOCK TABLE", "WITH moved", "ATTACH PARTITION", "COMMIT")), ("provision", "COMMIT")],
)
def test_killed_at_every_step(database_url: str, verb: str, statement: str) -> None:
    """Before each lock, move, attach and commit: the next one goes on, and no row was hidden, lost or doubled."""
    engine = create_engine(database_url)
    crowded(engine)
    killed = 0
    with at_work(engine) as application:
        while True:
            child = process(
                database_url, at(MARCH), SPEC, killed + 1, statement, target=declaring, verb=verb, max_rows=2 * MOST
            )
            child.join(120)
            if child.exitcode != -signal.SIGKILL:
                break
            killed += 1
    kept = [row[0] for row in sql(engine, "SELECT id FROM events ORDER BY id")]
    left = scalar(engine, "SELECT count(*) FROM events_default")
    found = codes(upkeep(engine, new_table(SPEC), MARCH).check())
    engine.dispose()

    assert 0 == child.exitcode
    assert killed
    assert [] == application.wrong
    assert [*range(1, MOST + 1), *application.written] == kept
    assert 0 == left
    assert "default-rows" not in found


def test_a_row_that_is_being_written_is_waited_for(engine: Engine) -> None:
    """Its transaction began before the move and ends after the run has begun: the row is moved, too."""
    crowded(engine)
    with engine.connect() as writer:
        writer.exec_driver_sql(f"INSERT INTO events (id, created_at) VALUES ({MOST + 1}, '2026-03-03')")
        runner = threading.Thread(target=upkeep(engine, new_table(SPEC), MARCH).run, kwargs={"max_rows": 2 * MOST})
        runner.start()
        assert until(lambda: scalar(engine, "SELECT to_regclass('events_p20260201') IS NOT NULL") or _waits(engine))
        writer.commit()
        runner.join()

    assert 0 == scalar(engine, "SELECT count(*) FROM events_default")
    assert 1 == scalar(engine, f"SELECT count(*) FROM events_p20260301 WHERE id = {MOST + 1}")


def _waits(engine: Engine) -> bool:
    """Whether the maintainer looks who is there again and again."""
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'sa_partman%'"
    return bool(scalar(engine, sessions))


def test_the_number_is_for_this_run_alone(engine: Engine) -> None:
    """The next run of cron moves no more than ever."""
    table = new_table(SPEC)
    crowded(engine)
    upkeep(engine, table, MARCH).run(max_rows=MANY)
    sql(
        engine,
        f"INSERT INTO events (id, created_at) SELECT {MOST} + g, '2026-04-04' FROM generate_series(1, {MANY}) g",
    )
    refused = upkeep(engine, table, "2026-04-15").run()

    assert not refused.ok
    assert f"sa-partman run --max-rows {MANY}" in str(refused)
    assert MANY == scalar(engine, "SELECT count(*) FROM events_default")
