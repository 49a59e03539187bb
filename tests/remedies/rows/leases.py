"""A maintainer that loses its right."""

import time

from sa_partman import LockPolicy
from sa_partman.engine.exclusion import LOCK_KEY
from tests.remedies.row import Box, Meant, Row, shown
from tests.remedies.rows.models import EVENTS
from tests.support.database import holding, sql

_END = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()"
)


def _lost(box: Box) -> str:
    """An administrator ends the connection while a hook is at work."""
    box.bare()
    return shown(box.maintainer(hooks=[lambda event: sql(box.engine, _END)]).run().findings)


def _silent(box: Box) -> str:
    """One of an older release, stopped."""
    take = f"SELECT pg_try_advisory_xact_lock({LOCK_KEY})"
    with holding(box.engine, take, "SET LOCAL application_name = 'sa_partman:older'"):
        time.sleep(1)
        return shown(box.maintainer(lock=LockPolicy(lease=1)).check())


LEASES = (
    Row(
        "exclusion-lost: the connection that held our right to be the only maintainer (pid …) is gone: this process gave "
        "no sign of life for LockPolicy(lease=60) seconds, or an administrator, a restart or the network ended it. The "
        "run ended before its next step; what it did stays. -> run again",
        (Meant("sa-partman run"),),
        EVENTS,
        attempt=_lost,
        again=lambda box: box.do("sa-partman check"),
    ),
    Row(
        "maintainer-silent: pid … (…) is the only maintainer, and has shown no life for … s: its process is stopped -> "
        "the server ends it after 1 s, unless it is of an older release; at once: SELECT pg_terminate_backend(…)",
        (Meant(_END),),
        EVENTS,
        (Box.create,),
        attempt=_silent,
    ),
)
