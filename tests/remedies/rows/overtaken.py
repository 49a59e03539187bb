"""What others do between the plan and the step, and what triggers do in the middle of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from sa_partman import StepEvent
from sa_partman.engine import execute
from sa_partman.events import When
from sa_partman.postgres import view
from tests.remedies.row import Box, Failed, Meant, Models, Row, Step
from tests.remedies.rows.held import let_go
from tests.remedies.rows.members import owned
from tests.remedies.rows.models import EVENTS, later
from tests.remedies.rows.shapes import expired, referencing, removing
from tests.remedies.rows.waits import CONCURRENTLY
from tests.support.database import unreadable
from tests.support.killing import at_point
from tests.support.membership import MEMBER, OWNER

JANUARY = "events_p20300101"
RENAMED = f"ALTER TABLE {JANUARY} RENAME TO january"
EXCHANGED = f"{RENAMED}; ALTER TABLE events_p20300601 RENAME TO {JANUARY}"
PLANS = "The next run plans from what is there then."
KEPT = CONCURRENTLY.replace(
    "premake=2, retention=Retention('1", "premake=2, start='2030-01-01', retention=Retention('9"
)
TREE = """
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByRange("created_at", interval="1 month", premake=0,
        retention=Retention("1 month", then="drop"), subpartition=PartitionByHash("id", modulus=2))
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
"""


def done(box: Box, **options: Any) -> str:
    """
    A run.

    Raises:
        Failed: A step was not done.
    """
    result = box.maintainer(**options).run(repair=True)
    if not result.ok:
        raise Failed(str(result))
    return str(result)


def blind(box: Box) -> None:
    """From now on the partition key of one of the table's branches can't be read: it is an expression."""
    box.other.enter_context(patch.object(view, "CATALOG_LOCK_TIMEOUT", 0.2))
    box.other.enter_context(unreadable(box.superuser, "events"))


def meanwhile(purpose: str, *steps: Step) -> Callable[[Box], str]:
    """A run, and somebody who does *steps* before the one of *purpose* that is about January."""

    def attempt(box: Box) -> str:
        def hook(event: StepEvent) -> None:
            if (event.when, event.purpose, event.partition.name) == (When.BEFORE, purpose, JANUARY):
                for step in steps:
                    box.do(step)

        return done(box, hooks=[hook])

    return attempt


def right_before(point: str, *steps: Step) -> Callable[[Box], str]:
    """A run, and somebody who does *steps* when it is about to send *point*."""

    def attempt(box: Box) -> str:
        def other(_: Any) -> None:
            for step in steps:
                box.do(step)

        with at_point(box.engine, 1, other, point):
            return done(box)

    return attempt


def narrow(box: Box) -> None:
    """The server has room for few locks."""
    box.stack.enter_context(patch.object(execute, "room", lambda *_: 1))


def event_trigger(when: str, statement: str) -> tuple[Step, ...]:
    """It does *statement* as soon as September is a partition."""
    return (
        "CREATE FUNCTION meddle() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN IF EXISTS (SELECT "
        f"FROM pg_class WHERE relname = 'events_p20300901' AND relispartition AND {when}) THEN {statement}; END IF; END $$",
        "CREATE EVENT TRIGGER meddler ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION meddle()",
    )


AGAIN = (Meant("sa-partman run --yes"),)
WITHOUT = ((Meant("DROP EVENT TRIGGER meddler"), done),)

OVERTAKEN = (
    Row(
        f"public.{JANUARY} is not a partition of public.events any more; nothing was changed. {PLANS}",
        AGAIN,
        removing(),
        (Box.create, expired),
        meanwhile("drop", RENAMED),
        done,
    ),
    Row(
        f"public.{JANUARY} is another partition now: [2030-06-01, 2030-07-01) and not [2030-01-01, 2030-02-01); nothing "
        f"was changed. {PLANS}",
        AGAIN,
        removing(),
        (Box.create, expired),
        meanwhile("drop", EXCHANGED),
        done,
    ),
    Row(
        f"public.{JANUARY} is not a partition any more; nothing was changed; a transaction holds ACCESS EXCLUSIVE on "
        "events or one of its partitions, so its partition key can't be read",
        ((let_go, Meant("sa-partman run --repair --yes")),),
        EVENTS,
        (Box.create, expired, "GRANT SELECT ON events TO PUBLIC"),
        meanwhile("repair", f"ALTER TABLE events DETACH PARTITION {JANUARY}", blind),
        done,
    ),
    Row(
        f"public.{JANUARY} is not a partition of public.events any more; a transaction holds ACCESS EXCLUSIVE on",
        ((let_go, *AGAIN),),
        CONCURRENTLY,
        (Box.create, expired),
        right_before("CONCURRENTLY", RENAMED, blind),
        done,
    ),
    Row(
        f"public.{JANUARY} is not the table any more that was detached from public.events; it was left as it is; a "
        "transaction holds ACCESS EXCLUSIVE on",
        ((let_go, Meant("sa-partman run --repair --yes")),),
        CONCURRENTLY,
        (Box.create, expired, Meant("sa-partman run --yes"), Models(KEPT)),
        meanwhile("provision", f"COMMENT ON TABLE {JANUARY} IS 'mine'", blind),
        done,
    ),
    Row(
        f"public.{JANUARY}_h1 is not a partition below public.{JANUARY} any more; it was left as it is. {PLANS}",
        AGAIN,
        TREE,
        (later("2030-01-15"), Box.create, later("2030-06-15"), narrow),
        right_before("LOCK TABLE", f"ALTER TABLE {JANUARY} DETACH PARTITION {JANUARY}_h1"),
        done,
    ),
)

MEDDLED = (
    Row(
        "public.events_p20300901: [2030-09-01, 2030-10-01) was asked for and the catalog shows nothing; this step was "
        "rolled back. Correct the event trigger that changes it (pg_event_trigger), and run again.",
        WITHOUT,
        EVENTS,
        (
            Box.create,
            *event_trigger("true", "ALTER TABLE public.events DETACH PARTITION public.events_p20300901"),
            later("2030-07-15"),
        ),
        done,
        None,
    ),
    Row(
        f"public.events_p20300901 belongs to {MEMBER}, and its table to {OWNER}; this step was rolled back. Correct the "
        "event trigger that changes it (pg_event_trigger), and run again.",
        WITHOUT,
        EVENTS,
        (
            owned,
            *event_trigger(
                f"pg_get_userbyid(relowner) = '{OWNER}'", f"ALTER TABLE public.events_p20300901 OWNER TO {MEMBER}"
            ),
            later("2030-07-15"),
        ),
        done,
        None,
    ),
    Row(
        f"public.refs: not yet; 0 rows that refer to public.{JANUARY} were deleted before, and the partition was not "
        "touched. Remove the cause, and run again.",
        ((Meant("DROP TRIGGER keeps ON refs"), done),),
        removing(", referencing_tables=['refs']"),
        referencing(
            "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not yet'; END $$",
            "CREATE TRIGGER keeps BEFORE DELETE ON refs FOR EACH ROW EXECUTE FUNCTION keep()",
        ),
        done,
        None,
    ),
)
