"""A network that swallows packets: the run ends within bounds, and so does what it left on the server."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from sa_partman.postgres.session import _number, connected
from sa_partman.throwaway import Server
from tests.support.command import ROOT
from tests.support.servers import binaries, memory


@pytest.mark.once
@pytest.mark.timeout(900)
def test_every_packet_is_lost_during_a_step(server_target: str) -> None:
    """In a network namespace of its own, whose only link goes down; the next run converges when it is up again."""
    tools = [shutil.which(name) for name in ("unshare", "ip")]
    if None in tools or subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        pytest.skip("a network of its own can be made by root on Linux only")
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "tests.support.dropping", server_target],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_a_connection_over_tcp_knows_a_dead_network(server_target: str, driver: str) -> None:
    """Within half a minute, whichever driver it is; what the user's URL says is left alone."""
    with Server.start(binaries(server_target), tcp=True, base=memory()) as server:
        plain = asyncio.run(_options(server.url(driver=driver)))
        given = f"{server.url(driver=driver)}?tcp_user_timeout=5000"

        assert (10, 5, 3, 20_000) == plain
        if driver == "psycopg":
            assert 5_000 == asyncio.run(_options(given))[-1]


async def _options(url: str) -> tuple[int, ...]:
    """How the socket of a connection of a maintainer is set."""
    engine = create_async_engine(url)

    def seen(other: object) -> tuple[int, ...]:
        with connected(engine.sync_engine) as connection:
            number = _number(connection.connection.driver_connection)
            assert number is not None
            with socket.socket(fileno=os.dup(number)) as found:
                names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
                return tuple(found.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names)

    async with engine.connect() as other:
        result = await other.run_sync(seen)
    await engine.dispose()
    return result
