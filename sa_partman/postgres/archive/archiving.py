"""Performs `ArchiveTable`: the rows go to a file under a lock against writers, and the file is read back to the end."""

from __future__ import annotations

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sa_partman.bounds.text import for_values
from sa_partman.errors import ConfigurationError, ExecutionError, VerificationFailed
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import ArchiveTable
from sa_partman.plan.locks import Lock, LockMode
from sa_partman.plan.locks import Place as Order
from sa_partman.plan.steps import Step
from sa_partman.postgres.archive.manifest import Manifest
from sa_partman.postgres.archive.places import Place, place_of
from sa_partman.postgres.archive.store import archives_of, verify_archive, write_archive
from sa_partman.postgres.archive.tables import DetachedNow, read_rows, table_now
from sa_partman.postgres.sqlstate import first_line
from sa_partman.postgres.steps.in_step import in_step
from sa_partman.postgres.steps.perform import performs
from sa_partman.postgres.steps.running import Running
from sa_partman.postgres.steps.unchanged import Overtaken


@performs(ArchiveTable)
def archive_table(running: Running, step: Step, action: ArchiveTable) -> int:
    """
    Writes the archive, unless there is one already that holds the very same rows: that of a run which was cut off.

    Raises:
        LockNotAcquired: Somebody writes to the table; nothing was changed.
        Overtaken: The table is not ours to remove any more.
        ExecutionError: The place does not take it, or the server does not give it; the table is as it was.
    """
    try:
        place = place_of(action.archive.to)
        held = in_step(
            running, step, lambda each: _archived(each, place, action), locks=(calm(action.table),), seconds=0
        )
    except ConfigurationError as error:
        raise ExecutionError(f"{action.table}: {error}") from error
    except OSError as error:
        raise unwritten(action.table, action.archive.to, error) from error
    except DBAPIError as error:
        raise refused(action.table, error) from error
    return held.value.rows


def _archived(connection: Connection, place: Place, action: ArchiveTable) -> Manifest:
    table = ours(connection, action.table, action.parent)
    there = [manifest for _, manifest in archives_of(place, action.table) if manifest.format == action.archive.format]
    if there:
        tally = read_rows(connection, table.query)
        for manifest in there:
            if manifest.sha256 == tally.sha256 and manifest.columns == table.columns and _sound(place, manifest):
                return manifest
    bound = "" if action.bound is None or action.key is None else for_values(action.bound, action.key.types)
    return write_archive(
        place,
        table,
        action.parent,
        bound,
        action.archive.format,
        lambda write: read_rows(connection, table.query, write),
    )


def _sound(place: Place, manifest: Manifest) -> bool:
    try:
        verify_archive(place, manifest)
    except VerificationFailed:
        return False  # another one is written beside it
    return True


def calm(table: QualifiedName) -> Lock:
    """Everybody may read *table*, nobody may change it."""
    return Lock(table, LockMode.SHARE_ROW_EXCLUSIVE, Order.PARTITION, tree=True)


def ours(connection: Connection, name: QualifiedName, parent: QualifiedName) -> DetachedNow:
    """
    The detached table of that name.

    Raises:
        Overtaken: It has gone, is a partition again, or does not say any more that we detached it from *parent*.
    """
    table = table_now(connection, name)
    if table is None or not table.is_of(parent):
        raise Overtaken(f"{name} is not a table any more that we detached from {parent}; nothing was changed")
    return table


def unwritten(table: QualifiedName, to: str, error: OSError) -> ExecutionError:
    """For what the file system says."""
    return ExecutionError(f"{table}: the archive at {to} failed: {error}; nothing was removed")


def refused(table: QualifiedName, error: DBAPIError) -> ExecutionError:
    """For what the server says."""
    return ExecutionError(f"{table}: {first_line(error)}; nothing was removed")
