"""Owners, privileges, and what partitions lack that their table has."""

from __future__ import annotations

from tests.remedies.row import Box, Meant, Row, Step, run_once, shown
from tests.remedies.rows.models import EVENTS, later
from tests.support.database import as_role, role
from tests.support.membership import MEMBER, OWNER

GIVEN = f"ALTER TABLE events OWNER TO {OWNER}"
GRANT = f"GRANT {OWNER} TO {MEMBER}"
NEXT = later("2030-07-15")
"""There is a partition to make."""
REPAIR = Meant("sa-partman run --repair --yes")


def roles(box: Box) -> None:
    """An owner, who may create, and somebody else."""
    for name in (OWNER, MEMBER):
        box.stack.enter_context(role(box.superuser, name=name))
    box.do(f"GRANT USAGE, CREATE ON SCHEMA public TO {OWNER}")


def owned(box: Box) -> None:
    """Table and partitions are the owner's."""
    roles(box)
    box.bare()
    box.do(GIVEN)
    box.provision()


def connected(name: str) -> Step:
    """From now on as that role."""
    return lambda box: box.moved(as_role(box.superuser, name).url.render_as_string(hide_password=False))


def as_superuser(box: Box) -> None:
    box.moved(box.superuser.url.render_as_string(hide_password=False))


def granted(statement: str) -> Step:
    """A superuser types it."""

    def step(box: Box) -> None:
        with box.superuser.begin() as connection:
            connection.exec_driver_sql(statement)

    return step


def for_member(box: Box) -> str:
    return shown(box.maintainer().check(as_role=MEMBER))


def shared(box: Box) -> None:
    """What the message says, whatever the superuser is called."""
    box.do(f"GRANT {box.superuser.url.username} TO {OWNER}")


def given_away(to: str) -> tuple[Step, ...]:
    names = ("events", "events_p20300601", "events_p20300701", "events_p20300801")
    return tuple(Meant(f"ALTER TABLE public.{name} OWNER TO {to}") for name in names)


MEMBERS = (
    Row(
        "membership: public.events_p20300601: lacks the grant of SELECT to c_member -> run: sa-partman run --repair; or "
        "change the table, if the partitions are right",
        (
            REPAIR,
            Meant(f"REVOKE SELECT ON events FROM {MEMBER}"),
        ),
        EVENTS,
        (owned, f"GRANT SELECT ON events, events_p20300701, events_p20300801 TO {MEMBER}"),
    ),
    Row(
        "membership: public.events_p20300601: lacks the grant of SELECT to c_member -> as c_owner, run: sa-partman run "
        "--repair; or change the table, if the partitions are right",
        ((connected(OWNER), REPAIR), granted(f"REVOKE SELECT ON events FROM {MEMBER}")),
        EVENTS,
        (owned, f"GRANT SELECT ON events, events_p20300701, events_p20300801 TO {MEMBER}", connected(MEMBER)),
    ),
    Row(
        f"membership: public.events_p20300601: belongs to {MEMBER}, not to {OWNER} -> ALTER TABLE "
        f"public.events_p20300601 OWNER TO {OWNER}, as a superuser or as a member of both roles",
        (
            (as_superuser, f"ALTER TABLE public.events_p20300601 OWNER TO {OWNER}"),
            (
                granted(GRANT),
                connected(MEMBER),
                f"ALTER TABLE public.events_p20300601 OWNER TO {OWNER}",
                connected(OWNER),
            ),
        ),
        EVENTS,
        (owned, f"ALTER TABLE events_p20300601 OWNER TO {MEMBER}", connected(OWNER)),
    ),
    Row(
        "membership: public.events_p20300601: has the access method heap, its table other -> ALTER TABLE "
        "public.events_p20300601 SET ACCESS METHOD other, which rewrites it under ACCESS EXCLUSIVE; or leave it as it is",
        ("ALTER TABLE public.events_p20300601 SET ACCESS METHOD other",),
        EVENTS,
        (
            Box.create,
            "CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler",
            "ALTER TABLE events SET ACCESS METHOD other",
            "ALTER TABLE events_p20300701 SET ACCESS METHOD other",
            "ALTER TABLE events_p20300801 SET ACCESS METHOD other",
        ),
        since=17,
    ),
    Row(
        "missing-privilege: a new partition of public.events would lack something that its table or the other partitions "
        "have; nothing was changed -> GRANT … TO c_owner",
        ((as_superuser, shared, connected(OWNER)),),
        EVENTS,
        (
            owned,
            granted("CREATE PUBLICATION theirs FOR TABLE events_p20300601, events_p20300701, events_p20300801"),
            connected(OWNER),
            NEXT,
        ),
        run_once,
        run_once,
    ),
    Row(
        f"missing-privilege: the role {MEMBER} does not own public.events, which belongs to {OWNER}; nothing was changed "
        f"-> connect as {OWNER}, or: GRANT {OWNER} TO {MEMBER}",
        (connected(OWNER), (as_superuser, GRANT, connected(MEMBER))),
        EVENTS,
        (owned, connected(MEMBER), NEXT),
        run_once,
        run_once,
    ),
    Row(
        f"missing-privilege: the role {MEMBER} does not own public.events, which belongs to {OWNER} -> to maintain it, "
        f"connect as {OWNER}, or: GRANT {OWNER} TO {MEMBER}",
        (connected(OWNER), (as_superuser, GRANT, connected(MEMBER))),
        EVENTS,
        (owned, connected(MEMBER)),
    ),
    Row(
        f"missing-privilege: the role {MEMBER} does not own public.events, which belongs to the superuser …; "
        "nothing was changed -> give the table and its partitions to a role that is no superuser (ALTER TABLE "
        "public.events OWNER TO ...), and connect as that one or as a member of it",
        ((as_superuser, *given_away(OWNER), connected(OWNER)),),
        EVENTS,
        (Box.create, roles, connected(MEMBER), NEXT),
        run_once,
        run_once,
    ),
    Row(
        f"missing-privilege: the role {MEMBER} has the rights of {OWNER}, which owns public.events, and may not SET ROLE "
        f"to it, so that new partitions would belong to the wrong role; nothing was changed -> GRANT {OWNER} TO {MEMBER} "
        "WITH SET TRUE",
        ((as_superuser, f"GRANT {OWNER} TO {MEMBER} WITH SET TRUE", connected(MEMBER)),),
        EVENTS,
        (owned, f"GRANT {OWNER} TO {MEMBER} WITH SET FALSE", connected(MEMBER), NEXT),
        run_once,
        run_once,
        since=16,
    ),
    Row(
        f"missing-privilege: {OWNER}, which owns public.events, may not create tables in schema public; nothing was "
        f"changed -> GRANT CREATE ON SCHEMA public TO {OWNER}",
        (f"GRANT CREATE ON SCHEMA public TO {OWNER}",),
        EVENTS,
        (owned, "REVOKE CREATE ON SCHEMA public FROM PUBLIC", f"REVOKE CREATE ON SCHEMA public FROM {OWNER}", NEXT),
        run_once,
        run_once,
    ),
    Row(
        "there is no role 'nobody' on this server; name one that exists (--as-role)",
        (Meant("sa-partman check --as-role c_owner"),),
        EVENTS,
        (owned,),
        "sa-partman check --as-role nobody",
        None,
    ),
)
