"""Connections as our work needs them, and the settings of one transaction on which what PostgreSQL prints depends."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal

from sqlalchemy import URL, Connection, CursorResult, Engine, TextClause, text
from sqlalchemy.exc import DBAPIError

from sa_partman.bounds.read import PRINTED_UNDER
from sa_partman.errors import ConfigurationError, ExecutionError, ReadOnlyServer, ServerUnavailable
from sa_partman.passwords import passwords_in, without_passwords
from sa_partman.postgres.sqlstate import TIMED_OUT, first_line, sqlstate
from sa_partman.table.features import ServerFeatures

_PREPARES = "sa_partman_prepares"


def dependable(engine: Engine, *, prepares: bool = False) -> Engine:
    """
    *engine* as maintenance needs it, over the same pool, whatever its own settings are: transactions are READ
    COMMITTED, and the driver prepares nothing on the server, which a pooler would lose; see `steady` and `unprepared`.

    Args:
        prepares: There is no pooler, so the driver may prepare what it likes.
    """
    # Not isolation_level: early releases of SQLAlchemy 2.0 can't give that to an engine that has options already.
    return engine.execution_options(**{_PREPARES: prepares})


def steady(connection: Connection) -> None:
    """Gives *connection*, which is in no transaction yet, the isolation level that `dependable` promises."""
    if _PREPARES in connection.get_execution_options():
        connection.execution_options(isolation_level="READ COMMITTED")


@contextmanager
def unprepared(connection: Connection) -> Iterator[None]:
    """During the block the driver prepares nothing, if `dependable` promised that."""
    if connection.get_execution_options().get(_PREPARES, True):
        yield
        return
    with without_preparing(connection):
        yield


@contextmanager
def without_preparing(connection: Connection) -> Iterator[None]:
    """During the block the driver prepares nothing."""
    driver = driver_of(connection)
    if not hasattr(driver, "prepare_threshold"):
        yield
        return
    usual, driver.prepare_threshold = driver.prepare_threshold, None  # psycopg
    try:
        yield
    finally:
        driver.prepare_threshold = usual


def behind_pooler(connection: Connection, pid: int) -> bool:
    """
    Whether somebody stands between *connection* and the server: the greeting named another backend than answers.

    Args:
        pid: Of the backend that answers.
    """
    greeted = greeted_by(connection)
    return greeted is not None and greeted != pid


def greeted_by(connection: Connection) -> int | None:
    """The backend that the driver was told of when it connected; None when the driver does not tell."""
    driver = driver_of(connection)
    if hasattr(driver, "get_server_pid"):  # asyncpg
        return int(driver.get_server_pid())
    pid = getattr(getattr(driver, "info", None), "backend_pid", None)
    return None if pid is None else int(pid)


def driver_of(connection: Connection) -> Any:
    """The driver's own connection, also of one that was taken out of its pool."""
    made = connection.connection.dbapi_connection
    return None if made is None else connection.dialect.get_driver_connection(made)


IsolationLevel = Literal["AUTOCOMMIT", "READ COMMITTED"]


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """
    A connection in a transaction.

    Raises:
        ServerUnavailable: There is no server, or it does not let us in.
        ExecutionError: A timeout of the role's ended what the driver asks first.
    """
    with _connect(engine) as connection:
        steady(connection)
        with unprepared(connection), connection.begin():
            yield connection


@contextmanager
def apart(engine: Engine, *, autocommit: bool = False) -> Iterator[Connection]:
    """
    A connection in a transaction, opened beside the pool and closed in the end: a pool of one does not starve, and a
    large one keeps the connections that it has, whose server processes know the catalog already.

    Args:
        autocommit: In none, so that it holds no snapshot between two statements.

    Raises:
        ServerUnavailable: See `connected`.
    """
    driver = None
    try:
        with _connect(engine, _beside_the_pool) as connection:
            driver = connection.connection.dbapi_connection
            if autocommit:
                connection.execution_options(isolation_level="AUTOCOMMIT")
            else:
                steady(connection)
            connection.detach()
            with unprepared(connection), nullcontext() if autocommit else connection.begin():
                yield connection
    finally:
        # SQLAlchemy leaves a detached connection to the garbage collector when it was cancelled, and always where it is
        # one of psycopg's asyncio; our locks would live until then. One that was not detached yet lies in a pool that
        # nobody has.
        if driver is not None:
            with suppress(Exception):
                engine.dialect.do_terminate(driver)


@contextmanager
def isolated(engine: Engine, level: IsolationLevel) -> Iterator[Connection]:
    """
    A connection of that isolation level. It is told so when the block that gives it back has begun: telling is a
    statement on some drivers, and may be cancelled.

    Raises:
        ServerUnavailable: See `connected`.
    """
    with _connect(engine) as connection, unprepared(connection):
        connection.execution_options(isolation_level=level)
        yield connection


def shown(url: URL) -> str:
    """*url* for people, without any password in it, wherever it stands."""
    return without_passwords(url.render_as_string(hide_password=True))


