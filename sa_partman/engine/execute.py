"""Runs steps: each in a transaction of its own, again while a lock is refused, and read back before it commits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from sa_partman.bounds.read import parse_bound
from sa_partman.bounds.text import describe
from sa_partman.compare.expired_rows import MOVED_AT_MOST
from sa_partman.ddl.render import render
from sa_partman.engine.detach import detach_concurrently, plain_instead, require_ended
from sa_partman.engine.locks import Surroundings, crowd_of
from sa_partman.engine.running import Running
from sa_partman.engine.statements import send
from sa_partman.engine.transaction import Inspect, at_once, in_step
from sa_partman.engine.unchanged import Overtaken, require_below, require_detached, require_unchanged
from sa_partman.errors import ExecutionError, NameTaken, PartmanError, VerificationFailed
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import (
    Action,
    AttachPartition,
    CreatePartition,
    CreateTable,
    DetachPartition,
    DropPartition,
    DropTable,
    FinalizeDetach,
    MarkDetached,
    MoveRows,
)
from sa_partman.plan.batches import MOST, MOST_REMOVED, pieces, room
from sa_partman.plan.membership import MAKING
from sa_partman.plan.steps import Step
from sa_partman.postgres.queries import BOUNDS, NAME_HELD_BY
from sa_partman.postgres.residues import require_current
from sa_partman.postgres.sqlstate import REFERENCED, first_line, overtaken, sqlstate


@dataclass(frozen=True, slots=True)
class Attempted:
    """
    How a step went.

    Args:
        seconds: In all, pauses included.
        rows: That it moved, deleted or archived, when that says something.
        note: What was done otherwise than planned, and why.
    """

    seconds: float
    attempts: int
    rows: int | None = None
    note: str = ""


def execute_step(running: Running, step: Step) -> Attempted:
    """
    Raises:
        ExclusionLost: We are not the only maintainer any more; nothing was changed.
        LockNotAcquired: Not granted within the budgets; nothing was changed.
        Overtaken: A name or bound was taken meanwhile, or the partition is gone; nothing was changed.
        ExecutionError: The server refused the step for another reason; nothing was changed.
    """
    began = time.monotonic()
    worker = running.worker_of(step)
    if worker is not None:
        rows = worker(running, step, step.actions[0])
        return Attempted(time.monotonic() - began, 1, rows)
    with translating(step):
        done = _transaction(running, (step,)) if step.in_transaction else _alone(running, step)
    return replace(done, seconds=time.monotonic() - began)


def execute_together(running: Running, steps: tuple[Step, ...]) -> Attempted:
    """
    *steps* of one table in one transaction: all of them, or none.

    Raises:
        ExecutionError: See `execute_step`.
    """
    began = time.monotonic()
    with translating(steps[0]):
        done = _transaction(running, steps)
    return replace(done, seconds=time.monotonic() - began)


def execute_at_once(running: Running, steps: tuple[Step, ...]) -> Attempted:
    """
    *steps* that make partitions of any tables, in one transaction, while nobody has to be waited for.

    Raises:
        NotAtOnce: Somebody is in the way, or a lock would stop readers or writers; nothing was changed.
        ExecutionError: See `execute_step`.
    """
    began = time.monotonic()
    actions = tuple(action for step in steps for action in step.actions)
    with translating(steps[0]):
        at_once(running, steps, lambda connection: apply_actions(connection, actions, steps[0].role))
    return Attempted(time.monotonic() - began, 1)


@contextmanager
def translating(step: Step) -> Iterator[None]:
    """Our errors for the server's."""
    try:
        yield
    except DBAPIError as error:
        raise translated(step, error) from error


def _transaction(running: Running, steps: tuple[Step, ...], still: Still | None = None) -> Attempted:
    """One transaction, or several when the server has no room for so many locks."""
    parts = tuple(pieces(steps[0].actions, MOST)) if len(steps) == 1 and still is None else ()
    if len(parts) > 1:
        return [_transaction(running, (replace(steps[0], actions=part),)) for part in parts][-1]
    actions = tuple(action for step in steps for action in step.actions)

    def work(connection: Connection) -> None:
        if still is not None:
            still(connection)
        require_unchanged(connection, actions)
        require_ended(connection, actions)
        apply_actions(connection, actions, steps[0].role if steps[0].purpose in MAKING else None)

    try:
        held = in_step(running, steps, work, inspect=fitting(running, actions), seconds=_seconds(actions))
    except TooMany as error:
        return _in_batches(running, steps, error)
    return Attempted(0.0, held.attempts)


