"""Performs `DeleteReferring`: the rows of a satellite go in small transactions, wherever the last run stopped."""

from __future__ import annotations

from sqlalchemy import Connection

from sa_partman.ddl.render import render
from sa_partman.errors import ExecutionError
from sa_partman.plan.actions import DeleteReferring
from sa_partman.plan.steps import Step
from sa_partman.postgres.steps.in_batches import in_batches
from sa_partman.postgres.steps.perform import performs
from sa_partman.postgres.steps.running import Running
from sa_partman.postgres.steps.unchanged import Overtaken, hold, require_partition


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
