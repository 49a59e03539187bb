"""One maintainer at a time: who is second waits or leaves, who loses the right stops, and nothing of it stays."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, event, text
from sqlalchemy.util.concurrency import greenlet_spawn

from sa_partman import LockPolicy, PartitionByRange
from sa_partman.engine.background import Looping
from sa_partman.engine.exclusion import LOCK_KEY, Exclusion, only_maintainer
from sa_partman.errors import ExclusionLost, MaintainerBusy
from sa_partman.maintenance.results import Outcome, RunResult
from sa_partman.ports import Sleeping, Waiting
from sa_partman.postgres import session
from tests.support.database import another, codes, made, new_table, outcomes, partitions, scalar, sql, upkeep
from tests.support.faces import Face
from tests.support.killing import until

MONTHLY = PartitionByRange("created_at", interval="1 month", premake=3)
NOW = "2031-01-15"
HOLDER = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"


@pytest.fixture
def metadata(engine: Engine) -> MetaData:
    """Two tables, declared and there, without a partition."""
    return _tables(engine, 2)


def _tables(engine: Engine, number: int) -> MetaData:
    metadata = MetaData()
    for index in range(number):
        new_table(MONTHLY, metadata=metadata, name=f"events{index}")
        sql(
            engine,
            f"CREATE TABLE events{index} (id bigint NOT NULL, created_at timestamptz NOT NULL, tenant text, "
            "region text, ref uuid) PARTITION BY RANGE (created_at)",
        )
    return metadata


def _left(engine: Engine) -> list[Any]:
    """What a run may not leave behind."""
    return sql(engine, "SELECT pid, mode FROM pg_locks WHERE locktype = 'advisory'")


# -- who is second


def test_seven_of_eight_leave(engine: Engine) -> None:
    """While the first one is in its first step of fifty tables, the others are told who it is; all is made once."""
    metadata = _tables(engine, 50)
    busy: list[str] = []

    def second() -> None:
        with another(engine) as own, pytest.raises(MaintainerBusy) as told:
            upkeep(own, metadata, NOW).run()
        busy.append(str(told.value))

    def first_step(result: Any, done: int, total: int) -> None:
        if done == 1:
            with ThreadPoolExecutor(7) as pool:
                for each in [pool.submit(second) for _ in range(7)]:
                    each.result()

    result = upkeep(engine, metadata, NOW, report=first_step).run()

    assert result.ok, str(result)
    assert 7 == len(busy)
    assert all("another maintainer (pid " in each and "sa_partman:" in each for each in busy)
    assert {4} == {len(partitions(engine, f"events{index}")) for index in range(50)}
    assert [] == _left(engine)


def test_eight_that_wait_for_their_turn(engine: Engine) -> None:
    """Asked again and again, never waiting in the server; every partition is made exactly once."""
    metadata, ready = _tables(engine, 50), threading.Barrier(8)

    def one() -> RunResult:
        with another(engine) as own:
            ready.wait()
            return upkeep(own, metadata, NOW, lock=LockPolicy(turn=60)).run()

    with ThreadPoolExecutor(8) as pool:
        results = [each.result() for each in [pool.submit(one) for _ in range(8)]]

    assert all(each.ok for each in results), results
    assert 200 == len([name for each in results for name in made(each)])
    assert {4} == {len(partitions(engine, f"events{index}")) for index in range(50)}


def test_without_a_turn_nobody_waits(engine: Engine) -> None:
    """The error comes at once."""
    with only_maintainer(engine):
        began = time.monotonic()
        with another(engine) as own, pytest.raises(MaintainerBusy), only_maintainer(own):
            pass

    assert time.monotonic() - began < 5
    assert [] == _left(engine)


def test_who_waits_stops_nobody(engine: Engine, metadata: MetaData) -> None:
    """CREATE INDEX CONCURRENTLY and FINALIZE wait for old snapshots; one that waits for its turn has none."""
    asked = threading.Event()

    class Counting(Sleeping):
        def sleep(self, seconds: float) -> None:
            asked.set()
            super().sleep(seconds)

    def wait() -> Exclusion:
        with another(engine) as own, only_maintainer(own, LockPolicy(turn=60), Counting()) as exclusion:
            return exclusion

    upkeep(engine, metadata, NOW).run()
    with ThreadPoolExecutor(1) as pool:
        with only_maintainer(engine):
            waiter = pool.submit(wait)
            assert asked.wait(10)
            _build_and_detach(engine)
        assert not waiter.result(10).pooled


def _build_and_detach(engine: Engine) -> None:
    """Both in another session, each in a few seconds or never."""
    with another(engine, isolation_level="AUTOCOMMIT") as own, own.connect() as connection:
        connection.execute(text("SET statement_timeout = '20s'; SET lock_timeout = '20s'"))
        connection.execute(text("CREATE INDEX CONCURRENTLY ON events0_p20310101 (id)"))
        connection.execute(text("ALTER TABLE events0 DETACH PARTITION events0_p20310101 CONCURRENTLY"))


def test_who_holds_it_stops_nobody(face: Face, engine: Engine, metadata: MetaData) -> None:
    """Whatever the driver's protocol is, the connection that holds the lock keeps no snapshot."""
    upkeep(engine, metadata, NOW).run()

    def hold(waiting: Waiting) -> None:
        with only_maintainer(face.sync_engine, waiting=waiting, application="sa_partman:test") as exclusion:
            _build_and_detach(engine)
            with face.sync_engine.begin() as connection:
                exclusion.verify(connection)

    if face.runner is None:
        hold(Sleeping())
    else:
        face.runner.run(greenlet_spawn(hold, Looping()))

    assert [] == _left(engine)


