"""Runs the steps of a conversion: from where it stopped, each exactly once, whatever happens in between."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from shlex import quote as in_shell
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sa_partman.ddl.stored import statements_of
from sa_partman.engine.background import beating
from sa_partman.engine.budget import STALLED, LockPolicy, Spending
from sa_partman.engine.exclusion import Exclusion, hold_lock
from sa_partman.engine.guard import no_scan
from sa_partman.engine.locks import LOOK_AGAIN, InTheWay, NotGranted, Patience, StallSpent, Target, persevere, take
from sa_partman.engine.progress import OnProgress, watched
from sa_partman.engine.running import CHECK_INTERVAL, FROZEN, notice_dead_clients
from sa_partman.engine.waits import Wait, Waits, Watch, holders, lingering
from sa_partman.errors import ExclusionLost, ExecutionError, LockNotAcquired, MaintainerBusy, PartmanError
from sa_partman.events import Holder
from sa_partman.names import QualifiedName
from sa_partman.plan.locks import LockMode
from sa_partman.plan.steps import Step
from sa_partman.ports import Sleeping
from sa_partman.postgres import journal
from sa_partman.postgres.connect import connected
from sa_partman.postgres.conversion.mark import loose_mark
from sa_partman.postgres.journal import Conversion
from sa_partman.postgres.session import pin, timeouts
from sa_partman.postgres.sqlstate import LOCK_NOT_AVAILABLE, first_line, sqlstate

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


PATIENCE = 60
"""What was built for an hour is not thrown away for one long report: such waits last this many times the budget."""

_VALID = text("SELECT indisvalid FROM pg_catalog.pg_index WHERE indexrelid = pg_catalog.to_regclass(:name)")
_BUILDER = text("""
SELECT pid FROM pg_catalog.pg_stat_progress_create_index
WHERE index_relid = CAST(pg_catalog.to_regclass(:name) AS oid) AND datname = pg_catalog.current_database()
""")
_SETTINGS = ("SET search_path = pg_catalog", "SET row_security = off")


def run_alone(engine: Engine, need: Need, policy: LockPolicy, waits: Waits, verify: Work) -> None:
    """
    Runs the statements of a step outside any transaction. One whose index stands already is done.

    Args:
        waits: Tells for whom it waits.
        verify: Called right before each statement that changes something; raises when that must not be.

    Raises:
        LockNotAcquired: Long transactions hold the table, or those that the build waits for did not end.
    """
    # READ COMMITTED comes with it: no snapshot outlives its statement.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        wait = Wait(waits, str(need.table), "transactions that have written to it")
        try:
            _settle(connection, policy)
            _wait_for_writers(engine, connection, need, policy, wait)
            wait.what = f"the end of older transactions, to {need.step.title}"
            with waits.statement(backend(connection), wait):
                if _stands(connection, need, policy, wait, verify):
                    return
                for statement in statements_of(need.step.actions):
                    verify(connection)
                    connection.exec_driver_sql(statement.replace("%", "%%"))
        except DBAPIError as error:
            if sqlstate(error) == LOCK_NOT_AVAILABLE:
                raise not_acquired(engine, need, policy, 1) from error
            raise
        finally:
            wait.over()
            connection.invalidate()  # the settings must not go back into the pool


def _settle(connection: Connection, policy: LockPolicy) -> None:
    for name in timeouts(connection):
        connection.exec_driver_sql(f"SET {name} = 0")
    for setting in _SETTINGS:
        connection.exec_driver_sql(setting)
    # Stopped right before its statement, a process must not send it long after others have taken over.
    connection.exec_driver_sql(f"SET idle_session_timeout = '{round(policy.step_lease * 1000)}ms'")
    connection.exec_driver_sql(f"SET lock_timeout = '{round(PATIENCE * policy.budget * 1000)}ms'")
    try:
        connection.exec_driver_sql(f"SET client_connection_check_interval = '{CHECK_INTERVAL}'")
    except DBAPIError as error:  # the server's platform can't; or the server is gone, which is another matter
        if error.connection_invalidated:
            raise


def _wait_for_writers(engine: Engine, connection: Connection, need: Need, policy: LockPolicy, wait: Wait) -> None:
    """A build waits for every transaction that has written; one that does not end is better named before the work."""
    deadline = time.monotonic() + policy.budget
    before = holders(connection, (need.table.quoted,), writers=True)
    while before:
        wait.found(before)
        time.sleep(min(LOOK_AGAIN, policy.longest_pause))
        after = holders(connection, (need.table.quoted,), writers=True)
        if not lingering(before, after):
            break
        if time.monotonic() > deadline:
            raise not_acquired(engine, need, policy, 0)
        before = after
    wait.over()


def _stands(connection: Connection, need: Need, policy: LockPolicy, wait: Wait, verify: Work) -> bool:
    """Whether the step's index is there and valid; an invalid one is dropped, once nobody builds it any more."""
    if need.step.builds is None:
        return False
    name = {"name": need.step.builds}
    deadline = time.monotonic() + PATIENCE * policy.budget
    while (builder := connection.execute(_BUILDER, name).scalar()) and time.monotonic() < deadline:
        # A process that was killed: the server notices, or finishes for us.
        wait.found((Holder(builder, "", "", "active", "", "client backend", None, None),))
        time.sleep(LOOK_AGAIN)
    wait.over()
    valid = connection.execute(_VALID, name).scalar()
    if valid is False:
        verify(connection)
        connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY {need.step.builds.replace('%', '%%')}")
    return bool(valid)


