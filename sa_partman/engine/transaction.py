"""
One transaction under the lock protocol: settings of its own, the right to be at work, a look at who is there, and every
lock in order, before anything is changed; begun again, whole, while a lock is refused. The steps of a maintainer know
their locks from their actions; those of a conversion lock its tables whole.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sa_partman.engine.budget import STALLED
from sa_partman.engine.locks import (
    LOOK_AGAIN,
    HeldLock,
    InTheWay,
    LockView,
    Patience,
    StallSpent,
    Target,
    exclusively,
    moves_of,
    queued,
    rows_to_move,
    take,
    view_locks,
)
from sa_partman.engine.running import FROZEN, Running, notice_dead_clients
from sa_partman.engine.waits import Wait, Watch, described, holders
from sa_partman.errors import LockNotAcquired, OthersTurn, PartmanError
from sa_partman.events import Holder
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import Action, FinalizeDetach
from sa_partman.plan.locks import Lock, LockMode, Place, locks_of, subjects_of
from sa_partman.plan.steps import Step
from sa_partman.postgres.session import act_as, isolated, limit_idling, pin, settle
from sa_partman.postgres.sqlstate import worth_retrying

T = TypeVar("T")
Work = Callable[[Connection], T]
"""May be called several times; only what the last one changed is committed."""

Inspect = Callable[[Connection, LockView], None]
"""Called with what is there, before any lock is asked for; may raise to leave it at that."""


class NotAtOnce(PartmanError):
    """Leaves a transaction before anything was changed: it would have to wait, or others for it."""


def in_step(
    running: Running,
    step: Step | tuple[Step, ...],
    work: Work[T],
    *,
    locks: tuple[Lock, ...] | None = None,
    inspect: Inspect | None = None,
    seconds: float | None = None,
) -> T:
    """
    What *work* gives in a transaction that holds the locks of *step*; again, whole, while they are refused.

    Args:
        step: Or several ones of one table, for one transaction.
        locks: Instead of those that the step's actions tell.
        seconds: That one statement may take, 0: no limit; by default the budget of a step.

    Raises:
        ExclusionLost: We are not the only maintainer any more; nothing was changed.
        LockNotAcquired: Not granted within the budgets; nothing was changed.
        DBAPIError: The server refused the work; nothing was changed.
    """
    steps = step if isinstance(step, tuple) else (step,)
    return StepTransaction(running=running, steps=steps, locks=locks, inspect=inspect, seconds=seconds).run(work)


def until_free(running: Running, step: Step, locks: tuple[Lock, ...]) -> LockView:
    """
    Waits until all are gone who hold a lock that conflicts with *locks*, whoever comes after them; asks for none.

    Raises:
        LockNotAcquired: Somebody stays to the end of the budget.
    """
    waiting = StepTransaction(running=running, steps=(step,), locks=locks, watch=Watch(anchored=True))

    def once() -> LockView:
        with waiting.opened() as connection:
            return waiting.look(connection)[0]

    return waiting.persevere(once)


def at_once(running: Running, steps: tuple[Step, ...], work: Work[T]) -> T:
    """
    Runs *work* in a transaction that holds the locks of *steps*, if they stop no reader and no writer.

    Args:
        steps: Of several tables; one role does them all.

    Raises:
        ExclusionLost: We are not the only maintainer any more; nothing was changed.
        NotAtOnce: A lock is held by somebody, or is of another kind; nothing was changed.
        DBAPIError: The server refused the work; nothing was changed.
    """
    hurried = StepTransaction(running=running, steps=steps, hurried=True)
    try:
        with hurried.opened() as connection:
            hurried.enter(connection)
            return work(connection)
    except (InTheWay, OthersTurn) as error:
        raise NotAtOnce from error
    except DBAPIError as error:
        if worth_retrying(error):
            raise NotAtOnce from error
        raise


@dataclass(slots=True, kw_only=True)
class LockedTransaction(ABC):
    """
    What both kinds of transactions do while their locks are refused.

    Args:
        watch: Who was there at the last look.
        wait: Is told who is in the way, and that it is over in the end.
        needed: Of its locks, those that somebody was in the way of; for the error.
    """

    running: Running
    watch: Watch = field(default_factory=Watch)
    wait: Wait = field(init=False)
    needed: tuple[Lock, ...] = ()

    def __post_init__(self) -> None:
        self.wait = Wait(self.running.waits, self.name, self.wanted, self.seek)

    @property
    @abstractmethod
    def name(self) -> str:
        """The table whose budget pays."""

    @property
    @abstractmethod
    def wanted(self) -> str:
        """The locks, in words."""

    @abstractmethod
    def opened(self) -> AbstractContextManager[Connection]:
        """
        A transaction.

        Raises:
            InTheWay: Somebody holds on to what it needs; nothing was asked for.
        """

    @abstractmethod
    def enter(self, connection: Connection) -> None:
        """
        Takes every lock.

        Raises:
            InTheWay: See `opened`.
        """

    @abstractmethod
    def backend(self, connection: Connection) -> int | None:
        """The pid at the other end of *connection*, to see what it waits for; None when that is not known."""

    @abstractmethod
    def seek(self) -> tuple[Holder, ...]:
        """Who is in the way now, asked on another connection."""

    def working(self, connection: Connection, work: Work[T]) -> T:
        """Does *work* under the locks."""
        return work(connection)

    def run(self, work: Work[T]) -> T:
        """
        Raises:
            LockNotAcquired: Not granted within the budgets; nothing was changed.
            DBAPIError: The server refused the work; nothing was changed.
        """

        def once() -> T:
            with self.opened() as connection, self.running.waits.statement(self.backend(connection), self.wait):
                self.enter(connection)
                return self.working(connection, work)

        return self.persevere(once)

    def persevere(self, once: Callable[[], T]) -> T:
        """
        Calls *once*, which is one whole transaction, until it comes to its end.

        Raises:
            LockNotAcquired: Not within the budgets.
            OthersTurn: Another maintainer was at work whenever we looked.
        """
        spending, name = self.running.spending, self.name
        began, attempts, pauses = time.monotonic(), 0, self.running.policy.pauses()
        next(pauses)
        try:
            while True:
                started, others_turn = time.monotonic(), None
                found: tuple[Holder, ...] = ()
                try:
                    return once()
                except InTheWay as error:
                    found, pause = error.holders, LOOK_AGAIN
                except OthersTurn as error:
                    others_turn, pause = error, LOOK_AGAIN
                except DBAPIError as error:
                    if not worth_retrying(error):
                        raise
                    attempts += 1
                    pause = next(pauses)
                self.wait.found(found, since=started)
                spending.wait(name, time.monotonic() - started)
                if spending.left(name, began) < min(pause, LOOK_AGAIN):
                    raise others_turn or self.refused(attempts)
                self.running.waiting.sleep(pause)
                spending.wait(name, pause)
        except StallSpent as error:
            raise self.refused(0, spending.stall_reason, STALLED) from error
        finally:
            self.wait.over()

    def refused(self, attempts: int, reason: str = "", advice: str = "") -> LockNotAcquired:
        """The error that names who is in the way now."""
        return LockNotAcquired(
            self.name,
            lock_timeout=self.running.policy.lock_timeout,
            attempts=attempts,
            blockers=map(str, self.blockers()[:5]),
            wanted=", ".join(map(str, self.needed[:5])),
            reason=reason,
            advice=advice,
        )

    def blockers(self) -> tuple[Holder, ...]:
        """For the error."""
        return self.seek()


@dataclass(slots=True, kw_only=True)
class StepTransaction(LockedTransaction):
    """
    A maintainer's: it looks, and takes its locks, in one transaction.

    Args:
        hurried: It leaves instead of waiting.
        strong: Of its locks, one stops readers or writers; *felt*: those of the whole table.
    """

    steps: tuple[Step, ...]
    locks: tuple[Lock, ...] | None = None
    inspect: Inspect | None = None
    seconds: float | None = None
    hurried: bool = False
    strong: bool = False
    felt: bool = False

    @property
    def name(self) -> str:
        return str(self.steps[0].table)

    @property
    def wanted(self) -> str:
        return f"locks on {self.steps[0].partition}"

    @property
    def patience(self) -> Patience:
        patience = Patience.of(self.running.policy.lock_timeout, self.running.limits.deadlock_timeout)
        return Patience(patience.strong, patience.strong) if self.hurried else patience

    @contextmanager
    def opened(self) -> Iterator[Connection]:
        _ = self.running.limits  # now: a pool of one has no second connection for the question
        # READ COMMITTED, whatever the engine's default is: every look has to see what is there now.
        with isolated(self.running.engine, "READ COMMITTED") as connection, connection.begin():
            yield connection

    def backend(self, connection: Connection) -> int | None:
        return self.running.backend(connection)

    def subjects(self) -> Mapping[QualifiedName, bool]:
        if self.locks is not None:
            return {lock.table: lock.tree for lock in self.locks}
        return subjects_of(self.actions)

    def look(self, connection: Connection) -> tuple[LockView, tuple[Lock, ...]]:
        """
        What stands around the step, and its locks.

        Raises:
            InTheWay: Somebody who holds on is; nothing was asked for.
        """
        running = self.running
        seconds = running.policy.budget if self.seconds is None else self.seconds
        settle(connection, self.patience.gentle, running.step_settings(seconds))
        around = view_locks(connection, self.subjects(), running.exclusion.condition(), self.steps[0].role)
        if not around.holds:
            running.exclusion.verify(connection)
        locks = self.locks
        if locks is None:
            # Rows that come before the locks are granted are moved under a lock that the statement takes itself.
            there = (each for each in moves_of(self.steps) if each.source in around.relatives)
            moving = rows_to_move(connection, there, self.steps[0].role)
            locks = exclusively(locks_of(self.actions, around.relatives), moving)
        way = around.in_the_way(locks)
        self.needed = tuple(dict.fromkeys(lock for lock, _ in way.values())) or locks
        self.wait.what = ", ".join(map(str, self.needed[:3])) or self.wait.what
        found = tuple(_on(holder, way[holder.key][1]) for holder in described(connection, way))
        if self.watch.lingering(found):
            raise InTheWay(found)
        return around, locks

    def enter(self, connection: Connection) -> None:
        around, locks = self.look(connection)
        if self.inspect is not None:
            self.inspect(connection, around)
        self.strong = any(not lock.mode.gentle for lock in locks)
        self.felt = any(not lock.mode.gentle and lock.place is not Place.PARTITION for lock in locks)
        if self.strong and self.hurried:
            raise NotAtOnce
        act_as(connection, self.steps[0].role)
        lockable = [lock for lock in locks if lock.table in around.lockable]
        taken = take(connection, map(Target.of, lockable), self.patience, self.running.spending)
        if taken and not self.finalizes:
            self.wait.over()

    @property
    def actions(self) -> tuple[Action, ...]:
        return tuple(chain.from_iterable(step.actions for step in self.steps))

    @property
    def finalizes(self) -> bool:
        """It may wait for transactions that hold none of its locks."""
        return any(isinstance(action, FinalizeDetach) for action in self.actions)

    def working(self, connection: Connection, work: Work[T]) -> T:
        if self.finalizes and not (self.felt and len(self.actions) > 1):
            # It waits for old snapshots, with nobody behind it.
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{round(self.patience.gentle * 1000)}ms'")
            return work(connection)
        try:
            return work(connection)
        except DBAPIError as error:
            if queued(error) and self.strong:
                self.running.spending.stall(self.patience.strong)
            raise

    def seek(self) -> tuple[Holder, ...]:
        """Who may have locked a row that the step needs."""
        tables = [name.quoted for name in (self.subjects() or subjects_of(self.actions))]
        with self.opened() as connection:
            pin(connection, self.patience.strong)
            return tuple(each for each in holders(connection, tables) if each.mode != LockMode.ACCESS_SHARE.catalog)

    def blockers(self) -> tuple[Holder, ...]:
        if self.watch.last:
            return self.watch.last
        with self.opened() as connection:
            pin(connection, self.patience.strong)
            way = view_locks(connection, self.subjects()).in_the_way(self.needed)
            return tuple(_on(holder, way[holder.key][1]) for holder in described(connection, way))


_DEADLOCK = text("SELECT CAST(extract(epoch FROM CAST(current_setting('deadlock_timeout') AS interval)) AS float8)")


@dataclass(slots=True, kw_only=True)
class TableTransaction(LockedTransaction):
    """
    A conversion's: it looks in a transaction of its own, and locks its tables ACCESS EXCLUSIVE, if any.

    Args:
        table: That is converted, by its name now.
        before_exclusive: See `take`.
    """

    table: QualifiedName
    step: Step
    before_exclusive: Callable[[Connection], None] | None = None

    @property
    def name(self) -> str:
        return str(self.table)

    @property
    def tables(self) -> tuple[str, ...]:
        """Quoted names: locked by the step, or the one that it is about."""
        return self.step.locked or (self.table.quoted,)

    @property
    def wanted(self) -> str:
        if self.step.locked:
            return f"ACCESS EXCLUSIVE on {', '.join(self.tables[:3])}"
        return f"locks of the step {self.step.id}"

    @contextmanager
    def opened(self) -> Iterator[Connection]:
        """
        Raises:
            InTheWay: See `LockedTransaction.opened`.
        """
        if (self.step.locked or self.step.guarded) and self.watch.lingering(found := self.seek()):
            raise InTheWay(found)
        with self.running.engine.begin() as connection:
            yield connection

    def backend(self, connection: Connection) -> int:
        """Also behind a pooler."""
        return backend_of(connection)

    def enter(self, connection: Connection) -> None:
        """Settings of this transaction alone, then every lock, before anything else."""
        policy = self.running.policy
        pin(connection, policy.lock_timeout)
        patience = Patience.of(policy.lock_timeout, connection.execute(_DEADLOCK).scalar_one())
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{round(patience.gentle * 1000)}ms'")
        limit_idling(connection, policy.step_lease)
        notice_dead_clients(connection)
        if self.step.guarded:
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{FROZEN}'")
        whole = tuple(Target(name, LockMode.ACCESS_EXCLUSIVE) for name in self.step.locked)
        if take(connection, whole, patience, self.running.spending, self.before_exclusive if whole else None):
            self.wait.over()
        if self.step.scans and not self.step.locked and not self.step.guarded:
            # Its locks stop no reader and no writer, so it may wait for them.
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{round(patience.gentle * 1000)}ms'")

    def seek(self) -> tuple[Holder, ...]:
        """In a transaction of its own, which leaves no lock behind."""
        with self.running.engine.begin() as connection:
            pin(connection, self.running.policy.lock_timeout)
            # Without a list of its own, a step may lock the tables that the table refers to.
            names = [each.removeprefix("ONLY ") for each in self.tables]
            return holders(connection, names, related=not self.step.locked)


def backend_of(connection: Connection) -> int:
    """The pid at the other end of *connection* during its transaction, also behind a pooler."""
    pid: int = connection.exec_driver_sql("SELECT pg_catalog.pg_backend_pid()").scalar_one()
    return pid


def _on(holder: Holder, held: HeldLock) -> Holder:
    """*holder* with the lock that is in the way, of all that it holds."""
    return replace(holder, mode=held.mode.catalog, table=str(held.table))
