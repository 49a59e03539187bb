"""The copies do not fit on the disk: what is there stays, and it goes on with more space, or is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from sa_partman.errors import ExecutionError
from sa_partman.throwaway import Server
from tests.support.catalog_snapshot import difference, snapshot
from tests.support.database import sql
from tests.support.moving import begin, go_on, worker
from tests.support.rewriting import VERBS, contents, left_behind
from tests.support.space import enlarge, file_system


@pytest.fixture
def small() -> Iterator[Path]:
    with file_system("6m") as folder:
        yield folder


@pytest.fixture(autouse=True)
def not_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few rows there are."""
    monkeypatch.setattr("sa_partman.plan.rewrite.request.SMALL", -1)


@contextmanager
def crowded(server: Server, small: Path, verb: str) -> Iterator[Engine]:
    """Rows of twice the size that new tables find."""
    engine = create_engine(server.url())
    try:
        VERBS[verb].prepare(engine, 8_000)
        sql(engine, "UPDATE events SET note = repeat(md5(CAST(id AS text)), 30); ANALYZE events")
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"CREATE TABLESPACE small LOCATION '{small}'")
            connection.exec_driver_sql(f"ALTER DATABASE {engine.url.database} SET default_tablespace = small")
        engine.dispose()
        yield engine
    finally:
        engine.dispose()


@pytest.mark.parametrize("verb", ["split", "drain"])
def test_it_goes_on_when_there_is_space_again(verb: str, own_server: Server, small: Path) -> None:
    with crowded(own_server, small, verb) as engine:
        rows = contents(engine)
        for attempt in (begin, go_on):
            with pytest.raises(ExecutionError, match=r"step 'copy:.* failed: .*No space left on device.*--resume"):
                attempt(engine, verb)
        assert rows == contents(engine)
        enlarge(small, "60m")

        worker(engine, verb).resume("events")

        assert rows == contents(engine)
        worker(engine, verb).finalize("events")
        assert rows == contents(engine)
        assert [] == left_behind(engine)


def test_it_is_taken_back(own_server: Server, small: Path) -> None:
    """On the disk that is full."""
    with crowded(own_server, small, "split") as engine:
        rows, before = contents(engine), snapshot(engine)
        with pytest.raises(ExecutionError, match="No space left on device"):
            begin(engine, "split")

        worker(engine, "split").abort("events")

        assert rows == contents(engine)
        assert "" == difference(before, snapshot(engine))
        assert [] == left_behind(engine)
