"""Servers and databases for tests."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import sleep

import psycopg
from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.pool import NullPool

from sa_partman.errors import ServerUnavailable
from sa_partman.throwaway import Binaries, Server, available, find
from sa_partman.throwaway.binaries import found

BY_URL = "DATABASE_URL"
NEWEST = "newest"
SYSTEM = "system"
ROOM = 4 * 2**30
TEMPLATE = "sa_partman_template"


@dataclass(frozen=True, slots=True)
class Address:
    """
    A server to test against: one of our own, or the one in DATABASE_URL.

    Args:
        admin: A database of it from which others are created.
        major: Its version.
        connection: To that database; kept, because a new one for each statement costs as much as the statement.
        template: From which a new database is made; empty: the server's own.
        strategy: How it is copied, in SQL.
    """

    admin: URL
    major: int
    connection: psycopg.Connection
    template: str = ""
    strategy: str = ""

    def url(self, dbname: str | None = None, driver: str | None = None) -> str:
        """For SQLAlchemy, password included; None: the database that it came with, over psycopg."""
        url = self.admin.set(drivername=f"postgresql+{driver or 'psycopg'}", database=dbname or self.admin.database)
        return url.render_as_string(hide_password=False)

    def uri(self, dbname: str | None = None) -> str:
        """The same for libpq."""
        url = self.admin.set(drivername="postgresql", database=dbname or self.admin.database)
        return url.render_as_string(hide_password=False)

    @contextmanager
    def new_database(self, template: str = "") -> Iterator[str]:
        """
        A fresh database, dropped afterwards: its URL.

        Args:
            template: A database to copy, which nobody is connected to; without one it is empty.
        """
        name = f"sa_partman_test_{secrets.token_hex(6)}"
        template = template or self.template
        copied = f"TEMPLATE {template} {self.strategy}" if template else ""
        self.connection.execute(f"CREATE DATABASE {name} {copied}".encode())
        try:
            yield self.url(name)
        finally:
            self._left(name)
            self.connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def _left(self, name: str) -> None:
        """Who has closed a connection to *name* is given the time to go: DROP DATABASE looks every 100 ms only."""
        busy = f"SELECT FROM pg_stat_activity WHERE datname = '{name}' AND backend_type = 'client backend'".encode()
        for _ in range(8):
            if not self.connection.execute(busy).rowcount:
                return
            sleep(0.004)


Copies = Callable[[], AbstractContextManager[Engine]]
"""Makes a database for a block."""


@contextmanager
def prepared(address: Address, prepare: Callable[[Engine], object]) -> Iterator[Copies]:
    """Databases as *prepare* leaves an empty one: it is done once, and copied."""
    with address.new_database() as template:
        engine = create_engine(template, poolclass=NullPool)
        prepare(engine)

        @contextmanager
        def copy() -> Iterator[Engine]:
            with address.new_database(str(engine.url.database)) as url:
                copied = create_engine(url)
                try:
                    yield copied
                finally:
                    copied.dispose()

        yield copy


def targets(wanted: str) -> tuple[str, ...]:
    """What ``--pg`` means here: majors, as text, each with @ and its origin or without; ``NEWEST``; or ``BY_URL``."""
    if wanted == "default":
        return (BY_URL if BY_URL in os.environ else NEWEST,)
    return _every() if wanted == "all" else tuple(wanted.split(","))


def _every() -> tuple[str, ...]:
    """Every major; and the operating system's, where it is another version than the one taken for its major."""
    chosen = available()
    other = (each for each in found() if each.source == SYSTEM and each.version != chosen[each.major].version)
    return (*map(str, chosen), *dict.fromkeys(f"{each.major}@{SYSTEM}" for each in other))


@cache
def binaries(target: str) -> Binaries:
    """Those of a server that a test may start; a server of somebody else has none, so then the newest."""
    major, _, origin = target.partition("@")
    if not major.isdigit():
        return find()
    for each in found() if origin else ():
        if each.major == int(major) and each.source.split()[0] == origin:
            return each
    if origin:
        raise ServerUnavailable(f"no PostgreSQL {major} of {origin} on this machine")
    return find(int(major))


@contextmanager
def address(target: str) -> Iterator[Address]:
    """The server of *target*, started for this block unless it is somebody else's."""
    if target == BY_URL:
        admin = make_url(os.environ[BY_URL].replace("postgres://", "postgresql://", 1))
        uri = admin.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(uri, autocommit=True) as connection:
            yield Address(admin, connection.info.server_version // 10000, connection)
        return
    with start(target) as server, psycopg.connect(server.uri(), autocommit=True) as connection:
        yield Address(make_url(server.url()), server.binaries.major, connection, *_template(server, connection))


def _template(server: Server, connection: psycopg.Connection) -> tuple[str, str]:
    """
    Makes one for databases on *server*; its name, and how it is copied.

    Its files are copied instead of being written by way of the log, and among them is what the first backend in a
    database computes and keeps there: a database and a first connection take 13 ms of a processor instead of 37.
    """
    connection.execute(f"CREATE DATABASE {TEMPLATE}".encode())
    psycopg.connect(server.uri(TEMPLATE)).close()
    return TEMPLATE, "STRATEGY FILE_COPY" if server.binaries.major >= 15 else ""


def start(target: str) -> Server:
    return Server.start(binaries(target), base=memory())


def memory() -> Path | None:
    """A roomy file system in memory: a database takes 8 ms to create there, on a disk 10 to 200."""
    folder = Path("/dev/shm")
    return folder if folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > ROOM else None
