"""Workers: actions that are more than statements, such as rows that go in small transactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sa_partman.bounds.bound import DEFAULT
from sa_partman.ddl.render import render
from sa_partman.ddl.rows import DELETED, deleting
from sa_partman.engine.running import Running
from sa_partman.engine.statements import translating
from sa_partman.engine.transaction import in_step
from sa_partman.engine.unchanged import Overtaken, hold, require_below, require_partition
from sa_partman.errors import ExecutionError, LockNotAcquired
from sa_partman.plan.actions import DeleteExpired, DeleteReferring
from sa_partman.plan.locks import Lock, LockMode, Place
from sa_partman.plan.steps import Step
from sa_partman.postgres.sqlstate import REFERENCED, first_line, sqlstate

PAUSE = 0.05
"""Seconds between two batches."""


def in_batches(
    running: Running,
    step: Step,
    batch: Callable[[Connection], int],
    size: int,
    refused: Callable[[Exception, str, int], ExecutionError],
    *,
    seconds: float | None = None,
) -> int:
    """
    How many rows *batch* has deleted in all.

    Args:
        batch: Deletes at most *size* rows in the transaction that it is given; how many it deleted.
        refused: Our error for another, what that says, and how many rows were deleted before it.
        seconds: See `in_step`.

    Raises:
        LockNotAcquired: A row is locked by somebody else for too long; the batches before are gone.
        Overtaken: *batch* found something else than the plan saw; nothing was changed.
        ExecutionError: The same in a later batch, or the server refused; the batches before are gone.
    """
    deleted = 0

    def work(connection: Connection) -> int:
        # For rows that somebody else has locked; the table's own lock stops nobody.
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{round(running.policy.lock_timeout * 1000)}ms'")
        return batch(connection)

    while True:
        try:
            gone = in_step(running, step, work, locks=(), seconds=seconds)
        except Overtaken as error:
            if not deleted:
                raise
            raise refused(error, str(error).removesuffix("; nothing was changed"), deleted) from error
        except DBAPIError as error:
            raise refused(error, first_line(error), deleted) from error
        except LockNotAcquired as error:
            raise (error.after(f"{deleted:,} rows were deleted before") if deleted else error) from error
        deleted += gone
        if gone < size:
            return deleted
        running.waiting.sleep(PAUSE)


def delete_referring(running: Running, step: Step, action: DeleteReferring) -> int:
    """
    Deletes until nothing is left; how many rows that were.

    Raises:
        LockNotAcquired: A row is locked by somebody else for too long; the batches before are gone.
        Overtaken: The partition is not the one any more that was meant; nothing was changed.
        ExecutionError: The same in a later batch, or the server refused; the batches before are gone.
    """
    (statement,) = render(action)

    def batch(connection: Connection) -> int:
        if action.parent is not None and action.bound is not None and action.key is not None:
            hold(connection, (action.partition,), "ACCESS SHARE")
            require_partition(connection, action.partition, action.parent, action.bound, action.key)
        return int(connection.execute(statement).rowcount)

    def refused(error: Exception, why: str, deleted: int) -> ExecutionError:
        said = why if isinstance(error, Overtaken) else f"{action.table}: {why}"
        return ExecutionError(
            f"{said}; {deleted} rows that refer to {action.partition} were deleted before, and the partition was "
            f"not touched. Remove the cause, and run again."
        )

    return in_batches(running, step, batch, action.batch, refused)


def delete_expired(running: Running, step: Step, action: DeleteExpired) -> int:
    """
    Deletes until nothing is left; how many rows that were.

    Raises:
        LockNotAcquired: A row is locked by somebody else for too long; the batches before are gone.
        Overtaken: It is not the default partition any more; nothing was changed.
        ExecutionError: The same in a later batch, or the server refused; the batches before are gone.
    """
    statement = text(deleting(action).replace(":", r"\:"))

    def batch(connection: Connection) -> int:
        hold(connection, dict.fromkeys((action.default, action.table)), "ACCESS SHARE")
        require_partition(connection, action.default, action.parent, DEFAULT, action.key)
        if action.table != action.default:
            require_below(connection, action.default, (action.table,))
        connection.execute(statement)
        return int(connection.execute(_DELETED).scalar_one())

    def refused(error: Exception, why: str, deleted: int) -> ExecutionError:
        said = f"{why}; {deleted:,} rows were deleted before"
        if sqlstate(error) in REFERENCED:
            return ExecutionError(
                f"expired rows of {action.table} stay, because they are referenced: {said}. Remove the rows that refer "
                f"to them first, or name their table in Retention(referencing_tables=...)."
            )
        return ExecutionError(f"expired rows of {action.table} stay: {said}")

    # Without an index on the key it reads the table, which stops nobody: no limit of time.
    return in_batches(running, step, batch, action.batch, refused, seconds=0)


_DELETED = text(f"SELECT pg_catalog.current_setting('{DELETED}')")


_INVALID = text("""
SELECT EXISTS (SELECT FROM pg_catalog.pg_index x
    WHERE x.indexrelid = CAST(pg_catalog.to_regclass(:index) AS oid)
        AND x.indrelid = CAST(pg_catalog.to_regclass(:table) AS oid) AND NOT x.indisvalid)
""")


def drop_invalid_index(running: Running, step: Step, action: Any) -> int | None:
    """
    Asks again under the lock of the table: whoever builds an index CONCURRENTLY holds one from the beginning to the
    end, so what is invalid then was left behind.
    """

    def work(connection: Connection) -> None:
        if connection.execute(_INVALID, {"index": action.index.quoted, "table": action.table.quoted}).scalar():
            for statement in render(action):
                connection.execute(statement)

    with translating(step):
        in_step(running, step, work, locks=(Lock(action.table, LockMode.ACCESS_EXCLUSIVE, Place.PARTITION),))
    return None
