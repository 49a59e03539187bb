"""
Zombies: backends of maintainers that were killed. Their last statement goes on, or waits with everybody behind it,
until the server notices that nobody listens any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, TextClause, text

from sa_partman.events import Holder
from sa_partman.finding import Finding, Severity
from sa_partman.postgres.connect import connected
from sa_partman.postgres.locks.exclusion import APPLICATION
from sa_partman.postgres.locks.waits import Wait
from sa_partman.postgres.session import pin
from sa_partman.postgres.steps.running import Running

GRACE = 2.0
"""Seconds that a zombie has to end by itself: the server looks after its client every now and then."""

_PAUSE = 0.05

# One that neither works nor holds anything is a connection that a pool keeps, and harms nobody.
_AT_WORK = text(f"""
SELECT a.pid, CAST(a.backend_start AS text) || ' ' || coalesce(CAST(a.xact_start AS text), ''), a.application_name,
    coalesce(a.usename = current_user, false),
    CAST(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start) AS float8)
FROM pg_catalog.pg_stat_activity a
WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid()
    AND pg_catalog.starts_with(a.application_name, '{APPLICATION}') AND a.application_name <> :ours
    AND (a.state <> 'idle' OR EXISTS (
        SELECT FROM pg_catalog.pg_locks l WHERE l.pid = a.pid AND l.locktype IN ('relation', 'advisory')))
ORDER BY a.pid
""")
_CANCEL = text("SELECT pg_catalog.pg_cancel_backend(:pid)")
_TERMINATE = text("SELECT pg_catalog.pg_terminate_backend(:pid)")


@dataclass(frozen=True, slots=True)
class Zombie:
    """
    Args:
        since: When it and its transaction began, to know it again.
        own: It belongs to the connected role, which so may end it.
        seconds: The age of its transaction, when we may see it.
    """

    pid: int
    since: str
    application: str
    own: bool
    seconds: float | None

    @property
    def run(self) -> str:
        """Its name."""
        return self.application.removeprefix(APPLICATION)

    @property
    def key(self) -> tuple[int, str]:
        """The same backend in the same transaction."""
        return self.pid, self.since

    @property
    def holder(self) -> Holder:
        return Holder(self.pid, self.since, self.application, "", "", "client backend", None, self.seconds)


def end_zombies(running: Running) -> Iterator[Finding]:
    """
    Waits a moment for the backends of killed runs to end, then cancels and at last terminates what is ours of them.

    We hold the exclusion, so nobody else of our name is at work. Behind a pooler we don't: there it is only told what
    is older than a step may be.

    Args:
        running: Its exclusion has been taken, and nothing was read yet.
    """
    if running.exclusion.pooled:
        old = (each for each in _at_work(running) if (each.seconds or 0) > running.policy.budget)
        for zombie in old:
            yield Finding(
                "zombie",
                Severity.INFO,
                "",
                f"pid {zombie.pid} of the run {zombie.run} has been at work for {zombie.seconds:.0f} s",
                f"when its client is dead: SELECT pg_terminate_backend({zombie.pid})",
            )
        return
    if not running.exclusion.others:
        return
    found = {each.key: each for each in _at_work(running)}
    left = _wait(running, found, GRACE)
    for way, seconds in ((_CANCEL, GRACE), (_TERMINATE, GRACE)):
        own = [each for each in left if each.own]
        if own:
            _signal(running.engine, way, own)
            left = _wait(running, {each.key: each for each in left}, seconds)
    still = {each.key for each in left}
    for key, zombie in found.items():
        left_by = f"pid {zombie.pid}, which the interrupted run {zombie.run} left at work,"
        if key in still:
            yield Finding(
                "zombie",
                Severity.WARNING,
                "",
                f"{left_by} goes on, and this role can't end it",
                f"as its role or as a superuser: SELECT pg_terminate_backend({zombie.pid})",
            )
        else:
            yield Finding("zombie", Severity.INFO, "", f"{left_by} was ended")


def _at_work(running: Running) -> Sequence[Zombie]:
    with connected(running.engine) as connection:
        pin(connection, 1.0)
        return [Zombie(*row) for row in connection.execute(_AT_WORK, {"ours": running.application})]


def _wait(running: Running, wanted: dict[tuple[int, str], Zombie], seconds: float) -> list[Zombie]:
    """Those of *wanted* that are still there after *seconds* at most."""

    def left() -> list[Zombie]:
        return [each for each in _at_work(running) if each.key in wanted]

    return _until_none(left, running, seconds) if wanted else []


def _until_none(look: Callable[[], list[Zombie]], running: Running, seconds: float) -> list[Zombie]:
    deadline = time.monotonic() + seconds
    wait = Wait(running.waits, "", "the last statement of a run that was killed")
    try:
        while (found := look()) and time.monotonic() < deadline:
            wait.found(tuple(each.holder for each in found))
            running.waiting.sleep(_PAUSE)
    finally:
        wait.over()
    return found


def _signal(engine: Engine, way: TextClause, zombies: Sequence[Zombie]) -> None:
    with connected(engine) as connection:
        for zombie in zombies:
            connection.execute(way, {"pid": zombie.pid})
