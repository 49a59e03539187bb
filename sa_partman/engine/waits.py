"""
Who is in the way, looked for before we queue for a lock; and what a run waits for, told within two seconds to the log
and to a callback, wherever it waits.

A loop that looks before it queues knows who is in the way, and says so itself (`Wait.found`). A statement that waits in
the server can't: while it is under way, another connection asks for whom (`Waits.statement`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Protocol

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from sa_partman.engine.background import repeating
from sa_partman.errors import PartmanError
from sa_partman.events import Holder, WaitEvent
from sa_partman.passwords import without_passwords
from sa_partman.postgres.session import apart
from sa_partman.postgres.sqlstate import first_line

Key = tuple[int | None, str]
"""A transaction: the pid, None for a prepared one, and its virtual transaction id; needs no privilege to be seen."""

# The columns that need a privilege come back empty without it. Only autovacuum has a process without a user.
_HOLDER = """
    l.pid, l.virtualtransaction, coalesce(a.application_name, ''), coalesce(a.state, ''), l.mode,
    coalesce(a.backend_type, CASE WHEN a.pid IS NOT NULL AND a.usesysid IS NULL THEN 'autovacuum worker' END,
        'client backend'), p.gid,
    CAST(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared)) AS float8),
    coalesce(a.query LIKE 'autovacuum:%(to prevent wraparound)', false),
    coalesce((SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = l.relation), '')
FROM pg_catalog.pg_locks l
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
LEFT JOIN pg_catalog.pg_locks x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'
    AND x.virtualtransaction = l.virtualtransaction
LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = x.transactionid
"""

_HOLDERS = text(f"""
WITH named AS (
    SELECT CAST(pg_catalog.to_regclass(u.name) AS oid) AS oid FROM unnest(CAST(:tables AS text[])) AS u(name)
), wanted AS (
    SELECT oid FROM named
    UNION SELECT CAST(t.relid AS oid) FROM named, pg_catalog.pg_partition_tree(named.oid) t
    UNION SELECT k.confrelid FROM named JOIN pg_catalog.pg_constraint k ON k.conrelid = named.oid
        WHERE :related AND k.contype = 'f'
)
SELECT DISTINCT ON (l.pid, l.virtualtransaction) {_HOLDER}
WHERE l.locktype = 'relation' AND l.relation IN (SELECT oid FROM wanted) AND l.granted
    AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
    AND (:writers IS FALSE OR l.mode NOT IN ('AccessShareLock', 'RowShareLock'))
ORDER BY l.pid, l.virtualtransaction, l.mode
""")

_TRANSACTIONS = text(f"""
SELECT DISTINCT ON (l.pid, l.virtualtransaction) {_HOLDER}
JOIN unnest(CAST(:pids AS int[]), CAST(:transactions AS text[])) AS u(pid, id)
    ON u.id = l.virtualtransaction AND u.pid IS NOT DISTINCT FROM l.pid
WHERE l.locktype = 'relation' AND l.granted
ORDER BY l.pid, l.virtualtransaction, l.mode
""")

# A statement can wait for a lock on a relation, or for transactions to end, whatever they hold. Nothing is looked for
# while it does not wait.
_BLOCKING = text("""
SELECT b.pid, coalesce(l.virtualtransaction, ''), coalesce(a.application_name, ''), coalesce(a.state, ''),
    coalesce(l.mode, ''), coalesce(a.backend_type, 'client backend'), NULL,
    CAST(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start) AS float8),
    coalesce(a.query LIKE 'autovacuum:%(to prevent wraparound)', false), coalesce(l.name, '')
