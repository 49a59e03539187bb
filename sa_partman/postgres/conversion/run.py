"""Runs the steps of a conversion: from where it stopped, each exactly once, whatever happens in between."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from shlex import quote as in_shell
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sa_partman.ddl.stored import statements_of
from sa_partman.errors import ExclusionLost, ExecutionError, MaintainerBusy, PartmanError
from sa_partman.names import QualifiedName
from sa_partman.plan.steps import Step
from sa_partman.postgres.connect import connected
from sa_partman.postgres.conversion import state
from sa_partman.postgres.conversion.concurrent_build import run_alone
from sa_partman.postgres.conversion.guard import no_scan
from sa_partman.postgres.conversion.locks import Need, attempt
from sa_partman.postgres.conversion.mark import loose_mark
from sa_partman.postgres.conversion.progress import OnProgress, watched
from sa_partman.postgres.conversion.state import Conversion
from sa_partman.postgres.locks.exclusion import Exclusion, hold_lock
from sa_partman.postgres.locks.heartbeat import beating
from sa_partman.postgres.locks.retry import LockPolicy
from sa_partman.postgres.locks.waits import Waits
from sa_partman.postgres.session import pin
from sa_partman.postgres.sqlstate import first_line

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
        _require(state.abort(connection, conversion), conversion)


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
        _require(state.stands_at(connection, conversion, index), conversion)
        if step.id == SWAP and seen != [loose_mark(connection, conversion.table)]:
            raise ExecutionError(
                f"{conversion.table}: grants or dependent views changed during the final check; the swap was not made. "
                f"Go on: sa-partman convert {in_shell(str(conversion.table))} --resume"
            )
        execute_statements(connection, step)
        _require(state.move(connection, conversion, index, index + 1), conversion)

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
        _require(state.stands_at(connection, conversion, index + 1), conversion)
        execute_statements(connection, undo)
        _require(state.move(connection, conversion, index + 1, index), conversion)

    attempt(engine, need, manner.policy, work, waits=manner.waits)


def _note(engine: Engine, conversion: Conversion, before: int, done: int, manner: Manner) -> None:
    with engine.begin() as connection:
        pin(connection, manner.policy.lock_timeout)
        manner.exclusion.verify(connection)
        _require(state.move(connection, conversion, before, done), conversion)


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
        state.fail(connection, conversion, message)


def _driver(sql: str) -> str:
    """psycopg and SQLAlchemy read % as the start of a parameter."""
    return sql.replace("%", "%%")
