"""Statements that run CONCURRENTLY: each alone, waiting patiently, and what an interrupted one left removed first."""

from __future__ import annotations

import time

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from sa_partman.ddl.stored import statements_of
from sa_partman.events import Holder
from sa_partman.postgres.conversion.locks import CHECK_INTERVAL, LOOK_AGAIN, Need, Work, backend, not_acquired
from sa_partman.postgres.locks.blockers import holders, lingering
from sa_partman.postgres.locks.retry import LockPolicy
from sa_partman.postgres.locks.waits import Wait, Waits
from sa_partman.postgres.session import timeouts
from sa_partman.postgres.sqlstate import LOCK_NOT_AVAILABLE, sqlstate

PATIENCE = 60
"""What was built for an hour is not thrown away for one long report: such waits last this many times the budget."""

_VALID = text("SELECT indisvalid FROM pg_catalog.pg_index WHERE indexrelid = pg_catalog.to_regclass(:name)")
_BUILDER = text("""
SELECT pid FROM pg_catalog.pg_stat_progress_create_index
WHERE index_relid = CAST(pg_catalog.to_regclass(:name) AS oid) AND datname = pg_catalog.current_database()
""")
_SETTINGS = ("SET search_path = pg_catalog", "SET row_security = off")


def run_alone(engine: Engine, need: Need, policy: LockPolicy, waits: Waits, verify: Work) -> None:
    """
    Runs the statements of a step outside any transaction. One whose index stands already is done.

    Args:
        waits: Tells for whom it waits.
        verify: Called right before each statement that changes something; raises when that must not be.

    Raises:
        LockNotAcquired: Long transactions hold the table, or those that the build waits for did not end.
    """
    # READ COMMITTED comes with it: no snapshot outlives its statement.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        wait = Wait(waits, str(need.table), "transactions that have written to it")
        try:
            _settle(connection, policy)
            _wait_for_writers(engine, connection, need, policy, wait)
            wait.what = f"the end of older transactions, to {need.step.title}"
            with waits.statement(backend(connection), wait):
                if _stands(connection, need, policy, wait, verify):
                    return
                for statement in statements_of(need.step.actions):
                    verify(connection)
                    connection.exec_driver_sql(statement.replace("%", "%%"))
        except DBAPIError as error:
            if sqlstate(error) == LOCK_NOT_AVAILABLE:
                raise not_acquired(engine, need, policy, 1) from error
            raise
        finally:
            wait.over()
            connection.invalidate()  # the settings must not go back into the pool


def _settle(connection: Connection, policy: LockPolicy) -> None:
    for name in timeouts(connection):
        connection.exec_driver_sql(f"SET {name} = 0")
    for setting in _SETTINGS:
        connection.exec_driver_sql(setting)
    # Stopped right before its statement, a process must not send it long after others have taken over.
    connection.exec_driver_sql(f"SET idle_session_timeout = '{round(policy.step_lease * 1000)}ms'")
    connection.exec_driver_sql(f"SET lock_timeout = '{round(PATIENCE * policy.budget * 1000)}ms'")
    try:
        connection.exec_driver_sql(f"SET client_connection_check_interval = '{CHECK_INTERVAL}'")
    except DBAPIError as error:  # the server's platform can't; or the server is gone, which is another matter
        if error.connection_invalidated:
            raise


def _wait_for_writers(engine: Engine, connection: Connection, need: Need, policy: LockPolicy, wait: Wait) -> None:
    """A build waits for every transaction that has written; one that does not end is better named before the work."""
    deadline = time.monotonic() + policy.budget
    before = holders(connection, (need.table.quoted,), writers=True)
    while before:
        wait.found(before)
        time.sleep(min(LOOK_AGAIN, policy.longest_pause))
        after = holders(connection, (need.table.quoted,), writers=True)
        if not lingering(before, after):
            break
        if time.monotonic() > deadline:
            raise not_acquired(engine, need, policy, 0)
        before = after
    wait.over()


def _stands(connection: Connection, need: Need, policy: LockPolicy, wait: Wait, verify: Work) -> bool:
    """Whether the step's index is there and valid; an invalid one is dropped, once nobody builds it any more."""
    if need.step.builds is None:
        return False
    name = {"name": need.step.builds}
    deadline = time.monotonic() + PATIENCE * policy.budget
    while (builder := connection.execute(_BUILDER, name).scalar()) and time.monotonic() < deadline:
        # A process that was killed: the server notices, or finishes for us.
        wait.found((Holder(builder, "", "", "active", "", "client backend", None, None),))
        time.sleep(LOOK_AGAIN)
    wait.over()
    valid = connection.execute(_VALID, name).scalar()
    if valid is False:
        verify(connection)
        connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY {need.step.builds.replace('%', '%%')}")
    return bool(valid)
