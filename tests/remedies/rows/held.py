"""Others who hold what is needed: maintainers, converters, transactions; and sessions that may not write."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from itertools import count
from unittest.mock import patch

from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from sa_partman.engine import conversion
from sa_partman.engine.exclusion import only_converter, only_maintainer
from sa_partman.names import QualifiedName
from tests.remedies.row import Box, Meant, Row, Step
from tests.remedies.rows.members import connected, granted, owned, roles
from tests.remedies.rows.models import BY_EXPRESSION, EVENTS, PLAIN
from tests.support.database import holding
from tests.support.membership import MEMBER, OWNER

CONVERT = "sa-partman convert events --yes"
KEPT = (
    "; nothing was changed. Let a superuser run: CREATE SCHEMA sa_partman AUTHORIZATION <the role that converts>; where "
    "it exists: ALTER SCHEMA sa_partman OWNER TO <that role>; ALTER TABLE sa_partman.conversion OWNER TO <that role>"
)
NUMBERED = """
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByRange("id", interval=100, premake=2)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
"""


def other(held: Callable[[Box], AbstractContextManager[object]]) -> Step:
    """Another session holds it until it is let go."""
    return lambda box: box.other.enter_context(held(box))


def let_go(box: Box) -> None:
    box.other.close()


def with_options(options: str) -> Step:
    """Connected anew with these."""

    def connect(box: Box) -> None:
        url = make_url(box.url).update_query_dict({"options": options})
        box.moved(url.render_as_string(hide_password=False))

    return connect


SERIALIZABLE = with_options("-c default_transaction_isolation=serializable")
READ_COMMITTED = with_options(r"-c default_transaction_isolation=read\ committed")


def read_only(box: Box) -> None:
    box.do(f'ALTER DATABASE "{box.engine.url.database}" SET default_transaction_read_only = on')
    box.do(f"ALTER ROLE {OWNER} SET default_transaction_read_only = off")
    box.engine.dispose()


def ended(box: Box) -> None:
    """By what pg_locks shows."""
    box.do(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE relation = 'events'::regclass AND mode = "
        "'AccessExclusiveLock'"
    )
    with suppress(DBAPIError):
        box.other.close()


def forget(box: Box) -> None:
    """Whoever converted before was a superuser, and what was kept then is his."""
    box.do("CREATE SCHEMA sa_partman; CREATE UNLOGGED TABLE sa_partman.conversion (steps jsonb)")


HELD = (
    Row(
        "another maintainer (pid …) is at work in this database; nothing was changed, try later",
        ((let_go, Meant("sa-partman run")),),
        EVENTS,
        (Box.bare, other(lambda box: only_maintainer(box.superuser))),
        "sa-partman run",
        None,
    ),
    Row(
        "another process converts public.events; nothing was changed, try later",
        ((let_go, Meant(CONVERT)),),
        EVENTS,
        (PLAIN, other(lambda box: only_converter(box.superuser, QualifiedName("public", "events"), 60.0))),
        CONVERT,
        None,
    ),
    Row(
        "public.events: grants or dependent views changed during the final check; the swap was not made. Go on: "
        "sa-partman convert public.events --resume",
        ((let_go, Meant("sa-partman convert public.events --resume --yes")),),
        EVENTS,
        (PLAIN, other(lambda _: patch.object(conversion, "loose_mark", side_effect=count()))),
        CONVERT,
        None,
    ),
    Row(
        "locked: a transaction holds ACCESS EXCLUSIVE on events or one of its partitions, so its partition key can't be "
        "read -> end that transaction (pg_locks shows it), or try later; the other tables were not affected",
        (let_go, ended),
        BY_EXPRESSION,
        (Box.create, other(lambda box: holding(box.superuser, "LOCK TABLE events IN ACCESS EXCLUSIVE MODE"))),
    ),
    Row(
        "missing-privilege: events can't be read: permission denied for table …; nothing was changed -> connect as the owner "
        "of events, or GRANT SELECT on it and its partitions; the other tables were not affected",
        (
            connected(OWNER),
            granted(f"GRANT SELECT ON events, events_p0, events_p100, events_p200 TO {MEMBER}"),
        ),
        NUMBERED,
        (owned, connected(MEMBER)),
    ),
    Row(
        "the session is read-only (default_transaction_read_only is on); nothing was changed. Connect as a role that may "
        "write, or with options='-c default_transaction_read_only=off'.",
        (
            (with_options("-c default_transaction_read_only=off"), Meant("sa-partman run")),
            (connected(OWNER), Meant("sa-partman run")),
        ),
        EVENTS,
        (owned, read_only),
        "sa-partman run",
        None,
    ),
    Row(
        "the state of a conversion is kept in the schema 'sa_partman': permission denied for database …" + KEPT,
        ((granted(f"CREATE SCHEMA sa_partman AUTHORIZATION {OWNER}"), Meant(CONVERT)),),
        EVENTS,
        (roles, PLAIN, f"ALTER TABLE events OWNER TO {OWNER}", connected(OWNER)),
        CONVERT,
        None,
    ),
    Row(
        "the state of a conversion is kept in the schema 'sa_partman': permission denied for schema sa_partman" + KEPT,
        (
            (
                granted(f"ALTER SCHEMA sa_partman OWNER TO {OWNER}"),
                granted(f"ALTER TABLE sa_partman.conversion OWNER TO {OWNER}"),
                Meant(CONVERT),
            ),
        ),
        EVENTS,
        (roles, PLAIN, f"ALTER TABLE events OWNER TO {OWNER}", forget, connected(OWNER)),
        CONVERT,
        None,
    ),
    Row(
        "…; connect as a role that may, or have it granted",
        ((connected(OWNER), granted(f"CREATE SCHEMA sa_partman AUTHORIZATION {OWNER}"), Meant(CONVERT)),),
        EVENTS,
        (roles, PLAIN, f"ALTER TABLE events OWNER TO {OWNER}", connected(MEMBER)),
        CONVERT,
        None,
    ),
    Row(
        "SA_PARTMAN_AT='nix' is no time; write it as 2030-01-31, or 2030-01-31T13:00:00+01:00 (no offset means UTC)",
        (
            Meant("sa-partman run --at 2030-01-31"),
            Meant("sa-partman run --at 2030-01-31T13:00:00+01:00"),
        ),
        EVENTS,
        (Box.bare, lambda box: box.environment.update(SA_PARTMAN_AT="nix")),
        "sa-partman run",
        None,
    ),
)