Recheck = Callable[[Connection], None]
"""Called while nobody can change the table, before the swap; raises when it is not what it was at the plan."""

Report = Callable[[Step, float], None]
"""Called after each step, with the seconds that it took."""

LOCK_CLASS = int.from_bytes(b"sapc")

SWAP = "cutover"
"""The id of the step that a changed table must not reach."""


class Vetoed(PartmanError):
    """A step must not be done, say those who were asked; the conversion stops before it."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C: the running statement was cancelled, and the stored state is true. Its text says how to go on."""


@dataclass(frozen=True, slots=True)
class Manner:
    """
    How to run steps.

    Args:
        recheck: See `Recheck`.
        report: See `Report`.
        progress: See `OnProgress`; None asks the server nothing.
        exclusion: The right to be the only converter of the table, to be verified before each change.
        waits: Tells what steps wait for.
        ask: Called before each step; raises `Vetoed`, or an error, to stop before it.
        around: Each step is done in such a block, whatever becomes of it.
    """

    policy: LockPolicy
    exclusion: Exclusion
    recheck: Recheck = lambda connection: None
    report: Report = lambda step, seconds: None
    progress: OnProgress | None = None
    waits: Waits = field(default_factory=Waits)
    ask: Callable[[Step], None] = lambda step: None
    around: Callable[[Step], AbstractContextManager[None]] = lambda step: nullcontext()


def dependable(engine: Engine) -> Engine:
    """
    *engine* with transactions as steps need them, whatever its own isolation level is.

    AUTOCOMMIT would tear a step from its state; REPEATABLE READ would recheck the table in a snapshot from before the
    lock, and keep concurrent builds waiting.
    """
    return engine.execution_options(isolation_level="READ COMMITTED")


@contextmanager
def only_converter(engine: Engine, table: QualifiedName, lease: float) -> Iterator[Exclusion]:
    """
    One converter of a table at a time; see `only_maintainer` for why the connection is its own.

    Args:
        lease: See `LockPolicy`.

    Raises:
        MaintainerBusy: Another one is at work.
    """
    holding = ExitStack()
    connection = holding.enter_context(connected(engine))
    try:
        pin(connection, 1.0)  # a conversion takes longer than a role's transactions may last, or be idle
        key = LOCK_CLASS, zlib.crc32(table.quoted.encode()) & 0x7FFFFFFF
        exclusion = hold_lock(connection, key, f"the only converter of {table}", LockPolicy(lease=lease))
        if exclusion is None:
            raise MaintainerBusy(f"another process converts {table}; nothing was changed, try later")
        alive = f"SET LOCAL idle_in_transaction_session_timeout = '{round(lease * 1000)}ms'"
        connection.exec_driver_sql(alive)
        with beating(connection, alive, lease):
            yield exclusion
    finally:
        with suppress(SQLAlchemyError):  # when the server is gone, so is the lock
            holding.close()


def run_steps(engine: Engine, conversion: Conversion, manner: Manner) -> None:
    """
    Runs what is left of *conversion*.

    Raises:
        ExecutionError: A step failed; those before it stay, and `--resume` goes on with it.
        LockNotAcquired: A lock was not granted within the budget.
        Interrupted: By Ctrl-C.
    """
    for index in range(conversion.done, len(conversion.steps)):
        step = conversion.steps[index]
        began = time.monotonic()
        stand = replace(conversion, done=index)
        with manner.around(step), _told(engine, stand, f"step {step.id!r}"):
            manner.ask(step)
            with watched(engine, conversion.table, step, manner.progress):
                _forward(engine, conversion, index, manner)
        manner.report(step, time.monotonic() - began)


def take_back(engine: Engine, conversion: Conversion, manner: Manner) -> None:
    """
    Undoes the steps of an unfinished conversion, the last one first; what an interrupted build left, too.

    Raises:
        ExecutionError: Not all was taken back; do it again, or resume.
        LockNotAcquired: The same, because of a lock.
        Interrupted: By Ctrl-C.
    """
    for index in range(min(conversion.done, len(conversion.steps) - 1), -1, -1):
        step, done = conversion.steps[index], index < conversion.done
        if not done and step.in_transaction:
            continue  # it has left nothing, and what bears its names is somebody else's
        began = time.monotonic()
        stand = replace(conversion, done=index)
        with manner.around(step), _told(engine, stand, f"taking back the step {step.id!r}"):
            manner.ask(step)
            _backward(engine, conversion, index, done, manner)
        manner.report(step, time.monotonic() - began)
    with engine.begin() as connection:
        pin(connection, manner.policy.lock_timeout)
        manner.exclusion.verify(connection)
        _require(journal.abort(connection, conversion), conversion)


