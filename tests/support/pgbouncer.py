"""A pgbouncer in transaction mode before a test's database; the test is skipped where it is not installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from sa_partman.throwaway.account import credentials, environment, give
from tests.support.killing import until

VARIABLE = "SA_PARTMAN_PGBOUNCER"
"""The program, when it is not on PATH."""

_USUAL = "/usr/sbin"


def program() -> str:
    """Where pgbouncer is; without it the test is skipped."""
    found = os.environ.get(VARIABLE) or shutil.which("pgbouncer") or shutil.which("pgbouncer", path=_USUAL)
    if found is None:
        pytest.skip(f"pgbouncer is not installed: apt-get install pgbouncer, or set {VARIABLE} to the program")
    return found


@contextmanager
def pgbouncer(database_url: str, *, size: int, driver: str = "psycopg") -> Iterator[str]:
    """
    Transaction pooling with *size* server connections, on a free port of 127.0.0.1, until the block ends.

    Yields:
        The URL of the same database through it.
    """
    command, target = program(), make_url(database_url)
    with tempfile.TemporaryDirectory() as name, socket.socket() as probe:
        folder = Path(name)
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        (folder / "ini").write_text(_settings(target, port, size), encoding="utf-8")
        for path in (folder, folder / "ini"):
            give(path)
        probe.close()
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [command, str(folder / "ini")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env=environment(),
                **credentials(),
            )
        try:
            if not until(lambda: process.poll() is not None or _answers(port)) or process.poll() is not None:
                pytest.fail(f"pgbouncer did not start: {(folder / 'log').read_text(errors='replace')}", pytrace=False)
            through = target.set(drivername=f"postgresql+{driver}", host="127.0.0.1", port=port, query={})
            yield through.render_as_string(hide_password=False)
        finally:
            process.terminate()
            process.wait(10)


def _settings(target: URL, port: int, size: int) -> str:
    host = target.host or target.query.get("host", "")
    server = {"host": host, "port": target.port or 5432, "user": target.username, "password": target.password}
    given = " ".join(f"{name}={value}" for name, value in server.items() if value)
    return f"""
[databases]
* = {given}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 100
ignore_startup_parameters = extra_float_digits, options
"""


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
