"""What the server refuses beside the steps that change something."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from unittest.mock import patch

from sqlalchemy.exc import DBAPIError

from sa_partman import StepEvent
from sa_partman.engine import exclusion, running
from sa_partman.engine.exclusion import only_maintainer
from sa_partman.postgres.session import connected
from tests.remedies.row import Box, Meant, Models, Row, check, run_once, shown
from tests.remedies.rows.archives import with_audit
from tests.remedies.rows.held import NUMBERED, let_go
from tests.remedies.rows.members import connected as connected_as
from tests.remedies.rows.members import granted, owned, roles
from tests.remedies.rows.models import EVENTS, PLAIN
from tests.support.database import HASTY, another, holding, scalar
from tests.support.keeper import slow_to_greet
from tests.support.killing import at_point, until
from tests.support.membership import OWNER
from tests.support.servers import NEWEST, start


def planned_while_held(box: Box) -> None:
    with box.engine.connect() as connection:
        connection.exec_driver_sql("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        box.converter().plan("events")


def first_word(options: str) -> Callable[[Box], None]:
    """What the driver asks first takes longer than a role may have for a statement."""

    def connect(box: Box) -> None:
        with slow_to_greet(box.url, 0.4, options) as engine, connected(engine):
            pass

    return connect


MIGRATION = "op.create_partition('x', 'events', lower='2000-01-01 00:00+00', upper='2000-02-01 00:00+00')"


def made_anew(box: Box) -> str:
    """A migration, and somebody who drops the table and makes it again when it has found the old one."""

    def drop(_: object) -> None:
        with box.superuser.begin() as connection:
            connection.exec_driver_sql("DROP TABLE events")
        box.do(Box.bare)

    with at_point(box.engine, 1, drop, "relpartbound"):
        return box.do(MIGRATION)


def unreadable(box: Box) -> None:
    """The file of a partition is gone."""
    box.do("INSERT INTO events VALUES (150)")
    box.do("UPDATE pg_class SET relfilenode = 4000000000 WHERE oid = 'events_p100'::regclass")
    box.engine.dispose()


def no_schema(box: Box) -> None:
    box.do(f'ALTER DATABASE "{box.engine.url.database}" SET search_path = nowhere')
    box.engine.dispose()


def role_has_one(box: Box) -> None:
    box.do(f'ALTER ROLE CURRENT_USER IN DATABASE "{box.engine.url.database}" SET search_path = public')
    box.engine.dispose()


def standby(box: Box) -> None:
    """A server that waits for a primary that never answers."""
    server = box.stack.enter_context(start(NEWEST))
    box.moved(server.url())
    box.bare()
    box.engine.dispose()
    signal = server.folder / "data" / "standby.signal"
    signal.touch()
    os.chown(signal, signal.parent.stat().st_uid, signal.parent.stat().st_gid)
    server.restart_immediate()


def primary(box: Box) -> None:
    """This one becomes it."""
    box.do("SELECT pg_promote()")
    box.engine.dispose()


def audited(box: Box) -> str:
    """The next run, whose audit is the connected role's."""
    found = with_audit(box)
    with box.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT ok FROM public.sa_partman_runs").scalars().all() == [True]
    return found


NAMED = "SET application_name = 'sa_partman:dead0001'"
"""A run of that name."""


@contextmanager
def at_work(box: Box) -> Iterator[None]:
    """A backend that bears the name of a run, in a transaction."""
    with another(box.superuser) as other, holding(other, NAMED, "SELECT FROM pg_class LIMIT 1"):
        yield


def left_at_work(box: Box) -> None:
    """It has no client any more, and so no longer gives back what it held."""
    box.other.enter_context(suppress(DBAPIError))
    box.other.enter_context(at_work(box))


def run_at_once(box: Box) -> str:
    with patch.object(running, "GRACE", 0.1):
        return run_once(box)


def ended_by_superuser(box: Box) -> None:
    granted("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sa_partman:dead0001'")(
        box
    )  # type: ignore[operator]


def pooled(box: Box) -> None:
    """As if a pooler stood between."""
    box.stack.enter_context(patch.object(exclusion, "behind_pooler", lambda *_: True))


def grown_old(box: Box) -> None:
    """It is at work for longer than `HASTY` gives a step."""
    age = "SELECT now() - xact_start > '1.5 s' FROM pg_stat_activity WHERE application_name = 'sa_partman:dead0001'"
    assert until(lambda: scalar(box.superuser, age))