FROM pg_catalog.pg_stat_activity me
CROSS JOIN LATERAL (SELECT DISTINCT nullif(u.pid, 0) FROM unnest(pg_catalog.pg_blocking_pids(me.pid)) AS u(pid)) b(pid)
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid
LEFT JOIN LATERAL (
    SELECT h.virtualtransaction, h.mode, n.nspname || '.' || c.relname AS name
    FROM pg_catalog.pg_locks h
    JOIN pg_catalog.pg_class c ON c.oid = h.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_locks w ON w.pid = me.pid AND NOT w.granted AND w.relation = h.relation
    WHERE h.pid = b.pid AND h.locktype = 'relation' AND h.granted AND n.nspname NOT IN ('pg_catalog', 'pg_toast')
        AND c.relkind IN ('r', 'p', 'f')
        AND h.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
    ORDER BY w.pid IS NULL, n.nspname || '.' || c.relname <> :table, c.oid, h.mode LIMIT 1
) l ON true
WHERE me.pid = :pid AND me.wait_event_type = 'Lock'
""")


@dataclass(slots=True)
class Watch:
    """
    The looks of one step: who was there at the last one, and which autovacuum did not give way when it was asked.

    Args:
        before: At the last look; None before the first one.
        last: Those that the last look found in the way.
        anchored: Compare with the first look and not with the last one: it only matters who was there already.
    """

    before: frozenset[Key] | None = None
    last: tuple[Holder, ...] = ()
    asked: set[Key] = field(default_factory=set)
    anchored: bool = False

    def lingering(self, found: tuple[Holder, ...]) -> tuple[Holder, ...]:
        """
        Those to wait for without a request of ours: who is there at two looks holds his locks for long, and so will
        whoever queues behind him. After the first look that is everybody, until the second one tells.
        """
        seen, self.last = self.before, found
        if seen is None or not self.anchored:
            self.before = frozenset(each.key for each in found)
        here = found if seen is None else tuple(each for each in found if each.key in seen)
        stay = tuple(each for each in here if not each.gives_way or each.key in self.asked)
        if not stay:
            self.asked.update(each.key for each in found if each.gives_way)
        return stay


def holders(
    connection: Connection, tables: Iterable[str], *, related: bool = False, writers: bool = False
) -> tuple[Holder, ...]:
    """
    Other transactions with a lock on *tables* or on partitions of them.

    Args:
        tables: Quoted names.
        related: And on the tables that they refer to.
        writers: Only those with more than a reader's lock.
    """
    wanted = {"tables": list(tables), "related": related, "writers": writers}
    return tuple(Holder(*row) for row in connection.execute(_HOLDERS, wanted))


def described(connection: Connection, keys: Iterable[Key]) -> tuple[Holder, ...]:
    """Who these transactions are; those that ended meanwhile are left out."""
    wanted = tuple(keys)
    if not wanted:
        return ()
    parameters = {"pids": [pid for pid, _ in wanted], "transactions": [transaction for _, transaction in wanted]}
    return tuple(Holder(*row) for row in connection.execute(_TRANSACTIONS, parameters))


def blocking(connection: Connection, pid: int, table: str = "") -> tuple[Holder, ...]:
    """
    For whom the backend *pid* waits now.

    Args:
        table: Of what such a transaction has locked, this is shown first; another one if *pid* waits for that.
    """
    return tuple(Holder(*row) for row in connection.execute(_BLOCKING, {"pid": pid, "table": table}))


def lingering(before: Iterable[Holder], after: Iterable[Holder]) -> tuple[Holder, ...]:
    """The holders of both looks: no short transactions, so whoever queues behind them queues for long."""
    seen = {each.key for each in before}
    return tuple(each for each in after if each.key in seen and not each.gives_way)


class OnWait(Protocol):
    """Is told what a run waits for, perhaps in another thread; with an `AsyncMaintainer` it may be asynchronous."""

    def __call__(self, event: WaitEvent, /) -> object: ...


FIRST = 1.0
"""Seconds after which a wait is told: a loop that looks again every now and then is done with that before two."""

_PAUSES = (2.0, 2.0, 4.0, 8.0, 16.0)
_LONGEST = 30.0
"""Seconds from one message of a wait to the next: these, and then always so many."""

_LOOK = 0.4
"""Seconds between two looks at a statement."""
_LOOK_FROM = 0.5
"""Seconds that a statement may take before it is looked at."""

_PATIENCE = 1.0
"""Seconds that the end of a run waits for a look that is under way."""

LOGGER = logging.getLogger("sa_partman")


class Waits:
    """
    Of one run.

    Args:
        run: Its name.
        on_wait: Called at each message; what it raises is logged.
        log: Where each message goes.
    """

    def __init__(self, run: str = "", on_wait: OnWait | None = None, log: logging.Logger = LOGGER) -> None:
        self.run, self._on_wait, self._log = run, on_wait, log
        self._statement: _Statement | None = None

    @contextmanager
    def watched(self, engine: Engine) -> Iterator[None]:
        """
        During the block, statements that wait are looked at from another connection, which is opened when the first
        one takes long.
        """
        with ExitStack() as opened:
            connections: list[Connection] = []

            def look() -> None:
                statement = self._statement
                if statement is None or time.monotonic() < statement.since + _LOOK_FROM:
                    return
                try:
                    if not connections:
                        connections.append(opened.enter_context(apart(engine, autocommit=True)))
                    found = blocking(connections[0], statement.pid, statement.wait.table)
                except Exception as error:
                    said = without_passwords(first_line(error))
                    self._log.info("what a statement waits for can't be looked at: %s", said, extra={"run": self.run})
                    raise
                if statement is self._statement:
                    statement.seen(found)

            with repeating(look, _LOOK, in_loop=engine.dialect.is_async, name="waits", patience=_PATIENCE):
                yield

    @contextmanager
    def statement(self, pid: int | None, wait: Wait) -> Iterator[None]:
        """
        During the block, whatever the backend *pid* waits for is told as *wait*.

        Args:
            pid: None: unknown, so it is not looked at.
        """
        self._statement = None if pid is None else _Statement(pid, wait, time.monotonic())
        try:
            yield
        finally:
            self._statement = None

    def tell(self, event: WaitEvent) -> None:
        """To the log, and to whoever asked for it."""
        self._log.log(
            logging.INFO if event.over else logging.WARNING,
            "%s",
            event,
            extra={
                "run": event.run,
                "table": event.table,
                "outcome": "waited" if event.over else "waiting",
                "seconds": round(event.seconds, 1),
                "blockers": tuple(map(str, event.holders)),
                "waits_for": tuple(each.to_dict() for each in event.holders),
            },
        )
        if self._on_wait is None:
            return
        try:
            self._on_wait(event)
        except Exception:
            self._log.exception("on_wait= failed", extra={"run": event.run})


@dataclass(frozen=True, slots=True)
class _Statement:
    pid: int
    wait: Wait
    since: float

    def seen(self, found: tuple[Holder, ...]) -> None:
        if found:
            self.wait.found(found, since=self.since)
        else:
            self.wait.over()


@dataclass(slots=True)
class Wait:
    """
    One thing that is waited for, perhaps in vain, perhaps several times.

    Args:
        table: See `WaitEvent`.
        what: See `WaitEvent`.
        seek: Asked who is in the way, when that has to be told and nobody has said so.
        clock: Seconds that only go forward.
    """

    waits: Waits
    table: str
    what: str
    seek: Callable[[], tuple[Holder, ...]] = tuple
    clock: Callable[[], float] = time.monotonic
    _began: float | None = field(default=None, init=False)
    _due: float = field(default=FIRST, init=False)
    _pauses: Iterator[float] = field(default_factory=lambda: chain(_PAUSES, repeat(_LONGEST)), init=False)
    _holders: tuple[Holder, ...] = field(default=(), init=False)
    _told: bool = field(default=False, init=False)

    def found(self, holders: tuple[Holder, ...] = (), *, since: float | None = None) -> None:
        """
        It has to be waited for, still; told when that is due.

        Args:
            holders: Who is in the way; empty: those of the last look.
            since: When the wait began, if that was before the first call.
        """
        now = self.clock()
        if self._began is None:
            self._began = now if since is None else since
        self._holders = holders or self._holders
        seconds = now - self._began
        if seconds < self._due:
            return
        if not self._holders:
            with suppress(SQLAlchemyError, PartmanError):  # it is said then that we wait, and not for whom
                self._holders = self.seek()
        self._told, self._due = True, seconds + next(self._pauses)
        self.waits.tell(WaitEvent(self.waits.run, self.table, self.what, self._holders, seconds))

    @property
    def holders(self) -> tuple[Holder, ...]:
        """Who is in the way, as far as that is known; asked if nobody has said so."""
        return self._holders or self.seek()

    def over(self) -> None:
        """It need not be waited for any more; told if the wait was."""
        began, told, holders = self._began, self._told, self._holders
        self._began, self._due, self._holders, self._told = None, FIRST, (), False
        self._pauses = chain(_PAUSES, repeat(_LONGEST))
        if began is not None and told:
            seconds = self.clock() - began
            self.waits.tell(WaitEvent(self.waits.run, self.table, self.what, holders, seconds, over=True))
