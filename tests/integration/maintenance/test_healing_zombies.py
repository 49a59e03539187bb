"""Backends of killed maintainers: given a moment to end, then ended before a run begins; nobody else is touched."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, Table, create_engine, text
from sqlalchemy.exc import DBAPIError

from sa_partman import PartitionByRange
from sa_partman.finding import Severity
from tests.support.database import another, as_role, codes, new_table, role, sql, upkeep
from tests.support.killing import until
from tests.support.pgbouncer import pgbouncer

MONTHLY = PartitionByRange("created_at", interval="1 month", premake=1)
NOW = "2031-03-15"


def _table(engine: Engine) -> Table:
    sql(
        engine,
        "CREATE TABLE events (id bigint NOT NULL, created_at timestamptz NOT NULL) PARTITION BY RANGE (created_at)",
    )
    return new_table(MONTHLY)


@contextmanager
def _at_work(engine: Engine, name: str, statement: str) -> Iterator[list[str]]:
    """A session of that name, in the middle of *statement*; the error that ends it is noted."""
    ended: list[str] = []

    def work() -> None:
        with another(engine) as other, other.connect() as connection:
            try:
                connection.execute(text(f"SET application_name = '{name}'"))
                connection.execute(text(statement))
            except DBAPIError as error:
                ended.append(str(error.orig).splitlines()[0])
                connection.invalidate()

    thread = threading.Thread(target=work)
    thread.start()
    assert until(lambda: _pids(engine, name))
    try:
        yield ended
    finally:
        sql(engine, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{name}'")
        thread.join(10)


def _pids(engine: Engine, name: str) -> list[int]:
    found = sql(
        engine,
        "SELECT pid FROM pg_stat_activity WHERE application_name = :name AND state = 'active' "
        "AND query LIKE '%sleep%' AND pid <> pg_backend_pid()",
        name=name,
    )
    return [row[0] for row in found]


def test_one_that_goes_on_is_cancelled(engine: Engine) -> None:
    """After its grace; the finding says so, and the run does its work."""
    table = _table(engine)
    with _at_work(engine, "sa_partman:dead0000", "SELECT pg_sleep(60)") as ended:
        result = upkeep(engine, table, NOW).run()

        assert result.ok, str(result)
        assert ["zombie"] == codes(result.findings)
        assert Severity.INFO is result.findings[0].severity
        assert "dead0000" in result.findings[0].message
        assert until(lambda: ended)
        assert "canceling statement due to user request" in ended[0]


def test_one_that_does_not_listen_is_terminated(engine: Engine) -> None:
    """What catches the cancel, or is idle in its transaction, is ended all the same."""
    table = _table(engine)
    stubborn = (
        "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$"
    )
    with _at_work(engine, "sa_partman:dead0001", stubborn) as ended:
        result = upkeep(engine, table, NOW).run()

        assert result.ok, str(result)
        assert ["zombie"] == codes(result.findings)
        assert until(lambda: ended)


def test_one_that_ends_by_itself(engine: Engine) -> None:
    """Within its grace nobody is cancelled."""
    table = _table(engine)
    with _at_work(engine, "sa_partman:dead0002", "SELECT pg_sleep(1)") as ended:
        result = upkeep(engine, table, NOW).run()

        assert result.ok, str(result)
        assert [] == ended


def test_others_are_not_touched(engine: Engine) -> None:
    """The application, and a conversion; and the run does not wait for them."""
    table = _table(engine)
    with (
        _at_work(engine, "nightly report", "SELECT pg_sleep(60)") as report,
        _at_work(engine, "sa-partman", "SELECT pg_sleep(60)") as command,
    ):
        result = upkeep(engine, table, NOW).run()

        assert result.ok, str(result)
        assert () == result.findings
        assert [] == [*report, *command]


def test_an_idle_one_harms_nobody(engine: Engine) -> None:
    """A connection in somebody's pool that kept the name."""
    table = _table(engine)
    with another(engine) as other, other.connect() as connection:
        connection.execute(text("SET application_name = 'sa_partman:dead0003'"))
        connection.commit()
        began = time.monotonic()
        result = upkeep(engine, table, NOW).run()

        assert () == result.findings
        assert time.monotonic() - began < 2
        assert 1 == connection.execute(text("SELECT 1")).scalar_one()
        connection.invalidate()


def test_of_another_role(engine: Engine) -> None:
    """It can't be ended by this role: said, with the statement; the run goes on."""
    table = _table(engine)
    with role(engine, "GRANT ALL ON SCHEMA public TO {role}", "ALTER TABLE events OWNER TO {role}") as name:
        own = as_role(engine, name)
        with _at_work(engine, "sa_partman:dead0004", "SELECT pg_sleep(60) FROM pg_class LIMIT 1") as ended:
            result = upkeep(own, table, NOW).run()

            assert result.steps
            assert ["zombie"] == codes(result.findings)
            assert "pg_terminate_backend" in result.findings[0].remedy
            assert [] == ended
        own.dispose()


def test_behind_a_pooler_nobody_is_ended(engine: Engine) -> None:
    """There the lock is not held between two steps, so who bears our name may be alive."""
    table = _table(engine)
    with (
        pgbouncer(engine.url.render_as_string(hide_password=False), size=3) as url,
        _at_work(engine, "sa_partman:dead0005", "SELECT pg_sleep(60)") as ended,
    ):
        through = create_engine(url)
        result = upkeep(through, table, NOW).run()
        through.dispose()

        assert result.ok, str(result)
        assert [] == ended
        assert () == result.findings
