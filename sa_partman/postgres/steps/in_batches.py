"""Rows that go in small transactions, with pauses in which others get their turn, wherever the last run stopped."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sa_partman.errors import ExecutionError, LockNotAcquired
from sa_partman.plan.steps import Step
from sa_partman.postgres.sqlstate import first_line
from sa_partman.postgres.steps.in_step import in_step
from sa_partman.postgres.steps.running import Running
from sa_partman.postgres.steps.unchanged import Overtaken

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
            gone = in_step(running, step, work, locks=(), seconds=seconds).value
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