# -- who loses it


@pytest.mark.usefixtures("one_by_one")
def test_the_right_is_gone(engine: Engine, metadata: MetaData) -> None:
    """The run ends before its next step; what it did stays, the rest is made by the next one."""

    def kill(result: Any, done: int, total: int) -> None:
        if done == 3:
            sql(engine, f"SELECT pg_terminate_backend(({HOLDER}))")
            assert until(lambda: not _left(engine))

    result = upkeep(engine, metadata, NOW, report=kill).run()
    after = upkeep(engine, metadata, NOW).run()

    assert ["done"] * 3 == outcomes(result)
    assert not result.ok
    assert ["exclusion-lost"] == codes(result.findings)
    assert "what it did stays" in result.findings[0].message
    assert 5 == len(made(after))
    assert 0 == engine.pool.checkedout()  # type: ignore[attr-defined]


def test_somebody_else_has_it_now(engine: Engine, metadata: MetaData) -> None:
    """Even under a lock that another one took meanwhile, the first does not go on."""
    with only_maintainer(engine) as first:
        sql(engine, f"SELECT pg_terminate_backend(({HOLDER}))")
        assert until(lambda: not _left(engine))
        with another(engine) as own, only_maintainer(own), engine.begin() as connection:
            with pytest.raises(ExclusionLost, match="did stays"):
                first.verify(connection)

            assert connection.exec_driver_sql(f"SELECT {first.condition()}").scalar_one() is False


def test_an_idle_timeout_of_the_server(engine: Engine, metadata: MetaData) -> None:
    """The connection that holds the lock is idle by its nature: a timeout for idle ones does not apply to it."""
    sql(engine, f"ALTER DATABASE {engine.url.database} SET idle_in_transaction_session_timeout = '200ms'")
    engine.dispose()

    def nap(result: Any, done: int, total: int) -> None:
        if done == 1:
            time.sleep(0.6)

    result = upkeep(engine, metadata, NOW, report=nap).run()

    assert result.ok, str(result)
    assert 8 == len(made(result))


