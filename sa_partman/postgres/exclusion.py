"""One maintainer at a time in a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from sa_partman.errors import MaintainerBusy
from sa_partman.ports.waiting import Waiting
from sa_partman.postgres.connect import connected
from sa_partman.postgres.retry import LockPolicy

LOCK_KEY = int.from_bytes(b"sapartmn")
"""The advisory lock's key; the same for every release, so that releases exclude each other."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """The right to be the only maintainer, for as long as it lasts."""

    def verify(self, connection: Connection) -> None:
        """
        To be called in the transaction of each step, before it changes anything.

        Raises:
            ExclusionLost: The lock is gone; nothing was changed.
        """


@contextmanager
def only_maintainer(
    engine: Engine, policy: LockPolicy | None = None, waiting: Waiting | None = None
) -> Iterator[Exclusion]:
    """
    Holds a transaction-level advisory lock on a connection of its own until the block ends.

    A session-level lock would outlive us behind a transaction pooler; this one ends with its transaction, whatever
    happens. The connection is taken out of the pool, so that a pool of one does not starve.

    Raises:
        MaintainerBusy: Another maintainer holds it.
    """
    del policy, waiting
    with connected(engine) as connection:
        if not hold_lock(connection, str(LOCK_KEY)):
            raise MaintainerBusy("another maintainer is at work in this database; nothing was changed, try later")
        yield Exclusion()


def hold_lock(connection: Connection, key: str) -> bool:
    """
    Tries to take the transaction-level advisory lock *key*, and takes *connection* out of its pool.

    No parameters are sent: a portal of the extended protocol would stay open, and its snapshot with it, for which
    CREATE INDEX CONCURRENTLY and DETACH ... FINALIZE would wait.
    """
    connection.detach()
    return bool(connection.exec_driver_sql(f"SELECT pg_catalog.pg_try_advisory_xact_lock({key})").scalar_one())
