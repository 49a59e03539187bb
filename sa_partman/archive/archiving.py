"""Performs `ArchiveTable`: the rows go to a file under a lock against writers, and the file is read back to the end."""

from __future__ import annotations

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sa_partman.archive.manifest import Manifest
from sa_partman.archive.places import ArchivePlace, place_of
from sa_partman.archive.store import archives_of, verify_archive, write_archive
from sa_partman.archive.tables import DetachedNow, read_rows, table_now
from sa_partman.bounds.bound import Bound
from sa_partman.bounds.read import parse_bound
from sa_partman.bounds.text import for_values
from sa_partman.engine.background import aside
from sa_partman.engine.running import Running
from sa_partman.engine.transaction import in_step
from sa_partman.engine.unchanged import Overtaken
from sa_partman.errors import ConfigurationError, ExecutionError, UnreadableBound, VerificationFailed
from sa_partman.key import PartitionKey
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import ArchiveTable
from sa_partman.plan.locks import Lock, LockMode, Place
from sa_partman.plan.steps import Step
from sa_partman.ports import Waiting
from sa_partman.postgres.sqlstate import first_line
from sa_partman.spec.archive import shown


def archive_table(running: Running, step: Step, action: ArchiveTable) -> int:
    """
    Writes the archive, unless there is one already that holds the very same rows: that of a run which was cut off.

    Raises:
        LockNotAcquired: Somebody writes to the table; nothing was changed.
        Overtaken: The table is not ours to remove any more.
        ExecutionError: The place does not take it, or the server does not give it; the table is as it was.
    """
    waiting = running.waiting
    try:
        place = aside(waiting, lambda: place_of(action.archive.to))
        manifest = in_step(
            running,
            step,
            lambda each: _archived(each, place, action, waiting),
            locks=(against_writers(action.table),),
            seconds=0,
        )
    except ConfigurationError as error:
        raise ExecutionError(f"{action.table}: {error}") from error
    except OSError as error:
        raise unwritten(action.table, action.archive.to, error) from error
    except DBAPIError as error:
        raise refused(action.table, error) from error
    return manifest.rows


def _archived(connection: Connection, place: ArchivePlace, action: ArchiveTable, waiting: Waiting) -> Manifest:
    table = ours(connection, action.table, action.parent, action.bound, action.key)
    there = aside(waiting, lambda: _archives(place, action))
    if there:
        tally = read_rows(connection, table.query)
        same = [each for each in there if each.sha256 == tally.sha256 and each.columns == table.columns]
        good = aside(waiting, lambda: next((each for each in same if _sound(place, each)), None))
        if good is not None:
            return good
    bound = "" if action.bound is None or action.key is None else for_values(action.bound, action.key.types)
    return write_archive(
        place,
        table,
        action.parent,
        bound,
        action.archive.format,
        lambda write: read_rows(connection, table.query, write),
        waiting,
    )


def _archives(place: ArchivePlace, action: ArchiveTable) -> list[Manifest]:
    return [each for _, each in archives_of(place, action.table) if each.format == action.archive.format]


def _sound(place: ArchivePlace, manifest: Manifest) -> bool:
    try:
        verify_archive(place, manifest)
    except VerificationFailed:
        return False  # another one is written beside it
    return True


def against_writers(table: QualifiedName) -> Lock:
    """Everybody may read *table*, nobody may change it."""
    return Lock(table, LockMode.SHARE_ROW_EXCLUSIVE, Place.PARTITION, tree=True)


def ours(
    connection: Connection,
    name: QualifiedName,
    parent: QualifiedName,
    bound: Bound | None = None,
    key: PartitionKey | None = None,
) -> DetachedNow:
    """
    The detached table of that name.

    Raises:
        Overtaken: It has gone, is a partition again, or does not say any more that we detached it from *parent*, and
            that it had *bound*.
    """
    table = table_now(connection, name)
    known = table is not None and table.is_of(parent) and (bound is None or _had(table, key) == bound)
    if table is None or not known:
        raise Overtaken(f"{name} is no longer the table that was detached from {parent}; nothing was changed")
    return table


def _had(table: DetachedNow, key: PartitionKey | None) -> Bound | None:
    try:
        return parse_bound(table.mark.bound, key.types) if table.mark and table.mark.bound and key else None
    except UnreadableBound:
        return None


def unwritten(table: QualifiedName, to: str, error: OSError) -> ExecutionError:
    """For what the file system or the object store says."""
    remedy = "Check that the directory is writable and has room"
    if "://" in to:
        remedy = "Check that the store answers, its address, its bucket, and the credentials in the environment"
    return ExecutionError(
        f"{table}: the archive at {shown(to)} failed: {error}; nothing was removed. {remedy}; the next run tries again."
    )


def refused(table: QualifiedName, error: DBAPIError) -> ExecutionError:
    """For what the server says."""
    return ExecutionError(f"{table}: {first_line(error)}; nothing was removed")
