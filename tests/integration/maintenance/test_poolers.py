"""Behind a pooler in transaction mode: step by step, nothing held between two steps, nothing left in a session."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, create_engine, text
from sqlalchemy.pool import NullPool
from sqlalchemy.util.concurrency import greenlet_spawn

from sa_partman import LockPolicy, PartitionByRange, Retention
from sa_partman.engine.background import Looping
from sa_partman.engine.exclusion import only_maintainer
from sa_partman.errors import MaintainerBusy, OthersTurn
from sa_partman.maintenance.results import RunResult
from sa_partman.postgres.session import connected, dependable
from tests.support.database import codes, made, new_table, outcomes, partitions, relations, sql, upkeep
from tests.support.faces import Face, opened
from tests.support.pgbouncer import pgbouncer

MONTHLY = PartitionByRange("created_at", interval="1 month", premake=3)
NOW = "2031-01-15"
TABLES = 8


@pytest.fixture(params=[1, 3], ids=lambda size: f"pool-of-{size}")
def pooled(request: pytest.FixtureRequest, engine: Engine) -> Iterator[Engine]:
    """The same database through a pooler with as many server connections."""
    with pgbouncer(engine.url.render_as_string(hide_password=False), size=request.param) as url:
        through = create_engine(url)
        yield through
        through.dispose()


@pytest.fixture
def metadata(engine: Engine) -> MetaData:
    """Declared and there, without a partition."""
    metadata = MetaData()
    for index in range(TABLES):
        new_table(MONTHLY, metadata=metadata, name=f"events{index}")
        sql(
            engine,
            f"CREATE TABLE events{index} (id bigint NOT NULL, created_at timestamptz NOT NULL, tenant text, "
            "region text, ref uuid) PARTITION BY RANGE (created_at)",
        )
    return metadata


def test_runs_through_a_pooler(engine: Engine, pooled: Engine, metadata: MetaData) -> None:
    """They converge; no lock, no setting and no prepared statement stays on the server."""
    first = upkeep(pooled, metadata, NOW).run()
    for _ in range(6):
        upkeep(pooled, metadata, NOW).check()
    second = upkeep(pooled, metadata, NOW).run()

    assert first.ok, str(first)
    assert 4 * TABLES == len(made(first))
    assert () == second.steps
    assert [] == sql(engine, "SELECT * FROM pg_locks WHERE locktype = 'advisory'")
    assert 0 == pooled.pool.checkedout()  # type: ignore[attr-defined]
    left = sql(
        pooled,
        "SELECT current_setting('application_name'), current_setting('lock_timeout'), "
        "current_setting('search_path'), (SELECT count(*) FROM pg_prepared_statements)",
    )
    assert [("", "0", '"$user", public', 0)] == left


def test_eight_through_a_pooler(engine: Engine, pooled: Engine, metadata: MetaData) -> None:
    """They take turns step by step, or leave: every partition is made exactly once, and nothing fails."""
    ready = threading.Barrier(8)

    def one() -> RunResult | MaintainerBusy:
        own = create_engine(pooled.url, poolclass=NullPool)
        ready.wait()
        try:
            return upkeep(own, metadata, NOW, lock=LockPolicy(turn=0.0)).run()
        except MaintainerBusy as busy:
            return busy

    with ThreadPoolExecutor(8) as pool:
        told = [each.result() for each in [pool.submit(one) for _ in range(8)]]
    results = [each for each in told if isinstance(each, RunResult)]

    assert results
    assert not [each for result in results for each in result.steps if each.failed], [str(each) for each in results]
    assert 4 * TABLES == len([name for each in results for name in made(each)])
    assert {4} == {len(partitions(engine, f"events{index}")) for index in range(TABLES)}
    assert [] == sql(engine, "SELECT * FROM pg_locks WHERE locktype = 'advisory'")


def test_somebody_else_is_in_a_step(engine: Engine, pooled: Engine) -> None:
    """Who asks is told at once, and has nothing to wait for in the server; a run leaves."""
    with only_maintainer(pooled) as exclusion, only_maintainer(engine), pooled.begin() as connection:
        assert exclusion.pooled
        with pytest.raises(OthersTurn, match="try later"):
            exclusion.verify(connection)
    with only_maintainer(engine), pytest.raises(MaintainerBusy, match="another maintainer"):
        upkeep(pooled, new_table(MONTHLY), NOW).run()


@pytest.mark.usefixtures("one_by_one")
def test_somebody_takes_it_in_the_middle_of_a_run(engine: Engine, pooled: Engine, metadata: MetaData) -> None:
    """The run waits for its budget and ends then, with what it did."""
    took = threading.Event()

    def report(result: Any, done: int, total: int) -> None:
        if done == 2:
            thread.start()
            assert took.wait(10)

    def take() -> None:
        with only_maintainer(engine, LockPolicy(turn=10)):
            took.set()
            leave.wait(20)

    leave, thread = threading.Event(), threading.Thread(target=take)
    policy = LockPolicy(budget=1.0, turn=0.0)
    result = upkeep(pooled, metadata, NOW, report=report, lock=policy).run()
    leave.set()
    thread.join()

    assert ["done", "done"] == outcomes(result)[:2]
    assert 2 == len(made(result))
    assert not result.ok


def test_nothing_is_detached_concurrently(engine: Engine, pooled: Engine) -> None:
    """There the lock can't be held beside the statement; so it is detached at once, and the result says so."""
    table = new_table(MONTHLY.with_(retention=Retention("1 month", then="detach", concurrently=True)))
    sql(
        engine,
        "CREATE TABLE events (id bigint NOT NULL, created_at timestamptz NOT NULL) PARTITION BY RANGE (created_at)",
    )
    sql(engine, "CREATE TABLE old PARTITION OF events FOR VALUES FROM ('2030-01-01') TO ('2030-02-01')")
    result = upkeep(pooled, table, NOW).run(adopt=True)

    assert result.ok, str(result)
    assert "old" not in partitions(engine)
    assert "public.old" in relations(engine)
    assert "without CONCURRENTLY" in str(result)


