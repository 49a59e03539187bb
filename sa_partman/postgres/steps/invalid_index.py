"""Drops an index whose build was cut off, when it still is one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from sa_partman.ddl.render import render
from sa_partman.plan.actions import DropInvalidIndex
from sa_partman.plan.locks import Lock, LockMode, Place
from sa_partman.plan.steps import Step
from sa_partman.postgres.steps.execute import translating
from sa_partman.postgres.steps.in_step import in_step
from sa_partman.postgres.steps.perform import performs
from sa_partman.postgres.steps.running import Running

_INVALID = text("""
SELECT EXISTS (SELECT FROM pg_catalog.pg_index x
    WHERE x.indexrelid = CAST(pg_catalog.to_regclass(:index) AS oid)
        AND x.indrelid = CAST(pg_catalog.to_regclass(:table) AS oid) AND NOT x.indisvalid)
""")


@performs(DropInvalidIndex)
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