def test_a_transaction_timeout_of_the_server(engine: Engine, metadata: MetaData, server_major: int) -> None:
    """The same, since PostgreSQL 17."""
    if server_major < 17:
        pytest.skip("transaction_timeout came with PostgreSQL 17")
    sql(engine, f"ALTER DATABASE {engine.url.database} SET transaction_timeout = '500ms'")
    engine.dispose()
    with only_maintainer(engine) as exclusion:
        time.sleep(0.8)
        with engine.begin() as connection:
            exclusion.verify(connection)


# -- what is left


def test_a_pool_of_one(engine: Engine, metadata: MetaData) -> None:
    """The lock's connection is opened beside the pool, so the steps have the one in it, and it stays."""
    with another(engine, pool_size=1, max_overflow=0, pool_timeout=5) as one:
        before = scalar(one, "SELECT pg_backend_pid()")
        result = upkeep(one, metadata, NOW).run()
        after = scalar(one, "SELECT pg_backend_pid()")

    assert result.ok, str(result)
    assert 8 == len(made(result))
    assert before == after


def test_its_connection_is_closed_when_nothing_came_of_it(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off before it was ready: nobody else knows the pool that it came from."""

    def cut_off(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "steady", cut_off)
    kept = []
    event.listen(engine, "connect", lambda driver, _: kept.append(driver))  # so that no collector closes it
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    before = scalar(engine, count)
    with pytest.raises(KeyboardInterrupt), only_maintainer(engine):
        pass

    assert kept
    assert until(lambda: before == scalar(engine, count))


def test_an_engine_in_autocommit(engine: Engine, metadata: MetaData) -> None:
    """Steps are transactions, whatever the engine does by default; the engine stays as it is."""
    with another(engine, isolation_level="AUTOCOMMIT") as own:
        result = upkeep(own, metadata, NOW).run()

        assert result.ok, str(result)
        with own.connect() as connection:
            driver: Any = connection.connection.driver_connection

            assert driver.autocommit


def _fail() -> None:
    raise RuntimeError("from the report")


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.usefixtures("one_by_one")
@pytest.mark.parametrize(("deed", "error"), [(_fail, RuntimeError), (_interrupt, KeyboardInterrupt)])
def test_nothing_is_left_after(
    deed: Callable[[], None], error: type[BaseException], engine: Engine, metadata: MetaData
) -> None:
    """An error in a user's code or Ctrl-C: no lock, no setting, no connection; and the next run goes on."""

    def report(result: Any, done: int, total: int) -> None:
        if done == 2:
            deed()

    with pytest.raises(error):
        upkeep(engine, metadata, NOW, report=report).run()

    assert [] == _left(engine)
    assert 0 == engine.pool.checkedout()  # type: ignore[attr-defined]
    assert "" == scalar(engine, "SELECT current_setting('application_name')")
    assert 6 == len(made(upkeep(engine, metadata, NOW).run()))


@pytest.mark.usefixtures("one_by_one")
def test_nothing_is_left_after_a_cancelled_statement(engine: Engine, metadata: MetaData) -> None:
    """The step fails, the others go on."""
    with _cancelling(engine, "CREATE TABLE"):
        result = upkeep(engine, metadata, NOW).run()

    assert 1 == outcomes(result).count(Outcome.FAILED)
    assert [] == _left(engine)
    assert 0 == engine.pool.checkedout()  # type: ignore[attr-defined]


@contextmanager
def _cancelling(engine: Engine, words: str) -> Iterator[None]:
    """The first statement with *words* is cancelled by the server."""
    hits: list[str] = []

    def before(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> Any:
        if words in statement and not hits:
            hits.append(statement)
            return "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(5)", ()
        return statement, parameters

    event.listen(engine, "before_cursor_execute", before, retval=True)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", before)


def test_the_key_is_for_ever(engine: Engine) -> None:
    """Releases exclude each other by it, and it is one bigint."""
    assert 8314049950937017710 == LOCK_KEY
    with only_maintainer(engine), another(engine) as own, own.begin() as connection:
        assert not connection.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({LOCK_KEY})").scalar_one()
