"""
The session: pinned settings, so that nothing depends on who connects from where; and what the server can do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import Connection, TextClause, text

from sa_partman.errors import ReadOnlyServer
from sa_partman.table.features import ServerFeatures

_PINNED = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    "row_security": "off",
    "search_path": "pg_catalog",
}

TIMEOUTS = ("statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout")
"""What a role may have for the sake of its application, and would end our work in the middle of it."""


def features_of(connection: Connection) -> ServerFeatures:
    """Nothing is sent: SQLAlchemy asked for the version when it connected."""
    return ServerFeatures(int((connection.dialect.server_version_info or (0,))[0]))


def timeouts(connection: Connection) -> tuple[str, ...]:
    """Those of `TIMEOUTS` that the server knows."""
    return TIMEOUTS if features_of(connection).has_transaction_timeout else TIMEOUTS[:-1]


def _set(settings: Mapping[str, str]) -> str:
    return ", ".join(f"pg_catalog.set_config('{name}', '{value}', true)" for name, value in settings.items())


_SET = _set(_PINNED)


@cache
def _opening(timeouts: tuple[str, ...]) -> TextClause:
    """The first columns are computed before search_path is pinned: a target list is evaluated from left to right."""
    return text(
        "SELECT pg_catalog.current_schema(), pg_catalog.clock_timestamp(), pg_catalog.pg_is_in_recovery(), "
        "pg_catalog.current_setting('transaction_read_only'), current_user, "
        f"pg_catalog.set_config('lock_timeout', :lock_timeout, true), {_SET}, {_set(dict.fromkeys(timeouts, '0'))}"
    )


_ACT_AS = text("SELECT pg_catalog.set_config('role', :role, CAST(:local AS boolean))")


@dataclass(frozen=True, slots=True)
class Session:
    """
    Args:
        default_schema: Where unqualified names live; None when the search path names no schema that exists.
        now: The server's clock; aware.
        standby: The server is in recovery.
        read_only: The transaction may not write.
        role: The connected role.
    """

    default_schema: str | None
    now: datetime
    standby: bool
    read_only: bool
    role: str

    def require_writable(self) -> None:
        """
        Raises:
            ReadOnlyServer: Nothing can be changed here.
        """
        if self.standby:
            raise ReadOnlyServer("the server is a standby (in recovery); nothing was changed. Connect to the primary.")
        if self.read_only:
            raise ReadOnlyServer(
                "the session is read-only (default_transaction_read_only is on); nothing was changed. "
                "Connect as a role that may write, or with options='-c default_transaction_read_only=off'."
            )


def pin(connection: Connection, lock_timeout: float) -> Session:
    """
    Pins the settings of the current transaction, and of it alone; of the timeouts only *lock_timeout* is left.

    Args:
        lock_timeout: In seconds.
    """
    opening = _opening(timeouts(connection))
    row = connection.execute(opening, {"lock_timeout": f"{round(lock_timeout * 1000)}ms"}).one()
    return Session(row[0], row[1], row[2], row[3] == "on", row[4])


def settle(connection: Connection, lock_timeout: float, settings: Mapping[str, str]) -> None:
    """
    As `pin`, and *settings* too, in as little time as possible: the server's answer is not looked at.

    Args:
        lock_timeout: In seconds.
    """
    values = {"lock_timeout": f"{round(lock_timeout * 1000)}ms", **settings}
    connection.execute(_settling(tuple(values)), values)


@cache
def _settling(names: tuple[str, ...]) -> TextClause:
    given = ", ".join(f"pg_catalog.set_config('{name}', :{name}, true)" for name in names)
    return text(f"SELECT pg_catalog.concat({_SET}, {given})")


def act_as(connection: Connection, role: str | None, *, local: bool = True) -> None:
    """
    From here on *role* is at work, to the end of the transaction (of the session, unless *local*); None: as before.

    What is created belongs to it.
    """
    if role is not None:
        connection.execute(_ACT_AS, {"role": role, "local": local})


@contextmanager
def acting_as(connection: Connection, role: str) -> Iterator[None]:
    """*role* is at work in the block, and whoever was before is again at its end, unless it failed."""
    before = connection.execute(text("SELECT pg_catalog.current_setting('role')")).scalar_one()
    act_as(connection, role)
    yield
    act_as(connection, before)


_LOCK_TIMEOUT = text("SELECT CAST(setting AS integer) FROM pg_catalog.pg_settings WHERE name = 'lock_timeout'")


def lock_timeout_of(connection: Connection) -> float:
    """What the session has, in seconds; 0: none."""
    own: int = connection.execute(_LOCK_TIMEOUT).scalar_one()
    return own / 1000


_HAS_WRITTEN = text("SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL")


def has_written(connection: Connection) -> bool:
    """Whether the transaction has changed anything by now."""
    return bool(connection.execute(_HAS_WRITTEN).scalar_one())


@contextmanager
def pinned(connection: Connection, lock_timeout: float) -> Iterator[Session]:
    """
    The settings of `pin` inside somebody else's transaction: they are put back at the end, unless it failed.
    """
    names = (*_PINNED, "lock_timeout", *timeouts(connection))
    wanted = ", ".join(f"pg_catalog.current_setting('{name}')" for name in names)
    before = connection.execute(text(f"SELECT {wanted}")).one()
    session = pin(connection, lock_timeout)
    yield session
    back = ", ".join(f"pg_catalog.set_config('{name}', :v{index}, true)" for index, name in enumerate(names))
    connection.execute(text(f"SELECT {back}"), {f"v{index}": value for index, value in enumerate(before)})


def verbatim(statement: str) -> TextClause:
    """*statement* as it is: ``text()`` takes ``:name`` for a parameter."""
    return text(statement.replace(":", r"\:"))