def execute_statements(connection: Connection, step: Step) -> None:
    """The statements of *step*, in the caller's pinned transaction, under the no-scan guard where it asks for it."""
    with no_scan(connection) if step.guarded else nullcontext():
        for statement in statements_of(step.actions):
            connection.exec_driver_sql(_driver(statement))


def _forward(engine: Engine, conversion: Conversion, index: int, manner: Manner) -> None:
    step = conversion.steps[index]
    need = Need.of(conversion.table, step)
    if not step.in_transaction:
        run_alone(engine, need, manner.policy, manner.waits, manner.exclusion.verify)
        _note(engine, conversion, index, index + 1, manner)
        return
    seen: list[Any] = []

    def calm(connection: Connection) -> None:
        if step.id == SWAP:
            seen[:] = [loose_mark(connection, conversion.table)]
            manner.recheck(connection)

    def work(connection: Connection) -> None:
        manner.exclusion.verify(connection)
        _require(journal.stands_at(connection, conversion, index), conversion)
        if step.id == SWAP and seen != [loose_mark(connection, conversion.table)]:
            raise ExecutionError(
                f"{conversion.table}: grants or dependent views changed during the final check; the swap was not made. "
                f"Go on: sa-partman convert {in_shell(str(conversion.table))} --resume"
            )
        execute_statements(connection, step)
        _require(journal.move(connection, conversion, index, index + 1), conversion)

    attempt(engine, need, manner.policy, work, calm, manner.waits)


def _backward(engine: Engine, conversion: Conversion, index: int, done: bool, manner: Manner) -> None:
    step = conversion.steps[index]
    undo = replace(step, actions=step.undo, scans="", builds=None, guarded=False)
    need = Need.of(conversion.table, undo)
    if not step.in_transaction:
        if done:  # first: whoever resumes in between looks at what is there, and builds what is not
            _note(engine, conversion, index + 1, index, manner)
        if undo.actions:
            run_alone(engine, need, manner.policy, manner.waits, manner.exclusion.verify)
        return

    def work(connection: Connection) -> None:
        manner.exclusion.verify(connection)
        _require(journal.stands_at(connection, conversion, index + 1), conversion)
        execute_statements(connection, undo)
        _require(journal.move(connection, conversion, index + 1, index), conversion)

    attempt(engine, need, manner.policy, work, waits=manner.waits)


def _note(engine: Engine, conversion: Conversion, before: int, done: int, manner: Manner) -> None:
    with engine.begin() as connection:
        pin(connection, manner.policy.lock_timeout)
        manner.exclusion.verify(connection)
        _require(journal.move(connection, conversion, before, done), conversion)


def _require(moved: bool, conversion: Conversion) -> None:
    if not moved:
        raise ExclusionLost(
            f"{conversion.table}: another process has worked on this conversion meanwhile; this step was rolled back. "
            f"How far it is: sa-partman convert {in_shell(str(conversion.table))} --state; go on with --resume, or "
            f"take it back with --abort."
        )


@contextmanager
def _told(engine: Engine, conversion: Conversion, what: str) -> Iterator[None]:
    """Every way to stop ends in a message that says where the conversion stands and how to go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        message = f"{conversion.table}: interrupted in {what}; {_how(conversion)}"
        _remember(engine, conversion, "interrupted")
        raise Interrupted(message) from error
    except DBAPIError as error:
        message = first_line(error)
        _remember(engine, conversion, message)
        lost = " (if its commit was under way, the stored state tells)" if error.connection_invalidated else ""
        raise ExecutionError(f"{conversion.table}: {what} failed: {message}{lost}; {_how(conversion)}") from error
    except ExclusionLost:
        raise  # what is stored is another's by now
    except (ExecutionError, Vetoed) as error:
        _remember(engine, conversion, str(error))
        raise


def _how(conversion: Conversion) -> str:
    promise = next((step for step in conversion.steps[: conversion.done] if step.id == "check"), None)
    refused = "" if promise is None or conversion.cut_over else f" Until then it holds: {promise.title}."
    back = "" if conversion.cut_over else ", or take everything back with --abort"
    return f"the steps before it stay. Go on with --resume{back}.{refused}"


def _remember(engine: Engine, conversion: Conversion, message: str) -> None:
    """The server may be gone: what stopped us is more important than that it can't be written down."""
    with suppress(SQLAlchemyError), engine.begin() as connection:
        pin(connection, 1.0)
        journal.fail(connection, conversion, message)


def _driver(sql: str) -> str:
    """psycopg and SQLAlchemy read % as the start of a parameter."""
    return sql.replace("%", "%%")
