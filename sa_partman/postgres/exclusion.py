"""One maintainer at a time in a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from sa_partman.errors import MaintainerBusy
from sa_partman.postgres.connect import connected
from sa_partman.postgres.queries import TRY_LOCK

LOCK_KEY = int.from_bytes(b"sapartmn")
"""The advisory lock's key; the same for every release, so that releases exclude each other."""


@contextmanager
def only_maintainer(engine: Engine) -> Iterator[None]:
    """
    Holds a transaction-level advisory lock on a connection of its own until the block ends.

    A session-level lock would outlive us behind a transaction pooler; this one ends with its transaction, whatever
    happens. The connection is taken out of the pool, so that a pool of one does not starve.

    Raises:
        MaintainerBusy: Another maintainer holds it.
    """
    with connected(engine) as connection:
        connection.detach()
        if not connection.execute(TRY_LOCK, {"key": LOCK_KEY}).scalar_one():
            raise MaintainerBusy("another maintainer is at work in this database; nothing was changed, try later")
        yield
