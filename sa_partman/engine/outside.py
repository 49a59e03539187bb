"""
Statements outside of transactions, such as CREATE INDEX CONCURRENTLY: each waits for all who use its table, with nobody
behind it in the queue. So it may wait for long, what it waits for is told, and its session keeps none of its settings.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import chain

from sqlalchemy import Connection, Executable, text
from sqlalchemy.exc import DBAPIError

from sa_partman.ddl.render import render
from sa_partman.ddl.unplanned import drop_index
from sa_partman.engine.budget import LockPolicy
from sa_partman.engine.locks import LOOK_AGAIN, queued
from sa_partman.engine.running import CHECK_INTERVAL, Running
from sa_partman.engine.transaction import TableTransaction, backend_of
from sa_partman.engine.waits import Wait, Waits, holders, lingering
from sa_partman.errors import LockNotAcquired
from sa_partman.events import Holder
from sa_partman.names import QualifiedName
from sa_partman.plan.steps import Step
from sa_partman.postgres.session import apart, execute_sql, timeouts
from sa_partman.postgres.sqlstate import worth_retrying

PATIENCE = 60
"""What was built for an hour is not thrown away for one long report: such waits last this many times the budget."""

_AGAIN = "A long transaction holds the table: end it (pg_stat_activity shows it), then run the migration again."


@dataclass(frozen=True, slots=True)
class Outside:
    """
    A connection in autocommit, whose statements may wait.

    Args:
        pid: Of its backend.
    """

    connection: Connection
    pid: int
    waits: Waits
    policy: LockPolicy

    def concurrently(self, sql: str, table: QualifiedName, what: str) -> None:
        """
        One statement whose queue has nobody behind it.

        Args:
            what: It waits for.
        """
        self._timeout(self.policy.budget)
        wait = Wait(self.waits, str(table), what)
        try:
            with self.waits.statement(self.pid, wait):
                self._send(sql)
        finally:
            wait.over()

    def patiently(self, sql: str, name: QualifiedName) -> None:
        """
        One statement that needs a short lock on *name*: again and again, each try under a short timeout.

        Raises:
            LockNotAcquired: Not within the budget; nothing was changed.
        """
        began, policy = time.monotonic(), self.policy
        seek = (name.quoted,)
        wait = Wait(self.waits, str(name), "a lock for an instant", lambda: holders(self.connection, seek))
        self._timeout(policy.lock_timeout)
        try:
            for attempts, pause in enumerate(policy.pauses()):
                if attempts and time.monotonic() + pause - began > policy.budget:
                    raise LockNotAcquired(str(name), lock_timeout=policy.lock_timeout, attempts=attempts, advice=_AGAIN)
                time.sleep(pause)
                try:
                    self._send(sql)
                except DBAPIError as error:
                    if not worth_retrying(error):
                        raise
                    wait.found(since=began)
                else:
                    return
        finally:
            wait.over()

    def _timeout(self, seconds: float) -> None:
        self.connection.exec_driver_sql(f"SET lock_timeout = '{round(seconds * 1000)}ms'")

    def _send(self, sql: str) -> None:
        execute_sql(self.connection, sql)


@contextmanager
def unhurried(connection: Connection, log: logging.Logger) -> Iterator[Outside]:
    """
    The caller's own connection, in autocommit: no timeout of its session ends a statement, and all of these are put
    back at the end; whom they wait for goes to *log*.
    """
    waits, pid = Waits(log=log), backend_of(connection)
    with _own_timeouts(connection), waits.watched(connection.engine):
        yield Outside(connection, pid, waits, LockPolicy())


@contextmanager
def _own_timeouts(connection: Connection) -> Iterator[None]:
    names = ("lock_timeout", *timeouts(connection))
    before = {name: connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names}
    try:
        for name in names[1:]:
            connection.exec_driver_sql(f"SET {name} = 0")
        yield
    finally:
        if not connection.invalidated:
            for name, value in before.items():
                connection.exec_driver_sql(f"SET {name} = '{value}'")


@contextmanager
def apart_in_autocommit(
    opened: AbstractContextManager[Connection], settings: Iterable[Executable]
) -> Iterator[Connection]:
    """
    A connection in autocommit that is nobody else's, with *settings* of its session: it is closed in the end, because
    these must not go back into the pool.
    """
    with opened as connection:
        try:
            for each in settings:
                connection.execute(each)
            yield connection
        finally:
            connection.invalidate()


_VALID = text("SELECT indisvalid FROM pg_catalog.pg_index WHERE indexrelid = pg_catalog.to_regclass(:name)")
_BUILDER = text("""
SELECT pid FROM pg_catalog.pg_stat_progress_create_index
WHERE index_relid = CAST(pg_catalog.to_regclass(:name) AS oid) AND datname = pg_catalog.current_database()
""")


def run_outside(running: Running, table: QualifiedName, step: Step) -> None:
    """
    Runs the statements of a conversion's *step* outside of any transaction. One whose index is there already is done.

    Raises:
        ExclusionLost: Another process converts the table; nothing was changed.
        LockNotAcquired: Long transactions hold the table, or those that the build waits for did not end.
    """
    locks = TableTransaction(running=running, table=table, step=step)
    wait = Wait(running.waits, str(table), "transactions that have written to it")
    try:
        # READ COMMITTED comes with autocommit: no snapshot outlives its statement.
        with apart(running.engine, autocommit=True) as connection:
            _settle(connection, running.policy)
            _wait_for_writers(connection, locks, wait)
            wait.what = f"the end of older transactions, to {step.title}"
            with running.waits.statement(backend_of(connection), wait):
                if _is_there(running, connection, step, wait):
                    return
                for statement in chain.from_iterable(map(render, step.actions)):
                    running.exclusion.verify(connection)
                    connection.execute(statement)
    except DBAPIError as error:
        if queued(error):
            raise locks.refused(1) from error
        raise
    finally:
        wait.over()


def _settle(connection: Connection, policy: LockPolicy) -> None:
    for name in timeouts(connection):
        connection.exec_driver_sql(f"SET {name} = 0")
    connection.exec_driver_sql("SET search_path = pg_catalog")
    connection.exec_driver_sql("SET row_security = off")
    # Stopped right before its statement, a process must not send it long after others have taken over.
    connection.exec_driver_sql(f"SET idle_session_timeout = '{round(policy.step_lease * 1000)}ms'")
    connection.exec_driver_sql(f"SET lock_timeout = '{round(PATIENCE * policy.budget * 1000)}ms'")
    try:
        connection.exec_driver_sql(f"SET client_connection_check_interval = '{CHECK_INTERVAL}'")
    except DBAPIError as error:  # the server's platform can't; or the server is gone, which is another matter
        if error.connection_invalidated:
            raise


def _wait_for_writers(connection: Connection, locks: TableTransaction, wait: Wait) -> None:
    """A build waits for every transaction that has written; one that does not end is better named before the work."""
    policy, tables = locks.running.policy, (locks.table.quoted,)
    deadline = time.monotonic() + policy.budget
    before = holders(connection, tables, writers=True)
    while before:
        wait.found(before)
        locks.running.waiting.sleep(min(LOOK_AGAIN, policy.longest_pause))
        after = holders(connection, tables, writers=True)
        if not lingering(before, after):
            break
        if time.monotonic() > deadline:
            raise locks.refused(0)
        before = after
    wait.over()


def _is_there(running: Running, connection: Connection, step: Step, wait: Wait) -> bool:
    """Whether the step's index is there and valid; an invalid one is dropped, once nobody builds it any more."""
    if step.builds is None:
        return False
    name = {"name": step.builds}
    deadline = time.monotonic() + PATIENCE * running.policy.budget
    while (builder := connection.execute(_BUILDER, name).scalar()) and time.monotonic() < deadline:
        # A process that was killed: the server notices, or finishes for us.
        wait.found((Holder(builder, "", "", "active", "", "client backend", None, None),))
        running.waiting.sleep(LOOK_AGAIN)
    wait.over()
    valid = connection.execute(_VALID, name).scalar()
    if valid is False:
        running.exclusion.verify(connection)
        execute_sql(connection, drop_index(step.builds, concurrently=True))
    return bool(valid)
