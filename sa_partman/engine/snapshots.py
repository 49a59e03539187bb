"""
Waiting for old snapshots before a swap: whoever has one from before the copy would see the new partitions empty.

Source: PostgreSQL, CREATE INDEX CONCURRENTLY, which waits for the same reason; a transaction that is READ COMMITTED
takes a snapshot for each statement, and one that consists of a single statement has locked its tables by now.
"""

from __future__ import annotations

import time

from sqlalchemy import text

from sa_partman.engine.locks import LOOK_AGAIN
from sa_partman.engine.running import Running
from sa_partman.engine.waits import Wait
from sa_partman.errors import LockNotAcquired
from sa_partman.events import Holder
from sa_partman.names import QualifiedName
from sa_partman.postgres.session import connected, pin

_SNAPSHOTS = text("""
SELECT a.pid, CAST(a.backend_xmin AS text) || ' ' || CAST(a.xact_start AS text) || ' ' || CAST(a.query_start AS text),
    coalesce(a.application_name, ''), coalesce(a.state, ''),
    CAST(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start) AS float8)
FROM pg_catalog.pg_stat_activity a
WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid()
    AND a.backend_type = 'client backend' AND a.backend_xmin IS NOT NULL
    AND (a.xact_start < a.query_start OR a.state <> 'active') AND a.pid <> ALL (CAST(:ours AS int[]))
""")

PATIENCE = 60
"""Times the budget of a step: nobody waits behind it."""


def wait_for_snapshots(running: Running, table: QualifiedName) -> None:
    """
    Waits until every transaction has ended that has a snapshot now.

    Raises:
        LockNotAcquired: One stays; nothing was changed.
    """
    before = _snapshots(running)
    if not before:
        return
    deadline = time.monotonic() + PATIENCE * running.policy.budget
    wait = Wait(running.waits, str(table), "transactions with a snapshot from before the copy")
    try:
        while left := {key: each for key, each in _snapshots(running).items() if key in before}:
            wait.found(tuple(left.values()))
            if time.monotonic() > deadline:
                raise LockNotAcquired(
                    str(table),
                    lock_timeout=running.policy.lock_timeout,
                    attempts=0,
                    blockers=map(str, tuple(left.values())[:5]),
                    reason="it would not see the rows any more that it sees now",
                    advice="End it (it is REPEATABLE READ, or a dump), then go on with --resume.",
                )
            running.waiting.sleep(LOOK_AGAIN)
    finally:
        wait.over()


def _snapshots(running: Running) -> dict[tuple[int, str], Holder]:
    ours = [] if running.exclusion.pid is None else [running.exclusion.pid]
    with connected(running.engine) as connection:
        pin(connection, 1.0)
        rows = connection.execute(_SNAPSHOTS, {"ours": ours}).all()
    return {
        (row[0], row[1]): Holder(row[0], row[1], row[2], row[3], "", "client backend", None, row[4]) for row in rows
    }
