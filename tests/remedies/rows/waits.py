"""Locks that are not granted in time, and transactions that hold them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from unittest.mock import patch

from sqlalchemy.exc import DBAPIError

from sa_partman import LockPolicy
from sa_partman.engine import outside
from sa_partman.ports import Sleeping
from tests.remedies.row import Box, Failed, Meant, Row
from tests.remedies.rows.held import let_go, other
from tests.remedies.rows.models import EVENTS
from tests.remedies.rows.shapes import expired, removing
from tests.support.database import HASTY, holding
from tests.support.killing import at_point

CONCURRENTLY = EVENTS.replace(
    "premake=2", "premake=2, retention=Retention('1 month', then='detach', concurrently=True)"
)
READER = "SELECT FROM events"
STINGY = LockPolicy(lock_timeout=0.1, budget=5.0, stall=0.1)
INDEX = "op.create_partitioned_index('i', 'events', ['created_at'])"


def run(box: Box, lock: LockPolicy = HASTY) -> str:
    """
    Why steps were not done.

    Raises:
        Failed: One was not.
    """
    result = box.maintainer(lock=lock).run()
    if not result.ok:
        raise Failed(str(result))
    return str(result)


def ended(box: Box) -> None:
    """What the statement says that its reader finds in pg_stat_activity."""
    box.do(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND "
        "state = 'idle in transaction'"
    )
    with suppress(DBAPIError):
        box.other.close()


def index_in_a_hurry(box: Box) -> str:
    with patch.object(outside, "LockPolicy", lambda: HASTY):
        return box.do(INDEX)


def patient(box: Box) -> None:
    """Whoever holds the table goes while we wait."""

    def sleep(self: Sleeping, seconds: float) -> None:
        let_go(box)

    with patch.object(Sleeping, "sleep", sleep):
        run(box, LockPolicy(budget=10.0))


def held_at(statement: str, hold: str, lock: LockPolicy) -> Callable[[Box], str]:
    """A run, and a transaction that does *hold* right before *statement*, when nobody was there as we looked."""

    def attempt(box: Box) -> str:
        def meanwhile(_: Any) -> None:
            box.other.enter_context(holding(box.superuser, hold))

        with at_point(box.engine, 1, meanwhile, statement):
            return str(box.maintainer(lock=lock).run())

    return attempt


LONG = (
    "A long transaction holds the table: end it (pg_stat_activity shows it) and run this again, or wait longer with "
    "--budget (LockPolicy(budget=...))."
)
WAITS = (
    Row(
        "public.events: others held the table all the time, so no lock was requested (ACCESS EXCLUSIVE on "
        f"public.events); nothing was changed. Held by: pid … idle in transaction with …. {LONG}",
        ((ended, run), patient, (ended, Meant("sa-partman run --yes --budget 10s"))),
        removing(),
        (Box.create, expired, other(lambda box: holding(box.superuser, READER))),
        lambda box: str(box.maintainer(lock=HASTY).run()),
        None,
    ),
    Row(
        "public.events: no lock within … s in 1 attempt (ALTER TABLE public.events DETACH PARTITION "
        f"public.events_p20300101 CONCURRENTLY); nothing was changed. Held by: pid … with …. {LONG}",
        ((let_go, run), patient),
        CONCURRENTLY,
        (Box.create, expired),
        held_at("DETACH PARTITION", "LOCK TABLE ONLY events IN SHARE UPDATE EXCLUSIVE MODE", HASTY),
        None,
    ),
    Row(
        "public.events: requests for its locks have waited in queues for … s, with others behind them, and "
        "LockPolicy(stall=0.1) allows no more (ACCESS EXCLUSIVE on public.events); nothing was changed. Held by: pid … "
        "idle in transaction with …. Run this again when those transactions are over, or raise --stall "
        "(LockPolicy(stall=...)).",
        ((let_go, run), patient, (let_go, Meant("sa-partman run --yes --stall 5s"))),
        removing(),
        (Box.create, expired),
        held_at("IN ACCESS EXCLUSIVE MODE", READER, STINGY),
        None,
    ),
    Row(
        "public.events: no lock within 0.1 s in … attempts; nothing was changed. A long transaction holds the table: end it "
        "(pg_stat_activity shows it), then run the migration again.",
        ((ended, Meant(INDEX)),),
        EVENTS,
        (Box.create, other(lambda box: holding(box.superuser, "LOCK TABLE events IN ROW EXCLUSIVE MODE"))),
        index_in_a_hurry,
        None,
    ),
)