def _seconds(actions: tuple[Action, ...]) -> float | None:
    """Whoever raises the limit has the time."""
    raised = any(isinstance(action, MoveRows) and action.limit > MOVED_AT_MOST for action in actions)
    return 0 if raised else None


def _in_batches(running: Running, steps: tuple[Step, ...], error: TooMany) -> Attempted:
    first, *others = steps
    if others:
        return [_transaction(running, (step,)) for step in steps][-1]
    done: Attempted = remove_in_batches(running, first, error, _transaction)
    return done


def _alone(running: Running, step: Step) -> Attempted:
    *before, action = step.actions
    if not isinstance(action, DetachPartition):
        raise NotImplementedError(type(action))
    plain, why = plain_instead(running, step, action)
    if plain is not None:
        return replace(_transaction(running, (plain,)), note=why)
    if before:
        _transaction(running, (replace(step, actions=tuple(before)),))
    detach_concurrently(running, step, action)
    return Attempted(0.0, 1)


def apply_actions(connection: Connection, actions: Iterable[Action], owner: str | None = None) -> None:
    """
    Executes *actions* in the caller's pinned transaction and reads back every bound that they make.

    Args:
        owner: To whom what they make has to belong; None: to whomever.

    Raises:
        ExecutionError: What is to be attached again is not what its table is by now; nothing was changed.
        VerificationFailed: The catalog shows another bound or owner; the caller's transaction should be rolled back.
    """
    done = tuple(actions)
    require_current(connection, _attached_again(done))
    send(connection, chain.from_iterable(map(render, done)))
    _verify(connection, done, owner)


_TRIGGER = "Correct the event trigger that changes it (pg_event_trigger), and run again."


def _verify(connection: Connection, actions: tuple[Action, ...], owner: str | None) -> None:
    made = {_partition(action): action for action in actions if isinstance(action, AttachPartition | CreatePartition)}
    if not made:
        return
    parameters = {"schemas": [name.schema for name in made], "names": [name.name for name in made]}
    seen = {QualifiedName(row[0], row[1]): (row[2], row[3]) for row in connection.execute(BOUNDS, parameters)}
    for name, action in made.items():
        text, belongs = seen.get(name, (None, None))
        found = None if text is None else parse_bound(text, action.key.types)
        if found != action.bound:
            shown = "nothing" if found is None else describe(found)
            raise VerificationFailed(
                f"{name}: {describe(action.bound)} was asked for and the catalog shows {shown}; this step was rolled "
                f"back. {_TRIGGER}"
            )
        if owner is not None and belongs != owner:
            raise VerificationFailed(
                f"{name} belongs to {belongs}, and its table to {owner}; this step was rolled back. {_TRIGGER}"
            )


def _attached_again(actions: tuple[Action, ...]) -> Iterator[tuple[QualifiedName, QualifiedName]]:
    """What becomes a partition that these actions neither make nor detach, behind its parent."""
    made = {action.name for action in actions if isinstance(action, CreateTable | CreatePartition)}
    made |= {action.partition for action in actions if isinstance(action, DetachPartition | FinalizeDetach)}
    attached = (action for action in actions if isinstance(action, AttachPartition))
    return ((action.parent, action.partition) for action in attached if action.partition not in made)


def _partition(action: AttachPartition | CreatePartition) -> QualifiedName:
    return action.partition if isinstance(action, AttachPartition) else action.name


def translated(step: Step, error: DBAPIError) -> ExecutionError:
    """Our error for the server's; the driver's own stays as its cause."""
    if overtaken(error):
        return Overtaken(f"{step.partition}: {first_line(error)}; nothing was changed")
    if sqlstate(error) in REFERENCED and step.purpose.removes:
        return ExecutionError(
            f"{step.partition} stays, because its rows are referenced: {first_line(error)}; this step was rolled back. "
            f"Remove the rows that refer to it first, or name their table in Retention(satellites=...)."
        )
    return ExecutionError(f"{step.partition}: {first_line(error)}; this step was rolled back")


def name_taken(connection: Connection, name: QualifiedName) -> NameTaken | None:
    """The error that says who bears *name*; None when nobody does."""
    held = connection.execute(NAME_HELD_BY, {"schema": name.schema, "name": name.name}).scalar()
    return None if held is None else NameTaken(str(name), held_by=held)


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
