"""One maintainer at a time in a database; behind a pooler, one step at a time."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from sa_partman.engine.background import beating
from sa_partman.engine.budget import LockPolicy
from sa_partman.engine.waits import Wait, Waits
from sa_partman.errors import ExclusionLost, MaintainerBusy, OthersTurn
from sa_partman.events import Holder
from sa_partman.names import QualifiedName
from sa_partman.ports import Sleeping, Waiting
from sa_partman.postgres.session import apart, behind_pooler, dependable, pin, timeouts

LOCK_KEY = int.from_bytes(b"sapartmn")
"""The advisory lock's key; the same for every release, so that releases exclude each other."""

LOCK_CLASS = int.from_bytes(b"sapc")
"""The first half of the keys of converters."""

APPLICATION = "sa_partman:"
"""How ``application_name`` begins on every connection of a run; the run's name follows."""

_TRY = f"pg_catalog.pg_try_advisory_xact_lock({LOCK_KEY})"
_IS = "OPERATOR(pg_catalog.=)"  # whoever asks may have a search path on which another = stands first


def _shown(high: int, low: int, halves: int) -> str:
    """
    How ``pg_locks l`` shows an advisory lock that is held in this database.

    Args:
        halves: 1 for a key of one bigint, 2 for one of two integers.
    """
    return (
        f"l.locktype {_IS} 'advisory' AND l.classid {_IS} CAST({high} AS oid) "
        f"AND l.objid {_IS} CAST({low} AS oid) AND l.objsubid {_IS} CAST({halves} AS int2) AND l.granted "
        f"AND l.database {_IS} (SELECT d.oid FROM pg_catalog.pg_database d "
        f"WHERE d.datname {_IS} pg_catalog.current_database())"
    )


_LOCK = _shown(LOCK_KEY >> 32, LOCK_KEY & 0xFFFFFFFF, 1)
# Others of our name cannot be at work while we hold the lock: who is, was killed, and its last statement goes on.
_HELD = f"""
SELECT l.pid, l.virtualtransaction, ARRAY(
    SELECT a.pid FROM pg_catalog.pg_stat_activity a
    WHERE a.datname = pg_catalog.current_database() AND a.pid <> l.pid
        AND pg_catalog.starts_with(a.application_name, '{APPLICATION}')
)
FROM pg_catalog.pg_locks l WHERE {_LOCK} AND l.pid = pg_catalog.pg_backend_pid()
"""
_HOLDER = f"""
SELECT l.pid, l.virtualtransaction, coalesce(a.application_name, ''), coalesce(a.state, ''), '', 'client backend', NULL,
    CAST(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start) AS float8)
FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid WHERE {_LOCK}
"""
_SILENT = f"""
SELECT l.pid, coalesce(a.application_name, ''),
    CAST(extract(epoch FROM pg_catalog.clock_timestamp() - a.state_change) AS float8)
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE {_LOCK} AND a.state = 'idle in transaction'
"""
_HOLDING = {
    "search_path": "pg_catalog",
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 3,
}


