"""
A step's transaction: settings of its own, the right to be the only maintainer, a look at who is there, and every lock
in order, before anything is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sa_partman.engine.budget import STALLED
from sa_partman.engine.locks import Held as Conflict
from sa_partman.engine.locks import (
    InTheWay,
    NotGranted,
    Patience,
    StallSpent,
    Surroundings,
    Target,
    exclusively,
    look_around,
    moves_of,
    persevere,
    queued,
    rows_to_move,
    take,
)
from sa_partman.engine.running import Running
from sa_partman.engine.waits import Wait, Watch, described, holders
from sa_partman.errors import LockNotAcquired, OthersTurn, PartmanError
from sa_partman.events import Holder
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import Action, FinalizeDetach
from sa_partman.plan.locks import Lock, LockMode, Place, locks_of, subjects_of
from sa_partman.plan.steps import Step
from sa_partman.postgres.connect import isolated
from sa_partman.postgres.session import act_as, pin, settle
from sa_partman.postgres.sqlstate import worth_retrying

T = TypeVar("T")
Inspect = Callable[[Connection, Surroundings], None]
"""Called with what is there, before any lock is asked for; may raise to leave it at that."""


@dataclass(frozen=True, slots=True)
class Held(Generic[T]):
    """
    Args:
        value: What the work gave.
        attempts: How often locks were asked for.
    """

    value: T
    attempts: int


def in_step(
    running: Running,
    step: Step | tuple[Step, ...],
    work: Callable[[Connection], T],
    *,
    locks: tuple[Lock, ...] | None = None,
    inspect: Inspect | None = None,
    seconds: float | None = None,
) -> Held[T]:
    """
    Runs *work* in a transaction that holds the locks of *step*; again, whole, while they are refused.

    Args:
        step: Or several ones of one table, for one transaction.
        work: It may be called several times; only the last one's changes are committed.
        locks: Instead of those that the step's actions tell.
        seconds: That one statement may take, 0: no limit; by default the budget of a step.

    Raises:
        ExclusionLost: We are not the only maintainer any more; nothing was changed.
        LockNotAcquired: Not granted within the budgets; nothing was changed.
        DBAPIError: The server refused the work; nothing was changed.
    """
    steps = step if isinstance(step, tuple) else (step,)
    undertaking = _Undertaking(running, steps, locks, inspect, seconds)
    found: list[T] = []

    def once() -> None:
        with undertaking.transaction() as connection, undertaking.looked_at(connection):
            undertaking.enter(connection)
            found[:] = [undertaking.working(connection, work)]

    attempts = undertaking.persevere(once)
    return Held(found[0], attempts)


def until_free(running: Running, step: Step, locks: tuple[Lock, ...]) -> Surroundings:
    """
    Waits until all are gone who hold a lock that conflicts with *locks*, whoever comes after them; asks for none.

    Raises:
        LockNotAcquired: Somebody stays to the end of the budget.
    """
    undertaking = _Undertaking(running, (step,), locks, None, None, Watch(anchored=True))
    found: list[Surroundings] = []

    def once() -> None:
        with undertaking.transaction() as connection:
            found[:] = [undertaking.look(connection)[0]]

    undertaking.persevere(once)
    return found[0]


class NotAtOnce(PartmanError):
    """Leaves a transaction before anything was changed: it would have to wait, or others for it."""


def at_once(running: Running, steps: tuple[Step, ...], work: Callable[[Connection], T]) -> T:
    """
    Runs *work* in a transaction that holds the locks of *steps*, if they stop no reader and no writer.

    Args:
        steps: Of several tables; one role does them all.

    Raises:
        ExclusionLost: We are not the only maintainer any more; nothing was changed.
        NotAtOnce: A lock is held by somebody, or is of another kind; nothing was changed.
        DBAPIError: The server refused the work; nothing was changed.
    """
    undertaking = _Undertaking(running, steps, None, None, None, hurried=True)
    try:
        with undertaking.transaction() as connection:
            undertaking.enter(connection)
            return work(connection)
    except (InTheWay, OthersTurn) as error:
        raise NotAtOnce from error
    except DBAPIError as error:
        if worth_retrying(error):
            raise NotAtOnce from error
        raise


@dataclass(slots=True)
class _Undertaking:
    running: Running
    steps: tuple[Step, ...]
    locks: tuple[Lock, ...] | None
    inspect: Inspect | None
    seconds: float | None
    watch: Watch = field(default_factory=Watch)
    wanted: tuple[Lock, ...] = ()
    strong: bool = False
    felt: bool = False
    hurried: bool = False
    wait: Wait = field(init=False)

    def __post_init__(self) -> None:
        self.wait = Wait(self.running.waits, self.table, f"locks on {self.steps[0].partition}", self._writers_now)

    @property
    def table(self) -> str:
        return str(self.steps[0].table)

    @property
    def patience(self) -> Patience:
        patience = Patience.of(self.running.policy.lock_timeout, self.running.limits.deadlock_timeout)
        return Patience(patience.strong, patience.strong) if self.hurried else patience

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        _ = self.running.limits  # now: a pool of one has no second connection for the question
        # READ COMMITTED, whatever the engine's default is: every look has to see what is there now.
        with isolated(self.running.engine, "READ COMMITTED") as connection, connection.begin():
            yield connection

    def looked_at(self, connection: Connection) -> AbstractContextManager[None]:
        """What a statement waits for is told during the block."""
        return self.running.waits.statement(self.running.backend(connection), self.wait)

    def subjects(self) -> Mapping[QualifiedName, bool]:
        if self.locks is not None:
            return {lock.table: lock.tree for lock in self.locks}
        return subjects_of(self.actions)

    def look(self, connection: Connection) -> tuple[Surroundings, tuple[Lock, ...]]:
        """Leaves the transaction when somebody who holds on is in the way."""
        running = self.running
        seconds = running.policy.budget if self.seconds is None else self.seconds
        settle(connection, self.patience.gentle, running.step_settings(seconds))
        around = look_around(connection, self.subjects(), running.exclusion.condition(), self.steps[0].role)
        if not around.holds:
            running.exclusion.verify(connection)
        locks = self.locks
        if locks is None:
            # Rows that come before the locks are granted are moved under a lock that the statement takes itself.
            there = (each for each in moves_of(self.steps) if each.source in around.relatives)
            moving = rows_to_move(connection, there, self.steps[0].role)
            locks = exclusively(locks_of(self.actions, around.relatives), moving)
        way = around.in_the_way(locks)
        self.wanted = tuple(dict.fromkeys(lock for lock, _ in way.values())) or locks
        self.wait.what = ", ".join(map(str, self.wanted[:3])) or self.wait.what
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
        taken = take(connection, [_target(lock) for lock in lockable], self.patience, self.running.spending)
        if taken and not self.finalizes:
            self.wait.over()

    @property
    def actions(self) -> tuple[Action, ...]:
        return tuple(chain.from_iterable(step.actions for step in self.steps))

    @property
    def finalizes(self) -> bool:
        """It may wait for transactions that hold none of its locks."""
        return any(isinstance(action, FinalizeDetach) for action in self.actions)

    def working(self, connection: Connection, work: Callable[[Connection], T]) -> T:
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

    def persevere(self, once: Callable[[], None]) -> int:
        running = self.running
        try:
            return persevere(running.spending, self.table, running.waiting, once, self.wait)
        except NotGranted as error:
            raise self._refused(error.attempts) from error
        except StallSpent as error:
            raise self._refused(0, running.spending.stall_reason, STALLED) from error

    def _refused(self, attempts: int, reason: str = "", advice: str = "") -> LockNotAcquired:
        found = self.watch.last or self._holders_now()
        return LockNotAcquired(
            self.table,
            lock_timeout=self.running.policy.lock_timeout,
            attempts=attempts,
            blockers=map(str, found[:5]),
            wanted=", ".join(map(str, self.wanted[:5])),
            reason=reason,
            advice=advice,
        )

    def _writers_now(self) -> tuple[Holder, ...]:
        """Who may have locked a row that the step needs."""
        tables = [name.quoted for name in (self.subjects() or subjects_of(self.actions))]
        with self.transaction() as connection:
            pin(connection, self.patience.strong)
            return tuple(each for each in holders(connection, tables) if each.mode != LockMode.ACCESS_SHARE.catalog)

    def _holders_now(self) -> tuple[Holder, ...]:
        with self.transaction() as connection:
            pin(connection, self.patience.strong)
            way = look_around(connection, self.subjects()).in_the_way(self.wanted)
            return tuple(_on(holder, way[holder.key][1]) for holder in described(connection, way))


def _on(holder: Holder, held: Conflict) -> Holder:
    """*holder* with the lock that is in the way, of all that it holds."""
    return replace(holder, mode=held.mode.catalog, table=str(held.table))


def _target(lock: Lock) -> Target:
    return Target(f"{'' if lock.tree else 'ONLY '}{lock.table.quoted}", lock.mode)
