"""Runs the steps of a conversion: from where it stopped, each exactly once, whatever happens in between."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from sa_partman.errors import ExecutionError, LockNotAcquired, MaintainerBusy
from sa_partman.names import QualifiedName
from sa_partman.plan.conversion.steps import ConversionStep
from sa_partman.postgres import conversion_state as state
from sa_partman.postgres.connect import connected
from sa_partman.postgres.conversion_state import Conversion
from sa_partman.postgres.exclusion import hold_lock
from sa_partman.postgres.guard import no_scan
from sa_partman.postgres.queries import HOLDERS
from sa_partman.postgres.retry import LockPolicy
from sa_partman.postgres.session import pin
from sa_partman.postgres.sqlstate import first_line, worth_retrying

Recheck = Callable[[Connection], None]
"""Called under the locks of the cut-over; raises when the table is not what it was when the plan was made."""

LOCK_CLASS = int.from_bytes(b"sapc")

_INDEX = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
_DEADLOCK = text("SELECT CAST(extract(epoch FROM CAST(current_setting('deadlock_timeout') AS interval)) AS float8)")


@contextmanager
def only_converter(engine: Engine, table: QualifiedName) -> Iterator[None]:
    """
    One converter of a table at a time; see `only_maintainer` for why the connection is its own.

    Raises:
        MaintainerBusy: Another one is at work.
    """
    with connected(engine) as connection:
        if not hold_lock(connection, f"{LOCK_CLASS}, {zlib.crc32(table.quoted.encode()) & 0x7FFFFFFF}"):
            raise MaintainerBusy(f"another process converts {table}; nothing was changed, try later")
        yield


def run_steps(
    engine: Engine,
    conversion: Conversion,
    policy: LockPolicy,
    recheck: Recheck,
    report: Callable[[ConversionStep, float], None] = lambda step, seconds: None,
) -> None:
    """
    Runs what is left of *conversion*.

    Args:
        recheck: See `Recheck`.
        report: Called after each step with the seconds that it took.

    Raises:
        ExecutionError: A step failed; those before it stay, and `--resume` goes on with it.
        LockNotAcquired: A lock was not granted within the budget.
    """
    for index in range(conversion.done, len(conversion.steps)):
        step = conversion.steps[index]
        began = time.monotonic()
        try:
            _run(engine, conversion, index, policy, recheck)
        except (DBAPIError, ExecutionError) as error:
            message = first_line(error) if isinstance(error, DBAPIError) else str(error)
            with engine.begin() as connection:
                state.fail(connection, conversion, message)
            if isinstance(error, ExecutionError):
                raise
            raise ExecutionError(
                f"{conversion.table}: step {step.id!r} failed: {message}; the steps before it stay, and nothing of it "
                f"was changed. Go on with --resume, or take everything back with --abort."
            ) from error
        report(step, time.monotonic() - began)


def _run(engine: Engine, conversion: Conversion, index: int, policy: LockPolicy, recheck: Recheck) -> None:
    step = conversion.steps[index]
    if not step.transaction:
        _run_alone(engine, step, policy)
        with engine.begin() as connection:
            pin(connection, policy.lock_timeout)
            _advanced(connection, conversion, index + 1)
        return
    _run_in_transaction(engine, conversion.table, step, policy, conversion, index, recheck)


def _run_in_transaction(
    engine: Engine,
    table: QualifiedName,
    step: ConversionStep,
    policy: LockPolicy,
    conversion: Conversion | None = None,
    index: int = 0,
    recheck: Recheck | None = None,
) -> None:
    began = time.monotonic()
    for attempts, pause in enumerate(policy.pauses()):
        if attempts and time.monotonic() + pause - began > policy.budget:
            raise LockNotAcquired(
                str(table), lock_timeout=policy.lock_timeout, attempts=attempts, blockers=_holders(engine, table)
            )
        time.sleep(pause)
        try:
            with engine.begin() as connection:
                _bounded(connection, policy)
                if step.locked:
                    connection.exec_driver_sql(f"LOCK TABLE {_driver(', '.join(step.locked))} IN ACCESS EXCLUSIVE MODE")
                if recheck is not None and step.id == "cutover":
                    recheck(connection)
                execute_statements(connection, step)
                if conversion is not None:
                    _advanced(connection, conversion, index + 1)
            return
        except DBAPIError as error:
            if not worth_retrying(error):
                raise


def execute_statements(connection: Connection, step: ConversionStep) -> None:
    """The statements of *step*, in the caller's pinned transaction, under the no-scan guard where it asks for it."""
    with no_scan(connection) if step.guarded else nullcontext():
        for statement in step.statements:
            connection.exec_driver_sql(_driver(statement))


def _bounded(connection: Connection, policy: LockPolicy) -> None:
    """A client that freezes or dies inside the critical section must not keep its locks."""
    pin(connection, policy.lock_timeout)
    deadlock: float = connection.execute(_DEADLOCK).scalar_one()
    timeout = round(min(policy.lock_timeout, deadlock / 2) * 1000)
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{timeout}ms'")
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = '10s'")
    connection.exec_driver_sql("SET LOCAL client_connection_check_interval = '1s'")


def _run_alone(engine: Engine, step: ConversionStep, policy: LockPolicy) -> None:
    """CONCURRENTLY: no transaction, a long timeout, and what an interrupted build left is removed first."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        try:
            connection.exec_driver_sql("SET search_path = pg_catalog")
            connection.exec_driver_sql("SET statement_timeout = 0")
            # Its waits for older transactions are lock waits, with nobody behind them.
            connection.exec_driver_sql(f"SET lock_timeout = '{round(policy.budget * 1000)}ms'")
            connection.exec_driver_sql("SET client_connection_check_interval = '1s'")
            valid = None if step.builds is None else connection.execute(_INDEX, {"name": step.builds}).scalar()
            if valid:
                return
            if valid is not None:
                connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY {_driver(str(step.builds))}")
            for statement in step.statements:
                connection.exec_driver_sql(_driver(statement))
        finally:
            connection.invalidate()  # the settings must not go back into the pool


def take_back(engine: Engine, conversion: Conversion, policy: LockPolicy) -> None:
    """
    Undoes the steps of an unfinished conversion, the last one first; the one that was interrupted too.

    Raises:
        LockNotAcquired: Not all was taken back; do it again.
    """
    for step in reversed(conversion.steps[: conversion.done + 1]):
        undo = ConversionStep(step.id, step.title, step.undo, transaction=step.transaction, locked=step.locked)
        if not undo.statements:
            continue
        if undo.transaction:
            _run_in_transaction(engine, conversion.table, undo, policy)
        else:
            _run_alone(engine, undo, policy)
    with engine.begin() as connection:
        state.finish(connection, conversion, "aborted")


def _advanced(connection: Connection, conversion: Conversion, done: int) -> None:
    if not state.advance(connection, conversion, done):
        raise ExecutionError(f"{conversion.table}: another process has moved this conversion on; this step was undone")


def _holders(engine: Engine, table: QualifiedName) -> list[str]:
    with engine.connect() as connection:
        rows = connection.execute(HOLDERS, {"name": table.quoted}).all()
    return [f"pid {row[0]} {row[1]} {row[2]} with {row[3]}" for row in rows]


def _driver(sql: str) -> str:
    """psycopg and SQLAlchemy read % as the start of a parameter."""
    return sql.replace("%", "%%")