@dataclass(frozen=True, slots=True)
class Exclusion:
    """
    The right to be the only maintainer, or the only converter of a table, for as long as it lasts.

    Args:
        pid: The backend that holds the lock; None behind a pooler, where every step takes it for itself.
        transaction: Its virtual transaction, so that a later backend of that pid is not taken for it.
        others: Backends that bear the name of a run, and it is not ours: what is left of killed ones.
        lock: How ``pg_locks l`` shows it.
        right: To be what.
    """

    pid: int | None
    transaction: str = ""
    others: tuple[int, ...] = ()
    policy: LockPolicy = field(default_factory=LockPolicy, repr=False)
    waiting: Waiting = field(default_factory=Sleeping, repr=False)
    lock: str = field(default=_LOCK, repr=False)
    right: str = "the only maintainer"

    @property
    def pooled(self) -> bool:
        """Behind a pooler: nothing is held between two steps, and nothing that belongs to a session may be used."""
        return self.pid is None

    def condition(self) -> str:
        """
        An SQL expression, true while the right is ours; behind a pooler it takes the lock until the transaction ends.

        When it is false, `verify` says what that means.
        """
        if self.pid is None:
            return _TRY
        return (
            f"EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE {self.lock} AND l.pid {_IS} {self.pid} "
            f"AND l.virtualtransaction {_IS} '{self.transaction}')"
        )

    def verify(self, connection: Connection) -> None:
        """
        To be called in the transaction of each step, before it changes anything.

        Raises:
            ExclusionLost: The lock is gone; nothing was changed.
            OthersTurn: Behind a pooler, another maintainer is in the middle of a step. Give the connection back, and
                try again later.
        """
        if connection.exec_driver_sql(f"SELECT {self.condition()}").scalar_one():
            return
        if self.pid is None:
            raise OthersTurn("another maintainer is at work in this database; nothing was changed, try later")
        raise ExclusionLost(
            f"the connection that held our right to be {self.right} (pid {self.pid}) is gone: this process gave "
            f"no sign of life for LockPolicy(lease={self.policy.lease:g}) seconds, or an administrator, a restart or "
            f"the network ended it. The run ended before its next step; what it did stays."
        )


@contextmanager
def only_maintainer(
    engine: Engine,
    policy: LockPolicy | None = None,
    waiting: Waiting | None = None,
    application: str = APPLICATION,
    waits: Waits | None = None,
) -> Iterator[Exclusion]:
    """
    Holds a transaction-level advisory lock on a connection of its own until the block ends.

    A session-level lock would outlive us behind a transaction pooler; this one ends with its transaction, whatever
    happens. The connection is taken out of the pool, so that a pool of one does not starve. Behind a pooler nothing is
    held, because that could be the only server connection: there every step takes the lock in its own transaction.

    Args:
        policy: Its *turn* is how long to wait for another maintainer; asked again and again, never waiting in the
            server, where a waiter's snapshot would stop the other one. Its *lease* is how long our process may be
            stopped before the server gives the lock to others.
        application: For ``application_name``.
        waits: Tells for whom.

    Raises:
        MaintainerBusy: Another maintainer holds it.
    """
    policy, waiting = policy or LockPolicy(), waiting or Sleeping()
    began, wait = time.monotonic(), Wait(waits or Waits(), "", "another maintainer of this database")
    with ExitStack() as holding:
        try:
            for pause in policy.pauses():
                if pause:
                    waiting.sleep(min(pause, policy.turn))
                taken = _try(engine, holding, policy, waiting, application)
                if isinstance(taken, Exclusion):
                    break
                wait.found(taken, since=began)
                if time.monotonic() - began >= policy.turn:
                    raise MaintainerBusy(
                        f"another maintainer{_named_of(taken)} is at work in this database; nothing was changed, try "
                        f"later"
                    )
            else:
                raise AssertionError("pauses are endless")
        finally:
            wait.over()
        yield taken


def _named_of(holders: tuple[Holder, ...]) -> str:
    return "".join(f" (pid {each.pid}{', ' * bool(each.application)}{each.application})" for each in holders[:1])


def _try(
    engine: Engine, holding: ExitStack, policy: LockPolicy, waiting: Waiting, application: str
) -> Exclusion | tuple[Holder, ...]:
    """The exclusion, whose connection *holding* closes in the end; or who has it."""
    with ExitStack() as stack:
        connection = stack.enter_context(_closed_in_the_end(engine))
        ours, pid = connection.exec_driver_sql(_take(connection, policy.lease)).one()[:2]
        if not ours:
            return tuple(Holder(*row) for row in connection.exec_driver_sql(_HOLDER))
        if behind_pooler(connection, pid):
            return Exclusion(None, policy=policy, waiting=waiting)
        _, transaction, others = connection.exec_driver_sql(_HELD).one()
        named = _named(application)
        connection.exec_driver_sql(named)
        stack.enter_context(beating(connection, named, policy.lease))
        holding.push(stack.pop_all())
        return Exclusion(pid, transaction, tuple(others), policy, waiting)