def passwords_of(url: URL) -> frozenset[str]:
    """Those of *url*, but for what is no secret: somebody's password may be the name of his database."""
    given = (url.query.get(name, ()) for name in ("password", "sslpassword"))
    named = (each for value in given for each in ((value,) if isinstance(value, str) else value))
    found = {str(url.password or ""), *named, *passwords_in(url.render_as_string(hide_password=False))}
    return frozenset(found) - {"", url.username or "", url.host or "", url.database or "", str(url.port or "")}


def _beside_the_pool(engine: Engine) -> Connection:
    # The same creator and the same listeners as the engine's own pool.
    return Connection(engine, engine.pool.recreate().connect())


def _connect(engine: Engine, opened: Callable[[Engine], Connection] = Engine.connect) -> Connection:
    try:
        connection = opened(engine)
    except Exception as error:
        # The driver's own come from a pool; over asyncpg the errors of the network come as they are, and with
        # SQLAlchemy 2.0 those of the server too.
        if not isinstance(error, DBAPIError | OSError | engine.dialect.loaded_dbapi.Error) and sqlstate(error) is None:
            raise
        said = without_passwords(first_line(error), passwords_of(engine.url))
        if sqlstate(error) in TIMED_OUT:
            raise ExecutionError(
                f"{shown(engine.url)} let us in and ended our first statement: {said}; nothing was changed. Connect "
                f"with options='-c statement_timeout=0 -c transaction_timeout=0', or raise what the role has (ALTER "
                f"ROLE ... SET)"
            ) from error
        raise ServerUnavailable(f"no connection to {shown(engine.url)}: {said}; nothing was changed") from error
    notice_dead_network(connection)
    return connection


IDLE, INTERVAL, COUNT = 10, 5, 3
"""Seconds of silence before the other side is asked whether it is there; seconds between two questions; how many."""

UNANSWERED = 20_000
"""Milliseconds that sent data may stay without an acknowledgement."""

_TOLD = "sa_partman: network"


def notice_dead_network(connection: Connection) -> None:
    """
    Sets the socket options that libpq calls ``keepalives_*`` and ``tcp_user_timeout``, where nobody has. They do no
    harm to whoever gets the connection from the pool afterwards, so they stay.

    Without them the client waits for an answer until the operating system gives up; the server's side is set by SQL.
    """
    if _TOLD in connection.info:
        return
    connection.info[_TOLD] = True
    number = _number(connection.connection.driver_connection)
    if number is None:
        return
    # A socket of our own over the same one: closing it leaves the driver's open.
    with suppress(OSError), socket.socket(fileno=os.dup(number)) as found:
        if found.family in (socket.AF_INET, socket.AF_INET6):
            _keep_alive(found)


def _keep_alive(found: socket.socket) -> None:
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    timeout = getattr(socket, "TCP_USER_TIMEOUT", None)
    if timeout is not None and found.getsockopt(socket.IPPROTO_TCP, timeout):
        return  # the URL of the user says otherwise
    wanted = {"TCP_KEEPIDLE": IDLE, "TCP_KEEPINTVL": INTERVAL, "TCP_KEEPCNT": COUNT, "TCP_USER_TIMEOUT": UNANSWERED}
    for name, value in wanted.items():
        option = getattr(socket, name, None)  # not on every operating system
        if option is not None:
            found.setsockopt(socket.IPPROTO_TCP, option, value)


def _number(driver: Any) -> int | None:
    """The file descriptor of the driver's socket: psycopg's, or asyncpg's."""
    with suppress(Exception):
        if hasattr(driver, "fileno"):
            return int(driver.fileno())
        return int(driver._transport.get_extra_info("socket").fileno())
    return None


_PINNED = {
    **PRINTED_UNDER,
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


VARIABLE = "SA_PARTMAN_AT"
"""An instant to plan for instead of the server's clock; ``--at`` overrides it."""


def instant(text: str, source: str = VARIABLE) -> datetime:
    """
    *text* as an aware instant; without an offset it is UTC, without a time midnight.

    Args:
        source: Where *text* comes from, for the message.

    Raises:
        ConfigurationError: It is no ISO 8601 date or time.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigurationError(
            f"{source}={text!r} is no time; write it as 2030-01-31, or 2030-01-31T13:00:00+01:00 (no offset means UTC)"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def appointed() -> datetime | None:
    """
    The instant that ``SA_PARTMAN_AT`` names; None when it is unset or empty, which means: the server's clock.

    Raises:
        ConfigurationError: See `instant`.
    """
    text = os.environ.get(VARIABLE)
    return instant(text) if text else None


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


def limit_idling(connection: Connection, seconds: float) -> None:
    """The server ends this transaction when nothing is sent for so long: its process is frozen, and others wait."""
    connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{round(seconds * 1000)}ms'")


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


def execute_sql(connection: Connection, sql: str) -> CursorResult[Any]:
    """Executes *sql* as it stands: to some drivers a % begins a parameter, to others it is like any other."""
    doubled = getattr(connection.dialect.identifier_preparer, "_double_percents", False)
    return connection.exec_driver_sql(sql.replace("%", "%%") if doubled else sql)