def run_in_a_hurry(box: Box) -> str:
    result = box.maintainer(lock=HASTY).run()
    return "\n".join([shown(result.findings), *(step.error for step in result.steps if step.error)])


def others_turn(box: Box) -> str:
    """Another maintainer takes the exclusion right before a step."""
    came: list[str] = []

    def hook(event: StepEvent) -> None:
        if not came:
            came.append(event.run)
            box.other.enter_context(patch.object(exclusion, "behind_pooler", lambda *_: False))
            box.other.enter_context(only_maintainer(box.superuser))

    result = box.maintainer(lock=HASTY, hooks=[hook]).run()
    return "\n".join([shown(result.findings), *(step.error for step in result.steps if step.error)])


SERVERS = (
    Row(
        "unreadable: public.events can't be read: could not open file …; nothing was changed -> remove the cause, which "
        "the message names, and try again; the other tables were not affected",
        (Meant("TRUNCATE events_p100"),),
        NUMBERED,
        (Box.create, unreadable),
    ),
    Row(
        "events: the session's search_path names no schema that exists, so the table can't be found; nothing was "
        "changed. Set schema= on the Table, or search_path on the role (ALTER ROLE ... SET).",
        (Models(EVENTS + "    __table_args__ = {'schema': 'public'}\n"), role_has_one),
        EVENTS,
        (Box.create, no_schema),
        check,
        check,
    ),
    Row(
        "the relation … was dropped while it was looked at; nothing was changed. Try again.",
        (Meant(MIGRATION),),
        EVENTS,
        (Box.bare,),
        made_anew,
        None,
    ),
    Row(
        "events: the server refused: canceling statement due to lock timeout; what was done before stays. How far it "
        "is: sa-partman convert events --state",
        ("sa-partman convert events --state",),
        EVENTS,
        (PLAIN,),
        planned_while_held,
        None,
    ),
    Row(
        "… let us in and ended our first statement: canceling statement due to statement timeout; nothing was changed. "
        "Connect with options='-c statement_timeout=0 -c transaction_timeout=0', or raise what the role has (ALTER "
        "ROLE ... SET)",
        (first_word("-c statement_timeout=0 -c transaction_timeout=0"),),
        attempt=first_word("-c statement_timeout=200"),
        again=None,
        since=17,
    ),
    Row(
        "the server is a standby (in recovery); nothing was changed. Connect to the primary.",
        ((primary, Meant("sa-partman run")),),
        EVENTS,
        (standby,),
        "sa-partman run",
        None,
    ),
    Row(
        "audit-failed: 1 rows of the audit could not be written: public.sa_partman_runs belongs to c_owner, whose "
        "triggers would run with the rights of the connected role; nothing was written into it. Drop both tables "
        "(sa_partman_runs, sa_partman_steps), or move them to another schema (ALTER TABLE ... SET SCHEMA ...); the next "
        "run creates its own.",
        (
            (Meant("DROP TABLE sa_partman_runs, sa_partman_steps"),),
            (
                Meant("CREATE SCHEMA other"),
                Meant("ALTER TABLE sa_partman_runs SET SCHEMA other"),
                Meant("ALTER TABLE sa_partman_steps SET SCHEMA other"),
            ),
        ),
        EVENTS,
        (
            roles,
            Box.bare,
            with_audit,
            *(f"ALTER TABLE sa_partman_{each} OWNER TO {OWNER}" for each in ("runs", "steps")),
        ),
        with_audit,
        audited,
    ),
)

ZOMBIES = (
    Row(
        "zombie: pid …, which the interrupted run dead0001 left at work, was ended",
        models=EVENTS,
        given=(Box.bare, left_at_work),
        attempt=run_at_once,
    ),
    Row(
        "zombie: pid …, which the interrupted run dead0001 left at work, goes on, and this role can't end it -> as its "
        "role or as a superuser: SELECT pg_terminate_backend(…)",
        (let_go, ended_by_superuser),
        EVENTS,
        (owned, left_at_work, connected_as(OWNER)),
        run_at_once,
        run_at_once,
    ),
    Row(
        "zombie: pid … of the run dead0001 has been at work for … s -> when its client is dead: SELECT "
        "pg_terminate_backend(…)",
        (let_go,),
        EVENTS,
        (Box.bare, left_at_work, pooled, grown_old),
        run_in_a_hurry,
        run_in_a_hurry,
    ),
    Row(
        "another maintainer is at work in this database; nothing was changed, try later",
        ((let_go, Meant("sa-partman run")),),
        EVENTS,
        (Box.bare, pooled),
        others_turn,
        run_in_a_hurry,
    ),
)
