"""
What goes over the wire: each message has one statement, whatever the driver, and a refusal in the middle of many is
one like any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from sqlalchemy import DDL, Engine, MetaData, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util.concurrency import greenlet_spawn

from sa_partman import PartitionByHash, PartitionByRange, Retention
from sa_partman.engine.statements import send
from sa_partman.postgres.sqlstate import sqlstate
from sa_partman.throwaway import Server
from tests.support.database import new_table, outcomes, sql
from tests.support.faces import FACES, Face, opened

T = TypeVar("T")
SPEC = PartitionByRange(
    "created_at",
    interval="1 month",
    premake=2,
    retention=Retention("2 months", then="drop"),
    default=True,
    subpartition=PartitionByHash("id", modulus=2),
)
CREATE = (
    "CREATE TABLE events (id bigint NOT NULL, created_at timestamptz NOT NULL, tenant text, region text, ref uuid) "
    "PARTITION BY RANGE (created_at)"
)
# Text in quotes, names in quotes and bodies of functions may have any character.
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|\$(\w*)\$.*?\$\1\$", re.DOTALL)
_MESSAGE = re.compile(r"LOG:  (?:statement|execute [^:]*): (.*)", re.DOTALL)


@pytest.fixture
def metadata(engine: Engine) -> MetaData:
    sql(engine, CREATE)
    return new_table(SPEC).metadata


def messages(log: str, application: str) -> list[str]:
    """Those of sessions with such a name, as the server logs them."""
    entries = re.split(r"^<<", log, flags=re.MULTILINE)
    found = (_MESSAGE.search(each) for each in entries if each.startswith(application))
    return [each[1].strip() for each in found if each is not None]


@pytest.mark.parametrize("name", FACES)
def test_no_message_has_two_statements(own_server: Server, name: str) -> None:
    engine = create_engine(own_server.url(), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for setting in ("log_statement = 'all'", "log_line_prefix = '<<%%a>> '"):
            connection.exec_driver_sql(f"ALTER SYSTEM SET {setting}")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
        connection.exec_driver_sql(CREATE)
    metadata = new_table(SPEC).metadata
    with opened(name, own_server.url()) as face:
        for now in ("2031-01-15", "2031-02-15", "2031-08-15"):
            assert face.maintainer(metadata, now, audit=True).run().ok
        assert not face.maintainer(metadata, "2031-08-15").run()
    sent = messages(own_server.log(), "sa_partman:")

    assert any("ATTACH PARTITION" in each for each in sent), own_server.log()[-2000:]
    assert any("DROP TABLE" in each for each in sent)
    assert [] == [each for each in sent if re.search(r";\s*\S", _QUOTED.sub("", each))]


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest, database_url: str) -> Iterator[Face]:
    with opened(request.param, database_url) as made:
        yield made


def spawned(face: Face, work: Callable[[], T]) -> T:
    """*work* as a maintainer of that face does it."""
    return work() if face.runner is None else face.runner.run(greenlet_spawn(work))


def test_a_refusal_in_the_middle(face: Face) -> None:
    """Nothing after it was done; the savepoint and the connection are as good as before."""
    statements = ["CREATE TABLE a (id int)", "CREATE TABLE a (id int)", "CREATE TABLE b (id int)", "nonsense"]

    def work() -> list[str]:
        with face.sync_engine.begin() as connection:
            connection.execute(text("CREATE TABLE before (id int)"))
            with pytest.raises(DBAPIError) as refused, connection.begin_nested():
                send(connection, map(DDL, statements))
            assert "42P07" == sqlstate(refused.value)
            assert 'relation "a" already exists' in str(refused.value.orig)
            send(connection, map(DDL, ("CREATE TABLE c (id int)", "CREATE TABLE d (id int DEFAULT 7 %% 4)")))
            with pytest.raises(DBAPIError) as last, connection.begin_nested():
                send(connection, map(DDL, ("CREATE TABLE e (id int)", "CREATE TABLE c (id int)")))
            assert "42P07" == sqlstate(last.value)
            found = connection.execute(text("SELECT relname FROM pg_class WHERE relkind = 'r' AND oid >= 16384"))
            return sorted(row[0] for row in found)

    assert ["before", "c", "d"] == spawned(face, work)


def test_a_connection_that_goes_in_the_middle(face: Face) -> None:
    """The pool knows, and gives another one."""
    statements = ("CREATE TABLE a (id int)", "SELECT pg_terminate_backend(pg_backend_pid())", "CREATE TABLE b (id int)")

    def work() -> int:
        with pytest.raises(DBAPIError) as gone, face.sync_engine.begin() as connection:
            send(connection, map(DDL, statements))
        assert gone.value.connection_invalidated
        with face.sync_engine.begin() as connection:
            found = connection.execute(text("SELECT count(*) FROM pg_class WHERE relname IN ('a', 'b')"))
            return int(found.scalar_one())

    assert 0 == spawned(face, work)


def test_a_step_that_fails_is_named(face: Face, metadata: MetaData, engine: Engine) -> None:
    """Those made together with it are made one by one, and only it fails."""
    sql(engine, "CREATE TYPE public.events_p20310201 AS (x int)")
    result = face.maintainer(metadata, "2031-01-15").run()

    failed = [each.step.partition.name for each in result.steps if each.failed]
    assert ["events_p20310201"] == failed
    assert outcomes(result).count("done") == len(result.steps) - 1
