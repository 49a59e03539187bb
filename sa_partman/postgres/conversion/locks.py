"""The locks of a conversion's steps: its tables are locked whole, under the protocol that the maintainer uses too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from sa_partman.errors import LockNotAcquired
from sa_partman.names import QualifiedName
from sa_partman.plan.locks import LockMode
from sa_partman.plan.steps import Step
from sa_partman.ports import Sleeping
from sa_partman.postgres.limits import CHECK_INTERVAL, FROZEN, notice_dead_clients
from sa_partman.postgres.locks.blockers import Holder, Watch, holders
from sa_partman.postgres.locks.persevere import (
    LOOK_AGAIN,
    InTheWay,
    NotGranted,
    Patience,
    StallSpent,
    Target,
    persevere,
    take,
)
from sa_partman.postgres.locks.retry import LockPolicy
from sa_partman.postgres.locks.spending import STALLED, Spending
from sa_partman.postgres.locks.waits import Wait, Waits
from sa_partman.postgres.session import pin

__all__ = ["CHECK_INTERVAL", "LOOK_AGAIN", "Need", "attempt", "backend", "not_acquired"]

_DEADLOCK = text("SELECT CAST(extract(epoch FROM CAST(current_setting('deadlock_timeout') AS interval)) AS float8)")


@dataclass(frozen=True, slots=True)
class Need:
    """
    What a step needs of the locks.

    Args:
        tables: Quoted names: locked by the step, or the one that it is about.
        gentle: Its locks stop no reader and no writer, so it may wait for them.
    """

    table: QualifiedName
    step: Step
    tables: tuple[str, ...]
    gentle: bool

    @classmethod
    def of(cls, table: QualifiedName, step: Step) -> Need:
        gentle = bool(step.scans) and not step.locked and not step.guarded
        return cls(table, step, step.locked or (table.quoted,), gentle)

    @property
    def looks_first(self) -> bool:
        return bool(self.step.locked) or self.step.guarded

    @property
    def wanted(self) -> str:
        """What it waits for, in words."""
        if self.step.locked:
            return f"ACCESS EXCLUSIVE on {', '.join(self.tables[:3])}"
        return f"locks of the step {self.step.id}"

    @property
    def related(self) -> bool:
        """Without a list of its own, a step may lock the tables that the table refers to."""
        return not self.step.locked


Work = Callable[[Connection], None]


def attempt(
    engine: Engine, need: Need, policy: LockPolicy, work: Work, calm: Work | None = None, waits: Waits | None = None
) -> None:
    """
    Runs *work* in a transaction that holds the locks of *need*; again, whole, while they are refused.

    Args:
        waits: Tells for whom it waits.
        calm: Work for the moment when nobody else can change the tables and everybody still reads and writes them.

    Raises:
        LockNotAcquired: Not within the budgets; nothing was changed.
    """
    spending, watch, waits = Spending(policy), Watch(), waits or Waits()
    wait = Wait(waits, str(need.table), need.wanted, lambda: _seen(engine, need, policy))

    def once() -> None:
        if need.looks_first and watch.lingering(found := _seen(engine, need, policy)):
            raise InTheWay(found)
        with engine.begin() as connection, waits.statement(backend(connection), wait):
            _enter(connection, need, spending, wait, calm)
            work(connection)

    try:
        persevere(spending, str(need.table), Sleeping(), once, wait)
    except NotGranted as error:
        raise not_acquired(engine, need, policy, error.attempts) from error
    except StallSpent as error:
        raise not_acquired(engine, need, policy, 0, spending.stall_reason, STALLED) from error


def backend(connection: Connection) -> int:
    """The pid at the other end of *connection* during its transaction, also behind a pooler."""
    pid: int = connection.exec_driver_sql("SELECT pg_catalog.pg_backend_pid()").scalar_one()
    return pid


def not_acquired(
    engine: Engine, need: Need, policy: LockPolicy, attempts: int, reason: str = "", advice: str = ""
) -> LockNotAcquired:
    """The error that names who holds the locks now."""
    with engine.connect() as connection:
        found = holders(connection, need.tables, related=need.related)
    return LockNotAcquired(
        str(need.table),
        lock_timeout=policy.lock_timeout,
        attempts=attempts,
        blockers=map(str, found[:5]),
        reason=reason,
        advice=advice,
    )


def _seen(engine: Engine, need: Need, policy: LockPolicy) -> tuple[Holder, ...]:
    """In a transaction of its own, which leaves no lock behind."""
    with engine.begin() as connection:
        pin(connection, policy.lock_timeout)
        return holders(connection, need.tables, related=need.related)


def _enter(connection: Connection, need: Need, spending: Spending, wait: Wait, calm: Work | None) -> None:
    """Settings of this transaction alone, then every lock, before anything else."""
    policy = spending.policy
    pin(connection, policy.lock_timeout)
    deadlock: float = connection.execute(_DEADLOCK).scalar_one()
    patience = Patience.of(policy.lock_timeout, deadlock)
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{round(patience.gentle * 1000)}ms'")
    frozen = f"SET LOCAL idle_in_transaction_session_timeout = '{round(policy.step_lease * 1000)}ms'"
    connection.exec_driver_sql(frozen)
    notice_dead_clients(connection)
    if need.step.guarded:
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{FROZEN}'")
    whole = tuple(Target(name, LockMode.ACCESS_EXCLUSIVE) for name in need.tables if need.step.locked)
    if take(connection, whole, patience, spending, calm if whole else None):
        wait.over()
    if need.gentle:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{round(patience.gentle * 1000)}ms'")
