"""A throw-away PostgreSQL server, seen from the program that uses it."""

import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

from sa_partman.errors import ServerUnavailable
from sa_partman.throwaway import account, data_directory, supervisor
from sa_partman.throwaway.binaries import Binaries, find
from sa_partman.throwaway.places import new_folder, socket_fits
from sa_partman.throwaway.relocation import reachable

SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "logical",
    "max_wal_size": "1GB",
    "max_wal_senders": "8",
    "max_replication_slots": "8",
    "max_connections": "120",
    "max_prepared_transactions": "20",
    "max_locks_per_transaction": "256",
    "shared_buffers": "64MB",
    "jit": "off",
    "timezone": "UTC",
    "lc_messages": "C",
    "log_min_messages": "warning",
}
"""Fast, and able to do everything. A commit still reaches the operating system: it survives a crash of the server."""


@dataclass
class Server:
    """
    A running server. It ends with the ``with`` block, or with this process.

    Args:
        binaries: What it runs.
        folder: Its files; deleted in the end.
        port: Of its unix socket, or of 127.0.0.1.
        tcp: It listens on 127.0.0.1.
        pid: Of the postmaster; another one after a restart.
    """

    binaries: Binaries
    folder: Path
    port: int
    tcp: bool
    pid: int
    _supervisor: subprocess.Popen[str] = field(repr=False)
    _password: str = field(default="", repr=False)

    @classmethod
    def start(
        cls,
        binaries: Binaries | None = None,
        *,
        tcp: bool = not hasattr(socket, "AF_UNIX"),
        settings: Mapping[str, str] | None = None,
        base: Path | None = None,
    ) -> Self:
        """
        Start a new, empty server; back when it takes connections.

        Args:
            binaries: None: the newest found.
            tcp: Listen on 127.0.0.1 instead of a unix socket.
            settings: Server parameters, over :data:`SETTINGS`.
            base: Where to make its folder; None: among the temporary ones.

        Raises:
            ServerUnavailable: It can't start; what it made is deleted again.
        """
        binaries = reachable(binaries or find())
        folder = new_folder(base)
        server = cls(binaries, folder, _free_port() if tcp else 5432, tcp, 0, _supervise(binaries, folder))
        try:
            if not tcp and not socket_fits(folder / "data", server.port):
                raise ServerUnavailable(
                    f"{folder} is too long for the path of a unix socket; use a shorter base=, or tcp=True"
                )
            wanted = {**SETTINGS, **(settings or {}), **server._listening()}
            server._password = data_directory.create(binaries, folder / "data", wanted)
            server._ask_to_start()
        except BaseException:
            server.stop()
            raise
        return server

    def url(self, dbname: str = "postgres", driver: str | None = None) -> str:
        """
        The URL of *dbname* for SQLAlchemy; *driver* is psycopg unless given.

        A name with characters that URLs escape needs SQLAlchemy 2.1: 2.0 takes a database's name as it stands.
        """
        return f"postgresql+{driver or 'psycopg'}{self.uri(dbname).removeprefix('postgresql')}"

    def uri(self, dbname: str = "postgres") -> str:
        """The URI of *dbname* as libpq reads it."""
        name = quote(dbname, safe="")
        if not self.tcp:
            return f"postgresql://postgres@/{name}?host={quote(str(self.folder / 'data'), safe='/')}"
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/{name}"

    def log(self) -> str:
        """What the server wrote so far."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def restart_immediate(self) -> None:
        """Crash the server (immediate shutdown: every connection is lost) and start it on the same data directory."""
        self._ask_to_start()

    def stop(self) -> None:
        """Stop the server and delete its files; a second time does nothing."""
        with suppress(OSError):  # somebody killed the supervisor
            _pipe(self._supervisor.stdin).close()
        self._supervisor.wait(60)
        _pipe(self._supervisor.stdout).close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _listening(self) -> dict[str, str]:
        return {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1" if self.tcp else "",
            "unix_socket_directories": "" if self.tcp else str(self.folder / "data"),  # which nobody else may enter
        }

    def _ask_to_start(self) -> None:
        requests, answers = _pipe(self._supervisor.stdin), _pipe(self._supervisor.stdout)
        with suppress(OSError):
            requests.write("start\n")
            requests.flush()
        answer = json.loads(answers.readline() or '{"error": "its supervisor is dead"}')
        if "error" in answer:
            raise ServerUnavailable(f"{self.binaries} did not start: {answer['error']}")
        self.pid = answer["pid"]


def _supervise(binaries: Binaries, folder: Path) -> subprocess.Popen[str]:
    order = {
        "folder": str(folder),
        "command": [str(binaries.program("postgres")), "-D", str(folder / "data")],
        "credentials": account.credentials(),
    }
    return subprocess.Popen(
        [sys.executable, "-I", "-S", supervisor.__file__, json.dumps(order)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=account.environment(),
        start_new_session=True,  # a signal to the terminal's process group must not reach it
    )


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
