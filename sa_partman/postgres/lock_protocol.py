"""
The lock protocol of a conversion: look before queueing, give way early, try again whole, and never without a limit.

Source: PostgreSQL, Explicit Locking; ``deadlock_timeout``; ``client_connection_check_interval``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from sa_partman.errors import LockNotAcquired
from sa_partman.names import QualifiedName
from sa_partman.plan.conversion.steps import ConversionStep
from sa_partman.postgres.blockers import Holder, holders, lingering
from sa_partman.postgres.retry import LockPolicy
from sa_partman.postgres.session import pin
from sa_partman.postgres.sqlstate import worth_retrying

LOOK_AGAIN = 0.25
"""Seconds between two looks: who is there both times holds his locks for long."""

FROZEN = "10s"
"""How long a client may sleep inside a transaction before the server ends it, and a quick statement may take."""

CHECK_INTERVAL = "1s"
"""How soon the server notices that the client of a running or waiting statement is dead."""

_DEADLOCK = text("SELECT CAST(extract(epoch FROM CAST(current_setting('deadlock_timeout') AS interval)) AS float8)")
_OFF = text("""
SELECT set_config(name, '0', true) FROM pg_catalog.pg_settings
WHERE name IN ('statement_timeout', 'transaction_timeout')
""")


@dataclass(frozen=True, slots=True)
class Need:
    """
    What a step needs of the locks.

    Args:
        tables: Quoted names: locked by the step, or the one that it is about.
        gentle: Its locks stop no reader and no writer, so it may wait for them.
    """

    table: QualifiedName
    step: ConversionStep
    tables: tuple[str, ...]
    gentle: bool

    @classmethod
    def of(cls, table: QualifiedName, step: ConversionStep) -> Need:
        gentle = bool(step.scans) and not step.locked and not step.guarded
        return cls(table, step, step.locked or (table.quoted,), gentle)

    @property
    def looks_first(self) -> bool:
        return bool(self.step.locked) or self.step.guarded

    @property
    def related(self) -> bool:
        """Without a list of its own, a step may lock the tables that the table refers to."""
        return not self.step.locked


Work = Callable[[Connection], None]


def attempt(engine: Engine, need: Need, policy: LockPolicy, work: Work, calm: Work = lambda connection: None) -> None:
    """
    Runs *work* in a transaction that holds the locks of *need*; again, whole, while they are refused.

    Args:
        calm: Work for the moment when nobody else can change the tables and everybody still reads and writes them.

    Raises:
        LockNotAcquired: Not within the budgets; nothing was changed.
    """
    began, attempts = time.monotonic(), 0
    for pause in policy.pauses():
        left = began + policy.budget - time.monotonic()
        if attempts and (pause > left or (not need.gentle and attempts >= policy.attempts)):
            break
        time.sleep(pause)
        if need.looks_first and _wait_until_free(engine, need, policy, began + policy.budget):
            break
        attempts += 1
        try:
            with engine.begin() as connection:
                _enter(connection, need, policy, calm)
                work(connection)
            return
        except DBAPIError as error:
            if not worth_retrying(error):
                raise
    raise not_acquired(engine, need, policy, attempts)


def not_acquired(engine: Engine, need: Need, policy: LockPolicy, attempts: int) -> LockNotAcquired:
    """The error that names who holds the locks now."""
    with engine.connect() as connection:
        found = holders(connection, need.tables, related=need.related)
    return LockNotAcquired(
        str(need.table), lock_timeout=policy.lock_timeout, attempts=attempts, blockers=map(str, found[:5])
    )


def _wait_until_free(engine: Engine, need: Need, policy: LockPolicy, deadline: float) -> bool:
    """Waits, without a request that others would queue behind; True when somebody still holds on in the end."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:

        def look() -> tuple[Holder, ...]:
            return holders(connection, need.tables, related=need.related)

        before = look()
        while before:
            time.sleep(min(LOOK_AGAIN, policy.longest_pause))
            after = look()
            if not lingering(before, after):
                return False
            if time.monotonic() > deadline:
                return True
            before = after
    return False


def _enter(connection: Connection, need: Need, policy: LockPolicy, calm: Work) -> None:
    """Settings of this transaction alone, then every lock in one statement, before anything else."""
    pin(connection, policy.lock_timeout)
    deadlock: float = connection.execute(_DEADLOCK).scalar_one()
    short, patient = min(policy.lock_timeout, deadlock / 2), deadlock + 0.5
    connection.execute(_OFF)
    connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{FROZEN}'")
    notice_dead_clients(connection)
    if need.step.guarded:
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{FROZEN}'")
    if need.step.locked:
        tables = ", ".join(need.tables).replace("%", "%%")
        # Stops no reader and no writer, and autovacuum gives way to it; only then the lock that everybody feels.
        _lock_timeout(connection, patient)
        connection.exec_driver_sql(f"LOCK TABLE {tables} IN SHARE UPDATE EXCLUSIVE MODE")
        calm(connection)
        _lock_timeout(connection, short)
        connection.exec_driver_sql(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
    _lock_timeout(connection, patient if need.gentle else short)


def _lock_timeout(connection: Connection, seconds: float) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{round(seconds * 1000)}ms'")


def notice_dead_clients(connection: Connection) -> None:
    """Without it a killed process keeps its place in the queue, and everybody behind it."""
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(f"SET LOCAL client_connection_check_interval = '{CHECK_INTERVAL}'")
    except DBAPIError as error:
        if connection.invalidated:
            raise
        del error  # the server's platform can't
