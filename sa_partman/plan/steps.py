"""
Steps and plans: actions in transactions, in order; of maintenance and of conversions. And batches: steps that share a
transaction, and steps that need several.

After every change of a partitioned table, all other sessions read its list of partitions again; with thousands of them
that takes longer than the change. A transaction holds a lock for every table and index that it touches, and the server
has room for a fixed number of locks, which all sessions share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from itertools import groupby, pairwise
from typing import Self

from sa_partman.bounds.bound import Bound, RangeBound
from sa_partman.finding import Finding
from sa_partman.names import QualifiedName
from sa_partman.plan.actions import (
    Action,
    AttachPartition,
    CreatePartition,
    CreateTable,
    DeleteExpired,
    DeleteReferring,
    DetachPartition,
    DropPartition,
    MoveRows,
    RequireEmpty,
    UnmarkDetached,
)
from sa_partman.plan.table_actions import MemberAction, Publish
from sa_partman.spec.declared import DeclaredTable, Level, RangeLevel


class Purpose(StrEnum):
    """Why a step exists; steps run in this order."""

    HEAL = "heal"
    REPAIR = "repair"
    ADOPT = "adopt"
    REGRID = "regrid"
    PROVISION = "provision"
    DETACH = "detach"
    ARCHIVE = "archive"
    DROP = "drop"
    CONVERT = "convert"
    REWRITE = "rewrite"
    UNDO = "undo"

    @property
    def removes(self) -> bool:
        """Whether rows leave the partitioned table, or a table that left it goes."""
        return self in (Purpose.DETACH, Purpose.ARCHIVE, Purpose.DROP)


@dataclass(frozen=True, slots=True)
class Step:
    """
    The changes of one transaction (or one statement outside of any, when its action asks for that).

    Args:
        purpose: Why.
        table: The declared table.
        partition: The partition that the step is about, or *table*.
        bound: That partition's bound; None when it does not matter.
        actions: In order; at least one.
        role: Who does it, by SET ROLE: the owner of the table. None: whoever connected.
        below: Partitions, of all levels, that go with *partition*.
        shown: The bound for people, where it differs; see `shown`.
        past: It makes a partition of a range that is over, which every table's urgent ones go before.
        id: Stable, unique within its plan: of a resume point.
        title: What it does, for people.
        undo: What takes it back, in order.
        lock: The strongest lock that it takes, on which table, for how long; for people.
        scans: What it reads, or empty: the work that grows with the table.
        locked: Quoted tables that are locked ACCESS EXCLUSIVE before anything else.
        builds: The quoted name of an index that it builds concurrently, to look at when it was interrupted.
        guarded: Nothing in it may scan a table; checked while it runs.
        until: A query for how much is left, and of how much: the actions are done again, each time in a transaction of
            their own, until nothing is left. None: they are done once.
    """

    purpose: Purpose
    table: QualifiedName
    partition: QualifiedName
    bound: Bound | None
    actions: tuple[Action, ...]
    role: str | None = None
    below: int = 0
    past: bool = False
    shown: Bound | None = field(default=None, compare=False, repr=False)
    id: str = ""
    title: str = ""
    undo: tuple[Action, ...] = ()
    lock: str = ""
    scans: str = ""
    locked: tuple[str, ...] = ()
    builds: str | None = None
    guarded: bool = False
    until: Action | None = None

    @property
    def in_transaction(self) -> bool:
        return all(action.in_transaction for action in self.actions)

    @property
    def prepares(self) -> bool:
        """Whether it only clears the way: rows of other tables go, and the partition stays as it is."""
        return all(isinstance(action, DeleteReferring) for action in self.actions)

    @property
    def deletes_rows(self) -> bool:
        """Whether it only deletes rows of *partition*, which stays."""
        return all(isinstance(action, DeleteExpired) for action in self.actions)

    @property
    def partitions(self) -> int:
        """How many partitions it makes or removes, of all levels."""
        if self.purpose.removes:
            return 1 + self.below
        return max(1, sum(isinstance(action, CreateTable | CreatePartition) for action in self.actions))


@dataclass(frozen=True, slots=True)
class TablePlan:
    """
    What one table needs.

    Args:
        table: The declared table.
        steps: In order: heal, provision, prune.
        findings: What stands in the way, and is not done.
    """

    table: QualifiedName
    steps: tuple[Step, ...] = ()
    findings: tuple[Finding, ...] = ()

    def only(self, *purposes: Purpose) -> TablePlan:
        return TablePlan(self.table, tuple(step for step in self.steps if step.purpose in purposes), self.findings)


def in_order(tables: Sequence[TablePlan]) -> Iterator[Step]:
    """
    What is made before what is removed, and what is written to now before the past.

    Args:
        tables: Referenced ones first. Removing goes the other way: what refers to a row goes before the row.
    """
    for table in tables:
        yield from (step for step in table.steps if not step.purpose.removes and not step.past)
    for table in tables:
        yield from (step for step in table.steps if step.past)
    for table in reversed(tables):
        yield from (step for step in table.steps if step.purpose.removes)


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What all tables need at *now*. Truthy when there is anything to do.

    Args:
        now: The instant that it was made for; aware.
        tables: In the order of the metadata: referenced tables first.
    """

    now: datetime
    tables: tuple[TablePlan, ...]

    def __bool__(self) -> bool:
        return any(table.steps for table in self.tables)

    @property
    def steps(self) -> Iterator[Step]:
        """In the order in which they are done."""
        yield from in_order(self.tables)

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(finding for table in self.tables for finding in table.findings)

    def only(self, *purposes: Purpose) -> Self:
        return replace(self, tables=tuple(table.only(*purposes) for table in self.tables))


def readable(declared: DeclaredTable, step: Step) -> Step:
    """*step*, with its bound for people; what it does is the same."""
    level = _level_of(declared, step)
    if level is None or step.bound is None:
        return step
    shown = level.readable(step.bound)
    return step if shown == step.bound else replace(step, shown=shown)


def _level_of(declared: DeclaredTable, step: Step) -> Level | None:
    """
    The level that the partition's bound belongs to, when that is a range. Where there are several, an action with that
    very bound tells by its key; they may have the same, and then the same codec.
    """
    ranges = [each for each in declared.levels() if isinstance(each, RangeLevel)]
    if not isinstance(step.bound, RangeBound) or len(ranges) < 2:
        return ranges[0] if ranges and isinstance(step.bound, RangeBound) else None
    columns = tuple(_columns(step))
    return next((each for each in ranges if each.key.columns in columns), None)


def _columns(step: Step) -> Iterator[tuple[str, ...]]:
    for action in step.actions:
        key = getattr(action, "key", None)
        if key is not None and getattr(action, "bound", step.bound) == step.bound:
            yield key.columns


def raised(plan: TablePlan, max_rows: int | None) -> TablePlan:
    """*plan*, whose steps move up to *max_rows* rows each; None: as many as they do anyway."""
    if max_rows is None:
        return plan
    return replace(plan, steps=tuple(_raised(step, max_rows) for step in plan.steps))


def _raised(step: Step, max_rows: int) -> Step:
    if not any(isinstance(action, MoveRows) for action in step.actions):
        return step
    actions: tuple[Action, ...] = tuple(
        replace(action, limit=max_rows) if isinstance(action, MoveRows) else action for action in step.actions
    )
    return replace(step, actions=actions)


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
