"""
Performs `DropDetached`: looks at everything again under locks, and drops the table in the same transaction.
"""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sa_partman.archive.archiving import against_writers, ours, refused, unwritten
from sa_partman.archive.manifest import Manifest
from sa_partman.archive.places import place_of
from sa_partman.archive.store import AGAIN, archives_of, verify_archive
from sa_partman.archive.tables import DetachedNow, read_rows
from sa_partman.bounds.predicate import check_predicate
from sa_partman.engine.background import aside
from sa_partman.engine.locks import late
from sa_partman.engine.running import Running
from sa_partman.engine.transaction import in_step
from sa_partman.errors import ConfigurationError, ExecutionError, VerificationFailed
from sa_partman.plan.actions import DropDetached, DropTable
from sa_partman.plan.steps import Step
from sa_partman.spec.archive import shown


def drop_detached(running: Running, step: Step, action: DropDetached) -> None:
    """
    Drops the table if it still is ours, holds nothing that is not expired, and an archive, if asked for, has its rows.

    Raises:
        LockNotAcquired: Somebody uses the table, or one that it refers to; nothing was changed.
        Overtaken: The table is not ours to remove any more.
        VerificationFailed: No archive holds what the table holds.
        ExecutionError: It holds rows that are not expired, or the server refused; nothing was changed.
    """
    try:
        good = aside(running.waiting, lambda: _good_archives(action))
        in_step(
            running,
            step,
            partial(_work, running, step, action, good),
            locks=(against_writers(action.table),),
            seconds=0,
        )
    except ConfigurationError as error:
        raise ExecutionError(f"{action.table}: {error}") from error
    except OSError as error:
        assert action.archive is not None
        raise unwritten(action.table, action.archive.to, error) from error
    except DBAPIError as error:
        raise refused(action.table, error) from error


def _good_archives(action: DropDetached) -> tuple[Manifest, ...]:
    """Those of the table that can be read to the end and are what their manifests say."""
    if action.archive is None:
        return ()
    place, good, bad = place_of(action.archive.to), [], []
    for _, manifest in archives_of(place, action.table):
        try:
            verify_archive(place, manifest, AGAIN)
            good.append(manifest)
        except VerificationFailed as error:
            bad.append(error)
    if not good:
        none = f"{action.table} has no archive at {shown(action.archive.to)}; nothing was removed. {AGAIN}"
        raise bad[0] if bad else VerificationFailed(none)
    return tuple(good)


def _work(
    running: Running, step: Step, action: DropDetached, good: tuple[Manifest, ...], connection: Connection
) -> None:
    table = ours(connection, action.table, action.parent, step.bound, action.key)
    _require_expired(connection, action)
    if action.archive is not None:
        _require_archived(connection, table, good)
    late(running, connection, str(action.table), (DropTable(action.table),))


def _require_expired(connection: Connection, action: DropDetached) -> None:
    if action.expired is None or action.key is None:
        return
    columns = tuple(part.sql for part in action.key.parts)
    inside = check_predicate(action.expired, columns, action.key.types)
    sql = f"SELECT count(*) FROM {action.table.quoted} WHERE ({inside}) IS NOT TRUE"
    others = connection.execute(text(sql.replace(":", r"\:"))).scalar_one()
    if others:
        raise ExecutionError(
            f"{action.table}: its comment does not say which bound it had, and it has {others} rows that are not "
            f"expired; nothing was removed. Drop it yourself, or keep it: "
            f"COMMENT ON TABLE {action.table.quoted} IS NULL"
        )


def _require_archived(connection: Connection, table: DetachedNow, good: tuple[Manifest, ...]) -> None:
    tally = read_rows(connection, table.query)
    for manifest in good:
        if (manifest.sha256, manifest.rows) == (tally.sha256, tally.rows) and manifest.columns == table.columns:
            return
    raise VerificationFailed(
        f"{table.name} has {tally.rows} rows (SHA-256 {tally.sha256}), and no archive has the same rows; nothing was "
        f"removed. {AGAIN}"
    )
