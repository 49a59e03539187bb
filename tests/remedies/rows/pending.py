"""Detaches that are pending."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy.exc import DBAPIError

from sa_partman.engine.unchanged import require_ended
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import FinalizeDetach
from sa_partman.postgres.session import pin
from tests.remedies.row import Box, Row
from tests.remedies.rows.held import let_go, other
from tests.remedies.rows.models import EVENTS
from tests.support.builders import at
from tests.support.residues import detaching, leave_pending

CURRENT = "events_p20300601"
DETACH = f"ALTER TABLE public.events DETACH PARTITION public.{CURRENT}"


_MIGRATION = (
    "op.create_partition('old', 'events', lower='2000-01-01 00:00:00+00:00', upper='2000-02-01 00:00:00+00:00')"
)


def _later(box: Box) -> None:
    box.now = at("2030-09-15")


@contextmanager
def _detaching(box: Box) -> Iterator[None]:
    """It may be cancelled."""
    with suppress(DBAPIError), detaching(box.superuser, CURRENT):
        yield


def _cancelled(box: Box) -> None:
    box.do("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%%CONCURRENTLY'")
    let_go(box)


def _finalize(box: Box) -> None:
    with box.engine.begin() as connection:
        pin(connection, 1.0)
        parent, partition = QualifiedName("public", "events"), QualifiedName("public", CURRENT)
        require_ended(connection, (FinalizeDetach(parent, partition),))


PENDING = (
    Row(
        "detach-pending: the concurrent detach of … was interrupted: its rows are invisible and new ones of its range "
        "are refused; a dump would restore it attached -> attach it again with: sa-partman run --repair, or end the "
        "detach: …",
        ("sa-partman run --repair", f"{DETACH} FINALIZE"),
        EVENTS,
        (Box.create, lambda box: leave_pending(box.engine, CURRENT, ours=False)),
    ),
    Row(
        "detach-pending: the concurrent detach of … was interrupted: its rows are invisible and new ones of its range "
        "are refused; a dump would restore it attached -> run: sa-partman run, or …",
        ("sa-partman run", f"{DETACH} FINALIZE"),
        EVENTS,
        (Box.create, lambda box: leave_pending(box.engine, CURRENT)),
    ),
    Row(
        "detach-blocked: the column extra was added on public.events while the detach of public.events_p20300601 was "
        "pending, and PostgreSQL 18 can't end it then. … -> run the statements of the message, in order",
        (
            (
                "ALTER TABLE public.events DROP COLUMN extra",
                f"{DETACH} FINALIZE",
                "ALTER TABLE public.events ADD COLUMN extra integer",
            ),
            f"DROP TABLE public.{CURRENT}",
        ),
        EVENTS,
        (Box.create, lambda box: leave_pending(box.engine, CURRENT), "ALTER TABLE events ADD COLUMN extra integer"),
        since=18,
    ),
    Row(
        "it is expired; end the detach with: sa-partman run --repair, or ALTER TABLE",
        ("sa-partman run --repair", f"{DETACH} FINALIZE"),
        EVENTS.replace("premake=2", 'premake=2, retention=Retention("2 months", then="detach")'),
        (Box.create, lambda box: leave_pending(box.engine, CURRENT, ours=False), _later),
    ),
    Row(
        "detach-running: pid … is detaching … concurrently, and waits for older transactions: … -> wait for its end; "
        "or SELECT pg_cancel_backend(…), then: sa-partman run --repair",
        (let_go, (_cancelled, "sa-partman run --repair")),
        EVENTS,
        (Box.create, other(_detaching)),
    ),
    Row(
        f"public.events: the concurrent detach of public.{CURRENT} still runs; nothing was changed. Held by: pid …. Wait "
        "for its end; or SELECT pg_cancel_backend(…), then: sa-partman run --repair",
        (let_go, (_cancelled, "sa-partman run --repair")),
        EVENTS,
        (Box.create, other(_detaching)),
        _finalize,
        None,
    ),
    Row(
        "…: the concurrent detach of … from … was interrupted and is pending; nothing was changed. End it first: "
        "sa-partman run --repair, or ALTER TABLE … DETACH PARTITION … FINALIZE",
        ("sa-partman run --repair", f"{DETACH} FINALIZE"),
        EVENTS,
        (Box.create, lambda box: leave_pending(box.engine, CURRENT, ours=False)),
        attempt=_MIGRATION,
        again=_MIGRATION,
    ),
)
