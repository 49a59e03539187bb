"""
Batches: steps that share a transaction, and steps that need several.

After every change of a partitioned table, all other sessions read its list of partitions again; with thousands of them
that takes longer than the change. A transaction holds a lock for every table and index that it touches, and the server
has room for a fixed number of locks, which all sessions share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise

from sa_partman.names import QualifiedName
from sa_partman.plan.actions import (
    Action,
    AttachPartition,
    CreatePartition,
    CreateTable,
    DetachPartition,
    DropPartition,
    MoveRows,
    RequireEmpty,
    UnmarkDetached,
)
from sa_partman.plan.member_actions import MemberAction, Publish
from sa_partman.plan.steps import Purpose, Step

CROWDED = 1_000
"""Partitions of one parent from which on steps share transactions."""

MOST = 50
"""Tables that one transaction makes."""

MOST_REMOVED = 10
"""Tables that one transaction removes: meanwhile nobody can use the parent."""

TOGETHER = 25
"""Tables that one transaction makes for several parents, when its locks stop nobody and are granted at once."""

_INDEXES = 10
"""Of each partition, where nobody has counted them."""

_SHARE = 0.25
"""Of the server's room for locks, for one transaction of ours."""


def room(slots: int, indexes: int) -> int:
    """
    How many partitions one transaction may make or remove so that its locks take a quarter of the server's room.

    Args:
        slots: Locks that the server has room for, of all sessions together.
        indexes: Of each partition; each takes a lock too.
    """
    return max(1, int(_SHARE * slots / (5 + indexes)))


def most_together(slots: int) -> int:
    """How many tables one transaction makes for several parents, see `room`."""
    return min(TOGETHER, room(slots, _INDEXES))


def most_of(group: Sequence[Step], partitions: int, slots: int, indexes: int) -> int:
    """How many tables of *group* go into one transaction, when their parent has so many *partitions*."""
    if partitions < CROWDED:
        return 1
    return min(MOST_REMOVED if group[0].purpose.removes else MOST, room(slots, indexes))


def parent_of(step: Step) -> QualifiedName | None:
    """The parent of the partition that *step* makes or removes; None when it has to have a transaction of its own."""
    if not step.in_transaction or any(_stands_alone(action) for action in step.actions):
        return None
    for action in step.actions:
        if isinstance(action, AttachPartition | DetachPartition | DropPartition):
            return action.parent
    return None


def _stands_alone(action: Action) -> bool:
    # Behind a Publish as whoever connected, the role of the step is gone. Whether a detached table still is ours to
    # attach again is asked under the locks of its own step.
    return isinstance(action, MoveRows | UnmarkDetached | RequireEmpty) or (
        isinstance(action, Publish) and action.as_connected
    )


def groups(steps: Iterable[Step]) -> Iterator[tuple[Step, ...]]:
    """*steps* in their order; together those which may share a transaction: of one purpose and one parent."""
    for (parent, _), group in groupby(steps, key=lambda step: (parent_of(step), step.purpose)):
        if parent is None:
            yield from ((step,) for step in group)
        else:
            yield tuple(group)


def gathered(found: Iterable[tuple[Step, ...]], most: int) -> Iterator[tuple[Step, ...]]:
    """
    *found*, in its order; groups that only make partitions, and few, are put together when one role does it.

    Args:
        most: Tables of one transaction, see `most_together`.
    """
    few: list[Step] = []
    for group in found:
        joins = _joins(group, most)
        if few and not (joins and group[0].role == few[0].role and _size(few) + _size(group) <= most):
            yield tuple(few)
            few = []
        if joins:
            few.extend(group)
        else:
            yield group
    if few:
        yield tuple(few)


def is_light(steps: tuple[Step, ...], most: int) -> bool:
    """Whether *steps* may be tried in one transaction, without waiting for anybody."""
    return len(steps) > 1 and _joins(steps, most)


def _joins(group: tuple[Step, ...], most: int) -> bool:
    return (
        bool(group)
        and group[0].purpose is Purpose.PROVISION
        and parent_of(group[0]) is not None
        and _size(group) <= most
    )


def _size(steps: Iterable[Step]) -> int:
    return sum(map(weight, steps))


def batches(group: Iterable[Step], most: int) -> Iterator[tuple[Step, ...]]:
    """
    *group* in its order, in pieces of at most *most* tables; a step that has more is a piece of its own.
    """
    batch: list[Step] = []
    for step in group:
        if batch and _size(batch) + weight(step) > most:
            yield tuple(batch)
            batch = []
        batch.append(step)
    if batch:
        yield tuple(batch)


def weight(step: Step) -> int:
    """How many tables *step* makes or removes, as far as it names them."""
    return max(1, sum(isinstance(action, CreateTable | CreatePartition | DropPartition) for action in step.actions))


def pieces(actions: tuple[Action, ...], most: int) -> Iterator[tuple[Action, ...]]:
    """
    *actions* in pieces that make at most *most* tables each, when the partitions of a new branch come behind it; what
    is ready of it can be used already, and the next run makes what is missing.
    """
    tail = next((place for place in _creations(actions) if _all_inner(actions[place:])), len(actions))
    head = actions[:tail]
    starts = [place for place in _creations(actions) if place >= tail]
    if len(starts) <= most or any(isinstance(action, MoveRows | RequireEmpty) for action in head):
        yield actions
        return
    if head:
        yield head
    # What makes a partition a member stays with it.
    for first, last in pairwise((*starts[::most], len(actions))):
        yield actions[first:last]


def _creations(actions: tuple[Action, ...]) -> Iterator[int]:
    return (place for place, action in enumerate(actions) if isinstance(action, CreatePartition))


def _all_inner(actions: tuple[Action, ...]) -> bool:
    return all(isinstance(action, CreatePartition | MemberAction) for action in actions)
