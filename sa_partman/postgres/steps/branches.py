"""Removing a branch with so many partitions that one transaction could not lock them all: its leaves go first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

from sqlalchemy import Connection

from sa_partman.ddl.render import render
from sa_partman.errors import PartmanError
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import Action, DetachPartition, DropPartition, DropTable, MarkDetached
from sa_partman.plan.batches import MOST_REMOVED, room
from sa_partman.plan.steps import Step
from sa_partman.postgres.locks.step_locks import Surroundings, crowd_of
from sa_partman.postgres.steps.in_step import Inspect, in_step
from sa_partman.postgres.steps.running import Running
from sa_partman.postgres.steps.sending import send
from sa_partman.postgres.steps.unchanged import require_below, require_detached, require_unchanged


class TooMany(PartmanError):
    """
    Args:
        branch: What is to go.
        below: Its partitions of all levels, the lowest first.
    """

    def __init__(self, branch: QualifiedName, below: tuple[QualifiedName, ...]) -> None:
        self.branch, self.below = branch, below
        super().__init__(branch)


def fitting(running: Running, actions: tuple[Action, ...]) -> Inspect:
    """An inspection that raises `TooMany` for a branch whose locks do not fit."""
    dropped = [action.name for action in actions if isinstance(action, DropTable | DropPartition)]

    def inspect(connection: Connection, around: Surroundings) -> None:
        for name in dropped:
            below = around.relatives[name].below if name in around.relatives else ()
            if below and len(below) + 1 > room(running.limits.lock_slots, crowd_of(connection, name)[1]):
                raise TooMany(name, below)

    return inspect


Still = Callable[[Connection], None]
"""Asked under the locks: raises `Overtaken` when the branch is not the one any more that the plan saw."""


def remove_in_batches(running: Running, step: Step, found: TooMany, transaction: Callable[..., Any]) -> Any:
    """
    Does *step* in several transactions, each under the lock protocol; when it is cut off, the next run goes on.

    Args:
        transaction: Does steps that fit, in the presence of a `Still`.
    """
    detach = [action for action in step.actions if isinstance(action, DetachPartition)]
    still: Still = partial(require_unchanged, actions=step.actions)
    if detach:
        # The mark tells the next run that the table is ours to remove.
        parent = detach[0].parent
        first: tuple[Action, ...] = (*detach, MarkDetached(detach[0].partition, parent))
        transaction(running, (replace(step, actions=first),), still)
        still = partial(require_detached, name=found.branch, parent=parent)
    for start in range(0, len(found.below), MOST_REMOVED):
        _drop(running, step, found.branch, found.below[start : start + MOST_REMOVED], still)
    rest = tuple(action for action in step.actions if action not in detach)
    return transaction(running, (replace(step, actions=rest),), still)


def _drop(running: Running, step: Step, branch: QualifiedName, leaves: tuple[QualifiedName, ...], still: Still) -> None:
    part = replace(step, actions=tuple(DropTable(name, name) for name in leaves))

    def work(connection: Connection) -> None:
        # Under the lock of the branch, which a detach of it, or of what is below it, would need too.
        still(connection)
        require_below(connection, branch, leaves)
        send(connection, chain.from_iterable(map(render, part.actions)))

    in_step(running, part, work)
