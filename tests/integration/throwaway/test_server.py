"""A throw-away server while its owner lives."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from sa_partman.errors import ServerUnavailable
from sa_partman.throwaway import Server
from tests.support.owners import everybodys_folder
from tests.support.servers import binaries, memory


@contextmanager
def connected(server: Server) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server.uri(), autocommit=True) as connection:
        yield connection


def value(server: Server, query: bytes) -> object:
    with connected(server) as connection:
        row = connection.execute(query).fetchone()
        return row[0] if row else None


def test_a_server_is_of_the_version_asked_for(own_server: Server) -> None:
    assert own_server.binaries.major == int(str(value(own_server, b"SHOW server_version_num"))) // 10000


def test_it_can_do_what_tests_need_and_waits_for_no_disk(own_server: Server) -> None:
    with connected(own_server) as connection:
        shown = connection.execute(
            "SELECT name, setting FROM pg_settings"
            " WHERE name IN ('fsync', 'wal_level', 'TimeZone', 'synchronous_commit')"
        ).fetchall()

    assert {"fsync": "off", "wal_level": "logical", "TimeZone": "UTC", "synchronous_commit": "on"} == dict(shown)


def test_a_database_of_any_name_has_a_uri(own_server: Server) -> None:
    name = 'table\'s "name" / 100% ä?'
    with connected(own_server) as connection:
        connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
    with psycopg.connect(own_server.uri(name)) as connection:
        assert connection.info.dbname == name


def test_sqlalchemy_takes_the_url_as_it_is(own_server: Server) -> None:
    engine = create_engine(own_server.url("template1"))
    with engine.connect() as connection:
        found = connection.scalar(text("SELECT current_database()"))
    engine.dispose()

    assert found == "template1"


def test_the_url_takes_another_driver(own_server: Server) -> None:
    async def answer() -> object:
        engine = create_async_engine(own_server.url(driver="asyncpg"))
        async with engine.connect() as connection:
            found: object = await connection.scalar(text("SELECT 42"))
        await engine.dispose()
        return found

    assert asyncio.run(answer()) == 42


def test_nobody_else_may_enter_the_socket(own_server: Server) -> None:
    """Everybody who reaches the socket is superuser."""
    assert (own_server.folder / "data").stat().st_mode & 0o077 == 0


def test_settings_of_the_caller_win(server_target: str) -> None:
    wanted = {"fsync": "on", "log_line_prefix": r"it's \n %p "}
    with Server.start(binaries(server_target), settings=wanted, base=memory()) as server:
        found = {name: value(server, f"SHOW {name}".encode()) for name in wanted}

    assert wanted == found


def test_over_tcp_a_password_is_needed(server_target: str) -> None:
    """Every user of the machine can connect to 127.0.0.1."""
    with Server.start(binaries(server_target), tcp=True, base=memory()) as server:
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(server.uri().replace(urlsplit(server.uri()).password or "", "guess"))

        assert value(server, b"SELECT 42") == 42


def test_a_crash_keeps_what_was_committed_and_loses_the_rest(own_server: Server) -> None:
    before = own_server.pid
    uncommitted = psycopg.connect(own_server.uri())
    with connected(own_server) as connection:
        connection.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
        uncommitted.execute("INSERT INTO t VALUES (1001)")
        own_server.restart_immediate()
    with pytest.raises(psycopg.OperationalError):
        uncommitted.commit()
    uncommitted.close()

    assert value(own_server, b"SELECT count(*) FROM t") == 1000
    assert own_server.pid != before
    assert "not properly shut down" in own_server.log()


def test_a_server_that_can_not_start_says_why_and_leaves_nothing(server_target: str) -> None:
    with everybodys_folder() as folder:
        with pytest.raises(ServerUnavailable, match="no_such_parameter"):
            Server.start(binaries(server_target), settings={"no_such_parameter": "1"}, base=folder)

        assert [] == list(folder.iterdir())


def test_a_folder_too_deep_for_a_socket_is_refused(server_target: str, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    with pytest.raises(ServerUnavailable, match="too long for the path of a unix socket"):
        Server.start(binaries(server_target), base=deep)

    assert [] == list(deep.iterdir())


def test_stopping_twice_does_nothing(own_server: Server) -> None:
    own_server.stop()
    own_server.stop()

    assert not own_server.folder.exists()