def test_check_says_so(engine: Engine, pooled: Engine, metadata: MetaData) -> None:
    """As something worth knowing, not as a problem."""
    assert ["pooler"] == [each for each in codes(upkeep(pooled, metadata, NOW).check()) if each == "pooler"]
    assert "pooler" not in codes(upkeep(engine, metadata, NOW).check())


@pytest.mark.parametrize("name", ["async psycopg", "async asyncpg"])
def test_it_is_seen_over_every_driver(name: str, engine: Engine) -> None:
    """By the number of the backend, which every driver is told when it connects."""
    url = engine.url.render_as_string(hide_password=False)
    with pgbouncer(url, size=1) as through, opened(name, through) as face, opened(name, url) as direct:
        assert _pooled(face)
        assert not _pooled(direct)


def _pooled(face: Face) -> bool:
    def look() -> bool:
        with only_maintainer(face.sync_engine, waiting=Looping()) as exclusion:
            return exclusion.pooled

    assert face.runner is not None
    return face.runner.run(greenlet_spawn(look))


def test_the_driver_prepares_again_afterwards(engine: Engine) -> None:
    """In our transactions it prepares nothing; the connection goes back as it came."""
    with engine.connect() as connection:
        before: Any = connection.connection.driver_connection
        usual = before.prepare_threshold
    with connected(dependable(engine)) as connection:
        driver: Any = connection.connection.driver_connection
        for _ in range(10):
            connection.execute(text("SELECT 1"))

        assert driver.prepare_threshold is None
        assert 0 == connection.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar_one()

    with engine.connect() as connection:
        again: Any = connection.connection.driver_connection
        assert driver is again
        assert usual == again.prepare_threshold
