"""What others do between two looks: locks, changes of the table, rows that arrive late."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from unittest.mock import patch

from sqlalchemy import select, text

from sa_partman.maintenance.converter import Converter
from sa_partman.postgres import session
from tests.remedies.row import Box, Meant, Row, Step, Way, check, run_once, shown
from tests.remedies.rows.held import let_go
from tests.remedies.rows.members import NEXT, as_superuser, connected, granted, roles
from tests.remedies.rows.models import EVENTS, PLAIN
from tests.remedies.rows.refused import CONVERT, converted
from tests.support.converting import at_point
from tests.support.database import holding, sql
from tests.support.membership import MEMBER
from tests.support.residues import leave_pending

RESUME = "sa-partman convert events --resume --yes"
ABORT = "sa-partman convert events --abort --yes"
COMPUTED = (
    "from sqlalchemy import Computed\n"
    + EVENTS
    + "    next: Mapped[int] = mapped_column(Computed('id + 1', persisted=True))\n"
)
POLICY = "CREATE POLICY p ON events USING (id > 0)"


class Stopped(Exception):
    """As if the process had been killed."""


def stopped(verb: str, after: str, **options: Any) -> Step:
    """*verb* of a `Converter`, up to the end of the step *after*."""

    def report(step: Any, seconds: float) -> None:
        if step.id == after:
            raise Stopped

    def run(box: Box) -> None:
        with suppress(Stopped):
            getattr(box.converter(now=box.now), verb)("events", report=report, **options)

    return run


def seized(table: str, words: str, attempt: Callable[[Box], str]) -> Step:
    """Another transaction locks *table* right before a statement with *words*."""

    def run(box: Box) -> str:
        def seize() -> None:
            box.other.enter_context(holding(box.superuser, f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))

        with at_point(box.engine, 1, seize, words):
            return attempt(box)

    return run


def migrated_meanwhile(box: Box) -> None:
    """Between the plan and the first step."""
    planned = Converter._planned

    def slowly(*given: Any) -> Any:
        found = planned(*given)
        sql(box.superuser, "ALTER TABLE events ADD extra int")
        return found

    with patch.object(Converter, "_planned", slowly):
        box.converter(now=box.now).convert("events")


def late_rows(box: Box) -> None:
    box.do("INSERT INTO events (created_at) SELECT '2030-07-05' FROM generate_series(1, 11)")


def with_room(box: Box) -> None:
    box.do("sa-partman convert public.events --undo --max-rows 11 --yes")


def conversion(says: str, *ways: Way, given: tuple[Step, ...], attempt: Step = RESUME) -> Row:
    return Row(says, ways, EVENTS, (PLAIN, *given), attempt, None)


CONVERSIONS = (
    conversion(
        "public.events was changed while this was being planned; no step was taken. Try again.",
        Meant(CONVERT),
        given=(),
        attempt=migrated_meanwhile,
    ),
    conversion(
        "public.events was changed since this began (a migration?); the swap was rolled back. Take back what was done: "
        "sa-partman convert public.events --abort; then begin again.",
        (Meant("sa-partman convert public.events --abort --yes"), Meant(CONVERT)),
        given=(stopped("convert", "parent"), "ALTER TABLE events ADD extra int"),
    ),
    conversion(
        "public.events is cut over already; nothing was changed. Finish it: sa-partman convert public.events --resume; then "
        "take it back: sa-partman convert public.events --undo",
        (
            Meant("sa-partman convert public.events --resume --yes"),
            Meant("sa-partman convert public.events --undo --yes"),
        ),
        given=(stopped("convert", "cutover"),),
        attempt=ABORT,
    ),
    Row(
        "public.events: more than 10 rows came into other partitions meanwhile; the swap was rolled back. Take back what "
        "was done: sa-partman convert public.events --abort; then begin again with a higher limit: sa-partman convert "
        "public.events --undo --max-rows ...",
        ((Meant("sa-partman convert public.events --abort --yes"), with_room),),
        EVENTS,
        (converted, stopped("undo", "unique_index", max_rows=10), late_rows),
        RESUME,
        None,
    ),
    Row(
        "public.events can't be made plain again; nothing was changed: - 11 rows are in other partitions, and at most 10 are moved "
        "inside the swap; raise the limit in a maintenance window (--max-rows)",
        (with_room,),
        EVENTS,
        (converted, late_rows),
        "sa-partman convert events --undo --max-rows 10 --yes",
        None,
    ),
)


def hidden(box: Box) -> None:
    """A hardened catalog."""
    roles(box)
    box.create()
    box.do(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {MEMBER}")
    box.do("REVOKE SELECT ON pg_catalog.pg_policy FROM PUBLIC")


def pending(box: Box) -> None:
    box.create()
    leave_pending(box.superuser, "events_p20300601")


def behind_pooler(box: Box) -> None:
    """The greeting names another backend than the one that answers."""
    box.other.enter_context(patch.object(session, "greeted_by", lambda connection: 0))


def tenants(table: str) -> Step:
    """A maintainer of the schemas that a statement gives."""
    return lambda box: shown(box.maintainer(schemas=select(text(f"name FROM {table}"))).check())


READ = (
    Row(
        "check-incomplete: how the partitions differ from their tables can't be checked: permission denied for table "
        "pg_policy; everything else was -> GRANT SELECT on it to the role that checks, or check as a superuser",
        (granted(f"GRANT SELECT ON pg_catalog.pg_policy TO {MEMBER}"), as_superuser),
        EVENTS,
        (hidden, connected(MEMBER)),
    ),
    Row(
        "check-incomplete: what interrupted work left behind can't be checked: canceling statement due to lock timeout; "
        "everything else was -> check again when no transaction holds the table",
        (let_go,),
        COMPUTED,
        (pending,),
        seized("events_p20300601", "pg_attrdef d ON", check),
        since=18,  # whose pg_get_expr() locks the table
    ),
    Row(
        "locked: public.events: owner, privileges, policies and settings can't be read now: another transaction holds it or "
        "has just dropped it; nothing was changed -> try again when no transaction holds ACCESS EXCLUSIVE on it or on one of "
        "its partitions",
        ((let_go, Meant("sa-partman run")),),
        EVENTS,
        (Box.create, POLICY, NEXT),
        seized("events", "FROM pg_policy", run_once),
        run_once,
    ),
    Row(
        "pooler: a connection pooler is in front of the server: maintainers take turns step by step, nothing is detached "
        "CONCURRENTLY, and the server can't tell when a client died -> give the maintainer the address of the server itself",
        (let_go,),
        EVENTS,
        (Box.create, behind_pooler),
    ),
    Row(
        "schemas=: the server refused: relation tenants does not exist; nothing was changed. Fix the statement or function",
        ((tenants("(VALUES ('public')) AS t(name)"),),),
        EVENTS,
        (Box.create,),
        tenants("tenants"),
        None,
    ),
)
