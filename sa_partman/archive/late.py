"""Strong locks at the end of a long transaction: for an instant, and without doing the long part again."""

from __future__ import annotations

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sa_partman.ddl.render import render
from sa_partman.engine.locks import Patience, Target, look_around, queued, take
from sa_partman.engine.running import Running
from sa_partman.engine.waits import Wait, described
from sa_partman.errors import LockNotAcquired
from sa_partman.events import Holder
from sa_partman.plan.actions import Action
from sa_partman.plan.locks import Lock, locks_of, subjects_of


def late(running: Running, connection: Connection, table: str, actions: tuple[Action, ...]) -> None:
    """
    Executes *actions* in a savepoint that first takes every lock that they need; again, while these are refused.

    Raises:
        LockNotAcquired: Not within the stall that the policy allows; the caller's transaction should be rolled back.
    """
    patience = Patience.of(running.policy.lock_timeout, running.limits.deadlock_timeout)
    attempts, wait = 0, Wait(running.waits, table, "locks for an instant")
    try:
        for pause in running.policy.pauses():
            if attempts >= running.policy.attempts:
                break
            running.waiting.sleep(pause)
            attempts += 1
            holders: tuple[Holder, ...] = ()
            try:
                with connection.begin_nested():
                    around = look_around(connection, subjects_of(actions))
                    locks = [lock for lock in locks_of(actions, around.relatives) if lock.table in around.lockable]
                    wait.what = ", ".join(map(str, locks[:3])) or wait.what
                    holders = described(connection, around.in_the_way(locks))
                    take(connection, map(_target, locks), patience, running.spending)
                    for action in actions:
                        for statement in render(action):
                            connection.execute(statement)
                return
            except DBAPIError as error:
                if not queued(error):
                    raise
                wait.found(holders)
    finally:
        wait.over()
    raise LockNotAcquired(table, lock_timeout=running.policy.lock_timeout, attempts=attempts)


def _target(lock: Lock) -> Target:
    return Target(f"{'' if lock.tree else 'ONLY '}{lock.table.quoted}", lock.mode)