@contextmanager
def _closed_in_the_end(engine: Engine) -> Iterator[Connection]:
    holding = ExitStack()
    connection = holding.enter_context(apart(dependable(engine)))
    try:
        yield connection
    finally:
        with suppress(SQLAlchemyError):  # when the connection is gone, so is the lock
            holding.close()


def silent_holder(connection: Connection) -> tuple[int, str, float] | None:
    """
    Who is the only maintainer now: the backend, its name, and the seconds since its last sign of life; None when nobody
    is, or the role may not see it.
    """
    row = connection.exec_driver_sql(_SILENT).first()
    return None if row is None else (row[0], row[1], row[2])


def _take(connection: Connection, lease: float) -> str:
    """
    A run takes longer than a role's transactions may last or be idle; and a host that died must not hold it long, nor a
    process that is stopped. A target list holds no operator, so nothing can be put in its place; what follows it is
    pinned.
    """
    idle = {"idle_in_transaction_session_timeout": round(lease * 1000)}
    settings: dict[str, object] = {**_HOLDING, **dict.fromkeys(timeouts(connection), 0), **idle}
    given = ", ".join(f"pg_catalog.set_config('{name}', '{value}', true)" for name, value in settings.items())
    return f"SELECT {_TRY}, pg_catalog.pg_backend_pid(), {given}"


def _named(application: str) -> str:
    """
    SET comes last: asyncpg knows the extended protocol only, whose portal keeps the snapshot of a SELECT until the next
    statement, and CREATE INDEX CONCURRENTLY and DETACH ... FINALIZE wait for it.
    """
    named = application.replace("'", "").replace("%", "")
    return f"SET LOCAL application_name = '{named}'"


@contextmanager
def only_converter(engine: Engine, table: QualifiedName, lease: float) -> Iterator[Exclusion]:
    """
    One converter of a table at a time; see `only_maintainer` for why the connection is its own.

    Args:
        lease: See `LockPolicy`.

    Raises:
        MaintainerBusy: Another one is at work.
    """
    holding = ExitStack()
    connection = holding.enter_context(apart(engine))
    try:
        pin(connection, 1.0)  # a conversion takes longer than a role's transactions may last, or be idle
        key = LOCK_CLASS, zlib.crc32(table.quoted.encode()) & 0x7FFFFFFF
        exclusion = _hold_lock(connection, key, f"the only converter of {table}", LockPolicy(lease=lease))
        if exclusion is None:
            raise MaintainerBusy(f"another process converts {table}; nothing was changed, try later")
        alive = f"SET LOCAL idle_in_transaction_session_timeout = '{round(lease * 1000)}ms'"
        connection.exec_driver_sql(alive)
        with beating(connection, alive, lease):
            yield exclusion
    finally:
        with suppress(SQLAlchemyError):  # when the server is gone, so is the lock
            holding.close()


def _hold_lock(connection: Connection, key: tuple[int, int], right: str, policy: LockPolicy) -> Exclusion | None:
    """
    Tries to take the transaction-level advisory lock *key*, and takes *connection* out of its pool; None when another
    holds it.

    No parameters are sent: a portal of the extended protocol would stay open, and its snapshot with it, for which
    CREATE INDEX CONCURRENTLY and DETACH ... FINALIZE would wait.

    Args:
        right: See `Exclusion`.
    """
    connection.detach()
    high, low = key
    if not connection.exec_driver_sql(f"SELECT pg_catalog.pg_try_advisory_xact_lock({high}, {low})").scalar_one():
        return None
    lock = _shown(high, low, 2)
    held = f"SELECT l.pid, l.virtualtransaction FROM pg_catalog.pg_locks l WHERE {lock}"
    pid, transaction = connection.exec_driver_sql(f"{held} AND l.pid {_IS} pg_catalog.pg_backend_pid()").one()
    return Exclusion(pid, transaction, policy=policy, lock=lock, right=right)
