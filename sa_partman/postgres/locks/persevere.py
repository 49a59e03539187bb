"""
The lock protocol: look before queueing, lock everything before changing anything, give way early, try again whole, and
never without a limit. The maintainer and the conversion share it.

Source: PostgreSQL, Explicit Locking; ``deadlock_timeout``; ``client_connection_check_interval``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sa_partman.errors import OthersTurn, PartmanError
from sa_partman.events import Holder
from sa_partman.plan.locks import LockMode
from sa_partman.ports import Waiting
from sa_partman.postgres.locks.spending import Spending
from sa_partman.postgres.locks.waits import Wait
from sa_partman.postgres.sqlstate import LOCK_NOT_AVAILABLE, sqlstate, worth_retrying

LOOK_AGAIN = 0.25
"""Seconds between two looks: who is there both times holds his locks for long."""

AT_ONCE = 0.005
"""Seconds: a request that is granted within them has not queued, it has only travelled."""


class InTheWay(PartmanError):
    """
    Leaves a transaction before anything was asked for: somebody holds on to what it needs.

    Args:
        holders: Who.
    """

    def __init__(self, holders: tuple[Holder, ...] = ()) -> None:
        self.holders = holders
        super().__init__(*map(str, holders))


class NotGranted(PartmanError):
    """
    The budget is used up; nothing was changed.

    Args:
        attempts: How often locks were asked for.
    """

    def __init__(self, attempts: int) -> None:
        self.attempts = attempts
        super().__init__(attempts)


class StallSpent(PartmanError):
    """The run has made others wait for as long as it may; nothing was asked for."""


@dataclass(frozen=True, slots=True)
class Target:
    """A relation as ``LOCK TABLE`` has it, and the mode."""

    sql: str
    mode: LockMode


@dataclass(frozen=True, slots=True)
class Patience:
    """
    How long to wait for a lock, in seconds.

    Args:
        gentle: For one that stops no reader and no writer: autovacuum, which gives way to whoever has waited for a
            ``deadlock_timeout``, is gone by then.
        strong: For any other. It ends before the server looks for a deadlock, so it is we who give way.
    """

    gentle: float
    strong: float

    @classmethod
    def of(cls, lock_timeout: float, deadlock_timeout: float) -> Patience:
        return cls(deadlock_timeout + 0.5, min(lock_timeout, deadlock_timeout / 2))


def persevere(spending: Spending, table: str, waiting: Waiting, once: Callable[[], None], wait: Wait) -> int:
    """
    Calls *once*, which is one whole transaction, until it comes to its end; the number of attempts.

    Args:
        table: Whose budget pays.
        once: Raises `InTheWay` when it left without asking for a lock.
        wait: Is told who is in the way, and that it is over in the end.

    Raises:
        NotGranted: Not within the budgets.
        OthersTurn: Another maintainer was at work whenever we looked.
    """
    began, attempts, pauses = time.monotonic(), 0, spending.policy.pauses()
    next(pauses)
    try:
        while True:
            started, others_turn = time.monotonic(), None
            holders: tuple[Holder, ...] = ()
            try:
                once()
                return attempts + 1
            except InTheWay as error:
                holders, pause = error.holders, LOOK_AGAIN
            except OthersTurn as error:
                others_turn, pause = error, LOOK_AGAIN
            except DBAPIError as error:
                if not worth_retrying(error):
                    raise
                attempts += 1
                pause = next(pauses)
            wait.found(holders, since=started)
            spending.wait(table, time.monotonic() - started)
            if spending.left(table, began) < min(pause, LOOK_AGAIN):
                raise others_turn or NotGranted(attempts)
            waiting.sleep(pause)
            spending.wait(table, pause)
    finally:
        wait.over()


def take(
    connection: Connection,
    targets: Iterable[Target],
    patience: Patience,
    spending: Spending,
    calm: Callable[[Connection], None] | None = None,
) -> bool:
    """
    Takes every lock, in order. The transaction's ``lock_timeout`` is that of gentle locks before, and afterwards that
    of strong ones, if there are any; a single gentle lock is left to the statement that needs it.

    First the mode that stops no reader and no writer, and that autovacuum gives way to; only then what everybody feels.

    Args:
        calm: Called in between: nobody else can change the tables, and everybody still reads and writes them.

    Returns:
        Whether any was taken.

    Raises:
        StallSpent: See there.
    """
    wanted = tuple(targets)
    strong = tuple(each for each in wanted if not each.mode.gentle)
    budget = spending.stall_left
    if strong and not budget:
        raise StallSpent
    if not strong and calm is None and len(wanted) == 1:
        return False
    if wanted:
        _lock(connection, wanted, LockMode.SHARE_UPDATE_EXCLUSIVE)
    if calm is not None:
        calm(connection)
    for mode, group in groupby(strong, key=lambda each: each.mode):
        _timeout(connection, min(patience.strong, max(spending.stall_left, AT_ONCE)))
        began = time.monotonic()
        try:
            _lock(connection, group, mode)
        finally:
            spent = time.monotonic() - began
            spending.stall(spent if spent > AT_ONCE else 0.0)
    _timeout(connection, patience.strong)
    return bool(wanted)


def queued(error: BaseException) -> bool:
    """Whether a statement gave up in a queue."""
    return sqlstate(error) == LOCK_NOT_AVAILABLE


def _lock(connection: Connection, targets: Iterable[Target], mode: LockMode) -> None:
    tables = ", ".join(target.sql for target in targets)
    if getattr(connection.dialect.identifier_preparer, "_double_percents", False):
        tables = tables.replace("%", "%%")
    connection.exec_driver_sql(f"LOCK TABLE {tables} IN {mode.sql} MODE")


def _timeout(connection: Connection, seconds: float) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{max(1, round(seconds * 1000))}ms'")
