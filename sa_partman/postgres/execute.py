"""Runs steps: each in a transaction of its own, again while a lock is refused, and read back before it commits."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from sa_partman.bounds.text import describe, parse_bound
from sa_partman.ddl.render import render
from sa_partman.errors import ExecutionError, LockNotAcquired, NameTaken, VerificationFailed
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import Action, AttachPartition, CreatePartition, DetachPartition
from sa_partman.plan.steps import Step
from sa_partman.postgres.perform import worker_of
from sa_partman.postgres.queries import BOUNDS, HOLDERS, NAME_HELD_BY
from sa_partman.postgres.running import Running
from sa_partman.postgres.session import pin
from sa_partman.postgres.sqlstate import first_line, overtaken, worth_retrying


class Overtaken(ExecutionError):
    """Somebody else changed the catalog since it was read; nothing was changed by us. Plan again."""


@dataclass(frozen=True, slots=True)
class Attempted:
    """
    How a step went.

    Args:
        seconds: In all, pauses included.
        rows: That it moved, deleted or archived, when that says something.
    """

    seconds: float
    attempts: int
    rows: int | None = None


def execute_step(running: Running, step: Step) -> Attempted:
    """
    Raises:
        ExclusionLost: We are not the only maintainer any more; nothing was changed.
        LockNotAcquired: Not granted within the budgets; nothing was changed.
        Overtaken: A name or bound was taken meanwhile; nothing was changed.
        ExecutionError: The server refused the step for another reason; nothing was changed.
    """
    engine, policy = running.engine, running.policy
    began = time.monotonic()
    worker = worker_of(step)
    if worker is not None:
        rows = worker(running, step, step.actions[0])
        return Attempted(time.monotonic() - began, 1, rows)
    attempts = 0
    for pause in policy.pauses():
        if attempts and (attempts >= policy.attempts or time.monotonic() + pause - began > policy.budget):
            break
        running.waiting.sleep(pause)
        attempts += 1
        try:
            _attempt(running, step)
        except DBAPIError as error:
            if not worth_retrying(error):
                raise translated(step, error) from error
        else:
            return Attempted(time.monotonic() - began, attempts)
    raise LockNotAcquired(
        str(step.table), lock_timeout=policy.lock_timeout, attempts=attempts, blockers=_holders(engine, step)
    )


def _attempt(running: Running, step: Step) -> None:
    engine, policy = running.engine, running.policy
    if step.in_transaction:
        with engine.begin() as connection:
            pin(connection, policy.lock_timeout)
            running.exclusion.verify(connection)
            apply_actions(connection, step.actions)
        return
    # CONCURRENTLY waits for other transactions with nobody behind it, so it may wait as long as the step may take.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"SET lock_timeout = '{round(policy.budget * 1000)}ms'")
        try:
            for action in step.actions:
                for statement in render(action):
                    connection.execute(statement)
        finally:
            connection.invalidate()  # the setting must not go back into the pool


def apply_actions(connection: Connection, actions: Iterable[Action]) -> None:
    """
    Executes *actions* in the caller's pinned transaction and reads back every bound that they make.

    Raises:
        VerificationFailed: The catalog shows another bound; the caller's transaction should be rolled back.
    """
    done = tuple(actions)
    for action in done:
        for statement in render(action):
            connection.execute(statement)
    _verify(connection, done)


def _verify(connection: Connection, actions: tuple[Action, ...]) -> None:
    made = {_partition(action): action for action in actions if isinstance(action, AttachPartition | CreatePartition)}
    if not made:
        return
    parameters = {"schemas": [name.schema for name in made], "names": [name.name for name in made]}
    seen = {QualifiedName(row[0], row[1]): row[2] for row in connection.execute(BOUNDS, parameters)}
    for name, action in made.items():
        text = seen.get(name)
        found = None if text is None else parse_bound(text, action.key.types)
        if found != action.bound:
            shown = "nothing" if found is None else describe(found)
            raise VerificationFailed(
                f"{name}: {describe(action.bound)} was asked for and the catalog shows {shown}; it was rolled back"
            )


def _partition(action: AttachPartition | CreatePartition) -> QualifiedName:
    return action.partition if isinstance(action, AttachPartition) else action.name


def translated(step: Step, error: DBAPIError) -> ExecutionError:
    """Our error for the server's; the driver's own stays as its cause."""
    if overtaken(error):
        return Overtaken(f"{step.partition}: {first_line(error)}; nothing was changed")
    return ExecutionError(f"{step.partition}: {first_line(error)}; this step was rolled back")


def name_taken(connection: Connection, name: QualifiedName) -> NameTaken | None:
    """The error that says who bears *name*; None when nobody does."""
    held = connection.execute(NAME_HELD_BY, {"schema": name.schema, "name": name.name}).scalar()
    return None if held is None else NameTaken(str(name), held_by=held)


def _holders(engine: Engine, step: Step) -> list[str]:
    """Who held locks on the parent when we gave up; nobody when they have gone since."""
    parent = next(
        (action.parent for action in step.actions if isinstance(action, AttachPartition | DetachPartition)), step.table
    )
    with engine.connect() as connection:
        rows = connection.execute(HOLDERS, {"name": parent.quoted}).all()
    return [_holder(row[0], row[1], row[2], row[3]) for row in rows]


def _holder(pid: int | None, application: str, state: str, mode: str) -> str:
    who = "a prepared transaction" if pid is None else f"pid {pid}"
    named = f" ({application})" if application else ""
    return f"{who}{named} {state}".rstrip() + f" with {mode}"
