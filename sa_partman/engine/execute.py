"""Runs steps: each in a transaction of its own, again while a lock is refused, and read back before it commits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import chain

from sqlalchemy import Connection

from sa_partman.compare.expired_rows import MOVED_AT_MOST
from sa_partman.ddl.render import render
from sa_partman.engine.detach import detach_concurrently, plain_instead
from sa_partman.engine.locks import LockView, crowd_of
from sa_partman.engine.running import Running
from sa_partman.engine.statements import apply_actions, send, translating
from sa_partman.engine.transaction import Inspect, at_once, in_step
from sa_partman.engine.unchanged import require_below, require_detached, require_ended, require_unchanged
from sa_partman.errors import PartmanError
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import (
    Action,
    DetachPartition,
    DropPartition,
    DropTable,
    MarkDetached,
    MoveRows,
)
from sa_partman.plan.membership import MAKING
from sa_partman.plan.steps import MOST, MOST_REMOVED, Step, pieces, room


def execute_step(running: Running, step: Step) -> tuple[int | None, str]:
    """
    Returns:
        How many rows it moved, deleted or archived, when that says something; and what was done otherwise than planned,
        and why.

    Raises:
        ExclusionLost: We are not the only maintainer any more; nothing was changed.
        LockNotAcquired: Not granted within the budgets; nothing was changed.
        Overtaken: A name or bound was taken meanwhile, or the partition is gone; nothing was changed.
        ExecutionError: The server refused the step for another reason; nothing was changed.
    """
    worker = running.worker_of(step)
    if worker is not None:
        return worker(running, step, step.actions[0]), ""
    with translating(step):
        if not step.in_transaction:
            return None, _outside(running, step)
        _transaction(running, (step,))
    return None, ""


def execute_together(running: Running, steps: tuple[Step, ...]) -> None:
    """
    *steps* of one table in one transaction: all of them, or none.

    Raises:
        ExecutionError: See `execute_step`.
    """
    with translating(steps[0]):
        _transaction(running, steps)


def execute_at_once(running: Running, steps: tuple[Step, ...]) -> None:
    """
    *steps* that make partitions of any tables, in one transaction, while nobody has to be waited for.

    Raises:
        NotAtOnce: Somebody is in the way, or a lock would stop readers or writers; nothing was changed.
        ExecutionError: See `execute_step`.
    """
    actions = tuple(action for step in steps for action in step.actions)
    with translating(steps[0]):
        at_once(running, steps, lambda connection: apply_actions(connection, actions, steps[0].role))


def _transaction(running: Running, steps: tuple[Step, ...], still: Still | None = None) -> None:
    """One transaction, or several when the server has no room for so many locks."""
    parts = tuple(pieces(steps[0].actions, MOST)) if len(steps) == 1 and still is None else ()
    if len(parts) > 1:
        for part in parts:
            _transaction(running, (replace(steps[0], actions=part),))
        return
    actions = tuple(action for step in steps for action in step.actions)

    def work(connection: Connection) -> None:
        if still is not None:
            still(connection)
        require_unchanged(connection, actions)
        require_ended(connection, actions)
        apply_actions(connection, actions, steps[0].role if steps[0].purpose in MAKING else None)

    try:
        in_step(running, steps, work, inspect=_fitting(running, actions), seconds=_seconds(actions))
    except TooMany as error:
        if len(steps) == 1:
            _remove_in_batches(running, steps[0], error)
            return
        for step in steps:
            _transaction(running, (step,))


def _seconds(actions: tuple[Action, ...]) -> float | None:
    """Whoever raises the limit has the time."""
    raised = any(isinstance(action, MoveRows) and action.limit > MOVED_AT_MOST for action in actions)
    return 0 if raised else None


def _outside(running: Running, step: Step) -> str:
    """A concurrent detach; why it was none."""
    *before, action = step.actions
    if not isinstance(action, DetachPartition):
        raise NotImplementedError(type(action))
    plain, why = plain_instead(running, step, action)
    if plain is not None:
        _transaction(running, (plain,))
        return why
    if before:
        _transaction(running, (replace(step, actions=tuple(before)),))
    detach_concurrently(running, step, action)
    return ""


class TooMany(PartmanError):
    """
    Args:
        branch: What is to go.
        below: Its partitions of all levels, the lowest first.
    """

    def __init__(self, branch: QualifiedName, below: tuple[QualifiedName, ...]) -> None:
        self.branch, self.below = branch, below
        super().__init__(branch)


def _fitting(running: Running, actions: tuple[Action, ...]) -> Inspect:
    """An inspection that raises `TooMany` for a branch whose locks do not fit."""
    dropped = [action.name for action in actions if isinstance(action, DropTable | DropPartition)]

    def inspect(connection: Connection, around: LockView) -> None:
        for name in dropped:
            below = around.relatives[name].below if name in around.relatives else ()
            if below and len(below) + 1 > room(running.limits.lock_slots, crowd_of(connection, name)[1]):
                raise TooMany(name, below)

    return inspect


Still = Callable[[Connection], None]
"""Asked under the locks: raises `Overtaken` when the branch is not the one any more that the plan saw."""


def _remove_in_batches(running: Running, step: Step, found: TooMany) -> None:
    """Does *step* in several transactions, each under the lock protocol; when it is cut off, the next run goes on."""
    detach = [action for action in step.actions if isinstance(action, DetachPartition)]
    still: Still = partial(require_unchanged, actions=step.actions)
    if detach:
        # The mark tells the next run that the table is ours to remove.
        parent = detach[0].parent
        first: tuple[Action, ...] = (*detach, MarkDetached(detach[0].partition, parent))
        _transaction(running, (replace(step, actions=first),), still)
        still = partial(require_detached, name=found.branch, parent=parent)
    for start in range(0, len(found.below), MOST_REMOVED):
        _drop(running, step, found.branch, found.below[start : start + MOST_REMOVED], still)
    rest = tuple(action for action in step.actions if action not in detach)
    _transaction(running, (replace(step, actions=rest),), still)


def _drop(running: Running, step: Step, branch: QualifiedName, leaves: tuple[QualifiedName, ...], still: Still) -> None:
    part = replace(step, actions=tuple(DropTable(name) for name in leaves))

    def work(connection: Connection) -> None:
        # Under the lock of the branch, which a detach of it, or of what is below it, would need too.
        still(connection)
        require_below(connection, branch, leaves)
        send(connection, chain.from_iterable(map(render, part.actions)))

    in_step(running, part, work)
