"""Performs `DeleteReferring`: the rows of a satellite go in small transactions, wherever the last run stopped."""

from __future__ import annotations

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sa_partman.ddl.render import render
from sa_partman.errors import ExecutionError
from sa_partman.plan.actions import DeleteReferring
from sa_partman.plan.steps import Step
from sa_partman.postgres.sqlstate import first_line
from sa_partman.postgres.steps.in_step import in_step
from sa_partman.postgres.steps.perform import performs
from sa_partman.postgres.steps.running import Running
from sa_partman.postgres.steps.unchanged import Overtaken, hold, require_partition

PAUSE = 0.05
"""Seconds between two batches, in which others get their turn."""


@performs(DeleteReferring)
def delete_referring(running: Running, step: Step, action: DeleteReferring) -> int:
    """
    Deletes until nothing is left; how many rows that were.

    Raises:
        LockNotAcquired: A row is locked by somebody else for too long; the batches before are gone.
        Overtaken: The partition is not the one any more that was meant; nothing was changed.
        ExecutionError: The same in a later batch, or the server refused; the batches before are gone.
    """
    (statement,) = render(action)
    deleted = 0

    def batch(connection: Connection) -> int:
        # For rows that somebody else has locked; the table's own lock stops nobody.
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{round(running.policy.lock_timeout * 1000)}ms'")
        if action.parent is not None and action.bound is not None and action.key is not None:
            hold(connection, (action.partition,), "ACCESS SHARE")
            require_partition(connection, action.partition, action.parent, action.bound, action.key)
        return int(connection.execute(statement).rowcount)

    while True:
        try:
            gone = in_step(running, step, batch, locks=()).value
        except (DBAPIError, Overtaken) as error:
            if isinstance(error, Overtaken) and not deleted:
                raise
            why = (
                str(error).removesuffix("; nothing was changed")
                if isinstance(error, Overtaken)
                else f"{action.table}: {first_line(error)}"
            )
            raise ExecutionError(
                f"{why}; {deleted} rows that refer to {action.partition} were deleted before, and the partition was "
                f"not touched. Remove the cause, and run again."
            ) from error
        deleted += gone
        if gone < action.batch:
            return deleted
        running.waiting.sleep(PAUSE)
