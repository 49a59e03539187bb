"""
DETACH ... CONCURRENTLY: it waits for all who use the table, with nobody behind it, and can't be in a transaction.

When it is cut off after its first half, the partition is "detach pending": nobody sees its rows any more, and FINALIZE
has to end it. So it waits for long, no other timeout applies to it, and afterwards the catalog tells what it did.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import replace
from enum import Enum

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sa_partman.ddl.render import render
from sa_partman.engine.locks import queued
from sa_partman.engine.outside import apart_in_autocommit
from sa_partman.engine.running import Running
from sa_partman.engine.transaction import until_free
from sa_partman.engine.unchanged import Overtaken, require_unchanged
from sa_partman.engine.waits import Wait, holders
from sa_partman.errors import ExecutionError, LockNotAcquired, ServerUnavailable
from sa_partman.events import Holder
from sa_partman.plan.actions import DetachPartition
from sa_partman.plan.locks import Lock, LockMode, Place
from sa_partman.plan.steps import Step
from sa_partman.postgres.session import act_as, connected, isolated, pin
from sa_partman.postgres.sqlstate import UNDEFINED_TABLE, WRONG_OBJECT_TYPE, first_line, sqlstate

_ANOTHER = text("""
SELECT EXISTS (SELECT FROM pg_catalog.pg_inherits i
JOIN pg_catalog.pg_class p ON p.oid = i.inhparent JOIN pg_catalog.pg_namespace m ON m.oid = p.relnamespace
JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
WHERE i.inhdetachpending AND m.nspname = :schema AND p.relname = :parent AND c.relname <> :name)
""")

_PENDING = text("""
SELECT i.inhdetachpending FROM pg_catalog.pg_inherits i
JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = :schema AND c.relname = :name
""")

NO_DEFAULT = "detached without CONCURRENTLY, because the table has a default partition"
ANOTHER = "detached without CONCURRENTLY, because the concurrent detach of another partition is not finished"
POOLED = "detached without CONCURRENTLY, because its settings can't be given through a pooler"


def plain_instead(running: Running, step: Step, action: DetachPartition) -> tuple[Step | None, str]:
    """
    The step without CONCURRENTLY and the reason, where that is impossible; else None, as soon as nobody is in the way.

    Raises:
        LockNotAcquired: Somebody was to the end of the budget; nothing was changed.
    """
    others = tuple(each for each in step.actions if each is not action)
    plain = replace(step, actions=(replace(action, concurrently=False), *others))
    if running.exclusion.pooled:
        return plain, POOLED
    # It would wait for whoever has used the parent at all.
    lock = Lock(action.parent, LockMode.ACCESS_EXCLUSIVE, Place.PARENT)
    around = until_free(running, step, (lock,))
    relatives = around.relatives.get(action.parent)
    if relatives is not None and relatives.default is not None:
        return plain, NO_DEFAULT
    return (plain, ANOTHER) if _another_pends(running, action) else (None, "")


def detach_concurrently(running: Running, step: Step, action: DetachPartition) -> None:
    """
    Raises:
        LockNotAcquired: It was cut off by its deadline; the message says what it had done.
        Overtaken: Somebody has detached or renamed it since the plan was made; nothing was changed.
        ExecutionError: It failed; the message says what it had done.
    """
    began, wanted = time.monotonic(), f"ALTER TABLE {action.parent} DETACH PARTITION {action.partition} CONCURRENTLY"
    with connected(running.engine) as connection:
        pin(connection, running.policy.lock_timeout)
        require_unchanged(connection, (action,))
    wait = Wait(running.waits, str(step.table), wanted, lambda: _users(running, action))
    try:
        with _alone(running) as connection, running.waits.statement(running.backend(connection), wait):
            running.exclusion.verify(connection)
            act_as(connection, step.role, local=False)  # the connection is not given back
            for statement in render(action):
                connection.execute(statement)
    except DBAPIError as error:
        end = _end(running, action)
        if end is End.DONE:
            if sqlstate(error) in (UNDEFINED_TABLE, WRONG_OBJECT_TYPE):
                raise Overtaken(f"{action.partition} is not a partition of {action.parent} any more") from error
            return  # only then the connection failed
        if end is End.NOTHING and queued(error):
            raise LockNotAcquired(
                str(step.table),
                lock_timeout=time.monotonic() - began,
                attempts=1,
                blockers=map(str, wait.holders[:5]),
                wanted=wanted,
            ) from error
        raise ExecutionError(f"{step.partition}: {first_line(error)}; {_said(action, end)}") from error
    finally:
        wait.over()


class End(Enum):
    """What a detach that failed has done."""

    NOTHING = "nothing"
    PENDING = "pending"
    DONE = "done"
    UNKNOWN = "unknown"


def _said(action: DetachPartition, end: End) -> str:
    if end is End.NOTHING:
        return "it is attached as before"
    if end is End.UNKNOWN:
        return "and what it had done can't be read; the next run looks, and ends what is half done"
    return (
        f"it is half detached: queries on {action.parent} don't see its rows any more. The next run ends it, or: "
        f"ALTER TABLE {action.parent.quoted} DETACH PARTITION {action.partition.quoted} FINALIZE"
    )


def _alone(running: Running) -> AbstractContextManager[Connection]:
    """A connection outside any transaction, which holds nothing else and goes back as it came, or not at all."""
    engine, seconds = running.engine, max(1.0, running.policy.budget)
    settings = {
        **running.step_settings(0),
        "lock_timeout": f"{round(seconds * 1000)}ms",
        "idle_in_transaction_session_timeout": "0",
        # Stopped right before its statement, a process must not send it long after others have taken over.
        "idle_session_timeout": f"{round(running.policy.step_lease * 1000)}ms",
    }
    wanted = ", ".join(f"pg_catalog.set_config('{name}', :{name}, false)" for name in settings)
    given = text(f"SELECT {wanted}").bindparams(**settings)
    return apart_in_autocommit(isolated(engine, "AUTOCOMMIT"), (given,))


def _users(running: Running, action: DetachPartition) -> tuple[Holder, ...]:
    with connected(running.engine) as connection:
        pin(connection, running.policy.lock_timeout)
        return holders(connection, (action.parent.quoted,))


def _another_pends(running: Running, action: DetachPartition) -> bool:
    """Then CONCURRENTLY is refused (55000) until that one is finalized."""
    wanted = {"schema": action.parent.schema, "parent": action.parent.name, "name": action.partition.name}
    with connected(running.engine) as connection:
        pin(connection, running.policy.lock_timeout)
        return bool(connection.execute(_ANOTHER, wanted).scalar_one())


def _end(running: Running, action: DetachPartition) -> End:
    wanted = {"schema": action.partition.schema, "name": action.partition.name}
    try:
        with connected(running.engine) as connection:
            pin(connection, running.policy.lock_timeout)
            pending = connection.execute(_PENDING, wanted).scalar_one_or_none()
    except (SQLAlchemyError, ServerUnavailable):
        return End.UNKNOWN
    return End.DONE if pending is None else End.PENDING if pending else End.NOTHING
