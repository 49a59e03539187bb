"""A run: what its steps share, what the server allows them, and what killed runs have left at work."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, TextClause, text
from sqlalchemy.exc import DBAPIError

from sa_partman.engine.budget import LockPolicy, Spending
from sa_partman.engine.exclusion import APPLICATION, Exclusion
from sa_partman.engine.waits import Wait, Waits
from sa_partman.events import Holder
from sa_partman.finding import Finding, Severity
from sa_partman.plan.steps import Step
from sa_partman.ports import Waiting
from sa_partman.postgres.session import connected, features_of, greeted_by, pin
from sa_partman.table.features import ServerFeatures

FROZEN = "10s"
"""How long a client may sleep inside a transaction before the server ends it."""

CHECK_INTERVAL = "1s"
"""How soon the server notices that the client of a running or waiting statement is dead."""

_ALWAYS = {
    "idle_in_transaction_session_timeout": FROZEN,
    # Our few queries of the catalog are planned once a connection: planning takes longer than they do.
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    # Over a network that swallows packets; on a unix socket they do nothing.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "20s",
}

_LIMITS = text("""
SELECT CAST(extract(epoch FROM CAST(pg_catalog.current_setting('deadlock_timeout') AS interval)) AS float8),
    CAST(pg_catalog.current_setting('max_locks_per_transaction') AS int)
        * (CAST(pg_catalog.current_setting('max_connections') AS int)
           + CAST(pg_catalog.current_setting('max_prepared_transactions') AS int))
""")


@dataclass(frozen=True, slots=True)
class Limits:
    """
    Args:
        deadlock_timeout: Seconds.
        lock_slots: Locks that the server has room for, of all sessions together.
        features: Of the server.
        checks_clients: ``client_connection_check_interval`` works here: not on every operating system.
    """

    deadlock_timeout: float
    lock_slots: int
    features: ServerFeatures
    checks_clients: bool

    def settings(self, application: str, seconds: float) -> dict[str, str]:
        """
        For a step's transaction.

        Args:
            application: For ``application_name``.
            seconds: That one statement may take.
        """
        found = {**_ALWAYS, "application_name": application, "statement_timeout": f"{round(seconds * 1000)}ms"}
        if self.features.has_transaction_timeout:
            found["transaction_timeout"] = "0"
        if self.checks_clients:
            found["client_connection_check_interval"] = CHECK_INTERVAL
        return found


def limits_of(engine: Engine) -> Limits:
    """Asks the server."""
    with connected(engine) as connection:
        pin(connection, 1.0)
        row = connection.execute(_LIMITS).one()
        return Limits(row[0], row[1], features_of(connection), notice_dead_clients(connection))


def notice_dead_clients(connection: Connection) -> bool:
    """
    Makes the server look after the client of the current transaction; False when its platform can't.

    Without it a killed process keeps its place in the queue, and everybody behind it.
    """
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(f"SET LOCAL client_connection_check_interval = '{CHECK_INTERVAL}'")
    except DBAPIError as error:
        if connection.invalidated:
            raise
        del error
        return False
    return True


def new_name() -> str:
    """A name for one run: eight characters, in ``application_name``, in the log and in the audit."""
    return secrets.token_hex(4)


Worker = Callable[["Running", Step, Any], int | None]
"""Takes the run, the step and its action; gives the number of rows that it handled, when that says something."""


@dataclass(slots=True)
class Running:
    """
    Args:
        engine: Each step takes a connection of its own from it.
        policy: The budgets.
        waiting: How to sleep.
        exclusion: Our right to be the only maintainer, to be verified before each step.
        name: Of this run.
        waits: Tells what it waits for.
        workers: Who performs an action that is more than statements, by its class: a step with one has no other.
        spending: What its steps have waited so far.
    """

    engine: Engine = field(repr=False)
    policy: LockPolicy
    waiting: Waiting
    exclusion: Exclusion
    name: str = field(default_factory=new_name)
    waits: Waits = field(default_factory=Waits, repr=False)
    workers: Mapping[type, Worker] = field(default_factory=dict, repr=False)
    spending: Spending = field(init=False)
    _limits: Limits | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.spending = Spending(self.policy)

    def worker_of(self, step: Step) -> Worker | None:
        """Who performs *step*; None when its actions are statements."""
        return self.workers.get(type(step.actions[0]))

    @property
    def limits(self) -> Limits:
        """What the server allows; asked when the first step needs it."""
        if self._limits is None:
            self._limits = limits_of(self.engine)
        return self._limits

    def step_settings(self, seconds: float) -> dict[str, str]:
        """As `Limits.settings`, and how long our process may be stopped in the middle of a step."""
        frozen = {"idle_in_transaction_session_timeout": f"{round(self.policy.step_lease * 1000)}ms"}
        return self.limits.settings(self.application, seconds) | frozen

    def backend(self, connection: Connection) -> int | None:
        """The pid at the other end of *connection*; None behind a pooler, which may change it."""
        return None if self.exclusion.pooled else greeted_by(connection)

    @property
    def application(self) -> str:
        """For ``application_name``."""
        return APPLICATION + self.name


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
