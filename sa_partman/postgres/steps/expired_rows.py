"""Performs `DeleteExpired`: rows of a default partition go in small transactions, wherever the last run stopped."""

from __future__ import annotations

from sqlalchemy import Connection, text

from sa_partman.bounds.bound import DEFAULT
from sa_partman.errors import ExecutionError
from sa_partman.plan.actions import DeleteExpired
from sa_partman.plan.deleting import DELETED, deleting
from sa_partman.plan.steps import Step
from sa_partman.postgres.sqlstate import REFERENCED, sqlstate
from sa_partman.postgres.steps.in_batches import in_batches
from sa_partman.postgres.steps.perform import performs
from sa_partman.postgres.steps.running import Running
from sa_partman.postgres.steps.unchanged import hold, require_below, require_partition


@performs(DeleteExpired)
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
                f"to them first, or name their table in Retention(satellites=...)."
            )
        return ExecutionError(f"expired rows of {action.table} stay: {said}")

    # Without an index on the key it reads the table, which stops nobody: no limit of time.
    return in_batches(running, step, batch, action.batch, refused, seconds=0)


_DELETED = text(f"SELECT pg_catalog.current_setting('{DELETED}')")
